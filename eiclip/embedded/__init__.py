"""The embedded catalogue: raw files in the layouts of the real datasets, drawn by a seed.

Everything downstream reads them the way it reads the real ones. Equal seeds give equal pixels and texts, on any number
of processes.
"""

from eiclip.embedded.amazon import write_amazon
from eiclip.embedded.fashiongen import write_fashiongen
from eiclip.embedded.general import write_general_corpus
from eiclip.embedded.styles import write_styles

__all__ = ["write_amazon", "write_fashiongen", "write_general_corpus", "write_styles"]
