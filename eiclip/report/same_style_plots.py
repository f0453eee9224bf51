"""Plots of same-style retrieval: each takes the catalogue and a dataset and gives a figure, or None."""

from collections.abc import Sequence
from typing import Any

import duckdb
from matplotlib.figure import Figure

from eiclip.report.numbers import VIEWS, ordered, views
from eiclip.report.numbers import variant_title as title
from eiclip.report.queries import Row, select
from eiclip.report.same_style_verdicts import OURS, figures
from eiclip.report.standing import chance_of_styles
from eiclip.report.theme import GRID, ROWS, TEXT, figure, legend, plot, some
from eiclip.same_style import VIEW_PAIRS

MARKS = {
    "phash": ("X", TEXT), "pixels": ("p", TEXT), "words": ("*", TEXT), "clip_pretrained": ("o", ROWS[0]),
    "clip_description": ("s", ROWS[1]), "eiclip": ("^", ROWS[1]), "same_style_unconstrained": ("v", ROWS[2]),
    "same_style_plain": ("P", ROWS[3]), "same_style": ("D", ROWS[4]),
}  # fmt: skip
"""Marker and colour of each row."""
OTHER = ("x", TEXT)
LINES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))


@plot
def views_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """MRR of every row in every pair of views, with 95 % intervals."""
    found = some(figures(connection, dataset, "mrr"))
    variants, pairs = ordered([variant for variant, _ in found]), VIEW_PAIRS[::-1]
    made, (axes,) = figure(2.2 + 0.11 * len(variants) * len(pairs))
    for place, variant in enumerate(variants):
        places = [row - 0.8 * ((place + 0.5) / len(variants) - 0.5) for row in range(len(pairs))]
        marker, colour = MARKS.get(variant, OTHER)
        rows = [found.get((variant, pair)) for pair in pairs]
        axes.forest(places, rows, ("value", "low", "high"), colour, marker=marker, label=title(variant))
    for edge in range(1, len(pairs)):
        axes.axhline(edge - 0.5, color=GRID, linewidth=0.8)
    if (floor := chance_of_styles(connection, dataset)) is not None:
        axes.chance_line(floor["mrr"], floor["mrr"], upright=True)
    axes.named_rows([views(pair).replace(" → ", " →\n") for pair in pairs], title="MRR, percent")
    axes.set_xlim(left=0)
    return legend(made, 1, "outside lower left")


@plot
def curve_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Precision over recall of pairs of one style, of every row by its fullest view."""
    curves = _points(connection, dataset)
    fullest = dict(sorted(curves, key=lambda key: "tim".index(key[1])))
    drawn = [(curves[name, fullest[name]], title(name), MARKS.get(name, OTHER)[1], LINES[place % len(LINES)])
             for place, name in enumerate(ordered(list(fullest)))]  # fmt: skip
    return _curves(connection, dataset, drawn, "Precision over recall, photo and text")


@plot
def view_curves_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Precision over recall of pairs of one style, of the served row by each of its views."""
    curves = _points(connection, dataset)
    styles = zip(VIEWS, (ROWS[1], ROWS[2], ROWS[4]), LINES, strict=False)
    drawn = [(curves[OURS, view], VIEWS[view], *style) for view, *style in styles if (OURS, view) in curves]
    return _curves(connection, dataset, drawn, title(OURS))


def _points(connection: duckdb.DuckDBPyConnection, dataset: str) -> dict[tuple[str, str], list[Row]]:
    """The points of each curve, by variant and view."""
    curves: dict[tuple[str, str], list[Row]] = {}
    for row in select(connection, "same_style_curve", dataset=dataset):
        curves.setdefault((row["variant"], row["view"]), []).append(row)
    return curves


def _curves(connection: duckdb.DuckDBPyConnection, dataset: str, curves: Sequence[Any], heading: str) -> Figure:
    """Curves with their average precision, and a line at the precision of calling any pair one style."""
    made, (axes,) = figure(3.8 + 0.2 * len(some(curves)))
    for rows, named, colour, style in curves:
        recalls, precisions = ([row[name] for row in rows] for name in ("recall", "precision"))
        label = f"{named} ({100 * rows[0]['average_precision']:.1f})"
        axes.plot([0, *recalls], [precisions[0], *precisions], color=colour, linestyle=style, label=label)
    if (floor := chance_of_styles(connection, dataset)) is not None:
        axes.chance_line(floor["pair_share"] / 100, floor["pair_share"])
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title=heading)
    axes.grid()
    return legend(made, 1, "outside lower left")
