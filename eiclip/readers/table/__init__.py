"""A shop's own CSV, JSON lines or Parquet with named columns. Nothing here knows of HDF5 or of Amazon."""
