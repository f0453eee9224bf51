"""Which rows differ and where row 5 wins, as plots of intervals and a sentence; None without the tables they show."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
from matplotlib.figure import Figure

from eiclip.evaluation.breakdowns import MINIMUM_PRODUCTS, rank_correlation
from eiclip.evaluation.comparisons import PAIRS
from eiclip.model.variants import VARIANTS
from eiclip.report.headline import WAYS
from eiclip.report.numbers import SHORT_TITLES, number, short, signed
from eiclip.report.queries import Row, select, where
from eiclip.report.standing import no_verdict
from eiclip.report.theme import ROWS, TEXT, NothingToDraw, Panel, figure, legend, plot, some

DIFFERENCE, GAIN = ("difference", "low", "high"), ("gain_r1", "gain_low", "gain_high")
CONFOUNDED, STATE, MEANINGS = " confounded", " state", "meanings"
"""Ends of the facets of `query_facets`, and one of them; the others are entity groups."""
BRANDS_SHOWN = 12
VALUES_SHOWN = 12
"""Values of a facet in the table: those of most products."""
FEW_PRODUCTS = 20
"""Below this an interval covers the truth less often than it says, and its dot is hollow."""
FEWEST_BRANDS = 8
"""Brands that a correlation over brands needs."""
FEWEST_CONFOUNDED = 5
"""Of them with any untagged use: resamples that miss them all would have none."""


@plot
def comparison_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Differences between rows in recall@1 and SumR, all candidates, with 95 % intervals."""
    rows = {(row["variant"], row["baseline"], row["direction"]): row for row in _comparisons(connection, dataset)}
    pairs = [pair for pair in PAIRS[::-1]
             if any(key[:2] == pair for key in rows) and no_verdict(connection, dataset, *pair) is None]  # fmt: skip
    made, panels = figure(1.7 + 0.95 * len(some(pairs)), 2)
    names = [_pair_title(*pair).replace(" − ", " −\n") for pair in pairs]
    for panel, shift, way, colour in (
        (0, 0.16, "i2t", ROWS[1]),
        (0, -0.16, "t2i", ROWS[4]),
        (1, 0, "both", TEXT),
    ):
        found = [rows.get((*pair, way)) for pair in pairs]
        _differences(panels[panel], np.arange(len(pairs)) + shift, found, names, colour, DIFFERENCE, WAYS.get(way))
    panels[0].set_title("Difference in recall@1, points")
    panels[1].set_title("Difference in SumR, points")
    return legend(made)


