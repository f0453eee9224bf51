"""The report's plots: each takes the catalogue and a dataset and gives a figure, or None without its table."""

import math
from collections.abc import Sequence

import duckdb
import numpy as np
from matplotlib.figure import Figure

from eiclip.model.variants import VARIANTS
from eiclip.report.headline import WAYS
from eiclip.report.numbers import number as shown
from eiclip.report.numbers import short, variant_title
from eiclip.report.queries import Row, intervals, select, where
from eiclip.report.standing import TITLE, chance
from eiclip.report.theme import CHANCE_STYLE, FACE, ROWS, TEXT, figure, legend, plot, some

STYLES = ("-", (0, (1, 1)), (0, (5, 1.5)), (0, (4, 1, 1, 1)), "-", (0, (6, 1, 1, 1, 1, 1)))
"""Lines of the rows: told apart without colour."""
RECALLS = ("r1", "r5", "r10")
SMOOTHED = 31
"""Log rows that the mean runs over, at most: single batches are too noisy to compare."""


@plot
def recall_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Recall@1, 5 and 10 of the rows side by side, both ways, all candidates; whiskers are 95 % intervals."""
    rows = select(connection, "recalls", dataset=dataset, protocol="full")
    ends, floor = intervals(connection, dataset, "full"), chance(connection, dataset)
    present = some([name for name in VARIANTS if where(rows, variant=name)])
    made, panels = figure(5.6, len(WAYS))
    places, width = np.arange(len(RECALLS)), 0.8 / len(present)
    for axes, (way, title) in zip(panels, WAYS.items(), strict=True):
        by_name = {row["variant"]: row for row in where(rows, direction=way)}
        for name in filter(by_name.__contains__, present):
            x = places - 0.4 + width * (present.index(name) + 0.5)
            values, colour = [by_name[name][measure] for measure in RECALLS], ROWS[VARIANTS[name].row - 1]
            axes.bar(x, values, width * 0.9, color=colour, label=_legend_title(name))
            for at, measure in zip(x, RECALLS, strict=True):
                if both := ends.get((name, f"{way}_{measure}")):
                    axes.plot([at, at], both, color=TEXT, linewidth=0.8)
        if floor is not None:
            levels = [floor[f"{way}_{measure}"] for measure in RECALLS]
            axes.hlines(levels, places - 0.45, places + 0.45, **CHANCE_STYLE | {"zorder": 3}, label=TITLE)
        axes.set(xticks=places, xticklabels=["R@1", "R@5", "R@10"], title=f"Recall {title}, %")
        axes.grid(axis="y")
        axes.set_ylim(bottom=0)
    return legend(made, 1)


def _legend_title(name: str) -> str:
    return f"{VARIANTS[name].row} {variant_title(name)}".replace("CLIP fine-tuned", "fine-tuned")


@plot
def gate_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Learned gates by group: every entity a dot, the middle half a bar, the mean over training products a diamond."""
    gates = some(select(connection, "gates", dataset=dataset, variant="eiclip"))
    groups = {group: where(gates, entity_group=group) for group in dict.fromkeys(row["entity_group"] for row in gates)}
    means = {group: _mean_gate(rows) for group, rows in groups.items()}
    order = sorted(groups, key=lambda name: (means[name], name))
    made, (axes,) = figure(1.1 + 0.65 * len(groups))
    for place, group in enumerate(order):
        weights = [row["weight"] for row in groups[group]]
        spread = np.random.default_rng(place).uniform(-0.26, 0.26, len(weights))
        axes.cloud(weights, place + spread, 9)
        low, middle, high = np.percentile(weights, [25, 50, 75])
        axes.plot([low, high], [place, place], color=TEXT, linewidth=5, alpha=0.45)
        axes.plot([middle], [place], "|", color=TEXT, markersize=15, markeredgewidth=1.5)
        axes.plot([means[group]], [place], "D", color=ROWS[2], markersize=7.5, markeredgecolor=FACE)
        axes.annotate(f"{means[group]:.2f}", (1.15, place), ha="right", va="center", weight="bold")
    axes.named_rows([short(group) for group in order], xlim=(-0.02, 1.15), xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xlabel("gate weight (◆ mean over training products)")
    return made


def _mean_gate(rows: Sequence[Row]) -> float:
    """Mean weight over training products, so that a thousand rare entities do not outvote the common ones."""
    weights, support = ([float(row[name]) for row in rows] for name in ("weight", "product_count"))
    return float(np.average(weights, weights=support if sum(support) else None))


@plot
def gate_history_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """The mean gate of each group over row 5's training steps."""
    rows = some(
        [
            row
            for row in select(connection, "training_log", dataset=dataset)
            if row["variant"] == "eiclip" and row["gates"]
        ]
    )
    made, (axes,) = figure(3.0)
    for place, group in enumerate(sorted({group for row in rows for group in row["gates"]})):
        steps, weights = zip(
            *((row["step"], row["gates"][group]) for row in rows if group in row["gates"]), strict=True
        )
        axes.plot(steps, _smooth(weights), color=ROWS[(4 - place) % len(ROWS)], linestyle=STYLES[place % len(STYLES)],
                  label=short(group))  # fmt: skip
    axes.set(ylim=(0, 1), title="Mean gate of each group", xlabel="step")
    axes.grid(axis="y")
    return legend(made, 3)


@plot
def loss_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """L(photo, text) of each trained variant over its steps: the one term that all of them have."""
    log = some(select(connection, "training_log", dataset=dataset))
    made, (axes,) = figure(4.2)
    for name, variant in VARIANTS.items():
        if points := [(row["step"], row["loss_joint"]) for row in where(log, variant=name)]:
            steps, losses = zip(*points, strict=True)
            axes.plot(steps, _smooth(losses), color=ROWS[variant.row - 1], linestyle=STYLES[variant.row - 1],
                      label=_legend_title(name))  # fmt: skip
    outcomes = [row for row in select(connection, "outcomes", dataset=dataset) if row["variant"] in VARIANTS]
    for guessed in sorted({math.log(row["batch_size"]) for row in outcomes if _is_softmax(row)}):
        axes.chance_line(guessed, guessed, label="guessing")
    axes.set(title="Training loss of photo against text", xlabel="step")
    axes.grid(axis="y")
    return legend(made, 1)


def _is_softmax(outcome: Row) -> bool:
    """Whether guessing gives a multiple of ln(batch): the sigmoid loss has another line."""
    terms = outcome["loss_at_chance"] / math.log(outcome["batch_size"])
    return abs(terms - round(terms)) < 1e-3


@plot
def usefulness_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Points of recall@1 that row 5 loses when one group's entities change places among test products."""
    lost: dict[str, dict[str, float]] = {}
    for row in select(connection, "shuffles", dataset=dataset, variant="eiclip"):
        lost.setdefault(row["entity_group"], {})[row["direction"]] = row["r1_lost"]
    groups = sorted(some(lost), key=lambda group: (max(lost[group].values()), group))
    made, (axes,) = figure(1.4 + 0.65 * len(groups))
    for shift, way, colour in ((0.2, "i2t", ROWS[1]), (-0.2, "t2i", ROWS[4])):
        values = [lost[group].get(way, 0.0) for group in groups]
        axes.bars(np.arange(len(groups)) + shift, values, 0.36, colour, WAYS[way], shown)
    axes.zero_line()
    label = "points of recall@1 lost when shuffled"
    axes.named_rows([short(group) for group in groups], xmargin=0.18, xlabel=label)
    return legend(made)


def _smooth(values: Sequence[float]) -> np.ndarray:
    """A running mean that shrinks at both ends, so that it starts and ends where the values do."""
    reach = min(SMOOTHED // 2, len(values) // 20)
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=float))])
    place = np.arange(len(values))
    width = np.minimum(reach, np.minimum(place, len(values) - 1 - place))
    smooth: np.ndarray = (total[place + width + 1] - total[place - width]) / (2 * width + 1)
    return smooth
