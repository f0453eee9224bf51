"""Plots of the ablations: each takes the catalogue and a dataset and gives a figure, or None where it was not run.

Lines and bands are 95 % intervals over products; gains are of SumR, paired by product.
"""

from collections.abc import Callable, Sequence

import duckdb
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from eiclip.model.variants import VARIANTS
from eiclip.report.ablation_verdicts import learned, results, signed
from eiclip.report.queries import Row, one, where
from eiclip.report.standing import chance
from eiclip.report.tables import number as shown
from eiclip.report.tables import short
from eiclip.report.theme import GRID, ROWS, TEXT, Panel, figure, legend, themed
from eiclip.studies.trials import AS_TEXT, EQUAL, OURS, PLUS

MARKS = {"clip_description": "^", AS_TEXT: "s", EQUAL: "D", OURS: "o", PLUS: "P"}
LINES = {AS_TEXT: (0, (5, 1.5)), EQUAL: (0, (1, 1)), OURS: "-"}
"""Rows are told apart without colour too."""
SHORT = {"clip_description": "2 description", AS_TEXT: "3 as text", EQUAL: "4 equal gates", OURS: "5 EI-CLIP",
    PLUS: "6 EI-CLIP+"}  # fmt: skip
SUM, GAIN = ("sum_r", "sum_r_low", "sum_r_high"), ("sum_r_gain", "gain_low", "gain_high")


@themed
def entities_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """What each group adds to the description alone, as text and as an entity of its own."""
    rows = _gained(connection, dataset, "ablation_entities")
    if not rows:
        return None
    values = list(dict.fromkeys(row["value"] for row in rows))[::-1]
    made, (axes,) = figure(1.4 + 0.62 * len(values))
    for shift, variant, label in ((0.17, AS_TEXT, "as text (row 3)"), (-0.17, OURS, "as an entity (row 5)")):
        found = where(rows, variant=variant)
        _gains(axes, [values.index(row["value"]) + shift for row in found], found, variant, label)
    _about_zero(axes, [short(value) for value in values], "change of SumR from the description alone")
    legend(made)
    return made


def _gained(connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str) -> list[Row]:
    """Results with a gain, of trainings that have learned."""
    rows = learned(connection, dataset, results(connection, dataset, ablation))
    return [row for row in rows if row["sum_r_gain"] is not None]


def _gains(axes: Panel, places: Sequence[float], rows: Sequence[Row], variant: str, label: str | None = None) -> None:
    axes.forest(places, rows, GAIN, _colour(variant), marker=MARKS[variant], numbers=signed, label=label)


def _colour(variant: str) -> str:
    return ROWS[VARIANTS[variant].row - 1]


def _about_zero(axes: Panel, names: Sequence[str], label: str) -> None:
    axes.zero_line()
    axes.named_rows(names)
    axes.margins(x=0.08)
    axes.set_xlabel(label)


def batch_size_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """SumR of rows 3 and 5 against the batch size, and row 5's lead."""
    label = "batch size (a small batch takes more steps)"
    return _curves(connection, dataset, "ablation_batch_size", (AS_TEXT, OURS), label)


def budget_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """SumR of rows 3, 4 and 5 against the training's steps, and the leads of rows 4 and 5 over row 3."""
    return _curves(connection, dataset, "ablation_budget", (AS_TEXT, EQUAL, OURS), "training steps")


@themed
def _curves(
    connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str, variants: Sequence[str], label: str
) -> Figure | None:
    """Above: SumR of rows against x, logarithmic. Below: leads over the first, of rows that have learned."""
    rows, compared = results(connection, dataset, ablation), _gained(connection, dataset, ablation)
    if not rows:
        return None
    ticks = sorted({row["x"] for row in rows})
    made, panels = figure(5.0, 2, sharex=True)
    for axes, found, drawn, columns in zip(
        panels, (rows, compared), (variants, variants[1:]), (SUM, GAIN), strict=True
    ):
        for variant in drawn:
            _curve(axes, where(found, variant=variant), variant, columns)
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.09, y=0.14)
        axes.grid()
    for lead in where(compared, variant=OURS):
        panels[1].number(signed(lead["sum_r_gain"]), (lead["x"], lead["sum_r_gain"]))
    _chance(panels[0], connection, dataset)
    panels[1].zero_line(upright=False)
    panels[0].set_title("SumR")
    panels[1].set_title("SumR above row 3’s")
    panels[1].set_xlabel(label)
    legend(made)
    return made


def _curve(axes: Panel, rows: Sequence[Row], variant: str, columns: tuple[str, str, str]) -> None:
    rows = sorted(rows, key=lambda row: float(row["x"]))
    x, value, low, high = ([row[column] for row in rows] for column in ("x", *columns))
    axes.fill_between(x, low, high, color=_colour(variant), alpha=0.16, linewidth=0)
    axes.plot(x, value, label=SHORT[variant], color=_colour(variant), linestyle=LINES[variant], marker=MARKS[variant],
              markersize=5)  # fmt: skip


