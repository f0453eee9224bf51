"""The related products that Amazon's metadata names, `also_*` and `related`: a second reading of the metadata.

JSON lines (2018, 2023) are read by DuckDB (`sql/clicks/related_items.sql`); Python literals (2014), other formats, or a
file that DuckDB refuses, record by record. Those that cannot be read name nothing here: the first reading has
quarantined them.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import contextlib
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.readers.amazon.files import AmazonFile
from eiclip.readers.amazon.json_lines import open_lines, opens_like_json
from eiclip.readers.amazon.metadata import PRODUCT_ID
from eiclip.readers.cells import UnusableRowError
from eiclip.same_style.log import connect
from eiclip.storage.files import whole_file
from eiclip.storage.lake import count_rows
from eiclip.storage.sql import read_sql

SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("dataset", "product_id", "related_id", "kind")])
KINDS = {"also_bought": "also_buy", "also_viewed": "also_view"}
"""What the lists of 2014 are called since."""
_LISTS = ("also_buy", "also_view", "bought_together")
_FIELDS = ("asin", "parent_asin", "related", *_LISTS)
_INNER = ("also_bought", "also_viewed", "bought_together", "buy_after_viewing")
_ROW_GROUP = 100_000


def write_related(metadata: Path | None, dataset: str, output: Path) -> int:
    """Write `related_items` of Amazon metadata (any edition and format) whole; returns the number of rows.

    `metadata` is None for a dataset of another kind: an empty table. Raises RawDataError: missing, damaged, or another
    file.
    """
    with whole_file(output) as temporary:
        if metadata is None:
            pq.write_table(SCHEMA.empty_table(), temporary)
        else:
            file = AmazonFile(metadata, _FIELDS)
            is_fast = file.table is None and opens_like_json(metadata)
            if not (is_fast and _write_json(metadata, dataset, temporary)):
                _write_records(file, dataset, temporary)
        return count_rows([temporary])


def related_of(record: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (product, related product, kind) of a metadata record of any edition; nothing where it has no id."""
    parent = record.get("parent_asin")
    product = _id(record.get("asin") if parent is None else parent)
    inner = record.get("related")
    lists = [(name, record.get(name)) for name in _LISTS]
    lists += [(KINDS.get(name, name), inner.get(name)) for name in _INNER] if isinstance(inner, dict) else []
    for kind, items in lists:
        for item in items if isinstance(items, list) and product else ():
            related = _id(item)
            if related and product:
                yield product, related, kind


def _id(value: Any) -> str | None:
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return text if PRODUCT_ID.fullmatch(text) else None


def _write_json(metadata: Path, dataset: str, output: Path) -> bool:
    """Write the related products of JSON lines; False where DuckDB cannot read the file."""
    scratch = tempfile.TemporaryDirectory(dir=output.parent, prefix=".related-")
    with scratch, connect(Path(scratch.name)) as database:
        parameters = {"dataset": dataset, "id": PRODUCT_ID.pattern}
        with contextlib.suppress(duckdb.Error):
            open_lines(database, metadata, _FIELDS)
            found = database.sql(read_sql("clicks/related_items"), params=parameters)
            found.write_parquet(str(output), compression="zstd")
            return True
    return False


def _write_records(file: AmazonFile, dataset: str, output: Path) -> None:
    def found() -> Iterator[tuple[str, str, str]]:
        for _, record in file.records():
            if not isinstance(record, UnusableRowError):
                yield from related_of(record)

    rows = found()
    with pq.ParquetWriter(output, SCHEMA, compression="zstd") as writer:
        while batch := list(islice(rows, _ROW_GROUP)):
            columns = [[dataset] * len(batch), *(list(column) for column in zip(*batch, strict=True))]
            writer.write_table(pa.table(columns, schema=SCHEMA))
