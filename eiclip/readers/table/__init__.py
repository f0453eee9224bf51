"""A shop's own export: CSV, JSON lines or Parquet with named columns, and where its photos lie."""
