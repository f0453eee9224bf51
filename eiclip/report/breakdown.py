"""Which rows differ and where row 5 wins, as plots of intervals and a sentence; None without the tables they show."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eiclip.evaluation.breakdowns import MINIMUM_PRODUCTS, rank_correlation
from eiclip.evaluation.comparisons import PAIRS
from eiclip.model.variants import VARIANTS
from eiclip.report.headline import WAYS
from eiclip.report.numbers import number, short, signed
from eiclip.report.queries import select
from eiclip.report.standing import no_verdict
from eiclip.report.theme import LIGHT, WIDTH, Theme, figure, png, themed

NAMES = {
    "clip_pretrained": "pretrained", "clip_description": "description", "clip_entities_text": "entities as text",
    "eiclip_equal": "equal gates", "eiclip": "EI-CLIP", "eiclip_plus": "EI-CLIP+",
}  # fmt: skip
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


def comparison_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Differences between rows in recall@1 and SumR, all candidates, with 95 % intervals."""
    rows = {(row["variant"], row["baseline"], row["direction"]): row for row in _comparisons(connection, dataset)}
    pairs = [
        pair
        for pair in PAIRS[::-1]
        if any(key[:2] == pair for key in rows) and no_verdict(connection, dataset, *pair) is None
    ]
    if not pairs:
        return None
    with themed(theme):
        made, panels = figure(1.9 + 0.95 * len(pairs), 2)
        for shift, way, colour in ((0.16, "i2t", theme.rows[1]), (-0.16, "t2i", theme.rows[4])):
            found = [rows.get((*pair, way)) for pair in pairs]
            _forest(panels[0], np.arange(len(pairs)) + shift, found, colour, theme, label=WAYS[way])
        found = [rows.get((*pair, "both")) for pair in pairs]
        _forest(panels[1], np.arange(len(pairs)), found, theme.text, theme)
        for axes, title in zip(panels, ("Difference in recall@1, points", "Difference in SumR, points"), strict=True):
            axes.set_yticks(range(len(pairs)), [_pair_title(*pair).replace(" − ", " −\n") for pair in pairs])
            axes.tick_params(axis="y", labelsize=9)
            axes.set_ylim(-0.6, len(pairs) - 0.4)
            axes.set_title(title)
        panels[0].legend(loc="upper left", bbox_to_anchor=(-0.02, -0.09), ncols=2)
        return png(made)


