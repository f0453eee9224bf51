"""Plots of the ablations: each takes the catalogue and a dataset and gives PNG bytes, or None where it was not run.

Bars, dots and bands are 95 % intervals over products; gains are of SumR, paired by product.
"""

from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from eiclip.model.variants import VARIANTS
from eiclip.report.ablation_verdicts import learned, results
from eiclip.report.numbers import short, signed
from eiclip.report.queries import Row, one, where
from eiclip.report.standing import chance
from eiclip.report.theme import LIGHT, Theme, chance_line, figure, png, themed
from eiclip.studies.trials import AS_TEXT, EQUAL, OURS, PLUS

MARKS = {"clip_description": "^", AS_TEXT: "s", EQUAL: "D", OURS: "o", PLUS: "P"}
LINES: dict[str, Any] = {AS_TEXT: (0, (5, 1.5)), EQUAL: (0, (1, 1)), OURS: "-"}
"""Rows are told apart without colour too."""
SHORT = {"clip_description": "2 description", AS_TEXT: "3 entities as text", EQUAL: "4 equal gates", OURS: "5 EI-CLIP",
    PLUS: "6 EI-CLIP+"}  # fmt: skip
TERMS = {"without joint": "joint", "without description": "description", "without entities": "entities"}


def entities_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """What each group adds to the description alone, as text and as an entity of its own."""
    rows = _gained(connection, dataset, "ablation_entities")
    if not rows:
        return None
    values = list(dict.fromkeys(row["value"] for row in rows))[::-1]
    with themed(theme):
        made, (axes,) = figure(1.7 + 0.62 * len(values))
        for shift, variant, label in ((0.17, AS_TEXT, "as text (row 3)"), (-0.17, OURS, "as an entity (row 5)")):
            found = where(rows, variant=variant)
            places = [values.index(row["value"]) + shift for row in found]
            _forest(axes, places, found, variant, theme, label)
        axes.set_yticks(range(len(values)), [short(value) for value in values])
        _about_zero(axes, theme, "change of SumR from the description alone")
        made.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return png(made)


def _gained(connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str) -> list[Row]:
    """Results with a gain, of trainings that have learned."""
    rows = learned(connection, dataset, results(connection, dataset, ablation))
    return [row for row in rows if row["sum_r_gain"] is not None]


def _forest(
    axes: Axes, places: Sequence[float], rows: Sequence[Row], variant: str, theme: Theme, label: str | None = None
) -> None:
    """Gains with their intervals, one below the other, and each as a number above its dot."""
    gains = np.array([row["sum_r_gain"] for row in rows])
    ends = np.array([[row["gain_low"] for row in rows], [row["gain_high"] for row in rows]])
    colour = theme.rows[VARIANTS[variant].row - 1]
    style: dict[str, Any] = {"fmt": MARKS[variant], "color": colour, "markersize": 6, "elinewidth": 2, "capsize": 3}
    axes.errorbar(gains, places, xerr=np.abs(ends - gains), label=label, **style)
    for gain, place in zip(gains, places, strict=True):
        _number(axes, signed(gain), (gain, place), {"facecolor": theme.face, "linewidth": 0, "pad": 0.6, "alpha": 0.75})


def _number(axes: Axes, text: str, place: tuple[float, float], box: dict[str, Any] | None = None) -> None:
    """A number above its dot."""
    axes.annotate(text, place, (0, 6), textcoords="offset points", ha="center", fontsize=9, bbox=box)


def _about_zero(axes: Axes, theme: Theme, label: str) -> None:
    axes.axvline(0, color=theme.text, linewidth=0.8)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.15, high + 0.3)
    axes.margins(x=0.08)
    axes.set_xlabel(label)
    axes.grid(axis="x")


def batch_size_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """SumR of rows 3 and 5 against the batch size, and row 5's lead."""
    label = "batch size (a small batch takes more steps)"
    return _curves(connection, dataset, "ablation_batch_size", (AS_TEXT, OURS), label, theme)


def budget_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """SumR of rows 3, 4 and 5 against the training's steps, and the leads of rows 4 and 5 over row 3."""
    return _curves(connection, dataset, "ablation_budget", (AS_TEXT, EQUAL, OURS), "training steps", theme)


