"""What same-style retrieval must reach, beside what it is compared with: `python -m benchmarks.same_style`."""
