"""What a home has to search: trained variants, tables of the lake, and products' views, made here where no job has."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import CorruptOutputError, EiclipError
from eiclip.model.variants import SAME_STYLE_VARIANTS, VARIANTS
from eiclip.storage.cache import MANIFEST, content_digest, make_once, read_record, record_of
from eiclip.storage.code_version import code_version
from eiclip.storage.home import Paths
from eiclip.storage.lake import Lake, open_views

logger = logging.getLogger(__name__)

VIEWS_TABLE = "product_views"
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


def kept_views(home: Paths, dataset: str, variant: str) -> Path:
    """Return where views that no job has made are kept."""
    return home.root / "search" / dataset / f"{variant}.parquet"


def views_of(home: Paths, dataset: str, variant: str, device: str = "cpu") -> pa.Table:
    """Return the table `product_views` of a dataset and variant: the job's, or made here where there is none.

    Raises EiclipError where there is neither that table nor a checkpoint to make it with.
    """
    checkpoint, shards = home.checkpoint(dataset, variant), home.shards(dataset)
    from_job = home.lake.path(VIEWS_TABLE, dataset, variant)
    if from_job.is_file() and _is_current(from_job, {f"checkpoint/{variant}": checkpoint, "shards": shards}):
        return pq.read_table(from_job)
    if not (checkpoint / MANIFEST).is_file():
        jobs = "`make full_eval` or `dagster job execute -j same_style_eval`"
        raise EiclipError(f"{checkpoint}: no trained model; run {jobs}, or name another dataset, variant or home")
    output = kept_views(home, dataset, variant)

    def make() -> dict[str, Any]:
        from eiclip.evaluation.embedding_tables import views_of_checkpoint  # with torch, where views are made

        features = home.features(dataset)
        try:
            kept = features if (features / MANIFEST).is_file() else None
            views = views_of_checkpoint(checkpoint, shards, dataset, device, kept)
        except CorruptOutputError as error:  # of another version of this project, say: a search need not wait for a job
            logger.warning("%s. Photos and texts are read instead, which takes longer", error)
            views = views_of_checkpoint(checkpoint, shards, dataset, device)
        Lake.write_file(views, output)
        return {"products": len(views)}

    code = code_version(("eiclip.evaluation.embedding_tables:views_of_checkpoint",))
    sources = {"checkpoint": content_digest(checkpoint), "shards": content_digest(shards)}
    make_once(output, {"code": code, "sources": sources}, make)
    return pq.read_table(output)


def _is_current(views: Path, sources: Mapping[str, Path]) -> bool:
    """Tell whether the job's views are of the folders that lie there now: a model may have been trained again since.

    Views without a record of what they were made from are taken for current, and so are those whose sources are gone.
    """
    record, _ = read_record(views)
    if record is None:
        return not record_of(views).is_file()  # a damaged record vouches for nothing
    known = record["inputs"].get("sources", {})
    there = {name: folder for name, folder in sources.items() if name in known and (folder / MANIFEST).is_file()}
    return all(known[name] == content_digest(folder) for name, folder in there.items())
