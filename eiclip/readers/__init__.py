"""Readers of raw product data: files in the layouts people hold become rows and photos.

A row that cannot be used is handed on with its place and the reason; which rows make a product is decided in
`sql/ingest/`.
"""

from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.base import Listing, RawReader, Rejected
from eiclip.readers.fashiongen.reader import FashionGenReader
from eiclip.readers.table.reader import TableReader

__all__ = ["AmazonReader", "FashionGenReader", "Listing", "RawReader", "Rejected", "TableReader"]
