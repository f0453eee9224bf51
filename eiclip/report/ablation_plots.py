"""Plots of the ablations: each takes the catalogue and a dataset and gives a figure, or None where it was not run.

Lines and bands are 95 % intervals over products; gains are of SumR, paired by product.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from eiclip.model.variants import VARIANTS
from eiclip.report.ablation_verdicts import learned, results
from eiclip.report.numbers import number as shown
from eiclip.report.numbers import short, signed
from eiclip.report.queries import Row, where
from eiclip.report.standing import chance
from eiclip.report.theme import GRID, ROWS, TEXT, Panel, Plot, figure, legend, plot, some
from eiclip.studies.trials import AS_TEXT, EQUAL, OURS, PLUS

MARKS = {"clip_description": "^", AS_TEXT: "s", EQUAL: "D", OURS: "o", PLUS: "P"}
LINES = {AS_TEXT: (0, (5, 1.5)), EQUAL: (0, (1, 1)), OURS: "-"}
"""Rows are told apart without colour too."""
SHORT = {"clip_description": "2 description", AS_TEXT: "3 as text", EQUAL: "4 equal gates", OURS: "5 EI-CLIP",
    PLUS: "6 EI-CLIP+"}  # fmt: skip
SUM, GAIN = ("sum_r", "sum_r_low", "sum_r_high"), ("sum_r_gain", "gain_low", "gain_high")


def _gained(connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str) -> list[Row]:
    """Results with a gain, of trainings that have learned."""
    rows = learned(connection, dataset, results(connection, dataset, ablation))
    return [row for row in rows if row["sum_r_gain"] is not None]


def _colour(variant: str) -> str:
    return ROWS[VARIANTS[variant].row - 1]


def _changes(rows: Sequence[Row], names: Sequence[str], label: str) -> Figure:
    """Gains one below the other, as the rows come."""
    made, (axes,) = figure(1.1 + 0.55 * len(some(rows)))
    for place, row in enumerate(rows[::-1]):
        axes.forest([place], [row], GAIN, _colour(row["variant"]), marker=MARKS[row["variant"]], numbers=signed)
    axes.zero_line()
    axes.named_rows(names[::-1], xlabel=label, xmargin=0.08)
    return made


@plot
def entities_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """What each group adds to the description alone, as text and as an entity of its own."""
    rows = some(_gained(connection, dataset, "ablation_entities"))
    values = list(dict.fromkeys(row["value"] for row in rows))[::-1]
    made, (axes,) = figure(1.4 + 0.62 * len(values))
    for shift, variant, label in ((0.17, AS_TEXT, "as text (row 3)"), (-0.17, OURS, "as an entity (row 5)")):
        found = where(rows, variant=variant)
        places = [values.index(row["value"]) + shift for row in found]
        axes.forest(places, found, GAIN, _colour(variant), marker=MARKS[variant], numbers=signed, label=label)
    axes.zero_line()
    label = "change of SumR from the description alone"
    axes.named_rows([short(value) for value in values], xlabel=label, xmargin=0.08)
    return legend(made)


@plot
def losses_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """What row 5's SumR changes by without each of the loss's terms."""
    rows = _gained(connection, dataset, "ablation_losses")
    names = [f"without the\n{row['value'].removeprefix('without ')} term" for row in rows]
    return _changes(rows, names, "change of row 5’s SumR from all three terms")


@plot
def prior_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """What row 5's SumR changes by without the mixture: over all products, and those with an entity it is made for."""
    rows = _gained(connection, dataset, "ablation_prior")
    names = [f"{row['subset']}\n({row['products']:,} products)" for row in rows]
    return _changes(rows, names, "change of row 5’s SumR without the mixture")


@plot
def group_batches_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """What batches of one entity group change for rows 3, 4 and 5."""
    rows = _gained(connection, dataset, "ablation_group_batches")
    return _changes(rows, [SHORT[row["variant"]] for row in rows], "change of SumR from mixed batches")


@plot
def plus_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """Row 6 with noise and with group batches, rows 5 and 3, and row 3 with image levels, against row 6."""
    rows = _gained(connection, dataset, "ablation_plus")
    names = [row["value"] if row["variant"] == PLUS else f"row {row['row']}, {row['value']}" for row in rows]
    return _changes(rows, names, "change of SumR from row 6’s")


@plot
def batch_size_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """SumR of rows 3 and 5 against the batch size, and row 5's lead."""
    label = "batch size (a small batch takes more steps)"
    return _curves(connection, dataset, "ablation_batch_size", (AS_TEXT, OURS), label)


@plot
def budget_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """SumR of rows 3, 4 and 5 against the training's steps, and the leads of rows 4 and 5 over row 3."""
    return _curves(connection, dataset, "ablation_budget", (AS_TEXT, EQUAL, OURS), "training steps")


