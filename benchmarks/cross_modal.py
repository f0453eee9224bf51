"""Cross-encoders on real products: rows 2, 3, 5, 6 and 10 to 14 with several seeds, asked the same queries.

    EICLIP_HOME=... EICLIP_SETTINGS=... EICLIP_PRETRAINED=starter python -m benchmarks.cross_modal myntra --seeds 3

The home must hold the dataset's shards, vocabulary and candidate lists (`make full_eval`). Trainings lie below
`<home>/cross_modal_study`; stopped and started again, it reuses what is whole. Row 14 of a seed orders the first
answers of row 5 of that seed. `--queries` limits the test products that are asked about, for time.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.common import Project
from assets.cross_modal import PAIRS
from assets.training import recipe_of, variant_job
from eiclip.evaluation.cross_ranks import FULL, LISTED, cross_evaluation
from eiclip.evaluation.embedding_tables import embeddings_table
from eiclip.evaluation.protocols import ranks_table
from eiclip.features.reader import feature_store
from eiclip.model.entity_clip import load_checkpoint
from eiclip.model.variants import CROSS_VARIANTS, VARIANTS, get_variant
from eiclip.settings.load import load_settings
from eiclip.settings.training import TrainingSettings, layered
from eiclip.shards import shard_paths
from eiclip.storage.cache import content_digest
from eiclip.storage.files import digest, write_json, write_text
from eiclip.storage.home import Paths
from eiclip.studies.results import seed_comparisons
from eiclip.system.devices import pick_device, use_threads
from eiclip.system.memory import keep_freed_memory
from eiclip.train.job import TrainJob
from eiclip.train.key import training_key

ROWS = ("clip_description", "clip_entities_text", "eiclip", "eiclip_plus", *CROSS_VARIANTS)
MEASURES = ("i2t R@1", "i2t R@5", "i2t R@10", "t2i R@1", "t2i R@5", "t2i R@10", "SumR")


class Study:
    """The trainings and ranks of one dataset of a home."""

    def __init__(
        self, project: Project, name: str, queries: int | None, protocols: Sequence[str], changes: Mapping[str, Any]
    ) -> None:
        self.project, self.name, self.queries, self.changes = project, name, queries, changes
        self.protocols = list(protocols)
        self.dataset, self.paths = project.datasets()[name], project.paths
        self.folder, self.device = self.paths.root / "cross_modal_study" / name, pick_device()
        self.test = shard_paths(self.paths.shards(name), "test")
        products = self.table("products", ["product_id", "description", "split"])
        tested = products.filter(pc.equal(products["split"], "test")).to_pydict()
        self.descriptions = dict(zip(tested["product_id"], tested["description"], strict=True))
        self.lists = self.table("candidate_lists")

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A table of the home."""
        read = [pq.read_table(file, columns=columns and list(columns), partitioning=None)
                for file in self.paths.lake.files(name, self.name)]  # fmt: skip
        return pa.concat_tables(read)

    def checkpoint(self, variant: str, seed: int) -> Path:
        """Where a training lies."""
        return self.folder / str(seed) / variant

    def job(self, variant: str, seed: int) -> TrainJob:
        """The training of a row."""
        recipe = recipe_of(self.project, self.dataset, {}, variant)
        training = TrainingSettings.model_validate(
            layered(recipe.model_dump(), self.changes if variant in CROSS_VARIANTS else {})
        )
        job = variant_job(self.project, self.name, self.dataset, get_variant(variant), training)
        changed = {"seed": seed, "output": self.checkpoint(variant, seed)}
        if variant == "eiclip_rerank":
            changed["initial"] = self.checkpoint("eiclip", seed)
        return job.model_copy(update=changed)

    def train(self, variant: str, seed: int) -> None:
        """Train a row, unless that is done, in a process of its own."""
        job, output = self.job(variant, seed), self.checkpoint(variant, seed)
        key, done = training_key(job), output.with_suffix(".key")
        if done.is_file() and done.read_text() == key:
            return
        file = self.folder / "jobs" / f"{variant}-{seed}.json"
        write_text(file, job.model_dump_json(indent=2))
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "eiclip.train", str(file)], check=True, stdout=subprocess.DEVNULL)
        write_text(done, key)
        print(f"{variant}, seed {seed}: trained in {time.perf_counter() - started:.0f} s", flush=True)

    def ranks(self, variant: str, seed: int) -> pa.Table:
        """Ranks of a row's queries, sample-100 and full."""
        place, folder = self.folder / "ranks" / f"{variant}-{seed}.parquet", self.checkpoint(variant, seed)
        key = digest([content_digest(folder), content_digest(self.checkpoint("eiclip", seed)), self.queries,
                      self.protocols])  # fmt: skip
        if place.is_file() and (pq.read_schema(place).metadata or {}).get(b"key") == key.encode():
            return pq.read_table(place)
        started = time.perf_counter()
        model = load_checkpoint(folder, self.device)
        if variant in VARIANTS:
            found = ranks_table(self._embeddings(variant, seed), self.lists, descriptions=self.descriptions)
            found = found.filter(pc.is_in(found["protocol"], pa.array([FULL, LISTED])))
        else:
            cross = cross_evaluation(
                model, self.test, self.paths.shards(self.name), self.paths.patches(self.name),
                self._embeddings("eiclip", seed), self.lists, self.descriptions,
                excluded_group=self.dataset.negatives_group, first=model.training_settings.cross.first,
                queries=self.queries, device=self.device,
            )  # fmt: skip
            found = cross.ranks(place.with_suffix(".scores"), key, self.protocols)
        place.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(found.replace_schema_metadata({"key": key}), place)
        print(f"{variant}, seed {seed}: asked in {time.perf_counter() - started:.0f} s", flush=True)
        return found

    def _embeddings(self, variant: str, seed: int) -> pa.Table:
        model = load_checkpoint(self.checkpoint(variant, seed), self.device)
        store = feature_store(model, self.paths.features(self.name), self.paths.shards(self.name), self.device)
        group = self.dataset.negatives_group
        return embeddings_table(model, self.name, self.test, excluded_group=group, device=self.device, store=store)


