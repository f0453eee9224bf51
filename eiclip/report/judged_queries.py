"""The section on judged queries: what search finds of what is known to be relevant, by the way a query is read."""

from collections.abc import Sequence
from typing import Any

import duckdb

from eiclip.report.document import Block, Section, Text, evidence, kept
from eiclip.report.numbers import signed
from eiclip.report.queries import Row, select
from eiclip.report.source import Source
from eiclip.report.tables import Table
from eiclip.report.numbers import number, short

KEY = "judged_queries"
TITLE, SHORT = "How much of what is relevant does search find?", "Judged queries"
WHAT = (
    "Queries whose relevant products are known, among all products: those of the shop’s own file, and generated ones: "
    "“tags” are common kinds of products, alone and with a brand or a colour, and all products that have these tags "
    "are relevant; names and descriptions are of test products. Generated queries favour what reads tags and words, "
    "and are a floor, not what buyers type."
)
BETTER = "hybrid - better of the others"
DETAIL = ("subcategory", "brand and subcategory", "colour and subcategory")
"""Kinds that are shown together, as tags, where there are several."""
WORST_SHOWN = 10


def judged_queries(source: Source) -> Section | None:
    """The section; None for a dataset without its tables."""
    tables = (source.table(metrics_table), source.table(worst_table))
    blocks: Sequence[Block] = kept(Text(WHAT), source.sentence(verdict), *tables)
    return Section(KEY, TITLE, SHORT, blocks) if any(True for _ in evidence(blocks)) else None


def metrics_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """The measures by kind of queries and reading."""
    rows = _rows(connection, dataset)
    lines = [_line(row) for row in rows if " - " not in row["reading"]]
    header = ("Kind", "Read as", "MRR@10", "nDCG@10", "P@10", "R@1", "R@10", "Queries")
    caption = "Judged queries by how they are read, percent, with 95 % intervals over queries; "
    return Table(f"{caption}{rows[0]['variant']}", header, (False, False) + (True,) * 6, lines) if lines else None


def _rows(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[Row]:
    rows = select(connection, "judged_query_metrics", dataset=dataset)
    together = any(row["kind"] == "tags" for row in rows)
    return [row for row in rows if not (together and row["kind"] in DETAIL)]


def _line(row: Any) -> tuple[str, ...]:
    low, high = row["mrr10_low"], row["mrr10_high"]
    interval = "" if low is None else f"\n[{number(low)}, {number(high)}]"
    others = (number(row[name]) for name in ("ndcg10", "p10", "r1", "r10"))
    return (row["kind"], row["reading"], f"{number(row['mrr10'])}{interval}", *others, number(row["queries"], 0))


def worst_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """The queries that hybrid search finds least for."""
    asked = select(connection, "judged_query_metrics", dataset=dataset)
    variant = asked[0]["variant"] if asked else ""
    rows = select(connection, "worst_judged_queries", dataset=dataset, variant=variant, most=WORST_SHOWN)
    lines = [
        (
            short(row["query"], 60),
            row["kind"],
            number(row["relevant"], 0),
            number(row["rank"], 0),
            number(row["ndcg10"]),
        )
        for row in rows
    ]
    header = ("Query", "Kind", "Relevant", "Best rank", "nDCG@10")
    return Table("Worst queries, hybrid", header, (False, False, True, True, True), lines) if lines else None


def verdict(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """What hybrid search has over the best of its parts, in a sentence for each kind of queries."""
    said = []
    for row in _rows(connection, dataset):
        if row["reading"] == BETTER:
            low, high = row["mrr10_low"], row["mrr10_high"]
            state = "is ahead of" if low > 0 else "is behind" if high < 0 else "cannot be told from"
            interval = f"{signed(row['mrr10'])} points of MRR@10 [{signed(low)}, {signed(high)}]"
            said.append(f"For {row['kind']} hybrid search {state} the best of vectors and words alone: {interval}")
    return ". ".join(said) + "." if said else None
