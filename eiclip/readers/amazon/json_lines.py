"""Amazon metadata in JSON, millions of lines of it, read by DuckDB.

The line reader (`AmazonReader.rows`) says what a line means; `sql/ingest/amazon_records.sql` does so for plain lines,
many times faster, and hands the others back. Names, categories and prices repeat: what they come to is kept by value.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import contextlib
import glob
import gzip
import io
import json
import re
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import RawDataError
from eiclip.readers.amazon.metadata import (
    MAX_PARTS,
    MAX_TEXT,
    category_names,
    describe,
    normalise_brand,
    parse_price,
)
from eiclip.readers.base import Listing, Rejected
from eiclip.readers.records import write_rows
from eiclip.readers.texts import clean_description, normalise_entity
from eiclip.storage.sql import read_sql

MAX_LINE_BYTES = 4 * 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_PIECE = 2**20
FIELDS = (
    "asin", "parent_asin", "title", "description", "feature", "features", "brand", "store", "details", "category",
    "categories", "main_cat", "main_category", "price", "image", "images", "imageURL", "imageURLHighRes", "imUrl",
)  # fmt: skip
LineReader = Callable[[Sequence[int]], Iterable[Listing | Rejected]]
_TEXT, _TEXTS = "VARCHAR", "VARCHAR[]"
_DESCRIBED = "STRUCT(title VARCHAR, description VARCHAR, raw VARCHAR)"
_BRAND = "STRUCT(raw VARCHAR, name VARCHAR, is_odd BOOLEAN)"
_PATH = (
    "STRUCT(category VARCHAR, subcategory VARCHAR, category_entity VARCHAR, subcategory_entity VARCHAR, is_odd BOOLEAN)"
)
_PATH_TEXTS = ("category", "subcategory", "category_entity", "subcategory_entity")
_ARROW = {
    _DESCRIBED: pa.struct([(name, pa.string()) for name in ("title", "description", "raw")]),
    _BRAND: pa.struct([("raw", pa.string()), ("name", pa.string()), ("is_odd", pa.bool_())]),
    _PATH: pa.struct([*((name, pa.string()) for name in _PATH_TEXTS), ("is_odd", pa.bool_())]),
    "DOUBLE": pa.float64(),
}
# What JSON's truth values, numbers and objects look like as texts, in which DuckDB gives every field.
_NO_TEXT = re.compile(r"true|false|-?\d[\d.eE+-]*|\{.*", re.DOTALL)
_PLAIN_NUMBER = re.compile(r"\d{1,17}")  # spelled the same as a text


def numbered_lines(path: Path, cap: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes | None]]:
    """Yield (number from 1, content without its line end), content None where the line is longer than `cap`.

    Raises RawDataError where the file is missing, truncated or damaged.
    """
    if not path.is_file():
        raise _missing(path)
    number = 0
    try:
        with _opened(path) as stream:
            while line := stream.readline(cap + 1):
                number += 1
                if len(line) > cap and not line.endswith(b"\n"):
                    _skip_rest(stream)
                    yield number, None
                else:
                    content = line.rstrip(b"\r\n")
                    yield number, content.removeprefix(_BOM) if number == 1 else content
    except (EOFError, zlib.error, OSError) as error:
        raise _damaged(path, number, error) from error


def is_gzip(path: Path) -> bool:
    """Whether a file is gzipped, by its first bytes: names are often wrong. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def count_lines(path: Path) -> int:
    """Count the lines as `numbered_lines` numbers them, without holding or splitting them. Raises RawDataError."""
    if not path.is_file():
        raise _missing(path)
    ends, last = 0, b"\n"
    try:
        with _opened(path) as stream:
            while piece := stream.read(_PIECE):
                ends, last = ends + piece.count(b"\n"), piece[-1:]
    except (EOFError, zlib.error, OSError) as error:
        raise _damaged(path, ends, error) from error
    return ends + (last != b"\n")


