"""Fashion-Gen's HDF5 files: layout, columns, photos, damage. Nothing here knows of tables or of Amazon."""