def _comparisons(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[dict[str, Any]]:
    return select(connection, "row_comparisons", dataset=dataset)


def _pair_title(variant: str, baseline: str) -> str:
    one, other = (f"{NAMES[name]} ({VARIANTS[name].row})" for name in (variant, baseline))
    return f"{one} − {other}"


def _forest(
    axes: Axes,
    places: Sequence[float] | np.ndarray,
    rows: Sequence[Mapping[str, Any] | None],
    colour: str,
    theme: Theme,
    label: str | None = None,
) -> None:
    """A dot for each difference and a line for its interval, over a line at zero; rows that are None are left out."""
    drawn = [(place, row) for place, row in zip(places, rows, strict=True) if row is not None]
    for place, row in drawn:
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        hollow = row["products"] < FEW_PRODUCTS
        axes.plot(
            [row["difference"]], [place], "o", color=colour, markersize=6.5,
            markerfacecolor=theme.face if hollow else colour, label=label if row is drawn[0][1] else None,
        )  # fmt: skip
    axes.axvline(0, color=theme.text, linewidth=0.9, zorder=1)
    axes.grid(axis="x")


def facet_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """What row 5 gains over row 3 in recall@1 by kind of product, text to photo, with 95 % intervals."""
    rows = [
        row
        for row in _facets(connection, dataset)
        if row["facet"].endswith((CONFOUNDED, STATE, MEANINGS)) and row["products"] >= MINIMUM_PRODUCTS
    ]
    if not rows:
        return None
    facets = _ordered({row["facet"] for row in rows})
    lines: list[dict[str, Any] | str] = []
    for facet in facets:
        lines += [facet, *(row for row in rows if row["facet"] == facet)]
    with themed(theme):
        made, (axes,) = figure(1.3 + 0.27 * len(lines))
        places = np.arange(len(lines))[::-1]
        found = [None if isinstance(line, str) else _as_difference(line) for line in lines]
        _forest(axes, places, found, theme.rows[4], theme)
        _facet_labels(axes, places, lines)
        axes.set_ylim(-0.7, len(lines) - 0.3)
        axes.set_title("Row 5’s gain over row 3 in recall@1,\n" + f"{WAYS['t2i']}, points")
        made.supxlabel(_key(rows), fontsize=9)
        return png(made)


def _facets(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[dict[str, Any]]:
    """Gains of row 5 over row 3 by facet; none where one of the two has not learned."""
    if no_verdict(connection, dataset, *PAIRS[0]) is not None:
        return []
    return select(connection, "facets", dataset=dataset, shown=VALUES_SHOWN)


def _ordered(facets: Collection[str]) -> list[str]:
    """How confounded makers are, then the states, theirs first, then meanings and the other groups, makers last."""
    makers = next((facet.removesuffix(CONFOUNDED) for facet in facets if facet.endswith(CONFOUNDED)), "")
    places = {f"{makers}{CONFOUNDED}": 0, f"{makers}{STATE}": 1, MEANINGS: 3, makers: 5}
    return sorted(facets, key=lambda facet: (places.get(facet, 2 if facet.endswith(STATE) else 4), facet))


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
    return "; ".join(parts)


def _as_difference(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"difference": row["gain_r1"], "low": row["gain_low"], "high": row["gain_high"], "products": row["products"]}


def _facet_labels(axes: Axes, places: np.ndarray, lines: Sequence[dict[str, Any] | str]) -> None:
    """Facets in bold, their values and numbers of products to the left of the axis."""
    labels = [_title(line) if isinstance(line, str) else f"{line['value']}  ({line['products']:,})" for line in lines]
    axes.set_yticks(places, labels)
    axes.tick_params(axis="y", labelsize=9)
    for tick, line in zip(axes.get_yticklabels(), lines, strict=True):
        if isinstance(line, str):
            tick.set_fontweight("bold")


def brand_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """The gain over row 3 of the brands with most queries, beside how often texts use the brand's words otherwise."""
    rows = select(connection, "brands", dataset=dataset, shown=BRANDS_SHOWN, minimum=MINIMUM_PRODUCTS)
    if not rows or no_verdict(connection, dataset, *PAIRS[0]) is not None:
        return None
    rows.sort(key=lambda row: (-(row["share"] or 0), row["value"]), reverse=True)
    with themed(theme), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing")  # names of any script; the font draws a box instead
        made = Figure(figsize=(WIDTH, 1.5 + 0.32 * len(rows)), layout="constrained")
        gains, shares = made.subplots(1, 2, sharey=True, width_ratios=(2.1, 1))
        _forest(gains, range(len(rows)), [_as_difference(row) for row in rows], theme.rows[4], theme)
        bars = shares.barh(range(len(rows)), [row["share"] or 0 for row in rows], 0.55, color=theme.rows[2])
        shares.bar_label(bars, [number(row["share"]) for row in rows], padding=3, fontsize=9)
        shares.set_xlim(0, 1.5 * max(1, *(row["share"] or 0 for row in rows)))
        shares.grid(axis="x")
        gains.set_yticks(range(len(rows)), [f"{short(row['value'], 20)}  ({row['products']:,})" for row in rows])
        gains.tick_params(axis="y", labelsize=9)
        gains.set_title("Gain in recall@1,\npoints (text to photo)")
        shares.set_title("Words used\nuntagged, %")
        made.supxlabel(_key(rows), fontsize=9)
        return png(made)


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
    return f"{value:+.2f}".replace("-", "−")
