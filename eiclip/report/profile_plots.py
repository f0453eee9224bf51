"""Plots of the data profile: each takes the catalogue and a dataset and gives PNG bytes, or None without its table."""

import warnings
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from eiclip.report.queries import select
from eiclip.report.numbers import short
from eiclip.report.theme import LIGHT, Theme, figure, png, themed

SHOWN = 5
"""Entities of each group in the plot of the most confounded."""
REASONS = 12
SIDES = 16
"""Bars of photo sizes; the rarest are left out beyond that."""
WIDEST, NARROWEST = 4.0, 1.5
"""Contexts that the histogram of lengths is wide: a few endless texts would press the rest together."""
IN_VIEW = 0.995
"""Share of products in whose lengths it ends, between those two."""


def entity_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Share of products that each group tags, and how many entities it has, beside the paper's."""
    rows = select(connection, "entity_profile", dataset=dataset)[::-1]
    if not rows:
        return None
    with themed(theme):
        made, (coverage, sizes) = figure(2.2 + 0.95 * len(rows), 2)
        bars = coverage.barh(range(len(rows)), [100 * row["coverage"] for row in rows], 0.6, color=theme.rows[4])
        coverage.bar_label(bars, [f"{100 * row['coverage']:.1f}" for row in rows], padding=3, fontsize=9)
        coverage.set_title("Products tagged, %")
        coverage.set_xlim(0, 112)
        _vocabulary_bars(sizes, rows, theme)
        for axes in (coverage, sizes):
            axes.set_yticks(range(len(rows)), [short(row["entity_group"], 24) for row in rows])
            axes.grid(axis="x")
        return png(made)


def _vocabulary_bars(axes: Axes, rows: Sequence[dict[str, Any]], theme: Theme) -> None:
    kinds = {
        "entities": ("with an embedding", theme.rows[4]),
        "distinct_entities": ("all", theme.rows[3]),
        "paper_entities": ("the paper’s", theme.rows[1]),
    }
    for place, (name, (label, colour)) in enumerate(kinds.items()):
        known = [(y, row[name]) for y, row in enumerate(rows) if row[name] is not None]
        if known:
            where, values = zip(*known, strict=True)
            bars = axes.barh(np.array(where) + 0.26 * (1 - place), values, 0.24, color=colour, label=label)
            axes.bar_label(bars, [f"{value:,}" for value in values], padding=3, fontsize=9)
    axes.set_xscale("symlog", linthresh=10)  # from nothing to tens of thousands
    axes.set_xlim(0, 8 * max(10, *(row[name] or 0 for row in rows for name in kinds)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("Entities (logarithmic)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.12), ncols=3)


def confounded_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """The entities of each group with the most untagged mentions, beside how many training products are tagged."""
    rows = select(connection, "most_confounded", dataset=dataset, shown=SHOWN)[::-1]
    if not rows:
        return None
    with themed(theme), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing")  # names of any script; the font draws a box instead
        made, (axes,) = figure(1.2 + 0.42 * len(rows))
        for shift, name, label, colour in (
            (0.2, "untagged_mentions", "mentioned, not tagged", theme.rows[2]),
            (-0.2, "tagged_count", "tagged", theme.rows[4]),
        ):
            values = [row[name] for row in rows]
            bars = axes.barh(np.arange(len(rows)) + shift, values, 0.36, color=colour, label=label)
            axes.bar_label(bars, [f"{value:,}" for value in values], padding=3, fontsize=9)
        names = [f"{short(row['entity'], 24)} ({short(row['entity_group'], 12)})" for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.margins(x=0.2, y=0.02)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_title("Training products, by entity")
        axes.grid(axis="x")
        made.legend(loc="outside upper left", ncols=2)
        return png(made)


def token_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Lengths of the descriptions in tokens, with the line where the text tower cuts them."""
    rows, cut = (select(connection, query, dataset=dataset) for query in ("profile_tokens", "profile_cut"))
    if not rows:
        return None
    starts, counts = (np.array([row[name] for row in rows]) for name in ("tokens", "products"))
    width = int(np.diff(starts).min()) if len(starts) > 1 else 1
    end = int(starts[np.searchsorted(np.cumsum(counts), IN_VIEW * counts.sum())]) + width
    context = cut[0]["context_length"] if cut else 0
    end = int(np.clip(end, NARROWEST * context, WIDEST * context)) if cut else end
    with themed(theme):
        made, (axes,) = figure(3.0)
        heights = np.append(counts[starts < end], counts[starts >= end].sum())
        axes.bar(np.append(starts[starts < end], end), heights, width * 0.92, align="edge", color=theme.rows[4])
        if cut:
            _context_line(axes, context, cut[0]["cut_share"], theme)
        axes.set_xlim(0, end + 2 * width)
        axes.set_title("Products by tokens of their description")
        axes.set_xlabel("tokens" + (f" (longer texts at {end:,})" if starts.max() >= end else ""))
        _counts(axes)
        return png(made)


def _context_line(axes: Axes, context: int, share: float, theme: Theme) -> None:
    axes.axvline(context + 0.5, color=theme.rows[2], linewidth=1.6)
    axes.annotate(
        f"cut at {context}: {100 * share:.1f} %", (context, 0.97), xycoords=("data", "axes fraction"), xytext=(5, 0),
        textcoords="offset points", va="top", color=theme.rows[2], weight="bold",
    )  # fmt: skip


def photo_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Photos by their smaller side, in pixels."""
    rows = select(connection, "photo_sides", dataset=dataset)
    if not rows:
        return None
    kept = sorted(rows, key=lambda row: -row["images"])[:SIDES]
    kept.sort(key=lambda row: row["smaller_side"])
    left_out = sum(row["images"] for row in rows) - sum(row["images"] for row in kept)
    with themed(theme):
        made, (axes,) = figure(2.8)
        bars = axes.bar(range(len(kept)), [row["images"] for row in kept], 0.75, color=theme.rows[4])
        if len(kept) <= SIDES // 2:
            axes.bar_label(bars, [f"{row['images']:,}" for row in kept], padding=2, fontsize=9)
        axes.set_xticks(range(len(kept)), [f"{row['smaller_side']:,}" for row in kept], rotation=_turn(kept))
        axes.set_title("Photos by smaller side")
        axes.set_xlabel("pixels, from" + (f" ({left_out:,} photos of rarer sizes left out)" if left_out else ""))
        axes.margins(y=0.12)
        if len(kept) < 5:
            axes.set_xlim(-2, len(kept) + 1)
        _counts(axes)
        return png(made)


def _turn(bars: Sequence[Any]) -> int:
    return 60 if len(bars) > SIDES // 2 else 0


def quarantine_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Raw rows set aside, by kind of reason."""
    rows = select(connection, "quarantine_reasons", dataset=dataset, shown=REASONS)[::-1]
    if not rows:
        return None
    with themed(theme):
        made, (axes,) = figure(1.0 + 0.42 * len(rows))
        bars = axes.barh(range(len(rows)), [row["rows"] for row in rows], 0.6, color=theme.rows[2])
        axes.bar_label(bars, [f"{row['rows']:,}" for row in rows], padding=3, fontsize=9)
        axes.set_yticks(range(len(rows)), [short(row["kind"], 34) for row in rows])
        axes.set_title("Rows in quarantine")
        axes.margins(x=0.16)
        axes.grid(axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        return png(made)


def _counts(axes: Axes) -> None:
    """Whole numbers with commas upwards, and lines to read them by."""
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y")
