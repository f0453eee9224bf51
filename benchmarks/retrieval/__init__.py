"""What ranking and the report must reach, measured beside what it is compared with: `python -m benchmarks.retrieval`."""
