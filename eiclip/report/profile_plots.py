"""Plots of the data profile: each takes the catalogue and a dataset and gives a figure, or None without its table."""

import duckdb
import numpy as np
from matplotlib.figure import Figure

from eiclip.report.queries import Row, select
from eiclip.report.tables import short
from eiclip.report.theme import ROWS, Panel, figure, legend, themed

SHOWN = 5
"""Entities of each group in the plot of the most confounded."""
REASONS = 12
SIDES = 16
"""Bars of photo sizes; the rarest are left out beyond that."""
WIDEST, NARROWEST = 4.0, 1.5
"""Contexts that the histogram of lengths is wide: a few endless texts would press the rest together."""
IN_VIEW = 0.995
"""Share of products in whose lengths it ends, between those two."""


@themed
def entity_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """Share of products that each group tags, and how many entities it has, beside the paper's."""
    rows = select(connection, "entity_profile", dataset=dataset)[::-1]
    if not rows:
        return None
    made, (coverage, sizes) = figure(2.0 + 0.95 * len(rows), 2)
    coverage.bars(range(len(rows)), [100 * row["coverage"] for row in rows], 0.6, ROWS[4], shown="{:.1f}")
    coverage.set_title("Products tagged, %")
    coverage.set_xlim(0, 115)
    _vocabulary_bars(sizes, rows)
    for axes in (coverage, sizes):
        axes.named_rows([short(row["entity_group"], 20) for row in rows])
    legend(made, 3, "outside lower left")
    return made


def _vocabulary_bars(axes: Panel, rows: list[Row]) -> None:
    kinds = {"entities": ("embedded", ROWS[4]), "distinct_entities": ("all", ROWS[3]),
             "paper_entities": ("the paper’s", ROWS[1])}  # fmt: skip
    for place, (name, (label, colour)) in enumerate(kinds.items()):
        known = {y + 0.26 * (1 - place): row[name] for y, row in enumerate(rows) if row[name] is not None}
        if known:
            axes.bars(known, list(known.values()), 0.24, colour, label)
    axes.set_xscale("symlog", linthresh=10)  # from nothing to tens of thousands
    axes.set_xlim(0, 12 * max(10, *(row[name] or 0 for row in rows for name in kinds)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("Entities (logarithmic)")


@themed
def confounded_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """The entities of each group with the most untagged mentions, beside how many training products are tagged."""
    rows = select(connection, "most_confounded", dataset=dataset, shown=SHOWN)[::-1]
    if not rows:
        return None
    made, (axes,) = figure(1.2 + 0.42 * len(rows))
    places = np.arange(len(rows))
    axes.bars(places + 0.2, [row["untagged_mentions"] for row in rows], 0.36, ROWS[2], "mentioned, not tagged")
    axes.bars(places - 0.2, [row["tagged_count"] for row in rows], 0.36, ROWS[4], "tagged")
    axes.named_rows([f"{short(row['entity'], 16)} ({short(row['entity_group'], 11)})" for row in rows])
    axes.margins(x=0.25)
    axes.whole_numbers(3)
    axes.set_title("Training products, by entity")
    legend(made)
    return made


@themed
def token_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """Lengths of the descriptions in tokens, with the line where the text tower cuts them."""
    rows, cut = (select(connection, query, dataset=dataset) for query in ("profile_tokens", "profile_cut"))
    if not rows:
        return None
    starts, counts = (np.array([row[name] for row in rows]) for name in ("tokens", "products"))
    width = int(np.diff(starts).min()) if len(starts) > 1 else 1
    end = int(starts[np.searchsorted(np.cumsum(counts), IN_VIEW * counts.sum())]) + width
    context = cut[0]["context_length"] if cut else 0
    end = int(np.clip(end, NARROWEST * context, WIDEST * context)) if cut else end
    made, (axes,) = figure(2.8)
    heights = np.append(counts[starts < end], counts[starts >= end].sum())
    axes.bar(np.append(starts[starts < end], end), heights, width * 0.92, align="edge", color=ROWS[4])
    if cut:
        axes.axvline(context + 0.5, color=ROWS[2], linewidth=1.6)
        axes.annotate(f"cut at {context}: {100 * cut[0]['cut_share']:.1f} %", (context, 0.97), (5, 0), va="top",
                      xycoords=("data", "axes fraction"), textcoords="offset points", color=ROWS[2],
                      weight="bold")  # fmt: skip
    axes.set_xlim(0, end + 2 * width)
    axes.set_title("Products by tokens of their description")
    axes.set_xlabel("tokens" + (f" (longer texts at {end:,})" if starts.max() >= end else ""))
    axes.whole_numbers(6, "y")
    return made


@themed
def photo_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """Photos by their smaller side, in pixels."""
    rows = select(connection, "photo_sides", dataset=dataset)
    if not rows:
        return None
    kept = sorted(sorted(rows, key=lambda row: -row["images"])[:SIDES], key=lambda row: int(row["smaller_side"]))
    left_out = sum(row["images"] for row in rows) - sum(row["images"] for row in kept)
    few = len(kept) <= SIDES // 2
    made, (axes,) = figure(2.8)
    drawn = axes.bar(range(len(kept)), [row["images"] for row in kept], 0.75, color=ROWS[4])
    if few:
        axes.bar_label(drawn, fmt="{:,.0f}", padding=2)
    axes.set_xticks(range(len(kept)), [f"{row['smaller_side']:,}" for row in kept], rotation=0 if few else 60)
    axes.set_title("Photos by smaller side")
    axes.set_xlabel("pixels, from" + (f" ({left_out:,} photos of rarer sizes left out)" if left_out else ""))
    axes.margins(y=0.12)
    if len(kept) < 5:
        axes.set_xlim(-2, len(kept) + 1)
    axes.whole_numbers(6, "y")
    return made


@themed
def quarantine_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """Raw rows set aside, by kind of reason."""
    rows = select(connection, "quarantine_reasons", dataset=dataset, shown=REASONS)[::-1]
    if not rows:
        return None
    made, (axes,) = figure(1.0 + 0.42 * len(rows))
    axes.bars(range(len(rows)), [row["rows"] for row in rows], 0.6, ROWS[2])
    axes.named_rows([short(row["kind"], 30) for row in rows])
    axes.set_title("Rows in quarantine")
    axes.margins(x=0.25)
    axes.whole_numbers(4)
    return made
