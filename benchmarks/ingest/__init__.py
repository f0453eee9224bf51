"""What ingestion must reach, measured beside what it is compared with: `python -m benchmarks.ingest`."""
