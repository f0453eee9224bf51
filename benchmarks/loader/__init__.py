"""What the loader must reach, beside what it is compared with: `python -m benchmarks.loader`."""
