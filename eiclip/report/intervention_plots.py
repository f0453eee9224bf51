"""Plots of interventions and of what gates are worth: PNG bytes each, or None without the table they draw."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eiclip.model.variants import VARIANTS
from eiclip.report.headline import BASELINE, OURS
from eiclip.report.queries import select
from eiclip.report.numbers import short
from eiclip.report.theme import LIGHT, Theme, figure, png, themed

TITLES = {
    "removed": "The entity taken away",
    "swapped": "Another entity of the group in its place",
    "as_text": "The entity written into the text instead",
}
SHOWN = (BASELINE, OURS)
INTERVAL = 1.96
"""Standard errors to either side of a mean that hold it with 95 %: products are drawn apart from one another."""
WIDEST = 1.03
LETTER = 0.016
"""Width of a letter of a label, in units of the gate: a name that would leave the plot goes to the other side."""
NAMED_SUPPORT = 5
"""Training products an entity needs to be named among the gates."""


@contextmanager
def _drawing(theme: Theme) -> Iterator[None]:
    """Themed; names of scripts that the font lacks are drawn as boxes, in silence."""
    with themed(theme), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing")
        yield


def intervention_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """How many times further down the right photo falls, by intervention and group, for rows 3 and 5.

    Dots are geometric means over products with 95 % intervals, pale bars the middle half of the products.
    """
    rows = [row for row in select(connection, "intervention_changes", dataset=dataset) if row["variant"] in SHOWN]
    if not rows:
        return None
    kinds = [kind for kind in TITLES if any(row["intervention"] == kind for row in rows)]
    groups = _by_effect(rows)
    with _drawing(theme):
        made, panels = figure(1.1 + len(kinds) * (0.65 + 0.42 * len(groups)), len(kinds))
        for axes, kind in zip(panels, kinds, strict=True):
            _changes(axes, [row for row in rows if row["intervention"] == kind], groups, theme)
            axes.set_title(TITLES[kind])
        _share_changes_axis(panels, rows)
        panels[-1].set_xlabel("rank after / rank before (dot: mean, bar: middle half)")
        _legend(made, panels)
        return png(made)


def _by_effect(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Groups from the least to the most effect on the row shown last, removed or at all: drawn from below."""
    effect: dict[str, float] = {}
    for row in rows:
        key = (row["intervention"] == "removed", row["variant"] == OURS)
        if row["entity_group"] not in effect or key == (True, True):
            effect[row["entity_group"]] = row["mean"]
    return sorted(effect, key=lambda group: (effect[group], group))


def _changes(axes: Axes, rows: Sequence[Mapping[str, Any]], groups: Sequence[str], theme: Theme) -> None:
    axes.axvline(0, color=theme.text, linewidth=0.8)
    both = len({row["variant"] for row in rows}) > 1
    for shift, variant, marker in ((0.17, BASELINE, "s"), (-0.17, OURS, "o")):
        colour = theme.rows[VARIANTS[variant].row - 1]
        found = [row for row in rows if row["variant"] == variant]
        y = [groups.index(row["entity_group"]) + shift * both for row in found]
        low, high = ([row[name] for row in found] for name in ("low", "high"))
        axes.hlines(y, low, high, color=colour, linewidth=7, alpha=0.25)
        errors = [INTERVAL * row["deviation"] / row["queries"] ** 0.5 for row in found]
        label = f"{VARIANTS[variant].row} {_short_title(variant)}" if found else None
        axes.errorbar([row["mean"] for row in found], y, xerr=errors, fmt=marker, color=colour, markersize=5.5,
                      elinewidth=1.6, label=label)  # fmt: skip
    axes.set_yticks(range(len(groups)), [short(group) for group in groups])
    axes.set_ylim(-0.55, len(groups) - 0.45)
    axes.grid(axis="x")