def _curves(
    connection: duckdb.DuckDBPyConnection,
    dataset: str,
    ablation: str,
    variants: Sequence[str],
    label: str,
    theme: Theme,
) -> bytes | None:
    """Above: SumR of rows against x, logarithmic. Below: leads over the first, of rows that have learned."""
    rows, compared = results(connection, dataset, ablation), _gained(connection, dataset, ablation)
    if not rows:
        return None
    ticks = sorted({row["x"] for row in rows})
    with themed(theme):
        made, panels = figure(5.4, 2)
        for variant in variants:
            _curve(panels[0], where(rows, variant=variant), variant, ("sum_r", "sum_r_low", "sum_r_high"), theme)
        for variant in variants[1:]:
            _curve(panels[1], where(compared, variant=variant), variant, ("sum_r_gain", "gain_low", "gain_high"), theme)
        for lead in where(compared, variant=OURS):
            _number(panels[1], signed(lead["sum_r_gain"]), (lead["x"], lead["sum_r_gain"]))
        _chance(panels[0], connection, dataset, theme)
        panels[0].set_title("SumR")
        panels[1].set_title("SumR above row 3’s")
        panels[1].axhline(0, color=theme.text, linewidth=0.8)
        panels[1].set_xlabel(label)
        for axes in panels:
            axes.set_xscale("log")
            axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.margins(y=0.12)
            axes.grid()
        made.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=len(variants))
        return png(made)


def _chance(
    axes: Axes, connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme, *, upright: bool = False
) -> None:
    """A line at the SumR of chance, where it is known."""
    if (floor := chance(connection, dataset)) is not None:
        chance_line(axes, floor["sum_r"], theme, upright=upright)


def _curve(axes: Axes, rows: Sequence[Row], variant: str, columns: tuple[str, str, str], theme: Theme) -> None:
    rows = sorted(rows, key=lambda row: float(row["x"]))
    x = [row["x"] for row in rows]
    value, low, high = ([row[column] for row in rows] for column in columns)
    colour = theme.rows[VARIANTS[variant].row - 1]
    style = {"color": colour, "linestyle": LINES[variant], "marker": MARKS[variant], "markersize": 5}
    axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(x, value, linewidth=2, label=SHORT[variant], **style)


def losses_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """What row 5's SumR changes by without each of the loss's terms."""
    rows = _gained(connection, dataset, "ablation_losses")[::-1]
    names = [f"without the\n{TERMS[row['value']]} term" for row in rows]
    return _changes(rows, names, "change of row 5’s SumR from all three terms", theme)


def prior_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """What row 5's SumR changes by without the mixture: over all products, and those with an entity it is made for."""
    rows = _gained(connection, dataset, "ablation_prior")[::-1]
    names = [f"{row['subset']}\n({row['products']:,} products)" for row in rows]
    return _changes(rows, names, "change of row 5’s SumR without the mixture", theme)


def _changes(rows: Sequence[Row], names: Sequence[str], label: str, theme: Theme) -> bytes | None:
    if not rows:
        return None
    with themed(theme):
        made, (axes,) = figure(1.3 + 0.6 * len(rows))
        for variant in dict.fromkeys(row["variant"] for row in rows):
            places = [place for place, row in enumerate(rows) if row["variant"] == variant]
            _forest(axes, places, where(rows, variant=variant), variant, theme)
        axes.set_yticks(range(len(rows)), names)
        _about_zero(axes, theme, label)
        return png(made)


def group_batches_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """What batches of one entity group change for rows 3, 4 and 5."""
    rows = _gained(connection, dataset, "ablation_group_batches")[::-1]
    return _changes(rows, [SHORT[row["variant"]] for row in rows], "change of SumR from mixed batches", theme)


def plus_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """Row 6 with noise and with group batches, rows 5 and 3, and row 3 with image levels, against row 6."""
    rows = _gained(connection, dataset, "ablation_plus")[::-1]
    names = [row["value"] if row["variant"] == PLUS else f"row {row['row']}, {row['value']}" for row in rows]
    return _changes(rows, names, "change of SumR from row 6’s", theme)


