"""Where an index's views come from: the lake, or else the checkpoint and the shards, made once and kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import EiclipError
from eiclip.storage.cache import MANIFEST, content_digest, make_once, read_record, record_of
from eiclip.storage.code_version import code_version
from eiclip.storage.files import whole_file
from eiclip.storage.home import Paths

VIEWS_TABLE = "product_views"


def kept_views(root: Path, dataset: str, variant: str) -> Path:
    """Where views that no job has made are kept."""
    return root / "search" / dataset / f"{variant}.parquet"


def views_of(home: Paths, dataset: str, variant: str, device: str = "cpu") -> pa.Table:
    """The table `product_views` of a dataset and variant: the job's, or made here where there is none.

    Raises:
        EiclipError: there is neither that table nor a checkpoint to make it with.
    """
    made, checkpoint = home.lake.path(VIEWS_TABLE, dataset, variant), home.checkpoint(dataset, variant)
    if made.is_file() and _is_current(made, {f"checkpoint/{variant}": checkpoint, "shards": home.shards(dataset)}):
        return pq.read_table(made)
    if not (checkpoint / MANIFEST).is_file():
        raise EiclipError(
            f"{checkpoint}: no trained model; run `make full_eval` or `dagster job execute -j same_style_eval`, "
            "or name another dataset, variant or home"
        )
    output = kept_views(home.root, dataset, variant)
    inputs = {
        "code": code_version(["eiclip.evaluation.embedding_tables:views_of_checkpoint"]),
        "sources": {"checkpoint": content_digest(checkpoint), "shards": content_digest(home.shards(dataset))},
    }
    make_once(output, inputs, lambda: _make(home, dataset, variant, output, device))
    return pq.read_table(output)


def _is_current(made: Path, sources: Mapping[str, Path]) -> bool:
    """Whether the job's views are of the folders that lie there now: a model may have been trained again since.

    Views without a record of what they were made from are taken for current, and so are those whose sources are gone.
    """
    record, _ = read_record(made)
    if record is None:  # one that cannot be gone by is of no use either
        return not record_of(made).is_file()
    known = record["inputs"].get("sources", {})
    there = {name: folder for name, folder in sources.items() if name in known and (folder / MANIFEST).is_file()}
    return all(known[name] == content_digest(folder) for name, folder in there.items())


def _make(home: Paths, dataset: str, variant: str, output: Path, device: str) -> dict[str, Any]:
    from eiclip.evaluation.embedding_tables import views_of_checkpoint  # with torch, where views are made

    table = views_of_checkpoint(home.checkpoint(dataset, variant), home.shards(dataset), dataset, device)
    with whole_file(output) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return {"products": len(table)}
