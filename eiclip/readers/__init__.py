"""Readers of raw product data: files in the layouts people hold -> rows and photos."""

from eiclip.readers.amazon import AmazonReader
from eiclip.readers.base import Accepted, RawReader, Rejected
from eiclip.readers.fashiongen import FashionGenReader

__all__ = ["Accepted", "AmazonReader", "FashionGenReader", "RawReader", "Rejected"]