def figures(ranks: pa.Table) -> list[float]:
    """`MEASURES` of a row's ranks under one protocol."""
    values = [
        100 * pc.mean(pc.less_equal(ranks.filter(pc.equal(ranks["direction"], way))["rank"], k).cast("float64")).as_py()
        for way in ("i2t", "t2i")
        for k in (1, 5, 10)
    ]
    return [*values, sum(values)]


def main() -> None:
    """Train, ask, and print a table a protocol, and the differences."""
    parser = argparse.ArgumentParser("python -m benchmarks.cross_modal", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("dataset")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--queries", type=int, help="test products that are asked about")
    parser.add_argument("--protocols", nargs="+", default=[LISTED, FULL], choices=[LISTED, FULL])
    parser.add_argument("--training", type=json.loads, default={}, help="JSON: training settings of rows 10 to 14")
    given = parser.parse_args()
    keep_freed_memory()
    settings = load_settings()
    project = Project(settings, Paths(settings.home))
    use_threads(project.threads)
    study, seeds = Study(project, given.dataset, given.queries, given.protocols, given.training), range(given.seeds)
    rows = list(dict.fromkeys(("eiclip", *given.rows)))
    for seed in seeds:
        for variant in rows:
            study.train(variant, seed)
            study.ranks(variant, seed)
    found = {(variant, seed): study.ranks(variant, seed) for variant in rows for seed in seeds}
    asked = next((ranks for (variant, _), ranks in found.items() if variant in CROSS_VARIANTS), found["eiclip", 0])
    report: dict[str, Any] = {"dataset": given.dataset, "seeds": given.seeds, "queries": given.queries}
    for protocol in given.protocols:
        own = asked.filter(pc.equal(asked["protocol"], protocol))
        wanted = pa.array({*own["query_id"].to_pylist()})
        ranks = {
            key: some.filter(pc.and_(pc.equal(some["protocol"], protocol), pc.is_in(some["query_id"], wanted)))
            for key, some in found.items()
        }
        print(f"\n{protocol}: mean over {given.seeds} seeds of {len(own)} queries\n")
        print("| row | " + " | ".join(MEASURES) + " | SumR by seed |\n|---" + "|---:" * (len(MEASURES) + 1) + "|")
        for variant in rows:
            each = [figures(ranks[variant, seed]) for seed in seeds]
            means = [sum(column) / len(each) for column in zip(*each, strict=True)]
            row, by_seed = get_variant(variant), " ".join(f"{one[-1]:.0f}" for one in each)
            print(f"| {row.row} {row.title} | " + " | ".join(f"{mean:.1f}" for mean in means) + f" | {by_seed} |")
            report[f"{protocol}/{variant}"] = dict(zip(MEASURES, means, strict=True))
        compared = seed_comparisons(given.dataset, ranks, pairs=PAIRS).to_pylist()
        for one in compared:
            print(f"{one['variant']} over {one['baseline']}, {one['measure']}: {one['difference']:+.2f} "
                  f"({one['low']:+.2f} to {one['high']:+.2f})")  # fmt: skip
        report[f"{protocol}/compared"] = compared
    write_json(study.folder / f"report-{'-'.join(given.protocols)}.json", report)


if __name__ == "__main__":
    main()
