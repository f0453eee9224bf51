"""Ablations: trainings that differ in one thing, their ranks, and what the difference comes to."""
