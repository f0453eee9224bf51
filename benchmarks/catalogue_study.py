"""The whole evaluation over several catalogues: mean, spread and the goals it must reach.

Each seed has a home of its own, the settings' seed the home itself: what `make full_eval` made is not made again.

    python -m benchmarks.catalogue_study                 # three seeds, below EICLIP_HOME/seeds
    python -m benchmarks.catalogue_study --seeds 0 1 2

On the synthetic catalogue each seed draws a new catalogue, pretrains anew and trains anew (`make seed_study` trains
anew on the same one); on real data the products and their split stay, and the seed is that of the training. A seed
that was already run is reused, not run again.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb

from eiclip.settings.load import load_settings
from eiclip.storage.catalogue import connect

MEASURES = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "sum_r")


def run_seed(home: Path, seed: int) -> float:
    """Run `full_eval` for one seed in its own home; returns wall seconds."""
    (home / "dagster").mkdir(parents=True, exist_ok=True)
    changed = {"EICLIP_HOME": str(home), "EICLIP_SEED": str(seed), "EICLIP_DAGSTER_STORAGE": str(home / "dagster")}
    command = [str(Path(sys.executable).parent / "dagster"), "job", "execute", "-m", "pipelines.definitions"]
    started = time.perf_counter()
    with (home / "run.log").open("w") as log:
        subprocess.run([*command, "-j", "full_eval"], env=os.environ | changed, check=True, stdout=log, stderr=log)
    return time.perf_counter() - started


def merged(homes: dict[int, Path]) -> duckdb.DuckDBPyConnection:
    """The result tables of all homes in one connection, each with a `seed` column."""
    together = duckdb.connect()
    for table in ("leaderboard", "gate_weights", "entity_shuffles", "retrieval_metrics"):
        for place, (seed, home) in enumerate(homes.items()):
            with connect(home) as one:
                rows = one.sql(f"SELECT {seed} AS seed, * FROM {table}").to_arrow_table()
            together.register("rows_of_one", rows)
            verb = f"CREATE TABLE {table} AS" if place == 0 else f"INSERT INTO {table} BY NAME"
            together.execute(f"{verb} SELECT * FROM rows_of_one")
            together.unregister("rows_of_one")
    return together


def print_leaderboards(together: duckdb.DuckDBPyConnection) -> None:
    """Mean +- standard deviation over the seeds, as Markdown."""
    columns = ", ".join(f"avg({m}) AS {m}, coalesce(stddev_samp({m}), 0) AS {m}_spread" for m in MEASURES)
    query = f"SELECT dataset, protocol, paper_row, variant, count(*) AS seeds, {columns} FROM leaderboard GROUP BY ALL"
    rows = together.execute(f"{query} ORDER BY dataset, protocol, paper_row").fetchall()
    title = ""
    for dataset, protocol, row, variant, seeds, *values in rows:
        if title != f"{dataset}, {protocol}":
            title = f"{dataset}, {protocol}"
            print(f"\n### {title} ({seeds} seeds, mean +- standard deviation)\n")
            print("| row | variant | " + " | ".join(MEASURES) + " |")
            print("|---|---|" + "---|" * len(MEASURES))
        cells = [f"{mean:.1f} +- {spread:.1f}" for mean, spread in zip(values[::2], values[1::2], strict=True)]
        print(f"| {row} | {variant} | " + " | ".join(cells) + " |")


def print_groups(together: duckdb.DuckDBPyConnection) -> None:
    """Mean gate and recall lost by shuffling, per group and seed, as Markdown."""
    query = """
        SELECT dataset, entity_group, seed, gate, i2t, t2i
        FROM (SELECT dataset, seed, entity_group, avg(weight) AS gate FROM gate_weights
              WHERE variant = 'eiclip' GROUP BY ALL)
        JOIN (SELECT dataset, seed, entity_group, max(r1_lost) FILTER (WHERE direction = 'i2t') AS i2t,
                  max(r1_lost) FILTER (WHERE direction = 't2i') AS t2i
              FROM entity_shuffles WHERE variant = 'eiclip' GROUP BY ALL) USING (dataset, seed, entity_group)
        ORDER BY ALL"""
    print("\n### Entity groups of row 5\n")
    print("| dataset | group | seed | mean gate | I2T R@1 lost when shuffled | T2I R@1 lost when shuffled |")
    print("|---|---|---|---|---|---|")
    for dataset, group, seed, gate, i2t, t2i in together.execute(query).fetchall():
        print(f"| {dataset} | {group} | {seed} | {gate:.3f} | {i2t:.1f} | {t2i:.1f} |")


def goals(together: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    """Each goal as a line: name, ours, peer, ratio, goal, met (over the seeds' means)."""
    found: list[dict[str, object]] = []
    datasets = [row[0] for row in together.execute("SELECT DISTINCT dataset FROM leaderboard ORDER BY 1").fetchall()]
    for dataset in datasets:
        board = {
            row[0]: dict(zip(MEASURES, row[1:], strict=True))
            for row in together.execute(
                f"SELECT variant, {', '.join(f'avg({m})' for m in MEASURES)} FROM leaderboard "
                "WHERE dataset = $dataset AND protocol = 'full' GROUP BY variant",
                {"dataset": dataset},
            ).fetchall()
        }
        for measure in ("i2t_r1", "t2i_r1", "sum_r"):
            name = f"{dataset} {measure}"
            found.append(_goal(f"{name}, row 5 / row 3", board["eiclip"], board["clip_entities_text"], measure, 1.10))
            found.append(
                _goal(f"{name}, row 2 / row 1", board["clip_description"], board["clip_pretrained"], measure, 1)
            )
    return found + _group_goals(together)


def _goal(name: str, ours: dict[str, float], peer: dict[str, float], measure: str, goal: float) -> dict[str, object]:
    return _line(name, ours[measure], peer[measure], goal)


def _line(name: str, ours: float, peer: float, goal: float, *, at_most: bool = False) -> dict[str, object]:
    ratio = ours / peer if peer else float("inf")
    met = ratio <= goal if at_most else ratio >= goal
    numbers = {"ours": round(ours, 3), "peer": round(peer, 3), "ratio": round(ratio, 3), "goal": goal}
    return {"name": name, **numbers, "met": met}


def _group_goals(together: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    gates = dict(
        together.execute(
            "SELECT entity_group, avg(weight) FROM gate_weights WHERE variant = 'eiclip' AND dataset = 'fashiongen' "
            "GROUP BY ALL"
        ).fetchall()
    )
    lost = dict(
        together.execute(
            "SELECT entity_group, avg(r1_lost) FROM entity_shuffles WHERE variant = 'eiclip' "
            "AND dataset = 'fashiongen' GROUP BY ALL"
        ).fetchall()
    )
    if "season" not in gates:
        return []
    others = min(weight for group, weight in gates.items() if group != "season")
    return [
        _line("gate of season / gate of brand", gates["season"], gates["brand"], 0.5, at_most=True),
        _line("gate of season / smallest other gate", gates["season"], others, 1.0, at_most=True),
        _line("R@1 lost by shuffling: season / brand", max(lost["season"], 0), lost["brand"], 0.2, at_most=True),
    ]


def main() -> None:
    """Run what is missing, then print tables and goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    settings = load_settings()
    homes = {seed: settings.home / "seeds" / str(seed) for seed in arguments.seeds}
    homes |= {settings.seed: settings.home} if settings.seed in homes else {}
    for seed, home in homes.items():
        print(f"seed {seed}: {run_seed(home, seed):.0f} s", flush=True)
    with merged(homes) as together:
        print_leaderboards(together)
        print_groups(together)
        print()
        for goal in goals(together):
            print(json.dumps(goal))


if __name__ == "__main__":
    main()
