"""Measurements: each prints what it claims; see docs/results.md for what they printed."""
