"""The report's plots: each takes the catalogue and a dataset and gives PNG bytes, or None without its table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
from matplotlib.axes import Axes

from eiclip.model.variants import VARIANTS
from eiclip.report.headline import WAYS
from eiclip.report.queries import select
from eiclip.report.standing import TITLE, chance
from eiclip.report.numbers import short, variant_title
from eiclip.report.queries import intervals
from eiclip.report.theme import CHANCE_STYLE, LIGHT, Theme, chance_line, figure, png, themed

STYLES = ("-", (0, (1, 1)), (0, (5, 1.5)), (0, (4, 1, 1, 1)), "-", (0, (6, 1, 1, 1, 1, 1)))
"""Lines of the rows: told apart without colour."""
RECALLS = ("r1", "r5", "r10")
SMOOTHED = 31
"""Log rows that the mean runs over, at most: single batches are too noisy to compare."""


def recall_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Recall@1, 5 and 10 of the rows side by side, both ways, all candidates; whiskers are 95 % intervals."""
    rows = select(connection, "recalls", dataset=dataset, protocol="full")
    ends, floor = intervals(connection, dataset, "full"), chance(connection, dataset)
    present = [name for name in VARIANTS if any(row["variant"] == name for row in rows)]
    if not present:
        return None
    with themed(theme):
        made, panels = figure(5.6, len(WAYS))
        for axes, (way, title) in zip(panels, WAYS.items(), strict=True):
            by_variant = {row["variant"]: row for row in rows if row["direction"] == way}
            known = {(name, measure.removeprefix(f"{way}_")): both for (name, measure), both in ends.items()
                     if measure.startswith(f"{way}_")}  # fmt: skip
            _recall_bars(axes, by_variant, present, known, theme)
            if floor is not None:
                levels = [floor[f"{way}_{measure}"] for measure in RECALLS]
                places = np.arange(len(levels))
                ends_of = places - 0.45, places + 0.45
                axes.hlines(levels, *ends_of, **CHANCE_STYLE | {"zorder": 3}, color=theme.text, label=TITLE)
            axes.set_title(f"Recall {title}, %")
        made.legend(*_compact_legend(panels[0]), loc="outside upper left", ncols=2)
        return png(made)


def _recall_bars(
    axes: Axes,
    rows: Mapping[str, Any],
    present: Sequence[str],
    ends: Mapping[tuple[str, str], tuple[float, float]],
    theme: Theme,
) -> None:
    width = 0.8 / len(present)
    for place, name in enumerate(present):
        if name not in rows:
            continue
        values = [rows[name][measure] for measure in RECALLS]
        x = np.arange(len(RECALLS)) - 0.4 + width * (place + 0.5)
        colour = theme.rows[VARIANTS[name].row - 1]
        axes.bar(x, values, width * 0.9, color=colour, label=f"{VARIANTS[name].row} {VARIANTS[name].title}")
        whiskers = [
            (at, *ends[name, measure]) for at, measure in zip(x, RECALLS, strict=True) if (name, measure) in ends
        ]
        for at, low, high in whiskers:
            axes.plot([at, at], [low, high], color=theme.text, linewidth=0.8)
    axes.set_xticks(range(len(RECALLS)), ["R@1", "R@5", "R@10"])
    axes.grid(axis="y")
    axes.set_ylim(bottom=0)


