"""Plots of the data profile: each takes the catalogue and a dataset and gives a figure, or None without its table."""

import duckdb
import numpy as np
from matplotlib.figure import Figure

from eiclip.report.numbers import short
from eiclip.report.queries import select
from eiclip.report.theme import ROWS, figure, legend, plot, some

SHOWN = 5
"""Entities of each group in the plot of the most confounded."""
REASONS = 12
SIDES = 16
"""Bars of photo sizes; the rarest are left out beyond that."""
WIDEST, NARROWEST = 4.0, 1.5
"""Contexts that the histogram of lengths is wide: a few endless texts would press the rest together."""
IN_VIEW = 0.995
"""Share of products in whose lengths it ends, between those two."""


@plot
def entity_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Share of products that each group tags, and how many entities it has, beside the paper's."""
    rows = some(select(connection, "entity_profile", dataset=dataset))[::-1]
    made, (coverage, sizes) = figure(2.0 + 0.95 * len(rows), 2)
    coverage.bars(range(len(rows)), [100 * row["coverage"] for row in rows], 0.6, ROWS[4], shown="{:.1f}")
    names = [short(row["entity_group"], 20) for row in rows]
    coverage.named_rows(names, title="Products tagged, %", xlim=(0, 115))
    kinds = {"entities": ("embedded", ROWS[4]), "distinct_entities": ("all", ROWS[3]),
             "paper_entities": ("the paper’s", ROWS[1])}  # fmt: skip
    for place, (name, (label, colour)) in enumerate(kinds.items()):
        known = {y + 0.26 * (1 - place): row[name] for y, row in enumerate(rows) if row[name] is not None}
        if known:
            sizes.bars(known, list(known.values()), 0.24, colour, label)
    sizes.set_xscale("symlog", linthresh=10)  # from nothing to tens of thousands
    most = max(10, *(row[name] or 0 for row in rows for name in kinds))
    sizes.named_rows(names, title="Entities (logarithmic)", xlim=(0, 12 * most))
    sizes.xaxis.set_major_formatter("{x:,.0f}")
    return legend(made, 3, "outside lower left")


@plot
def confounded_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """The entities of each group with the most untagged mentions, beside how many training products are tagged."""
    rows = some(select(connection, "most_confounded", dataset=dataset, shown=SHOWN))[::-1]
    made, (axes,) = figure(1.2 + 0.42 * len(rows))
    places = np.arange(len(rows))
    axes.bars(places + 0.2, [row["untagged_mentions"] for row in rows], 0.36, ROWS[2], "mentioned, not tagged")
    axes.bars(places - 0.2, [row["tagged_count"] for row in rows], 0.36, ROWS[4], "tagged")
    names = [f"{short(row['entity'], 16)} ({short(row['entity_group'], 11)})" for row in rows]
    axes.named_rows(names, title="Training products, by entity", xmargin=0.25)
    axes.whole_numbers(3)
    return legend(made)


@plot
def token_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Lengths of the descriptions in tokens, with the line where the text tower cuts them."""
    rows, cut = (select(connection, query, dataset=dataset) for query in ("profile_tokens", "profile_cut"))
    starts, counts = (np.array([row[name] for row in some(rows)]) for name in ("tokens", "products"))
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
    longer = f" (longer texts at {end:,})" if starts.max() >= end else ""
    axes.set(xlim=(0, end + 2 * width), title="Products by tokens of their description", xlabel=f"tokens{longer}")
    axes.whole_numbers(6, "y")
    return made


@plot
def photo_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Photos by their smaller side, in pixels."""
    rows = some(select(connection, "photo_sides", dataset=dataset))
    kept = sorted(sorted(rows, key=lambda row: -row["images"])[:SIDES], key=lambda row: int(row["smaller_side"]))
    left_out = sum(row["images"] for row in rows) - sum(row["images"] for row in kept)
    few = len(kept) <= SIDES // 2
    made, (axes,) = figure(2.8)
    drawn = axes.bar(range(len(kept)), [row["images"] for row in kept], 0.75, color=ROWS[4])
    if few:
        axes.bar_label(drawn, fmt="{:,.0f}", padding=2)
    axes.set_xticks(range(len(kept)), [f"{row['smaller_side']:,}" for row in kept], rotation=0 if few else 60)
    rarer = f" ({left_out:,} photos of rarer sizes left out)" if left_out else ""
    axes.set(title="Photos by smaller side", xlabel=f"pixels, from{rarer}", ymargin=0.12)
    if len(kept) < 5:
        axes.set_xlim(-2, len(kept) + 1)
    axes.whole_numbers(6, "y")
    return made


@plot
def quarantine_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Raw rows set aside, by kind of reason."""
    rows = some(select(connection, "quarantined_kinds", dataset=dataset, shown=REASONS))[::-1]
    made, (axes,) = figure(1.0 + 0.42 * len(rows))
    axes.bars(range(len(rows)), [row["rows"] for row in rows], 0.6, ROWS[2])
    axes.named_rows([short(row["kind"], 30) for row in rows], title="Rows in quarantine", xmargin=0.25)
    axes.whole_numbers(4)
    return made
