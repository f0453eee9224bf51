"""The synthetic catalogue: raw files in the layouts of the real datasets, drawn by a seed.

Everything downstream reads them the way it reads the real ones; equal seeds give equal pixels and texts. Nothing here
is imported by what reads, trains or evaluates.
"""

from eiclip.synthetic.amazon import write_amazon
from eiclip.synthetic.fashiongen import write_fashiongen
from eiclip.synthetic.general import write_general_corpus
from eiclip.synthetic.styles import write_styles

__all__ = ["write_amazon", "write_fashiongen", "write_general_corpus", "write_styles"]
