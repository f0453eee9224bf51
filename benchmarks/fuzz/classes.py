"""Every class of bad input."""

from benchmarks.fuzz import cells, formats, hdf5, hdf5_pointers, lines, photo_names, photos, tables

CLASSES = [
    *cells.CLASSES,
    *formats.CLASSES,
    *hdf5.CLASSES,
    *hdf5_pointers.CLASSES,
    *lines.CLASSES,
    *photos.CLASSES,
    *photo_names.CLASSES,
    *tables.CLASSES,
]
