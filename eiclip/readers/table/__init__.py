"""A shop's own CSV, JSON or Parquet with named columns. Nothing here knows of HDF5 or of Amazon."""
