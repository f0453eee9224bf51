"""Every class of bad input."""

from benchmarks.fuzz import cells, hdf5, hdf5_pointers, lines, photo_names, photos, tables

CLASSES = [
    *cells.CLASSES,
    *hdf5.CLASSES,
    *hdf5_pointers.CLASSES,
    *lines.CLASSES,
    *photos.CLASSES,
    *photo_names.CLASSES,
    *tables.CLASSES,
]
