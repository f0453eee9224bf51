"""The ablations' tables."""

import duckdb

from eiclip.report.ablation_verdicts import learned, results
from eiclip.report.numbers import signed
from eiclip.report.queries import select
from eiclip.report.standing import TITLE, chance
from eiclip.report.tables import HEADINGS, MEASURES, Table
from eiclip.report.numbers import interval, number, variant_title

CAPTIONS = {
    "ablation_entities": ("Entities", "gain: over the description alone"),
    "ablation_batch_size": ("Batch size", "gain: over row 3 at the same batch size"),
    "ablation_losses": ("Loss", "gain: over the loss with all three terms"),
    "ablation_prior": ("Entities of several groups", "gain: over the prior-weighted mixture"),
    "ablation_budget": ("Epochs", "gain: over row 3 after as many steps"),
    "ablation_ambiguity": ("Brand names", "gain: of row 5 over row 3, and of neutral names over real ones"),
    "ablation_group_batches": ("Batches", "gain: over the same row in mixed batches"),
    "ablation_plus": ("Parts", "gain: over row 6"),
    "seed_study": ("Seed", "gain: over row 3 of the same seed"),
}
"""What varies, and what the gain is measured against."""


def ablation_table(connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str) -> Table | None:
    """Every trial of an ablation with its recalls, SumR and gain; None where it has not been run."""
    rows = results(connection, dataset, ablation)
    if not rows:
        return None
    varied, against = CAPTIONS[ablation]
    varied = "Budget" if rows[0]["setting"] == "budget" else varied
    compared, floor = learned(connection, dataset, rows), chance(connection, dataset)
    several = len({row["subset"] for row in rows}) > 1
    lines = [
        (
            str(row["row"]),
            row["value"] + (f" ({row['subset']}, {row['products']:,} products)" if several else ""),
            f"{row['steps']:,}",
            *(number(row[name]) for name in ("i2t_r1", "t2i_r1", "i2t_mrr", "t2i_mrr")),
            f"{number(row['sum_r'])}\n{interval(row['sum_r_low'], row['sum_r_high'])}",
            f"{signed(row['sum_r_gain'])}\n{interval(row['gain_low'], row['gain_high'])}".strip()
            if row in compared
            else "not learned",
        )
        for row in rows
    ]
    if floor is not None:
        names = ("i2t_r1", "t2i_r1", "i2t_mrr", "t2i_mrr", "sum_r")
        lines.insert(0, ("", TITLE, "–", *(number(floor[name]) for name in names), "–"))
    header = ("Row", varied, "Steps", "I2T R@1", "T2I R@1", "I2T MRR", "T2I MRR", "SumR", "Gain")
    caption = f"Test split, all candidates, percent, with 95 % intervals over products; {against}"
    return Table(caption, header, (True, False) + (True,) * 7, lines)


def seed_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Mean and standard deviation over the training seeds; None where the seed study has not been run."""
    rows = select(connection, "seed_study", dataset=dataset)
    lines = [
        (
            str(row["row"]),
            variant_title(row["variant"]),
            str(row["seeds"]),
            *(f"{number(row[name])} ± {number(row[f'{name}_spread'])}" for name in MEASURES),
        )
        for row in rows
    ]
    if lines and (floor := chance(connection, dataset)) is not None:
        lines.insert(0, ("", TITLE, "–", *(number(floor[name]) for name in MEASURES)))
    header = ("Row", "Model", "Seeds", *HEADINGS)
    caption = "Mean ± standard deviation over training seeds, on the same products"
    return Table(caption, header, (True, False) + (True,) * 8, lines) if lines else None
