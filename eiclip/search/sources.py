"""What a home has to search: trained variants, tables of the lake, and products' views, made here where no job has."""

import contextlib
import functools
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import CorruptOutputError, EiclipError
from eiclip.model.variants import SAME_STYLE_VARIANTS, VARIANTS
from eiclip.storage.cache import (
    CODE,
    MANIFEST,
    content_digest,
    content_of,
    make_once,
    read_record,
    record_of,
    recorded,
    remembered,
    why_stale,
)
from eiclip.storage.code_version import code_version, installation
from eiclip.storage.definitions import stamp_of
from eiclip.storage.home import Paths
from eiclip.storage.lake import Lake, open_views
from eiclip.storage.lock import exclusive

logger = logging.getLogger(__name__)

VIEWS_TABLE = "product_views"
RERANKER, RANKED = "eiclip_rerank", "eiclip"
"""The variant that re-ranks first answers, and the one that gives them."""
SERVED = ("same_style", "eiclip_plus", "eiclip")  # to search with unless another is named: the first that there is


def trained_variants(home: Paths) -> dict[str, list[str]]:
    """Return the variants that have a model by dataset, the one to search with unless another is named first."""
    known = dict.fromkeys((*SERVED, *SAME_STYLE_VARIANTS, *VARIANTS))
    datasets = sorted({manifest.parts[-3] for manifest in (home.root / "models").glob(f"*/*/{MANIFEST}")})
    trained = {}
    for dataset in datasets:
        if found := [name for name in known if (home.checkpoint(dataset, name) / MANIFEST).is_file()]:
            trained[dataset] = found
    return trained


def query_tables(
    lake: Lake, dataset: str, tables: Sequence[str], sql: str, parameters: Mapping[str, Any] | None = None,
    optional: Mapping[str, str] | None = None,
) -> pa.Table:  # fmt: skip
    """Return the rows that a query finds in a dataset's tables. Raises EiclipError where the lake lacks one of them.

    `optional` are further tables, and the queries whose rows stand in for those that the lake lacks.
    """
    files = {name: lake.files(name, dataset) for name in tables}
    if missing := [name for name in tables if not files[name]]:
        way_out = "run `make full_eval`, or name another dataset or home"
        raise EiclipError(f"{lake.home}: no table {missing[0]} of {dataset!r}; {way_out}")
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false").fetchall()
        for name, instead in (optional or {}).items():
            if found := lake.files(name, dataset):
                files[name] = found
            else:
                connection.sql(instead).create_view(name)
        open_views(connection, files)
        return connection.sql(sql, params=dict(parameters or {}) or None).to_arrow_table()


TABLES = (
    "products", "product_entities", "images", "entity_vocabulary", "semantic_prior", "entity_spellings", "offers",
)  # fmt: skip
"""Tables of the lake that a search reads."""