def _chance(axes: Panel, connection: duckdb.DuckDBPyConnection, dataset: str, *, upright: bool = False) -> str:
    """A line at the SumR of chance, where it is known, and what a title says of it."""
    floor = chance(connection, dataset)
    if floor is not None:
        axes.chance_line(floor["sum_r"], floor["sum_r"], upright=upright)
    return "dashed: chance" if floor else ""


def losses_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """What row 5's SumR changes by without each of the loss's terms."""
    rows = _gained(connection, dataset, "ablation_losses")
    names = [f"without the\n{row['value'].removeprefix('without ')} term" for row in rows]
    return _changes(rows, names, "change of row 5’s SumR from all three terms")


def prior_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """What row 5's SumR changes by without the mixture: over all products, and those with an entity it is made for."""
    rows = _gained(connection, dataset, "ablation_prior")
    names = [f"{row['subset']}\n({row['products']:,} products)" for row in rows]
    return _changes(rows, names, "change of row 5’s SumR without the mixture")


def group_batches_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """What batches of one entity group change for rows 3, 4 and 5."""
    rows = _gained(connection, dataset, "ablation_group_batches")
    return _changes(rows, [SHORT[row["variant"]] for row in rows], "change of SumR from mixed batches")


def plus_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """Row 6 with noise and with group batches, rows 5 and 3, and row 3 with image levels, against row 6."""
    rows = _gained(connection, dataset, "ablation_plus")
    names = [row["value"] if row["variant"] == PLUS else f"row {row['row']}, {row['value']}" for row in rows]
    return _changes(rows, names, "change of SumR from row 6’s")


@themed
def _changes(rows: Sequence[Row], names: Sequence[str], label: str) -> Figure | None:
    if not rows:
        return None
    made, (axes,) = figure(1.1 + 0.55 * len(rows))
    for place, row in enumerate(rows[::-1]):
        _gains(axes, [place], [row], row["variant"])
    _about_zero(axes, names[::-1], label)
    return made


@themed
def ambiguity_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """SumR of rows 3 and 5 with real and with neutral brand names, a panel a budget."""
    rows = results(connection, dataset, "ablation_ambiguity")
    if not rows:
        return None
    budgets = sorted({row["budget"] for row in rows})
    made, panels = figure(0.7 + 1.8 * len(budgets), len(budgets), sharex=True)
    for axes, budget in zip(panels, budgets, strict=True):
        found = where(rows, budget=budget)
        wanted = [one(found, variant=name, value=value) for name in (OURS, AS_TEXT) for value in ("neutral", "real")]
        drawn = [row for row in wanted if row is not None]
        for place, row in enumerate(drawn):
            axes.forest([place], [row], SUM, _colour(row["variant"]), marker=MARKS[row["variant"]], numbers=shown,
                   hollow=lambda row: row["value"] == "neutral")  # fmt: skip
        axes.named_rows([f"row {row['row']}, {row['value']} names" for row in drawn])
        epochs, steps = (max(row[name] for row in found) for name in ("epochs", "steps"))
        axes.set_title(f"{epochs:,} epochs ({steps:,} steps)")
        floor = _chance(axes, connection, dataset, upright=True)
    panels[-1].margins(x=0.1)
    panels[-1].set_xlabel(f"SumR ({floor})" if floor else "SumR")
    return made


@themed
def seed_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
    """SumR of each row and training seed, and the mean of each row; a line joins what one seed gave."""
    rows = results(connection, dataset, "seed_study")
    if not rows:
        return None
    variants = [name for name in VARIANTS if where(rows, variant=name)]
    seeds = sorted({row["seed"] for row in rows})
    made, (axes,) = figure(3.4)
    for x, name in enumerate(variants):
        mean = float(np.mean([row["sum_r"] for row in where(rows, variant=name)]))
        axes.plot([x - 0.25, x + 0.25], [mean, mean], color=TEXT, linewidth=1.6)
        axes.annotate(f"{mean:.1f}", (x + 0.29, mean), va="center")
    for place, seed in enumerate(seeds):
        aside = 0.16 * (place - (len(seeds) - 1) / 2)
        points = [(variants.index(row["variant"]) + aside, row["sum_r"], _colour(row["variant"]))
                  for row in sorted(where(rows, seed=seed), key=lambda row: variants.index(row["variant"]))]  # fmt: skip
        axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=GRID, linewidth=1, zorder=0)
        for x, y, colour in points:
            axes.plot([x], [y], "os^vDP"[place % 6], color=colour, markersize=7, markeredgecolor="none", zorder=3)
    axes.set_xticks(range(len(variants)), [SHORT[name].replace(" ", "\n") for name in variants])
    axes.set_xlim(-0.5, len(variants) - 0.3)
    told = ["— mean", _chance(axes, connection, dataset)]
    axes.set_title(f"SumR by training seed ({'; '.join(filter(None, told))})")
    axes.grid(axis="y")
    return made


PLOTS: dict[str, Callable[..., Figure | None]] = {
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
