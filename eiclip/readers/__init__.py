"""Readers of raw product data: files in the layouts people hold -> rows and photos."""

from eiclip.readers.amazon import AmazonReader
from eiclip.readers.base import Listing, RawReader, Rejected
from eiclip.readers.fashiongen import FashionGenReader
from eiclip.readers.table import TableReader

__all__ = ["AmazonReader", "FashionGenReader", "Listing", "RawReader", "Rejected", "TableReader"]
