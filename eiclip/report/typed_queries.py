"""The section on typed queries: does finding entities in a buyer's words help?"""

from collections.abc import Sequence
from typing import Any

import duckdb

from eiclip.report.document import Block, Section, Text, evidence, kept
from eiclip.report.numbers import signed
from eiclip.report.queries import select
from eiclip.report.source import Source
from eiclip.report.standing import no_verdict
from eiclip.report.tables import Table
from eiclip.report.numbers import number

KEY = "typed_queries"
TITLE, SHORT = "Does finding entities in typed words help?", "Typed queries"
WHAT = (
    "A buyer types words and no tags. Each query is a test product’s description with the words of its brand (or of "
    "the first entity group, where no brand is tagged) written in, read in three ways: as words alone; with the "
    "entities that search finds in them; and with the product’s own tags, which is as far as linking can go. It looks "
    "for photos (t-i) or for products by photo and text (t-m): for another product of its style where true styles are "
    "known, else for the product itself, whose own description is then part of what t-m compares with."
)
WAYS = ("typed", "typed and linked", "tags given")


def typed_queries(source: Source) -> Section | None:
    """The section; None for a dataset without its tables."""
    blocks: Sequence[Block] = kept(Text(WHAT), source.sentence(verdict), source.table(typed_table))
    return Section(KEY, TITLE, SHORT, blocks) if any(True for _ in evidence(blocks)) else None


def way_of(variant: str) -> str:
    """How the queries of a row of the tables were read.

    >>> way_of("eiclip, typed and linked")
    'typed and linked'
    """
    return variant.split(", ", 1)[1]


def typed_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """MRR and recall by way of reading and pair of views, with what each gains over the one before it."""
    rows = select(connection, "typed_query_metrics", dataset=dataset)
    gained = {
        (row["variant"], row["view_pair"]): row
        for row in select(connection, "typed_query_comparisons", dataset=dataset)
    }
    by_place = {(row["view_pair"], way_of(row["variant"])): row for row in rows}
    lines = [
        _line(by_place[pair, way], gained)
        for pair in dict.fromkeys(row["view_pair"] for row in rows)
        for way in WAYS
        if (pair, way) in by_place
    ]
    caption = (
        "Typed queries by how they are read, percent; gains over the line above, points of MRR with 95 % intervals"
    )
    header = ("Views", "Read as", "MRR", "R@1", "R@10", "Gain", "Queries")
    return Table(caption, header, (False, False) + (True,) * 5, lines) if lines else None


def _line(row: Any, gained: dict[tuple[str, str], Any]) -> tuple[str, ...]:
    found = gained.get((row["variant"], row["view_pair"]))
    gain = "" if found is None else f"{signed(found['difference'])}\n[{signed(found['low'])}, {signed(found['high'])}]"
    figures = (number(row[name]) for name in ("mrr", "r1", "r10"))
    return (row["view_pair"], way_of(row["variant"]), *figures, gain, number(row["queries"], 0))


def verdict(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """What linking gains over plain text, in a sentence for each pair of views."""
    said = []
    for row in select(connection, "typed_query_comparisons", dataset=dataset):
        if (reason := no_verdict(connection, dataset, row["variant"].partition(", ")[0])) is not None:
            return reason
        if way_of(row["variant"]) == WAYS[1]:
            state = "helps" if row["low"] > 0 else "harms" if row["high"] < 0 else "may help or harm"
            change = f"{signed(row['difference'])} points of MRR [{signed(row['low'])}, {signed(row['high'])}]"
            said.append(f"In {row['view_pair']} linking {state}: {change}")
    return ". ".join(said) + "." if said else None
