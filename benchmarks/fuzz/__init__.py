"""Bad input, drawn by Hypothesis: whatever a raw file holds, ingestion ends in time and memory and loses no row.

Every case is a small good dataset with one mutation. It is ingested in a process of its own, and passes where

- the dataset went through, and every raw row is in `images` or in `quarantine` with source, place and reason, the rows
  that were left alone being used with their own ids; or
- it was refused as a whole by an error that names the file (and the HDF5 key), and nothing half-written is left;

and where no file outside the dataset was opened, within `SECONDS` and `MEBIBYTES`.

    python -m benchmarks.fuzz                      # every class
    python -m benchmarks.fuzz --only bombs --cases 50 --seed 7
"""
