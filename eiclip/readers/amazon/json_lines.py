"""Amazon metadata in JSON, millions of lines of it, read by DuckDB.

The line reader (`AmazonReader.rows`) says what a line means; `sql/ingest/amazon_records.sql` does so for plain lines,
many times faster, and hands the others back. Names, categories and prices repeat: what they come to is kept by value.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import contextlib
import functools
import glob
import itertools
import json
import re
import tempfile
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.readers.amazon.metadata import brand_spelling, category_names, describe, read_price
from eiclip.readers.base import Listing, Rejected
from eiclip.readers.cells import MAX_LINE_BYTES, MAX_PARTS, MAX_TEXT
from eiclip.readers.lines import is_gzip, numbered_lines
from eiclip.readers.records import write_rows
from eiclip.readers.texts import PLACEHOLDERS, clean_description, entity_spelling, says_nothing
from eiclip.storage.sql import read_sql

FIELDS = (
    "asin", "parent_asin", "title", "description", "feature", "features", "brand", "store", "details", "category",
    "categories", "main_cat", "main_category", "price", "image", "images", "imageURL", "imageURLHighRes", "imUrl",
)  # fmt: skip
LineReader = Callable[[Container[int]], Iterable[Listing | Rejected]]
_DESCRIBED = pa.struct({name: pa.string() for name in ("title", "description", "raw")})
_BRAND = pa.struct({"raw": pa.string(), "name": pa.string(), "is_none": pa.bool_(), "is_odd": pa.bool_()})
_PRICE = pa.struct({"price": pa.float64(), "unread": pa.string()})
_PATH = pa.struct(
    [(name, pa.string()) for name in ("category", "subcategory", "category_entity", "subcategory_entity")]
    + [("is_odd", pa.bool_())]
)
# What JSON's truth values, numbers and objects look like as texts, in which DuckDB gives every field.
_NO_TEXT = re.compile(r"true|false|-?\d[\d.eE+-]*|\{.*", re.DOTALL)
_PLAIN_NUMBER = re.compile(r"\d{1,17}")  # spelled the same as a text


def opens_like_json(path: Path) -> bool:
    """Whether the first line that is not blank may be JSON: 2014's are Python literals, with single quotes."""
    first = next((line for _, line in numbered_lines(path) if line is None or line.strip()), None)
    return first is None or not first.lstrip().startswith(b"{'")


def open_lines(connection: duckdb.DuckDBPyConnection, path: Path, fields: Sequence[str]) -> None:
    """Make the view `lines`, `fields` as texts: a row per line that is not blank, all NULL where it cannot be read."""
    connection.read_json(
        glob.escape(str(path)),  # DuckDB takes names for patterns
        columns=dict.fromkeys(fields, "VARCHAR"),
        format="newline_delimited",
        ignore_errors=True,
        maximum_object_size=MAX_LINE_BYTES,
        compression="gzip" if is_gzip(path) else "none",
    ).create_view("lines")


def _add_functions(connection: duckdb.DuckDBPyConnection, placeholders: Collection[str]) -> None:
    """Register what `sql/ingest/amazon_records.sql` calls."""

    def described(titles: pa.Array, parts: pa.Array) -> pa.Array:  # not by value: nearly every row differs
        lists = ([text for text in texts if text and text.strip()] for texts in parts.to_pylist())
        told = map(describe, titles.to_pylist(), lists, itertools.repeat(frozenset(placeholders)))
        return pa.array(told, _DESCRIBED)

    functions: list[tuple[str, Callable[..., pa.Array], list[str], pa.DataType]] = [
        ("described", described, ["VARCHAR", "VARCHAR[]"], _DESCRIBED),
        ("brand_of", _by_value(_brand_of, _BRAND), ["VARCHAR"], _BRAND),
        ("category_of", _by_value(_category_of, _PATH), ["VARCHAR"], _PATH),
        ("price_of", _by_value(read_price, _PRICE), ["VARCHAR"], _PRICE),
    ]
    for name, function, parameters, arrow in functions:
        returned = str(duckdb.from_arrow(pa.table({"x": pa.nulls(0, arrow)})).types[0])
        connection.create_function(  # type: ignore[call-overload]  # Arrow arrays are not in its types
            name, function, parameters, returned, type="arrow", null_handling="special"
        )