def _compact_legend(axes: Axes) -> tuple[list[Any], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    return handles, [label.replace("CLIP fine-tuned", "fine-tuned") for label in labels]


def gate_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Learned gates by group: every entity a dot, the middle half a bar, the mean over training products a diamond."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in select(connection, "gates", dataset=dataset, variant="eiclip"):
        groups.setdefault(row["entity_group"], []).append(row)
    if not groups:
        return None
    means = {group: _mean_gate(rows) for group, rows in groups.items()}
    with themed(theme):
        made, (axes,) = figure(1.3 + 0.7 * len(groups))
        for place, group in enumerate(sorted(groups, key=lambda name: (means[name], name))):
            _gate_strip(axes, place, [row["weight"] for row in groups[group]], means[group], theme)
        axes.set_yticks(range(len(groups)), [short(g) for g in sorted(groups, key=lambda name: (means[name], name))])
        axes.set_xlim(-0.02, 1.12)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_xlabel("gate weight (◆ mean over training products)")
        axes.grid(axis="x")
        return png(made)


def _mean_gate(rows: Sequence[Mapping[str, Any]]) -> float:
    """Mean weight over training products, so that a thousand rare entities do not outvote the common ones."""
    weights, support = ([float(row[name]) for row in rows] for name in ("weight", "product_count"))
    return float(np.average(weights, weights=support if sum(support) else None))


def _gate_strip(axes: Axes, place: int, weights: Sequence[float], mean: float, theme: Theme) -> None:
    spread = np.random.default_rng(place).uniform(-0.26, 0.26, len(weights))
    colour = theme.rows[4]
    axes.scatter(weights, place + spread, s=9, color=colour, alpha=0.35, linewidths=0, rasterized=True)
    low, middle, high = np.percentile(weights, [25, 50, 75])
    axes.plot([low, high], [place, place], color=theme.text, linewidth=5, alpha=0.45, solid_capstyle="butt")
    axes.plot([middle], [place], "|", color=theme.text, markersize=15, markeredgewidth=1.5)
    axes.plot([mean], [place], "D", color=theme.rows[2], markersize=7.5, markeredgecolor=theme.face)
    axes.annotate(f"{mean:.2f}", (1.12, place), ha="right", va="center", weight="bold")


def gate_history_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """The mean gate of each group over row 5's training steps."""
    rows = [row for row in _log(connection, dataset) if row["variant"] == "eiclip" and row["gates"]]
    if not rows:
        return None
    groups = sorted({group for row in rows for group in row["gates"]})
    with themed(theme):
        made, (axes,) = figure(2.9)
        for place, group in enumerate(groups):
            points = [(row["step"], row["gates"][group]) for row in rows if group in row["gates"]]
            steps, weights = zip(*points, strict=True)
            style = STYLES[place % len(STYLES)]
            colour = theme.rows[(4 - place) % len(theme.rows)]
            axes.plot(steps, _smooth(weights), color=colour, linestyle=style, linewidth=2, label=short(group))
        axes.set_ylim(0, 1)
        axes.set_title("Mean gate of each group")
        axes.set_xlabel("step")
        axes.grid(axis="y")
        axes.legend(ncols=2)
        return png(made)


def loss_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """L(photo, text) of each trained variant over its steps: the one term that all of them have."""
    log = _log(connection, dataset)
    if not log:
        return None
    with themed(theme):
        made, (axes,) = figure(3.7)
        for name, variant in VARIANTS.items():
            points = [(row["step"], row["loss_joint"]) for row in log if row["variant"] == name]
            if points:
                steps, losses = zip(*points, strict=True)
                colour, style = theme.rows[variant.row - 1], STYLES[variant.row - 1]
                label = f"{variant.row} {variant_title(name)}".replace("CLIP fine-tuned", "fine-tuned")
                axes.plot(steps, _smooth(losses), color=colour, linestyle=style, linewidth=2, label=label)
        for guessed in sorted({math.log(row["batch_size"]) for row in select(connection, "outcomes", dataset=dataset)
                               if row["variant"] in VARIANTS and _is_softmax(row)}):  # fmt: skip
            chance_line(axes, guessed, theme, label="guessing")
        axes.set_title("Training loss of photo against text")
        axes.set_xlabel("step")
        axes.grid(axis="y")
        made.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return png(made)


def _is_softmax(outcome: Mapping[str, Any]) -> bool:
    """Whether guessing gives a multiple of ln(batch): the sigmoid loss has another line."""
    terms = outcome["loss_at_chance"] / math.log(outcome["batch_size"])
    return abs(terms - round(terms)) < 1e-3


def usefulness_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Points of recall@1 that row 5 loses when one group's entities change places among test products."""
    lost: dict[str, dict[str, float]] = {}
    for row in select(connection, "shuffles", dataset=dataset, variant="eiclip"):
        lost.setdefault(row["entity_group"], {})[row["direction"]] = row["r1_lost"]
    if not lost:
        return None
    groups = sorted(lost, key=lambda group: (max(lost[group].values()), group))
    with themed(theme):
        made, (axes,) = figure(1.5 + 0.65 * len(groups))
        for shift, way, colour in ((0.2, "i2t", theme.rows[1]), (-0.2, "t2i", theme.rows[4])):
            values = [lost[group].get(way, 0.0) for group in groups]
            bars = axes.barh(np.arange(len(groups)) + shift, values, 0.36, color=colour, label=WAYS[way])
            axes.bar_label(bars, [f"{value:.1f}".replace("-", "−") for value in values], padding=3, fontsize=9)
        axes.axvline(0, color=theme.text, linewidth=0.8)
        axes.set_yticks(range(len(groups)), [short(group) for group in groups])
        axes.margins(x=0.14)
        axes.set_xlabel("points of recall@1 lost when shuffled")
        axes.grid(axis="x")
        axes.legend(loc="lower right")
        return png(made)


def _log(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[dict[str, Any]]:
    return select(connection, "training_log", dataset=dataset)


def _smooth(values: Sequence[float]) -> np.ndarray:
    """A running mean that shrinks at both ends, so that it starts and ends where the values do."""
    reach = min(SMOOTHED // 2, len(values) // 20)
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=float))])
    place = np.arange(len(values))
    width = np.minimum(reach, np.minimum(place, len(values) - 1 - place))
    smooth: np.ndarray = (total[place + width + 1] - total[place - width]) / (2 * width + 1)
    return smooth