def ambiguity_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """SumR of rows 3 and 5 with real and with neutral brand names, a panel a budget."""
    rows = results(connection, dataset, "ablation_ambiguity")
    if not rows:
        return None
    budgets, floor = sorted({row["budget"] for row in rows}), chance(connection, dataset)
    ends = [row[end] for row in rows for end in ("sum_r_low", "sum_r_high")] + ([floor["sum_r"]] if floor else [])
    with themed(theme):
        made, panels = figure(0.7 + 1.9 * len(budgets), len(budgets))
        for axes, budget in zip(panels, budgets, strict=True):
            found = where(rows, budget=budget)
            wanted = [
                one(found, variant=variant, value=value) for variant in (OURS, AS_TEXT) for value in ("neutral", "real")
            ]
            _names_panel(axes, [row for row in wanted if row is not None], theme)
            epochs, steps = (max(row[name] for row in found) for name in ("epochs", "steps"))
            axes.set_title(f"{epochs:,} epochs ({steps:,} steps)")
            axes.set_xlim(min(ends) - 8, max(ends) + 8)
            _chance(axes, connection, dataset, theme, upright=True)
        panels[-1].set_xlabel("SumR (dashed: chance)" if floor else "SumR")
        return png(made)


def _names_panel(axes: Axes, rows: Sequence[Row], theme: Theme) -> None:
    for place, row in enumerate(rows):
        colour = theme.rows[row["row"] - 1]
        error = [[row["sum_r"] - row["sum_r_low"]], [row["sum_r_high"] - row["sum_r"]]]
        face = colour if row["value"] == "real" else theme.face
        style: dict[str, Any] = {
            "color": colour,
            "markerfacecolor": face,
            "markersize": 7,
            "elinewidth": 2,
            "capsize": 3,
        }
        axes.errorbar([row["sum_r"]], [place], xerr=error, fmt=MARKS[row["variant"]], **style)
        _number(axes, f"{row['sum_r']:.1f}", (row["sum_r"], place))
    axes.set_yticks(range(len(rows)), [f"row {row['row']}, {row['value']} names" for row in rows])
    axes.set_ylim(-0.5, len(rows) - 0.2)
    axes.grid(axis="x")


def seed_plot(connection: duckdb.DuckDBPyConnection, dataset: str, theme: Theme = LIGHT) -> bytes | None:
    """SumR of each row and training seed, and the mean of each row; a line joins what one seed gave."""
    rows = results(connection, dataset, "seed_study")
    if not rows:
        return None
    variants = [name for name in VARIANTS if where(rows, variant=name)]
    seeds = sorted({row["seed"] for row in rows})
    with themed(theme):
        made, (axes,) = figure(3.4)
        for x, name in enumerate(variants):
            mean = float(np.mean([row["sum_r"] for row in where(rows, variant=name)]))
            axes.plot([x - 0.25, x + 0.25], [mean, mean], color=theme.text, linewidth=1.6)
            axes.annotate(f"{mean:.1f}", (x + 0.29, mean), va="center", fontsize=9)
        for place, seed in enumerate(seeds):
            aside = 0.16 * (place - (len(seeds) - 1) / 2)
            found = {row["variant"]: row["sum_r"] for row in where(rows, seed=seed)}
            points = [(x, found[name]) for x, name in enumerate(variants) if name in found]
            axes.plot([x + aside for x, _ in points], [y for _, y in points], color=theme.grid, linewidth=1, zorder=0)
            for x, value in points:
                colour = theme.rows[VARIANTS[variants[x]].row - 1]
                style: dict[str, Any] = {"color": colour, "markersize": 7, "markeredgecolor": theme.face, "zorder": 3}
                axes.plot([x + aside], [value], "os^vDP"[place % 6], **style)
        axes.set_xticks(range(len(variants)), [SHORT[name].replace(" ", "\n", 1) for name in variants])
        axes.set_xlim(-0.5, len(variants) - 0.3)
        _chance(axes, connection, dataset, theme)
        axes.set_title(f"SumR by training seed (— mean{'; dashed: chance' if chance(connection, dataset) else ''})")
        axes.grid(axis="y")
        return png(made)


PLOTS: dict[str, Callable[..., bytes | None]] = {
    "ablation_entities": entities_plot,
    "ablation_batch_size": batch_size_plot,
    "ablation_losses": losses_plot,
    "ablation_prior": prior_plot,
    "ablation_budget": budget_plot,
    "ablation_ambiguity": ambiguity_plot,
    "ablation_group_batches": group_batches_plot,
    "ablation_plus": plus_plot,
    "seed_study": seed_plot,
}
