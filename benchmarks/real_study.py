"""The study on real products: `make real_study`. Every row with three seeds, ablations, judged queries, and the tables.

    python -m benchmarks.real_study                                  # the packs below ../shared, where they are
    python -m benchmarks.real_study --fashiongen DIR --amazon DIR    # raw files in the published layouts

Each catalogue has a home of its own below `EICLIP_HOME/real`, so that each is trained from `starter` towers with no hub
and no GPU. It can be stopped at any point: started again, it reuses what is made. A job that fails is named at the end,
and the others go on. Then the tables of the README, docs/results.md and docs/real.md that the homes can fill are
written anew.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import tables
from eiclip.errors import EiclipError
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import load_settings
from eiclip.storage.catalogue import connect
from eiclip.storage.files import write_text
from eiclip.storage.sql import read_sql

SHARED = Path("../shared")
QUERIES = 1_000
"""Products held out as queries by their names; at most a fifth of them all."""
JOBS: Mapping[str, tuple[str, ...]] = {
    "myntra": ("full_eval", "ablations"),
    "tops": ("full_eval", "seed_study", "ablation_plus"),
    "names": ("full_eval",),
    "myntra_text": ("full_eval",),
}
"""What is run for each catalogue. All first jobs come first, then all second ones, ..."""


@dataclass(frozen=True)
class Catalogue:
    """One catalogue of the study: its home, and the settings file that names its raw files."""

    name: str
    home: Path
    settings: Path
    failed: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path, name: str, entry: str) -> Self:
        """A catalogue in a home below `root`, its entry of the settings written there."""
        settings = root / name / "eiclip.toml"
        write_text(settings, f"[datasets.{name}]\n{entry}")
        return cls(name, root / name, settings)

    def run(self, job: str) -> bool:
        """Run a job; returns whether it succeeded, and prints how long it took or where its log lies."""
        storage, log = self.home / "dagster", self.home / f"{job}.log"
        storage.mkdir(parents=True, exist_ok=True)
        known = {name: value for name, value in os.environ.items() if not name.startswith("EICLIP_")}
        own = {"EICLIP_HOME": str(self.home), "EICLIP_DAGSTER_STORAGE": str(storage), "EICLIP_PRETRAINED": "starter"}
        own["EICLIP_SETTINGS"] = str(self.settings.absolute())
        command = [str(Path(sys.executable).parent / "dagster"), "job", "execute", "-m", "pipelines.definitions"]
        started = time.perf_counter()
        with log.open("w") as out:
            done = subprocess.run([*command, "-j", job], env=known | own, stdout=out, stderr=out)
        seconds = time.perf_counter() - started
        if done.returncode:
            self.failed.append(job)
            print(f"{self.name}: {job} left out, it failed after {seconds:.0f} s ({log}): {_reason(log)}", flush=True)
        else:
            print(f"{self.name}: {job}: {seconds:.0f} s", flush=True)
        return not done.returncode

    def left_out(self) -> list[str]:
        """A line on each entity group that tells products apart in no training; EiclipError without a catalogue."""
        with connect(self.home) as connection:
            found = connection.sql(read_sql("docs/groups_of_one")).fetchall()
        counts = {0: "no entity", 1: "one entity"}
        return [
            f"{self.name}: training knows {counts[entities]} of {group!r}: what this group is worth is not measured"
            for _, group, entities in found
        ]


def _reason(log: Path) -> str:
    """The last line of a log that names an error of this project."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    named = [line for line in lines if line.startswith("eiclip.errors.")]
    return named[-1] if named else (lines or ["no log"])[-1]


def catalogues(root: Path, fashiongen: Path | None, amazon: Path | None, names: Path | None) -> Iterator[Catalogue]:
    """The catalogues there are raw files for, each with its home below `root`."""
    if fashiongen is not None:
        place = f'kind = "fashiongen"\nfolder = "{_path(fashiongen)}"\nentity_groups = {GROUPS}\n'
        yield Catalogue.of(root, "myntra", place)
        yield Catalogue.of(root, "myntra_text", place + '\n[datasets.myntra_text.training]\ntext_tower = "last:2"\n')
    if amazon is not None:
        metadata = next(iter(sorted(amazon.glob("meta_*"))), amazon / "meta_*.json.gz")
        place = f'kind = "amazon"\nmetadata = "{_path(metadata)}"\nimages = "{_path(amazon / "images")}"\n'
        yield Catalogue.of(root, "tops", place)
    if names is not None:
        table = held_out(names, root / "names" / "names.parquet")
        yield Catalogue.of(
            root, "names", f'kind = "table"\nfiles = "{_path(table)}"\nentity_groups = {GROUPS}\n{NAMES}'
        )


def _path(place: Path) -> str:
    return place.absolute().as_posix()


GROUPS = '["brand", "subcategory", "season", "composition"]'
NAMES = """
[datasets.names.columns]
product_id = "product_id"
title = "name"
description = ["description"]
photo = "image"
split = "split"
category = "category"
subcategory = "subcategory"
department = "department"
gender = "gender"
entities = { brand = "brand", subcategory = "subcategory", season = "season", composition = "composition" }
"""