def _by_value(function: Callable[[str | None], Any], arrow: pa.DataType) -> Callable[[Any], pa.Array]:
    """Return an Arrow function that calls `function` once for each value: names, categories and prices repeat."""
    known = functools.lru_cache(maxsize=200_000)(function)

    def apply(column: Any) -> pa.Array:
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        encoded = whole.dictionary_encode(null_encoding="encode")
        return pa.array(map(known, encoded.dictionary.to_pylist()), arrow).take(encoded.indices)

    return apply


def _brand_of(given: str | None) -> tuple[str | None, str, bool, bool]:
    """Return `_BRAND` of a text; odd is one with which another field may name the brand."""
    raw = clean_description(given or "")
    name, is_odd = brand_spelling(raw), _is_odd(given or "") or (bool(given) and not raw) or len(raw) > 100
    return raw or None, name, says_nothing(name), is_odd


def _category_of(fields: str | None) -> tuple[str, str, str, str, bool]:
    """Return `_PATH` of a JSON list of two texts: the main category and the path of categories."""
    main, path = json.loads(fields or "[null, null]")
    record: dict[str, Any] = {"main_category": main, "categories": path}
    if path and path.startswith("["):
        with contextlib.suppress(json.JSONDecodeError):  # else a text that only looks like a list
            record["categories"] = json.loads(path)
    category, subcategory = category_names(record)
    is_odd = _is_odd(main or "") or _NO_TEXT.fullmatch(path or "") is not None
    return category, subcategory, entity_spelling(category), entity_spelling(subcategory), is_odd


def _is_odd(name: str) -> bool:
    """Whether a name may be no text in the metadata, so that the line reader has to look."""
    return name.startswith("[") or bool(_NO_TEXT.fullmatch(name) and not _PLAIN_NUMBER.fullmatch(name))


def write_json_records(
    metadata: Path, dataset: str, output: Path, options: Mapping[str, Any], read_again: LineReader
) -> int:
    """Write `records` of metadata whose lines are JSON to `output`; returns the number of lines.

    `options` are the query's: `groups`, `urls` (keep the photos' addresses), `paper` (the paper's subset alone),
    `placeholders` (further texts that say nothing, in lower case).
    `read_again` says what lines, by number from 1, come to that SQL could not read. Raises duckdb.Error where DuckDB
    cannot read the file at all (damaged, or an object over the cap): read it by lines then.
    """
    parameters = {"dataset": dataset, "source": metadata.name, "max_text": MAX_TEXT, "max_parts": MAX_PARTS, **options}
    more = parameters["placeholders"]
    parameters["placeholders"] = ["true", "false", *sorted(PLACEHOLDERS), *more]
    # Not the folder that the process happens to run in.
    spill: dict[str, Any] = {"temp_directory": str(output.parent / ".duckdb")}
    with duckdb.connect(config=spill) as connection:
        open_lines(connection, metadata, FIELDS)
        _add_functions(connection, more)
        found = connection.sql(read_sql("ingest/amazon_records"), params=parameters)
        found.write_parquet(str(output), compression="zstd")
    with duckdb.connect(config=spill) as connection, tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        connection.read_parquet(glob.escape(str(output)), file_row_number=True).create_view("records")
        again = connection.sql("SELECT file_row_number + 1 FROM records WHERE reason = 'retry'").fetchall()
        if again:
            mended, merged = Path(scratch) / "mended", Path(scratch) / "merged"
            write_rows(mended, dataset, read_again({number for (number,) in again}))
            connection.read_parquet(glob.escape(str(mended))).create_view("mended")
            connection.sql(read_sql("ingest/mended_records")).write_parquet(str(merged), compression="zstd")
            merged.replace(output)
    return int(pq.read_metadata(output).num_rows)