def _missing(path: Path) -> RawDataError:
    return RawDataError(f"{path}: no such file; put it there, or set the dataset's metadata to where it is")


def _damaged(path: Path, number: int, error: Exception) -> RawDataError:
    return RawDataError(
        f"{path}: damaged or cut short after line {number} ({error}); fetch it again from where it came"
    )


def _opened(path: Path) -> IO[bytes]:
    gzipped = is_gzip(path)
    # The extra buffer makes readline several times faster than GzipFile's own.
    return io.BufferedReader(gzip.GzipFile(path), _PIECE) if gzipped else path.open("rb")


def _skip_rest(stream: IO[bytes]) -> None:
    while piece := stream.readline(_PIECE):
        if piece.endswith(b"\n"):
            return


def open_lines(connection: duckdb.DuckDBPyConnection, metadata: Path) -> None:
    """Make the view `lines`: a row per line that is not blank, all NULL where DuckDB cannot read it."""
    connection.read_json(
        glob.escape(str(metadata)),  # DuckDB takes names for patterns
        columns=dict.fromkeys(FIELDS, _TEXT),
        format="newline_delimited",
        ignore_errors=True,
        maximum_object_size=MAX_LINE_BYTES,
        compression="gzip" if is_gzip(metadata) else "none",
    ).create_view("lines")


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Register what `sql/ingest/amazon_records.sql` calls."""
    functions: list[tuple[str, Callable[..., Any], list[str], str]] = [
        ("described", _described, [_TEXT, _TEXTS], _DESCRIBED),
        ("brand_of", _brand_of, [_TEXT], _BRAND),
        ("category_of", _category_of, [_TEXT, _TEXT], _PATH),
        ("price_of", _price_of, [_TEXT], "DOUBLE"),
    ]
    for name, function, parameters, kind in functions:
        connection.create_function(  # type: ignore[call-overload]  # Arrow arrays are not in its types
            name, _by_value(function, parameters, kind), parameters, kind, type="arrow", null_handling="special"
        )


def _by_value(function: Callable[..., Any], parameters: Sequence[str], kind: str) -> Callable[..., pa.Array]:
    """An Arrow function of DuckDB, which counts its parameters, that calls `function` once per value."""
    arrow = _ARROW[kind]
    if _TEXTS in parameters:  # texts: nearly every row differs
        return lambda first, second: pa.array(map(function, first.to_pylist(), second.to_pylist()), arrow)
    known = _Known(function, arrow)
    return known.of_one if len(parameters) == 1 else known.of_two


class _Known:
    """What a function came to, kept as one Arrow array: a batch then costs a look-up per value, and a copy."""

    def __init__(self, function: Callable[..., Any], arrow: pa.DataType) -> None:
        self._function = function
        self._place: dict[Any, int] = {}
        self._results = pa.array([], arrow)
        self._lock = threading.Lock()  # DuckDB calls from all its threads

    def of_one(self, column: Any) -> pa.Array:
        encoded = _whole(column).dictionary_encode(null_encoding="encode")
        places = self._places([(value,) for value in encoded.dictionary.to_pylist()])
        return self._results.take(pa.array(places[encoded.indices.to_numpy()]))

    def of_two(self, first: Any, second: Any) -> pa.Array:
        one, two = (_whole(column).dictionary_encode(null_encoding="encode") for column in (first, second))
        width = len(two.dictionary)
        pairs = one.indices.to_numpy().astype(np.int64) * width + two.indices.to_numpy()
        kinds, codes = np.unique(pairs, return_inverse=True)
        ones, twos = one.dictionary.to_pylist(), two.dictionary.to_pylist()
        places = self._places([(ones[pair // width], twos[pair % width]) for pair in kinds.tolist()])
        return self._results.take(pa.array(places[codes]))

    def _places(self, values: list[tuple[Any, ...]]) -> np.ndarray[Any, Any]:
        with self._lock:
            new = [value for value in values if value not in self._place]
            if new:
                added = pa.array([self._function(*value) for value in new], self._results.type)
                self._place.update({value: len(self._results) + number for number, value in enumerate(new)})
                self._results = pa.concat_arrays([self._results, added])
            return np.array([self._place[value] for value in values], np.int64)


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _described(title_raw: str, parts: Sequence[str | None]) -> dict[str, str]:
    title, description, raw = describe(title_raw, [part for part in parts if part and part.strip()])
    return {"title": title, "description": description, "raw": raw}


def _brand_of(given: str | None) -> dict[str, str | bool | None]:
    raw = clean_description(given or "")
    is_odd = (
        _is_odd(given or "") or (bool(given) and not raw) or len(raw) > 100
    )  # then another field may name the brand
    return {"raw": raw or None, "name": normalise_brand(raw), "is_odd": is_odd}


def _category_of(main: str | None, path: str | None) -> dict[str, str | bool]:
    record: dict[str, Any] = {"main_category": main, "categories": path}
    if path and path.startswith("["):
        with contextlib.suppress(json.JSONDecodeError):  # else a text that only looks like a list
            record["categories"] = json.loads(path)
    category, subcategory = category_names(record)
    entities = {"category_entity": normalise_entity(category), "subcategory_entity": normalise_entity(subcategory)}
    is_odd = _is_odd(main or "") or _NO_TEXT.fullmatch(path or "") is not None
    return {"category": category, "subcategory": subcategory, "is_odd": is_odd, **entities}


def _is_odd(name: str) -> bool:
    """Whether a name may be no text in the metadata, so that the line reader has to look."""
    return name.startswith("[") or bool(_NO_TEXT.fullmatch(name) and not _PLAIN_NUMBER.fullmatch(name))


def _price_of(price: str | None) -> float | None:
    return parse_price(price)


def write_json_records(
    metadata: Path,
    dataset: str,
    groups: Sequence[str],
    output: Path,
    *,
    urls: bool,
    subset: str,
    read_again: LineReader,
) -> int:
    """Write `records` of metadata whose lines are JSON to `output`; returns the number of lines.

    Args:
        urls: whether the photos' addresses are kept.
        subset: `paper` for fashion products with a brand alone.
        read_again: says what the lines of these numbers (from 1) come to that SQL could not read.

    Raises:
        duckdb.Error: DuckDB cannot read the file at all (damaged, or an object over the cap): read it by lines.
    """
    parameters = {
        "dataset": dataset, "source": metadata.name, "groups": list(groups), "urls": urls,
        "paper": subset == "paper", "max_text": MAX_TEXT, "max_parts": MAX_PARTS,
    }  # fmt: skip
    spill: dict[str, Any] = {
        "temp_directory": str(output.parent / ".duckdb")
    }  # not the folder that the process happens to run in
    with duckdb.connect(config=spill) as connection:
        open_lines(connection, metadata)
        add_functions(connection)
        connection.sql(read_sql("ingest/amazon_records"), params=parameters).write_parquet(
            str(output), compression="zstd"
        )
    with duckdb.connect(config=spill) as connection:
        connection.read_parquet(glob.escape(str(output)), file_row_number=True).create_view("records")
        again = connection.sql("SELECT file_row_number + 1 FROM records WHERE reason = 'retry'").fetchall()
        if again:
            _replace(connection, dataset, output, read_again([number for (number,) in again]))
    return int(pq.read_metadata(output).num_rows)


def _replace(
    connection: duckdb.DuckDBPyConnection, dataset: str, output: Path, rows: Iterable[Listing | Rejected]
) -> None:
    """Put `rows` in the places of those that SQL could not read."""
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        mended, merged = Path(scratch) / "mended", Path(scratch) / "merged"
        write_rows(mended, dataset, rows)
        connection.read_parquet(glob.escape(str(mended))).create_view("mended")
        connection.sql(read_sql("ingest/mended_records")).write_parquet(str(merged), compression="zstd")
        merged.replace(output)