def held_out(pack: Path, place: Path) -> Path:
    """Write a pack once more with a column `split`: the QUERIES products of the smallest digests are test."""
    if not place.is_file():
        table = pq.read_table(pack)
        ids = [str(value) for value in table["product_id"].to_pylist()]
        drawn = set(sorted(ids, key=_digest)[: min(QUERIES, len(ids) // 5)])
        split = pa.array(["test" if value in drawn else "train" for value in ids])
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_suffix(".part")
        pq.write_table(table.set_column(0, "product_id", pa.array(ids)).append_column("split", split), part)
        part.replace(place)
    return place


def _digest(product: str) -> bytes:
    return hashlib.sha256(f"names/{product}".encode()).digest()


def raw(shared: Path, kind: str, place: Path) -> Path | None:
    """Raw files of a pack of `shared`, written by its own tool once; None where there is no pack."""
    tool, pack = shared / "tools" / "raw_from_pack.py", {"fashiongen": "myntra", "amazon": "amazon_tops"}[kind]
    if not tool.is_file() or not (shared / "data" / f"{pack}.parquet").is_file():
        print(f"{kind}: no {pack} below {shared}, left out; name raw files of your own with --{kind}", flush=True)
        return None
    done = place / "whole"
    if not done.is_file():
        place.mkdir(parents=True, exist_ok=True)
        if subprocess.run([sys.executable, str(tool), kind, str(place)]).returncode:
            print(f"{kind}: {tool} cannot read {pack}.parquet of {shared} (the lines above), left out", flush=True)
            return None
        done.touch()
    return place


def judge(one: Catalogue) -> list[str]:
    """Write the table of judged queries: the names of held out products, read by each row; a line on it."""
    from eiclip.search import judged, queries
    from eiclip.storage.home import Paths

    lines = []
    for variant in VARIANTS:
        if not (one.home / "models" / one.name / variant).is_dir():
            continue
        engine = judged.SearchEngine.open(one.home, one.name, variant)
        asked = judged.Asked.of(queries.name_queries(Paths(one.home).lake, one.name, "test"), engine.index)
        found = {row["reading"]: row for row in judged.figures(judged.judged(engine, asked)).to_pylist()}
        lines += [_judged_line(f"{VARIANTS[variant].row} `{variant}`", found[reading]) for reading in
                  (judged.PLAIN, judged.LINKED)]  # fmt: skip
    if lines:
        named = [_judged_line("", found[reading]) for reading in (judged.CHANCE, judged.BEST)]
        head = ["| row | read as | queries | R@1 | R@10 | MRR@10 |", "| --- | --- | --: | --: | --: | --: |"]
        tables.fill("docs/real.md", tables.JUDGED, f"{tables.REAL} (names)", "\n".join([*head, *named, *lines]) + "\n")
    return [f"docs/real.md: judged: {len(lines)} rows"]


def _judged_line(row: str, figures: Mapping[str, Any]) -> str:
    cells = []
    for name in ("r1", "r10", "mrr10"):
        value, low, high = (figures[name + end] for end in ("", "_low", "_high"))
        cells.append(f"{value:.1f}" if low is None else f"{value:.1f} [{low:.1f}, {high:.1f}]")
    return f"| {row} | {figures['reading']} | {figures['queries']:,} | {' | '.join(cells)} |"


def main() -> None:
    """Run what is not made yet, write the tables, and end with 1 where a job failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of packs (../shared)")
    parser.add_argument("--fashiongen", type=Path, help="folder of the two .h5 files, instead of the pack")
    parser.add_argument("--amazon", type=Path, help="folder of meta_*.json.gz and images/, instead of the pack")
    parser.add_argument("--only", nargs="*", choices=JOBS, default=list(JOBS), help="catalogues (all)")
    parser.add_argument("--jobs", nargs="*", help="jobs (all)")
    given = parser.parse_args()
    root = load_settings().home / "real"
    own = given.fashiongen is not None or given.amazon is not None
    fashiongen = given.fashiongen or (None if own else raw(given.shared, "fashiongen", root / "raw" / "myntra"))
    amazon = given.amazon or (None if own else raw(given.shared, "amazon", root / "raw" / "tops"))
    pack = given.shared / "data" / "myntra.parquet"
    names = None if own or not pack.is_file() else pack
    found = [one for one in catalogues(root, fashiongen, amazon, names) if one.name in given.only]
    for turn in range(max(map(len, JOBS.values()))):
        for one in found:
            for job in JOBS[one.name][turn : turn + 1]:
                if given.jobs is None or job in given.jobs:
                    one.run(job)
    for one in found:
        try:
            said = [*one.left_out(), *tables.write(one.home, f"{tables.REAL} ({one.name})")]
            print("\n".join(said + (judge(one) if one.name == "names" else [])), flush=True)
        except EiclipError as error:
            print(f"{one.name}: no tables, {error}", flush=True)
    failed = [f"{one.name}: {job}" for one in found for job in one.failed]
    if failed:
        sys.exit(f"left out: {', '.join(failed)}; see the lines above, then run it again: what is made is reused")


if __name__ == "__main__":
    main()
