"""What ranking and the report must reach, beside what they are compared with: `python -m benchmarks.retrieval`."""
