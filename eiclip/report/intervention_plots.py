"""Plots of interventions and of what gates are worth: a figure each, or None without the table they draw."""

from collections.abc import Sequence

import duckdb
import numpy as np
from matplotlib.figure import Figure

from eiclip.model.variants import VARIANTS
from eiclip.report.headline import BASELINE, OURS
from eiclip.report.numbers import short
from eiclip.report.queries import Row, select, where
from eiclip.report.theme import FACE, ROWS, TEXT, Panel, figure, legend, plot, some

TITLES = {
    "removed": "The entity taken away",
    "swapped": "Another of its group in its place",
    "as_text": "The entity written into the text",
}
SHOWN = (BASELINE, OURS)
INTERVAL = 1.96
"""Standard errors to either side of a mean that hold it with 95 %: products are drawn apart from one another."""
WIDEST = 1.03
LETTER = 0.019
"""Width of a letter of a label, in units of the gate: a name that would leave the plot goes to the other side."""
NAMED_SUPPORT = 5
"""Training products an entity needs to be named among the gates."""


@plot
def intervention_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """How many times further down the right photo falls, by intervention and group, for rows 3 and 5.

    Dots are geometric means over products with 95 % intervals, pale bars the middle half of the products.
    """
    rows = some([row for row in select(connection, "intervention_changes", dataset=dataset) if row["variant"] in SHOWN])
    kinds = [kind for kind in TITLES if where(rows, intervention=kind)]
    groups = _by_effect(rows)
    made, panels = figure(1.1 + len(kinds) * (0.5 + 0.42 * len(groups)), len(kinds), sharex=True)
    for axes, kind in zip(panels, kinds, strict=True):
        _changes(axes, where(rows, intervention=kind), groups)
        axes.named_rows([short(group) for group in groups], title=TITLES[kind])
    low = int(np.floor(min(-1, *(row["low"] for row in rows))))
    high = int(np.ceil(max(1, *(row["high"] for row in rows))))
    step = max(1, (high - low + 5) // 6)
    ticks = [power for power in range(low, high + 1) if power % step == 0]
    panels[-1].set(xticks=ticks, xticklabels=[_times(power) for power in ticks], xlim=(low - 0.2, high + 0.2))
    panels[-1].set_xlabel("rank after / before (dot: mean, bar: middle half)")
    return legend(made, 1)


def _by_effect(rows: Sequence[Row]) -> list[str]:
    """Groups from the least to the most effect on the row shown last, removed or at all: drawn from below."""
    effect: dict[str, float] = {}
    for row in rows:
        key = (row["intervention"] == "removed", row["variant"] == OURS)
        if row["entity_group"] not in effect or key == (True, True):
            effect[row["entity_group"]] = row["mean"]
    return sorted(effect, key=lambda group: (effect[group], group))


def _changes(axes: Panel, rows: Sequence[Row], groups: Sequence[str]) -> None:
    axes.zero_line()
    both = len({row["variant"] for row in rows}) > 1
    for shift, variant, marker in ((0.17, BASELINE, "s"), (-0.17, OURS, "o")):
        colour = ROWS[VARIANTS[variant].row - 1]
        found = []
        for row in where(rows, variant=variant):
            error = INTERVAL * row["deviation"] / row["queries"] ** 0.5
            found.append(row | {"mean_low": row["mean"] - error, "mean_high": row["mean"] + error})
        places = [groups.index(row["entity_group"]) + shift * both for row in found]
        axes.hlines(places, [row["low"] for row in found], [row["high"] for row in found], color=colour, linewidth=7,
                    alpha=0.25)  # fmt: skip
        axes.forest(places, found, ("mean", "mean_low", "mean_high"), colour, marker=marker, label=_title(variant))


def _times(power: int) -> str:
    return f"{2**power}×" if power > 0 else "same" if power == 0 else f"1/{2**-power}"


def _title(variant: str) -> str:
    return f"{VARIANTS[variant].row} {VARIANTS[variant].title}".replace("CLIP fine-tuned, entities", "entities")


@plot
def swap_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Share of the ten best photos with the old and with the new entity, before and after a swap, in rows 3 and 5."""
    rows = select(connection, "intervention_swaps", dataset=dataset)
    shown = some([variant for variant in SHOWN if where(rows, variant=variant)])
    ours = sorted(where(rows, variant=shown[-1]), key=lambda row: (row["share_before"], row["entity_group"]))
    groups = [row["entity_group"] for row in ours]
    made, panels = figure(1.2 + len(shown) * (0.5 + 0.6 * len(groups)), len(shown), sharex=True)
    for axes, variant in zip(panels, shown, strict=True):
        for row in where(rows, variant=variant):
            if row["entity_group"] in groups:
                _swap(axes, groups.index(row["entity_group"]), row)
        axes.named_rows([short(group) for group in groups], title=f"Row {_title(variant).replace(' ', ': ', 1)}")
    panels[-1].set(xlim=(-3, 135), xticks=[0, 25, 50, 75, 100])
    panels[-1].set_xlabel("of the ten best photos, % (○ before, ● after)")
    return legend(made, 1)


def _swap(axes: Panel, place: int, row: Row) -> None:
    for shift, name, label, colour in (
        (0.17, "share", "with the product’s own entity", ROWS[0]),
        (-0.17, "replacement_share", "with the one put in its place", ROWS[4]),
    ):
        before, after = (100 * row[f"{name}_{when}"] for when in ("before", "after"))
        y = place + shift
        axes.plot([before, after], [y, y], color=colour)
        axes.plot([before], [y], "o", color=colour, markerfacecolor=FACE, markersize=6.5, markeredgewidth=1.6)
        axes.plot([after], [y], "o", color=colour, markersize=6.5, label=label)
        axes.annotate(f"{before:.0f} → {after:.0f}", (max(before, after), y), (7, 0), textcoords="offset points",
                      va="center")  # fmt: skip


@plot
def gate_usefulness_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Mean learned gate of every group against the recall@1 it is worth; groups of other datasets pale.

    The dot is recall lost when the group is removed, the ring when it is shuffled among products.
    """
    rows = select(connection, "gate_usefulness", variant=OURS)
    some(where(rows, dataset=dataset))
    made, (axes,) = figure(3.7)
    axes.zero_line(upright=False)
    for row in rows:
        x, removed, shuffled = row["mean_weight"], row["r1_lost_removed"], row["r1_lost_shuffled"]
        colour = ROWS[4] if row["dataset"] == dataset else ROWS[0]
        axes.plot([x, x], [removed, shuffled], color=colour, linewidth=1.6)
        axes.plot([x], [shuffled], "o", color=colour, markerfacecolor="none", markersize=8, markeredgewidth=1.6)
        axes.plot([x], [removed], "o", color=colour, markersize=8)
    ends = [row[name] for row in rows for name in ("r1_lost_removed", "r1_lost_shuffled")]
    low, high = min(0.0, *ends), max(1.0, *ends)
    axes.set_ylim(low - 0.08 * (high - low), high + 0.12 * (high - low))
    _label_groups(axes, rows, dataset)
    axes.set(xlim=(0, WIDEST), xlabel="mean gate over training products")
    made.suptitle("Points of recall@1 lost (● removed, ○ shuffled)", x=0.01, ha="left")
    axes.grid()
    return made


def _label_groups(axes: Panel, rows: Sequence[Row], dataset: str) -> None:
    """Names beside the upper marks, from below upwards, each far enough above the last on its side to be read."""
    bottom, top = axes.get_ylim()
    last: dict[bool, float] = {}
    tops = [(max(row["r1_lost_removed"], row["r1_lost_shuffled"]), row) for row in rows]
    for y, row in sorted(tops, key=lambda entry: entry[0]):
        own = row["dataset"] == dataset
        name = short(row["entity_group"]) if own else f"{short(row['entity_group'])} ({short(row['dataset'], 12)})"
        leftward = row["mean_weight"] + LETTER * len(name) > WIDEST
        y = last[leftward] = max(y, last.get(leftward, bottom) + 0.07 * (top - bottom))
        axes.annotate(name, (row["mean_weight"], y), (-9 if leftward else 9, 0), textcoords="offset points",
                      ha="right" if leftward else "left", va="center", weight="bold" if own else "normal",
                      color=TEXT if own else ROWS[0])  # fmt: skip


@plot
def gate_support_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Learned gate of every entity against the training products that carry it, a panel a group."""
    gates = some(
        [row for row in select(connection, "gates", dataset=dataset, variant=OURS) if row["product_count"] > 0]
    )
    groups = list(dict.fromkeys(row["entity_group"] for row in gates))
    made, panels = figure(0.5 + 1.6 * len(groups), len(groups), sharex=True)
    for axes, group in zip(panels, groups, strict=True):
        rows = where(gates, entity_group=group)
        support, weights = ([row[name] for row in rows] for name in ("product_count", "weight"))
        axes.cloud(support, weights, 14)
        mean = float(np.average(weights, weights=support))
        axes.axhline(mean, color=ROWS[2], linewidth=1.4, linestyle=(0, (4, 2)))
        title = f"{short(group)}: {len(rows):,} entities, mean gate {mean:.2f}"
        axes.set(title=title, ylim=(-0.2, 1.2), yticks=[0, 0.5, 1])
        known = [row for row in rows if row["product_count"] >= NAMED_SUPPORT and row["entity"] != "<unk>"]
        order = sorted(known, key=lambda row: (row["weight"], row["entity"]))
        for named, above in ((order[:1], -12), (order[1:][-1:], 5)):
            for row in named:
                axes.annotate(short(row["entity"]), (row["product_count"], row["weight"]), (0, above), ha="center",
                              textcoords="offset points")  # fmt: skip
        axes.grid()
    most = max(row["product_count"] for row in gates)
    panels[-1].set(xscale="log", xlim=(0.8, 2.5 * most), xlabel="training products with the entity")
    panels[-1].xaxis.set_major_formatter("{x:,.0f}")
    return made