def _comparisons(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[dict[str, Any]]:
    return select(connection, "row_comparisons", dataset=dataset)


def _pair_title(variant: str, baseline: str) -> str:
    one, other = (f"{SHORT_TITLES[name]} ({VARIANTS[name].row})" for name in (variant, baseline))
    return f"{one} − {other}"


def _differences(
    axes: Panel, places: Iterable[float], rows: Sequence[Row | None], names: Sequence[str], colour: str,
    columns: Sequence[str] = GAIN, label: str | None = None,
) -> None:  # fmt: skip
    """Differences about zero; the dots of few products are hollow."""
    axes.forest(places, rows, columns, colour, label=label, hollow=lambda row: row["products"] < FEW_PRODUCTS)
    axes.zero_line()
    axes.named_rows(names)


@plot
def facet_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """What row 5 gains over row 3 in recall@1 by kind of product, text to photo, with 95 % intervals."""
    rows = [
        row
        for row in _facets(connection, dataset)
        if row["facet"].endswith((CONFOUNDED, STATE, MEANINGS)) and row["products"] >= MINIMUM_PRODUCTS
    ]
    lines: list[tuple[str, Row | None]] = []
    for facet in dict.fromkeys(row["facet"] for row in some(rows)):
        lines.append((_title(facet), None))
        lines += [(f"{short(row['value'], 20)}  ({row['products']:,})", row) for row in where(rows, facet=facet)]
    names, found = zip(*lines[::-1], strict=True)
    made, (axes,) = figure(1.2 + 0.27 * len(lines))
    _differences(axes, range(len(lines)), found, names, ROWS[4])
    for tick, row in zip(axes.get_yticklabels(), found, strict=True):
        tick.set_fontweight("bold" if row is None else "normal")
    made.suptitle("Row 5’s gain over row 3 in recall@1,\n" + f"{WAYS['t2i']}, points", x=0.01, ha="left")
    made.supxlabel(_key(rows), x=0.01, ha="left")
    return made


def _facets(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[dict[str, Any]]:
    """Gains of row 5 over row 3 by facet; none where one of the two has not learned."""
    if no_verdict(connection, dataset, *PAIRS[0]) is not None:
        return []
    return select(connection, "facets", dataset=dataset, shown=VALUES_SHOWN)


def _title(facet: str) -> str:
    """A facet as the plot calls it.

    >>> _title("brand confounded"), _title("season state")
    ('brand’s words untagged', 'season state')
    """
    if facet.endswith(CONFOUNDED):
        return f"{facet.removesuffix(CONFOUNDED)}’s words untagged"
    return "entity meanings" if facet == MEANINGS else facet


def _key(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the signs of a plot mean, as far as it has them."""
    parts = ["in brackets: test products"]
    if any(row["products"] < FEW_PRODUCTS for row in rows):
        parts.append(f"hollow: fewer than {FEW_PRODUCTS}")
    if any(row["gain_low"] is None for row in rows):
        parts.append("no line: none differs")
    return textwrap.fill("; ".join(parts), 56)


@plot
def brand_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """The gain over row 3 of the brands with most queries, beside how often texts use the brand's words otherwise."""
    if no_verdict(connection, dataset, *PAIRS[0]) is not None:
        raise NothingToDraw
    rows = select(connection, "brands", dataset=dataset, shown=BRANDS_SHOWN, minimum=MINIMUM_PRODUCTS)
    some(rows).sort(key=lambda row: (-(row["share"] or 0), row["value"]), reverse=True)
    made, (gains, shares) = figure(1.5 + 0.32 * len(rows), 1, 2, sharey=True, width_ratios=(1.7, 1))
    names = [f"{short(row['value'], 12)}  ({row['products']:,})" for row in rows]
    _differences(gains, range(len(rows)), rows, names, ROWS[4])
    shares.bars(range(len(rows)), [row["share"] or 0 for row in rows], 0.55, ROWS[2])
    for text, row in zip(shares.texts, rows, strict=True):
        text.set_text(number(row["share"]))
    shares.set_xlim(0, 1.7 * max(1, *(row["share"] or 0 for row in rows)))
    shares.grid(axis="x")
    gains.set_title("Gain in recall@1,\npoints (text\nto photo)")
    shares.set_title("Words used\nuntagged, %")
    made.supxlabel(_key(rows), x=0.01, ha="left")
    return made


def where_it_wins(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """Whether confounded brands gain more, as this run shows it: gains by bucket, and the correlation over brands.

    Where rows 5 and 3 have not learned: why nothing can be said.
    """
    reason = no_verdict(connection, dataset, *PAIRS[0])
    if reason is not None and select(connection, "facets", dataset=dataset, shown=1):
        return reason
    sentences = [_by_bucket(connection, dataset), _over_brands(connection, dataset)]
    return " ".join(filter(None, sentences)) or None


def _by_bucket(connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    rows = _facets(connection, dataset)
    buckets = [row for row in rows if row["facet"].endswith(CONFOUNDED) and row["gain_low"] is not None]
    if len(buckets) < 2:
        return ""
    parts = [
        f"{signed(row['gain_r1'])} ({signed(row['gain_low'])} to {signed(row['gain_high'])}, "
        f"{row['products']:,} products) {_bucket(row['value'])}"
        for row in buckets
    ]
    return f"Row 5’s gain over row 3 in recall@1 {WAYS['t2i']}, in points with 95 % intervals: {'; '.join(parts)}."


def _bucket(value: str) -> str:
    """A value of `<group> confounded` within a sentence.

    >>> _bucket("0 %"), _bucket("10 to 50 %"), _bucket("no brand")
    ('where texts never use the brand’s words untagged', 'where 10 to 50 % of uses are untagged', 'with no brand')
    """
    if value == "0 %":
        return "where texts never use the brand’s words untagged"
    return f"where {value} of uses are untagged" if value.endswith("%") else f"with {value}"


def _over_brands(connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    rows = select(connection, "brand_gains", dataset=dataset, minimum=MINIMUM_PRODUCTS)
    share_N, gain_N = (np.array([row[name] for row in rows], dtype=np.float64) for name in ("share", "gain"))
    if len(rows) < FEWEST_BRANDS or np.count_nonzero(share_N) < FEWEST_CONFOUNDED:
        return ""
    rho, low, high = rank_correlation(share_N, gain_N)
    if np.isnan(rho):
        return ""
    opening = (
        f"Over the {len(rows):,} brands of at least {MINIMUM_PRODUCTS} test products, the share of untagged uses and "
        f"the gain (mean of both directions) have Spearman’s correlation {_two(rho)} (95 % interval over brands "
        f"{_two(low)} to {_two(high)})"
    )
    if low <= 0 <= high:
        return f"{opening}: the interval has zero in it, so this run does not show that confounded brands gain more."
    return f"{opening}: confounded brands gain {'more' if rho > 0 else 'less'} here."


def _two(value: float) -> str:
    return f"{value:+z.2f}".replace("-", "−")
