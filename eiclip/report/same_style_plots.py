"""Plots of same-style retrieval: each takes the catalogue and a dataset and gives PNG bytes, or None."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from matplotlib.axes import Axes

from eiclip.report.numbers import VIEWS as VIEW_TITLES
from eiclip.report.numbers import ordered
from eiclip.report.numbers import variant_title as title
from eiclip.report.queries import select
from eiclip.report.same_style_verdicts import OURS, figures
from eiclip.report.standing import TITLE, chance_of_styles
from eiclip.report.theme import CHANCE_STYLE, LIGHT, Theme, chance_line, figure, png, themed
from eiclip.same_style import VIEW_PAIRS

MARKS = {
    "phash": ("X", None), "pixels": ("p", None), "words": ("*", None), "clip_pretrained": ("o", 0),
    "clip_description": ("s", 1), "eiclip": ("^", 1), "same_style_unconstrained": ("v", 2),
    "same_style_plain": ("P", 3), "same_style": ("D", 4),
}  # fmt: skip
"""Marker and place among the theme's colours of each row; None: the colour of text."""
LINES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))


def views_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """MRR of every row in every pair of views, with 95 % intervals."""
    found = figures(connection, dataset, "mrr")
    if not found:
        return None
    variants = ordered([variant for variant, _ in found])
    with themed(theme):
        made, (axes,) = figure(2.2 + 0.11 * len(variants) * len(VIEW_PAIRS))
        for place, variant in enumerate(variants):
            shift = 0.8 * ((place + 0.5) / len(variants) - 0.5)
            rows = [(row - shift, found.get((variant, pair))) for row, pair in enumerate(VIEW_PAIRS[::-1])]
            _dots(axes, variant, [(at, row) for at, row in rows if row is not None], theme)
        axes.set_yticks(range(len(VIEW_PAIRS)), VIEW_PAIRS[::-1])
        axes.set_ylim(-0.6, len(VIEW_PAIRS) - 0.4)
        for edge in range(1, len(VIEW_PAIRS)):
            axes.axhline(edge - 0.5, color=theme.grid, linewidth=0.8)
        if (floor := chance_of_styles(connection, dataset)) is not None:
            chance_line(axes, floor["mrr"], theme, upright=True)
        axes.set_xlim(left=0)
        axes.grid(axis="x")
        axes.set_title("MRR, percent, by query view and candidate view")
        made.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=1)
        return png(made)


def _dots(axes: Axes, variant: str, rows: Sequence[tuple[float, Mapping[str, Any]]], theme: Theme) -> None:
    mark, colour = _style(variant, theme)
    for number, (at, row) in enumerate(rows):
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot(
            [row["value"]], [at], mark, color=colour, markersize=6, label=title(variant) if number == 0 else None
        )  # fmt: skip


def _style(variant: str, theme: Theme) -> tuple[str, str]:
    mark, place = MARKS.get(variant, ("x", None))
    return mark, theme.text if place is None else theme.rows[place]


def curve_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Precision over recall of pairs of one style, of every row by its fullest view."""
    curves = _curves(connection, dataset)
    if not curves:
        return None
    fullest = dict(sorted(curves, key=lambda key: "tim".index(key[1])))
    with themed(theme):
        made, (axes,) = figure(4.2 + 0.2 * len(fullest))
        for place, variant in enumerate(ordered(list(fullest))):
            colour = _style(variant, theme)[1]
            _curve(axes, curves[variant, fullest[variant]], title(variant), colour, LINES[place % len(LINES)])
        _pairs_by_chance(axes, connection, dataset, theme)
        axes.set_title("Precision over recall, photo and text together")
        made.legend(*axes.get_legend_handles_labels(), loc="outside lower left")
        return png(made)


def view_curves_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Precision over recall of pairs of one style, of the served row by each of its views."""
    curves = _curves(connection, dataset)
    views = [view for view in VIEW_TITLES if (OURS, view) in curves]
    if not views:
        return None
    with themed(theme):
        made, (axes,) = figure(4.8)
        for view in views:
            place = list(VIEW_TITLES).index(view)
            _curve(axes, curves[OURS, view], VIEW_TITLES[view], theme.rows[(1, 2, 4)[place]], LINES[place])
        _pairs_by_chance(axes, connection, dataset, theme)
        axes.set_title(title(OURS))
        made.legend(*axes.get_legend_handles_labels(), loc="outside lower left")
        return png(made)


def _pairs_by_chance(axes: Axes, connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme) -> None:
    """A line at the precision of calling any pair one style."""
    if (floor := chance_of_styles(connection, dataset)) is not None:
        share = floor["pair_share"]
        axes.axhline(share / 100, **CHANCE_STYLE, color=theme.text, label=f"{TITLE} ({share:.1f})")


def _curves(connection: duckdb.DuckDBPyConnection, dataset: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The points of each curve, by variant and view."""
    curves: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in select(connection, "same_style_curve", dataset=dataset):
        curves.setdefault((row["variant"], row["view"]), []).append(row)
    return curves


def _curve(axes: Axes, rows: Sequence[Mapping[str, Any]], named: str, colour: str, style: Any) -> None:
    recalls, precisions = ([row[name] for row in rows] for name in ("recall", "precision"))
    label = f"{named} ({100 * rows[0]['average_precision']:.1f})"
    axes.plot([0, *recalls], [precisions[0], *precisions], color=colour, linestyle=style, linewidth=1.8, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.grid(visible=True)