def _share_changes_axis(panels: Sequence[Axes], rows: Sequence[Mapping[str, Any]]) -> None:
    """One scale for all panels, in powers of two."""
    low = int(np.floor(min(-1, *(row["low"] for row in rows))))
    high = int(np.ceil(max(1, *(row["high"] for row in rows))))
    step = max(1, (high - low + 7) // 8)
    ticks = [power for power in range(low, high + 1) if power % step == 0]
    for axes in panels:
        axes.set_xlim(low - 0.2, high + 0.2)
        axes.set_xticks(ticks, [_times(power) for power in ticks])


def _times(power: int) -> str:
    return f"{2**power}×" if power > 0 else "as before" if power == 0 else f"1/{2**-power}"


def swap_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Share of the ten best photos with the old and with the new entity, before and after a swap, in rows 3 and 5."""
    rows = select(connection, "intervention_swaps", dataset=dataset)
    shown = [variant for variant in SHOWN if any(row["variant"] == variant for row in rows)]
    if not shown:
        return None
    ours = [row for row in rows if row["variant"] == shown[-1]]
    groups = [row["entity_group"] for row in sorted(ours, key=lambda row: (row["share_before"], row["entity_group"]))]
    with _drawing(theme):
        made, panels = figure(1.0 + len(shown) * (0.6 + 0.62 * len(groups)), len(shown))
        for axes, variant in zip(panels, shown, strict=True):
            for row in rows:
                if row["variant"] == variant and row["entity_group"] in groups:
                    _swap(axes, groups.index(row["entity_group"]), row, theme)
            axes.set_title(f"Row {VARIANTS[variant].row}: {_short_title(variant)}")
            axes.set_yticks(range(len(groups)), [short(group) for group in groups])
            axes.set_ylim(-0.6, len(groups) - 0.4)
            axes.set_xlim(-3, 122)
            axes.set_xticks([0, 25, 50, 75, 100])
            axes.grid(axis="x")
        panels[-1].set_xlabel("of the ten best photos, % (○ before, ● after the swap)")
        _legend(made, panels)
        return png(made)


def _swap(axes: Axes, place: int, row: Mapping[str, Any], theme: Theme) -> None:
    for shift, name, label, colour in (
        (0.17, "share", "with the product’s own entity", theme.rows[0]),
        (-0.17, "replacement_share", "with the one put in its place", theme.rows[4]),
    ):
        before, after = (100 * row[f"{name}_{when}"] for when in ("before", "after"))
        y = place + shift
        axes.plot([before, after], [y, y], color=colour, linewidth=2)
        axes.plot([before], [y], "o", color=colour, markerfacecolor=theme.face, markersize=6.5, markeredgewidth=1.6)
        axes.plot([after], [y], "o", color=colour, markersize=6.5, label=label if place == 0 else None)
        axes.annotate(f"{before:.0f} → {after:.0f}", (max(before, after), y), xytext=(7, 0),
                      textcoords="offset points", va="center", fontsize=9)  # fmt: skip


def gate_usefulness_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Mean learned gate of every group against the recall@1 it is worth; groups of other datasets pale.

    The dot is recall lost when the group is removed, the ring when it is shuffled among products.
    """
    rows = select(connection, "gate_usefulness", variant=OURS)
    if not any(row["dataset"] == dataset for row in rows):
        return None
    with _drawing(theme):
        made, (axes,) = figure(3.7)
        axes.axhline(0, color=theme.text, linewidth=0.8)
        for row in rows:
            _useful_group(axes, row, theme.rows[4] if row["dataset"] == dataset else theme.rows[0])
        _set_height(axes, [row[name] for row in rows for name in ("r1_lost_removed", "r1_lost_shuffled")])
        _label_groups(axes, rows, dataset, theme)
        axes.set_xlim(0, WIDEST)
        axes.set_xlabel("mean gate over training products")
        axes.set_title("Points of recall@1 lost (● removed, ○ shuffled)")
        axes.grid()
        return png(made)


def _useful_group(axes: Axes, row: Mapping[str, Any], colour: str) -> None:
    x, removed, shuffled = row["mean_weight"], row["r1_lost_removed"], row["r1_lost_shuffled"]
    axes.plot([x, x], [removed, shuffled], color=colour, linewidth=1.6)
    axes.plot([x], [shuffled], "o", color=colour, markerfacecolor="none", markersize=8, markeredgewidth=1.6)
    axes.plot([x], [removed], "o", color=colour, markersize=8)


def _set_height(axes: Axes, values: Sequence[float]) -> None:
    low, high = min(0.0, *values), max(1.0, *values)
    axes.set_ylim(low - 0.08 * (high - low), high + 0.12 * (high - low))


def _label_groups(axes: Axes, rows: Sequence[Mapping[str, Any]], dataset: str, theme: Theme) -> None:
    """Names beside the upper marks, from below upwards, each far enough above the last on its side to be read."""
    bottom, top = axes.get_ylim()
    last: dict[bool, float] = {}
    tops = [(max(row["r1_lost_removed"], row["r1_lost_shuffled"]), row) for row in rows]
    for y, row in sorted(tops, key=lambda entry: entry[0]):
        own = row["dataset"] == dataset
        name = short(row["entity_group"]) if own else f"{short(row['entity_group'])} ({short(row['dataset'])})"
        leftward = row["mean_weight"] + LETTER * len(name) > WIDEST
        y = max(y, last.get(leftward, bottom) + 0.07 * (top - bottom))
        last[leftward] = y
        axes.annotate(name, (row["mean_weight"], y), xytext=(-9 if leftward else 9, 0), textcoords="offset points",
                      ha="right" if leftward else "left", va="center", fontsize=9,
                      weight="bold" if own else "normal", color=theme.text if own else theme.rows[0])  # fmt: skip


def gate_support_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Learned gate of every entity against the training products that carry it, a panel a group."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in select(connection, "gates", dataset=dataset, variant=OURS):
        if row["product_count"] > 0:
            groups.setdefault(row["entity_group"], []).append(row)
    if not groups:
        return None
    most = max(row["product_count"] for rows in groups.values() for row in rows)
    with _drawing(theme):
        made, panels = figure(0.5 + 1.75 * len(groups), len(groups))
        for axes, (group, rows) in zip(panels, groups.items(), strict=True):
            _support(axes, group, rows, theme)
            axes.set_xscale("log")
            axes.set_xlim(0.8, 2.5 * most)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.set_ylim(-0.14, 1.14)
            axes.set_yticks([0, 0.5, 1])
            axes.tick_params(which="minor", length=0)
            axes.grid()
        panels[-1].set_xlabel("training products with the entity")
        return png(made)


def _support(axes: Axes, group: str, rows: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    support, weights = ([row[name] for row in rows] for name in ("product_count", "weight"))
    axes.scatter(support, weights, s=14, color=theme.rows[4], alpha=0.5, linewidths=0, rasterized=True)
    mean = float(np.average(weights, weights=support))
    axes.axhline(mean, color=theme.rows[2], linewidth=1.4, linestyle=(0, (4, 2)))
    axes.set_title(f"{short(group)}: {len(rows):,} entities, mean gate {mean:.2f}")
    known = [row for row in rows if row["product_count"] >= NAMED_SUPPORT and row["entity"] != "<unk>"]
    order = sorted(known, key=lambda row: (row["weight"], row["entity"]))
    for extreme, below in ((order[:1], True), (order[1:][-1:], False)):
        for row in extreme:
            axes.annotate(short(row["entity"]), (row["product_count"], row["weight"]), fontsize=8.5, ha="center",
                          xytext=(0, -11 if below else 5), textcoords="offset points")  # fmt: skip


def _legend(made: Figure, panels: Sequence[Axes]) -> None:
    """One legend for all panels, each label once."""
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    made.legend(list(entries.values()), list(entries), loc="outside upper left", ncols=2)


def _short_title(variant: str) -> str:
    return VARIANTS[variant].title.replace("CLIP fine-tuned, entities", "entities")
