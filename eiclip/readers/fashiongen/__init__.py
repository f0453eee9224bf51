"""Fashion-Gen's HDF5 files: their layout, columns and photos, and damage to them."""