class KeptViews:
    """Views of products that search keeps: of a variant's checkpoint and the shards, as they lie there.

    What has changed in the shards alone is embedded: call `remember` before `make_once`, which forgets the record.
    """

    def __init__(self, home: Paths, dataset: str, variant: str) -> None:
        self.home, self.dataset, self.variant = home, dataset, variant
        self.checkpoint, self.shards = home.checkpoint(dataset, variant), home.shards(dataset)
        self.from_job, self.place = home.lake.path(VIEWS_TABLE, dataset, variant), home.search_index(dataset, variant)
        self.lock = self.place.with_suffix(".lock")
        self._known: pa.Table | None = None

    def inputs(self) -> dict[str, Any]:
        """Return what they are made from. Raises CorruptOutputError where a folder is not there."""
        sources = {"checkpoint": self.checkpoint, "shards": self.shards}
        for folder in sources.values():
            if not (folder / MANIFEST).is_file():
                raise CorruptOutputError(f"{folder}: not made yet; materialise the asset that makes it first")
        code = code_version(("eiclip.evaluation.embedding_tables:renewed_views",))
        return {"code": code, "sources": {name: content_digest(folder) for name, folder in sources.items()}}

    def job_is_current(self) -> bool:
        """Tell whether a job's table `product_views` is of the folders that lie there now.

        Views without a record of what they were made from are taken for current, and so are those whose sources are
        gone.
        """
        record, _ = read_record(self.from_job)
        if record is None:
            return self.from_job.is_file() and not record_of(self.from_job).is_file()  # a damaged one vouches for none
        sources = {f"checkpoint/{self.variant}": self.checkpoint, "shards": self.shards}
        known = record["inputs"].get("sources", {})
        there = {name: folder for name, folder in sources.items() if name in known and (folder / MANIFEST).is_file()}
        return all(known[name] == content_digest(folder) for name, folder in there.items())

    def are_current(self) -> bool:
        """Tell whether there are views to search, a job's or those kept, that need not be made."""
        return self.job_is_current() or why_stale(self.place, self.inputs()) is None

    def remember(self) -> None:
        """Read the views that are there, as far as they are by the checkpoint and the code of now, and whole."""
        self._known, (record, _) = None, read_record(self.place)
        inputs = recorded(self.inputs())
        made_by = [inputs[CODE]["version"], inputs["sources"]["checkpoint"]]
        if record is not None:
            known = record["inputs"]
            if [known.get(CODE, {}).get("version"), known.get("sources", {}).get("checkpoint")] == made_by:
                with contextlib.suppress(CorruptOutputError):  # edited: all are made again
                    content_of(self.place)
                    self._known = pq.read_table(self.place)
        elif record_of(self.from_job).is_file() and self.job_is_current():
            from eiclip.shards.products import product_contents

            states = product_contents(self.shards)
            of = dict(zip(states["product_id"].to_pylist(), states["content"].to_pylist(), strict=True))
            views = pq.read_table(self.from_job, partitioning=None)
            content = pa.array([of.get(product) for product in views["product_id"].to_pylist()], pa.string())
            self._known = views.append_column("content", content)

    def make(self, device: str = "cpu") -> dict[str, Any]:
        """Write them; returns how many products were embedded and how many were as they had been."""
        from eiclip.evaluation.embedding_tables import renewed_views  # with torch, where views are made

        features = self.home.features(self.dataset)
        make = functools.partial(renewed_views, self.checkpoint, self.shards, self.dataset, self._known, device)
        try:
            views, embedded = make(features if (features / MANIFEST).is_file() else None)
        except CorruptOutputError as error:  # of another version of this project, say: a search need not wait for a job
            logger.warning("%s. Photos and texts are read instead, which takes longer", error)
            views, embedded = make()
        Lake.write_file(views, self.place)
        return {"products": len(views), "embedded": embedded, "taken_over": len(views) - embedded}


def views_of(home: Paths, dataset: str, variant: str, device: str = "cpu") -> pa.Table:
    """Return the table `product_views` of a dataset and variant: the job's, or made here where there is none.

    Raises EiclipError where there is neither that table nor a checkpoint to make it with.
    """
    views = KeptViews(home, dataset, variant)
    if views.job_is_current():
        return pq.ParquetFile(views.from_job).read()  # `read_table` takes a second to import what it does not need
    if not (views.checkpoint / MANIFEST).is_file():
        jobs = "`make full_eval` or `dagster job execute -j same_style_eval`"
        raise EiclipError(f"{views.checkpoint}: no trained model; run {jobs}, or name another dataset, variant or home")

    def make_current() -> None:
        if why_stale(views.place, views.inputs()) is not None:  # a home that is not to be written to needs no lock
            with exclusive(views.lock):  # a job or a server may be making them
                views.remember()
                make_once(views.place, views.inputs(), lambda: views.make(device))

    if views.place.is_file() and os.access(views.place.parent, os.W_OK):
        # Found current once, and nothing touched since: it need not be worked out again.
        sources = [content_digest(folder) for folder in (views.checkpoint, views.shards)]
        looked_at = {"sources": sources, "installation": installation(), "views": stamp_of(views.place)}
        remembered(views.place.with_name(f"{views.place.name}.current.json"), looked_at, make_current)
    else:
        make_current()
    return pq.ParquetFile(views.place).read()


def searched_stamp(home: Paths, dataset: str, variant: str) -> dict[str, tuple[int, int, int]]:
    """Return time, size and number of each file that an engine is opened from: others, another engine."""
    views = KeptViews(home, dataset, variant)
    files = [views.checkpoint / MANIFEST, views.shards / MANIFEST, views.from_job, views.place]
    files.append(home.checkpoint(dataset, RERANKER) / MANIFEST)
    files += [home.lake.path(table, dataset) for table in TABLES] + [home.lake.path("search_weights", dataset, variant)]
    files.append(home.root / "search" / "synonyms.csv")
    found = {}
    for file in files:
        with contextlib.suppress(OSError):
            fact = file.stat()
            found[str(file)] = fact.st_mtime_ns, fact.st_size, fact.st_ino
    return found
