"""Mining pairs from a raw log of ten million clicks: time beside polars with the same steps, and memory.

Each side reads the raw log and writes its five tables, in a process of its own with the same cores; what they wrote is
then compared row by row.
"""

import datetime
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measure import GIB, Prepare, Run, Work, interleaved, line, median, say
from benchmarks.same_style.mining_data import Drawn, draw
from eiclip.settings.same_style import LogColumns, MiningSettings

ROWS, ITEMS = 10_000_000, 200_000
MEMORY_GOAL = 4.0
SETTINGS = MiningSettings(
    clicked_support=2,
    minimum_support=2,
    minimum_lift=1,
    minimum_text_similarity=0.3,
    minimum_image_similarity=0.5,
    most_positives=2,
)
"""Such that every constraint loses pairs."""
LATEST = "2025-01-01T00:00:00"
_PAIR = "trigger_id, positive_id, support, sessions, lift, weight"
COMPARED = {
    "click_log": 'row, session, "time", item',
    "click_rejections": "row, reason",
    "click_pairs": f"{_PAIR}, trigger_support, positive_support, same_category",
    "positive_pairs": f"{_PAIR}, source, text_similarity, image_similarity",
    "pair_funnel": "name, lost",
}
"""Columns that both sides write; polars' funnel holds the steps after the log alone."""


def measure(*, quick: bool, rounds: int | None, threads: int) -> None:
    """Print the figures of time and memory."""
    rows, items = (50_000, 4_000) if quick else (ROWS, ITEMS)
    with tempfile.TemporaryDirectory(prefix="mining-") as scratch:
        folder = Path(scratch)
        draw(folder, rows, items)
        works: dict[str, tuple[Prepare, Sequence[tuple[Any, ...]]]] = {
            name: (prepare, [(scratch, threads)]) for name, prepare in SIDES.items()
        }
        runs = interleaved(works, rounds or (1 if quick else 3))
        note = f"{rows:,} clicks on {items:,} products, {threads} threads; {_compared(folder)}"
        _say(runs["ours"], runs["polars"], note)


def _say(ours: list[Run], peer: list[Run], note: str) -> None:
    walls, cpus, peaks = (
        [median([getattr(run, name) for run in runs]) for runs in (ours, peer)] for name in ("wall", "cpu", "peak")
    )
    memory = f"peak memory {peaks[0] / GIB:.2f} and {peaks[1] / GIB:.2f} GiB"
    times = f"{note}; CPU seconds {cpus[0]} and {cpus[1]}; {memory}"
    say(line("mining pairs, times polars (s)", walls[0], walls[1], 1.0, at_most=False, speed=True, note=times))
    largest = max(run.peak for run in ours) / GIB
    say(line("peak memory of mining pairs (GiB)", largest, MEMORY_GOAL, 1.0, at_most=True, note=note))


def prepare_ours(scratch: str, threads: int) -> Work:
    """As the assets do: the log's tables, then the pairs'."""
    _use_cores(threads)
    from eiclip.same_style.log import write_log
    from eiclip.same_style.mining import TABLES, mine_pairs

    folder, files = _places(scratch, "ours")

    def work() -> None:
        log, rejections = folder / "click_log.parquet", folder / "click_rejections.parquet"
        write_log(str(files.log), LogColumns(), "bench", log, rejections, cache=folder, latest=LATEST)
        sources = {"click_log": [log], "click_rejections": [rejections], "products": [files.products]}
        sources |= {"images": [files.images], "product_views": [files.views]}
        mine_pairs(sources, "bench", SETTINGS, {table: folder / f"{table}.parquet" for table in TABLES})

    return work


def prepare_polars(scratch: str, threads: int) -> Work:
    """The same with polars."""
    _use_cores(threads)
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    from benchmarks.same_style.mining_polars import mine

    folder, files = _places(scratch, "polars")
    latest = datetime.datetime.fromisoformat(LATEST)
    return lambda: mine(files, SETTINGS, latest, folder)


def _use_cores(count: int) -> None:
    """Every library takes as many threads as the process has cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _places(scratch: str, side: str) -> tuple[Path, Drawn]:
    folder = Path(scratch) / side
    folder.mkdir(exist_ok=True)
    return folder, Drawn(*(Path(scratch) / f"{name}.parquet" for name in Drawn._fields))


def _compared(folder: Path) -> str:
    """What both sides wrote. Raises RuntimeError: a table differs."""
    counts = {}
    with duckdb.connect() as connection:
        for table, columns in COMPARED.items():
            sides = [f"SELECT {columns} FROM '{folder}/{side}/{table}.parquet'" for side in SIDES]
            if table == "pair_funnel":
                sides[0] += f" WHERE name IN (SELECT name FROM '{folder}/polars/{table}.parquet')"
            # In whatever order the rows are.
            digest = "SELECT count(*), sum(hash(one)) FROM ({side}) AS one"
            found = [connection.execute(digest.format(side=side)).fetchall()[0] for side in sides]
            if found[0] != found[1]:
                raise RuntimeError(f"{table}: the rows of one side are not the other's: {found}")
            counts[table] = found[0][0]
    return f"{counts['click_pairs']:,} click pairs and {counts['positive_pairs']:,} positive pairs, equal on both sides"


SIDES = {"ours": prepare_ours, "polars": prepare_polars}
