"""Queries whose relevant products are known, made of a catalogue: a floor for search where no shop has judged any.

Kinds of products ("shirts", "puma shirts", "black shirts"), names, and descriptions with the brand written in. All of
them favour what reads tags and words: docs/search.md says what they are good for.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from eiclip.readers.queries import QUERIES
from eiclip.search.sources import query_tables
from eiclip.storage.lake import Lake
from eiclip.storage.sql import read_sql

ALL = "all"  # splits
NAMES, DESCRIPTIONS = "names", "descriptions"
PAIRS = ("subcategory", "brand and subcategory", "colour and subcategory")
KINDS = (*PAIRS, NAMES, DESCRIPTIONS)
MINIMUM, MOST, MOST_PRODUCTS = 10, 40, 200
"""Products that a common kind needs, queries of each of `PAIRS`, and of names and descriptions."""


def generated_queries(
    lake: Lake,
    dataset: str,
    split: str = ALL,
    *,
    brand_group: str,
    minimum: int = MINIMUM,
    most: int = MOST,
    most_products: int = MOST_PRODUCTS,
    asked: Literal["train", "validation", "test"] | None = None,
) -> pa.Table:
    """Return queries of each of `KINDS` with their relevant products; schema `QUERIES`, by kind and query.

    Which queries there are is drawn by the digest of their words: the same for the same catalogue. A kind is missing
    where the catalogue has no such tags or texts.

    Args:
        lake, dataset: the catalogue.
        split: relevant products, and those that a common kind is counted by, are of this split alone; or of `all`.
        brand_group: the entity group that names the makers.
        minimum: products that each of `PAIRS` needs to be asked for.
        most: queries of each of `PAIRS`; those of names and descriptions are `most_products`.
        asked: the split whose products' names and descriptions are queries; None: `split`, and test for `all`.

    Raises EiclipError where the lake has no such dataset.
    """
    asked_split = asked or ("test" if split == ALL else split)
    tables = ("products", "product_entities")
    common = {"split": split, "brand_group": brand_group, "minimum": minimum}
    pairs = query_tables(lake, dataset, tables, read_sql("evaluation/common_queries"), common)
    parts = [drawn(_of_kind(pairs.filter(pc.equal(pairs["kind"], kind)), kind), most) for kind in PAIRS]
    parts.append(drawn(name_queries(lake, dataset, asked_split, split), most_products))
    typed = {"split": asked_split, "group": brand_group}
    descriptions = query_tables(lake, dataset, tables, read_sql("evaluation/typed_queries"), typed)
    texts = descriptions.select(["text", "product_id"]).rename_columns(["query", "product_id"])
    parts.append(drawn(_of_kind(texts, DESCRIPTIONS), most_products))
    return pa.concat_tables(parts).sort_by([(name, "ascending") for name in ("kind", "query", "product_id")])


def name_queries(lake: Lake, dataset: str, split: str, among: str = ALL) -> pa.Table:
    """Return the names (titles) of a split's products as queries; schema `QUERIES`, by name.

    All products `among` (a split, or `all`) that have exactly the name are relevant.

    Raises EiclipError where the lake has no such dataset.
    """
    asked = {"split": split, "among": among}
    found = query_tables(lake, dataset, ("products",), read_sql("evaluation/name_queries"), asked)
    return _of_kind(found, NAMES)


def drawn(rows: pa.Table, most: int) -> pa.Table:
    """Return the rows (schema `QUERIES`) of at most so many queries, drawn by the digests of their words."""
    queries = rows["query"].unique().to_pylist()
    chosen = [queries[place] for place in drawn_places(queries, most)]
    return rows.filter(pc.is_in(rows["query"], pa.array(chosen, pa.string())))


def drawn_places(names: Iterable[str], most: int) -> list[int]:
    """Return the places of at most so many names, drawn by their digests, in their order."""
    digests = [hashlib.sha256(name.encode()).digest() for name in names]
    return sorted(sorted(range(len(digests)), key=digests.__getitem__)[:most])


def _of_kind(rows: pa.Table, kind: str) -> pa.Table:
    """Rows of query and product_id as those of a kind, each product relevant."""
    columns = [[kind] * len(rows), rows["query"], rows["product_id"], [1] * len(rows)]
    return pa.table(columns, schema=QUERIES)
