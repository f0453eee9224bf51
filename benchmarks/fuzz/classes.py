"""Every class of bad input."""

from benchmarks.fuzz import cells, clicks, formats, hdf5, hdf5_pointers, lines, photo_names, photos, tables, texts

_MODULES = (cells, clicks, formats, hdf5, hdf5_pointers, lines, photos, photo_names, tables, texts)
CLASSES = [kind for module in _MODULES for kind in module.CLASSES]
