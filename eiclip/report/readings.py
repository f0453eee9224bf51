"""The same embeddings read otherwise: ranking quality beside recall, other protocols, equal texts, and the rules."""

from collections.abc import Mapping
from typing import Any

import duckdb

from eiclip.report.breakdown import NAMES
from eiclip.report.queries import select
from eiclip.report.standing import TITLE, chance
from eiclip.report.tables import Table, interval, intervals, number

NEGATIVES = 100
"""Wrong items of a list."""
PROTOCOL_TITLES = {
    "full": "All candidates",
    "full_distinct": "All, no known duplicates",
    "full_product": "All, product level",
    "sample100": "Sample-100",
    "sample100_distinct": "Sample-100, no known duplicates",
    "sample100_product": "Sample-100, product level",
    "sample100_5x1000": "Sample-100, 5 × 1,000",
}
"""Short names, in the order of the table of readings."""

QUALITY = {"i2t_mrr": "I2T MRR", "i2t_ndcg10": "I2T nDCG@10", "t2i_mrr": "T2I MRR", "t2i_ndcg10": "T2I nDCG@10"}
TEXT_EQUAL = {
    "i2t_r1": "I2T R@1", "i2t_equal": "counted equal", "t2i_r1": "T2I R@1", "t2i_equal": "counted equal",
    "sum_r": "SumR", "sum_equal": "counted equal",
}  # fmt: skip


def quality_table(connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str = "full") -> Table | None:
    """MRR and nDCG@10 of each row, both ways, with their intervals."""
    rows = select(connection, "quality", dataset=dataset, protocol=protocol)
    known = intervals(connection, dataset, protocol)
    lines = [
        (_titled(row), *(_below(row[name], known.get((row["variant"], name))) for name in QUALITY)) for row in rows
    ]
    floor = chance(connection, dataset, protocol)
    if lines and floor is not None:
        lines.insert(0, (TITLE, *(number(floor[name]) for name in QUALITY)))
    caption = f"Beyond the first places: MRR and nDCG@10, {PROTOCOL_TITLES[protocol].lower()}"
    return Table(caption, ("Model", *QUALITY.values()), (False,) + (True,) * 4, lines) if lines else None


def sums_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """SumR of each row under every protocol, with intervals; readings without duplicates only where some are known."""
    rows = select(connection, "sums", dataset=dataset)
    some_known = bool(select(connection, "duplicates", dataset=dataset))
    present = {row["protocol"] for row in rows}
    shown = [name for name in PROTOCOL_TITLES if name in present and (some_known or not name.endswith("_distinct"))]
    if not shown:
        return None
    ends = {
        (row["variant"], row["protocol"]): (row["low"], row["high"])
        for row in select(connection, "sum_intervals", dataset=dataset)
    }
    sums = {(row["variant"], row["protocol"]): row["sum_r"] for row in rows}
    titles = {row["variant"]: _titled(row) for row in rows}
    lines = [
        (title, *(_below(sums.get((name, protocol)), ends.get((name, protocol))) for protocol in shown))
        for name, title in titles.items()
    ]
    floors = {row["protocol"]: row["sum_r"] for row in select(connection, "chance", dataset=dataset)}
    if floors:
        lines.insert(0, (TITLE, *(number(floors.get(protocol)) for protocol in shown)))
    header = ("Model", *(PROTOCOL_TITLES[name] for name in shown))
    return Table("SumR under every protocol", header, (False,) + (True,) * len(shown), lines)


def text_equal_table(connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str = "full") -> Table | None:
    """Strict recalls, and those with every candidate of an identical description counted as right."""
    rows = select(connection, "text_equal", dataset=dataset, protocol=protocol)
    lines = [(_titled(row), *(number(row[name]) for name in TEXT_EQUAL)) for row in rows]
    floor = chance(connection, dataset, protocol)
    if lines and floor is not None:  # of the strict reading: the other is not computed
        lines.insert(0, (TITLE, *(number(floor.get(name)) for name in TEXT_EQUAL)))
    caption = "Identical descriptions counted as right, beside the strict reading (all candidates)"
    return Table(caption, ("Model", *TEXT_EQUAL.values()), (False,) + (True,) * 6, lines) if lines else None


def list_note(connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str = "sample100") -> str | None:
    """How many of the lists' wrong items are of the subcategory that the lists are said to be of."""
    rows = [row for row in select(connection, "protocol_rules", dataset=dataset) if row["protocol"] == protocol]
    if not rows or not rows[0]["queries"]:
        return None
    short, lists = rows[0]["with_shortfall"], rows[0]["queries"]
    share = rows[0]["negatives_short"] / (NEGATIVES * lists)
    if not share:
        return f"All {NEGATIVES} wrong items of each list are of the right item’s subcategory."
    return (
        f"{share:.0%} of the wrong items are of other subcategories than the right one: {short:,} of {lists:,} lists "
        f"are of subcategories with too few test products for {NEGATIVES}, and were filled up. The more of them, the "
        "easier the lists."
    )


def protocols_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """What each protocol asks, in words, and where its lists fell short."""
    rows = {row["protocol"]: row for row in select(connection, "protocol_rules", dataset=dataset)}
    order = [name for name in PROTOCOL_TITLES if name in rows] + sorted(set(rows) - set(PROTOCOL_TITLES))
    lines = [
        (
            name,
            rows[name]["rule"],
            number(rows[name]["queries"], 0),
            "–" if rows[name]["seed"] is None else str(rows[name]["seed"]),
            number(rows[name]["with_shortfall"], 0),
            number(rows[name]["negatives_short"], 0),
        )
        for name in order
    ]
    header = (
        "Protocol",
        "Rule",
        "Queries",
        "Seed",
        "Lists filled up",
        "Negatives filled up",
    )
    return Table("Protocols", header, (False, False, True, True, True, True), lines) if lines else None


def _titled(row: Mapping[str, Any]) -> str:
    return short_title(row["paper_row"], row["variant"])


def short_title(row: int | None, variant: str) -> str:
    """Short, as these tables stand beside the leaderboard that names the rows in full."""
    title = NAMES.get(variant, variant)
    return title if row is None else f"{row} {title}"


def _below(value: float | None, ends: tuple[float, float] | None) -> str:
    """A number, and its interval below it."""
    return f"{number(value)}\n{interval(*ends)}" if ends else number(value)