def _curves(
    connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str, variants: Sequence[str], label: str
) -> Figure:
    """Above: SumR of rows against x, logarithmic. Below: leads over the first, of rows that have learned."""
    rows, compared = some(results(connection, dataset, ablation)), _gained(connection, dataset, ablation)
    ticks = sorted({row["x"] for row in rows})
    made, (sums, leads) = figure(5.0, 2, sharex=True)
    for axes, found, columns in ((sums, rows, SUM), (leads, compared, GAIN)):
        for variant in variants[axes is leads :]:
            points = sorted(where(found, variant=variant), key=lambda row: float(row["x"]))
            x, value, low, high = ([row[column] for row in points] for column in ("x", *columns))
            axes.fill_between(x, low, high, color=_colour(variant), alpha=0.16, linewidth=0)
            axes.plot(x, value, label=SHORT[variant], color=_colour(variant), linestyle=LINES[variant],
                      marker=MARKS[variant], markersize=5)  # fmt: skip
        axes.set(xscale="log", xticks=ticks, xticklabels=[f"{tick:,.0f}" for tick in ticks], xmargin=0.09, ymargin=0.14)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid()
    for lead in where(compared, variant=OURS):
        leads.number(signed(lead["sum_r_gain"]), (lead["x"], lead["sum_r_gain"]))
    _chance(sums, connection, dataset)
    leads.zero_line(upright=False)
    sums.set_title("SumR")
    leads.set(title="SumR above row 3’s", xlabel=label)
    return legend(made)


def _chance(axes: Panel, connection: duckdb.DuckDBPyConnection, dataset: str, *, upright: bool = False) -> bool:
    """A line at the SumR of chance, if it is known."""
    floor = chance(connection, dataset)
    if floor is not None:
        axes.chance_line(floor["sum_r"], floor["sum_r"], upright=upright)
    return floor is not None


@plot
def ambiguity_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """SumR of rows 3 and 5 with real and with neutral brand names, a panel a budget."""
    rows = some(results(connection, dataset, "ablation_ambiguity"))
    budgets = sorted({row["budget"] for row in rows})
    made, panels = figure(0.7 + 1.8 * len(budgets), len(budgets), sharex=True)
    for axes, budget in zip(panels, budgets, strict=True):
        found = where(rows, budget=budget)
        drawn = [row for variant in (OURS, AS_TEXT) for value in ("neutral", "real")
                 for row in where(found, variant=variant, value=value)]  # fmt: skip
        for place, row in enumerate(drawn):
            axes.forest([place], [row], SUM, _colour(row["variant"]), marker=MARKS[row["variant"]], numbers=shown,
                        hollow=lambda row: row["value"] == "neutral")  # fmt: skip
        epochs, steps = (max(row[name] for row in found) for name in ("epochs", "steps"))
        names = [f"row {row['row']}, {row['value']} names" for row in drawn]
        axes.named_rows(names, title=f"{epochs:,} epochs ({steps:,} steps)", xmargin=0.1)
        dashed = _chance(axes, connection, dataset, upright=True)
    panels[-1].set_xlabel("SumR (dashed: chance)" if dashed else "SumR")
    return made


@plot
def seed_plot(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure:
    """SumR of each row and training seed, and the mean of each row; a line joins what one seed gave."""
    rows = some(results(connection, dataset, "seed_study"))
    variants = [name for name in VARIANTS if where(rows, variant=name)]
    seeds = sorted({row["seed"] for row in rows})
    made, (axes,) = figure(3.4)
    for x, name in enumerate(variants):
        mean = float(np.mean([row["sum_r"] for row in where(rows, variant=name)]))
        axes.plot([x - 0.25, x + 0.25], [mean, mean], color=TEXT, linewidth=1.6)
        axes.annotate(f"{mean:.1f}", (x + 0.29, mean), va="center")
    for place, seed in enumerate(seeds):
        aside = 0.16 * (place - (len(seeds) - 1) / 2)
        points = [(x + aside, row["sum_r"], _colour(name)) for x, name in enumerate(variants)
                  for row in where(rows, seed=seed, variant=name)]  # fmt: skip
        axes.plot([at for at, *_ in points], [y for _, y, _ in points], color=GRID, linewidth=1, zorder=0)
        for at, y, colour in points:
            axes.plot([at], [y], "os^vDP"[place % 6], color=colour, markersize=7, markeredgecolor="none", zorder=3)
    axes.set_xticks(range(len(variants)), [SHORT[name].replace(" ", "\n") for name in variants])
    axes.set_xlim(-0.5, len(variants) - 0.3)
    dashed = _chance(axes, connection, dataset)
    axes.set_title(f"SumR by training seed (— mean{'; dashed: chance' if dashed else ''})")
    axes.grid(axis="y")
    return made


PLOTS: dict[str, Plot] = {
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
