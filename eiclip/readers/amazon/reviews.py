"""Amazon reviews of the 2014, 2018 and 2023 editions -> one row per review, millions of them.

`parse_review` says what a line means. `sql/ingest/review_lines.sql` does so for plain JSON lines, many times faster
and hands the others back; a file of Python literals, or one that DuckDB cannot read, is read line by line.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import contextlib
import datetime
import glob
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import RawDataError
from eiclip.readers.amazon.lines import MAX_LINE_BYTES, count_lines, is_gzip, numbered_lines
from eiclip.readers.amazon.metadata import PRODUCT_ID, UnusableRowError, parse_line
from eiclip.readers.texts import storable
from eiclip.storage.files import whole_file
from eiclip.storage.lake import count_rows
from eiclip.storage.sql import read_sql

SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string()),
        pa.field("source", pa.string()),
        pa.field("place", pa.int64()),
        pa.field("product_id", pa.string()),
        pa.field("rating", pa.float64()),
        pa.field("helpful", pa.int64()),
        pa.field("text", pa.string()),
        pa.field("summary", pa.string()),
        pa.field("time", pa.timestamp("us")),
        pa.field("verified", pa.bool_()),
    ]
)
REJECTED_SCHEMA = pa.schema([*(SCHEMA.field(n) for n in range(4)), pa.field("reason", pa.string())])
MAX_TEXT = 20_000
"""Characters of one text kept."""

_ROW_GROUP = 10_000
_MOST_RETRIES = 0.1  # share of lines; beyond it, reading every line once is quicker
_END_OF_TIME = 4_102_444_800  # seconds, the year 2100: what lies outside is no time of a review
_EPOCH = datetime.datetime(1970, 1, 1)  # UTC, without saying so, as everywhere in the lake
_NUMBER = re.compile(r"[0-9]{1,4}(\.[0-9]{1,20})?")
_DIGITS = re.compile(r"[0-9]{1,15}")
_COUNT = re.compile(r"[0-9]{1,9}|[0-9]{1,3}(?:,[0-9]{3}){1,2}")


@dataclass(frozen=True)
class ReviewCounts:
    """How many lines there were and where they went; rows_in = accepted + quarantined."""

    rows_in: int
    accepted: int
    quarantined: int


@dataclass(frozen=True)
class Review:
    """One review of a product."""

    product_id: str
    rating: float  # 1 to 5
    helpful: int  # votes; 0 where the line tells none
    text: str | None
    summary: str | None
    time: datetime.datetime | None  # UTC
    verified: bool | None  # whether the shop knows of the purchase


def write_reviews(path: Path, output: Path, rejected: Path, dataset: str) -> ReviewCounts:
    """Read a reviews file, gzipped or plain, and write its reviews and what could not be used as Parquet.

    Raises RawDataError where the file is missing or damaged, no line at all is usable, or it changed meanwhile.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    rows_in = count_lines(path)
    with whole_file(output) as accepted_part, whole_file(rejected) as rejected_part:
        with _Writer(rejected_part, REJECTED_SCHEMA) as rejections:
            fast = _write_json(path, dataset, accepted_part, rejections, rows_in)
        if not fast:
            with _Writer(rejected_part, REJECTED_SCHEMA) as rejections:
                _write_lines(path, dataset, accepted_part, rejections)
        counts = ReviewCounts(rows_in, count_rows([accepted_part]), count_rows([rejected_part]))
        _check(counts, path)
    return counts


def _write_json(path: Path, dataset: str, output: Path, rejections: _Writer, rows_in: int) -> bool:
    """Write the reviews of JSON lines with DuckDB; False where the file has to be read line by line."""
    # DuckDB would take such a name for a pattern.
    if not _opens_like_json(path) or any(mark in str(path) for mark in "*?["):
        return False
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".reviews-") as scratch, duckdb.connect() as connection:
        connection.execute("SET temp_directory = $folder", {"folder": scratch})
        plain, mended = Path(scratch) / "plain", Path(scratch) / "mended"
        try:
            _read_json(connection, path, dataset, plain)
        except duckdb.Error:
            return False
        retries = _retries(connection, plain)
        # Blank lines are no rows to DuckDB, and would shift the numbers of those after them.
        if count_rows([plain]) != rows_in or len(retries) > 100 + rows_in * _MOST_RETRIES:
            return False
        _write_lines(path, dataset, mended, rejections, only=retries)
        connection.read_parquet(str(mended)).create_view("mended")
        connection.sql(read_sql("ingest/mended_reviews")).write_parquet(str(output), compression="zstd")
    return True


def _write_lines(
    path: Path, dataset: str, output: Path, rejections: _Writer, only: Collection[int] | None = None
) -> None:
    """Write the reviews of a file (or of the lines `only`, numbers from 1) line by line."""
    with _Writer(output, SCHEMA) as accepted:
        for place, line in numbered_lines(path) if only is None or only else ():
            if only is not None and place not in only:
                continue
            where = {"dataset": dataset, "source": path.name, "place": place}
            try:
                accepted.add(where | vars(_parsed(line)))
            except UnusableRowError as error:
                rejections.add(where | {"product_id": error.product_id, "reason": str(error)})


def parse_review(record: dict[str, Any]) -> Review:
    """Return the review of a line's record, of whichever edition. Raises UnusableRowError."""
    product_id = _product_id(record)
    try:
        rating = _rating(_first(record, "overall", "rating"))
    except UnusableRowError as error:
        raise UnusableRowError(str(error), product_id) from None
    return Review(
        product_id=product_id,
        rating=rating,
        helpful=_helpful(_first(record, "helpful", "vote", "helpful_vote")),
        text=_text(record, "reviewText", "text"),
        summary=_text(record, "summary", "title"),
        time=_time(record),
        verified=_truth(_first(record, "verified", "verified_purchase")),
    )


def _opens_like_json(path: Path) -> bool:
    """Whether the first line that is not blank may be JSON: 2014's are Python literals, with single quotes."""
    first = next((line for _, line in numbered_lines(path) if line is None or line.strip()), None)
    return first is not None and not first.lstrip().startswith(b"{'")


def _read_json(connection: duckdb.DuckDBPyConnection, path: Path, dataset: str, output: Path) -> None:
    compression = "gzip" if is_gzip(path) else "uncompressed"
    options = {"path": glob.escape(str(path)), "cap": MAX_LINE_BYTES, "compression": compression}
    connection.sql(
        "FROM read_ndjson_objects($path, ignore_errors = true, maximum_object_size = $cap, compression = $compression)",
        params=options,
    ).create_view("lines")
    parameters = {"dataset": dataset, "source": path.name, "max_text": MAX_TEXT}
    connection.sql(read_sql("ingest/review_lines"), params=parameters).write_parquet(str(output), compression="lz4_raw")


def _retries(connection: duckdb.DuckDBPyConnection, plain: Path) -> set[int]:
    """Numbers of the lines that SQL hands back."""
    connection.read_parquet(str(plain), file_row_number=True).create_view("review_lines")
    found = connection.sql("SELECT file_row_number + 1 FROM review_lines WHERE reason IS NOT NULL").fetchall()
    return {number for (number,) in found}


def _parsed(line: bytes | None) -> Review:
    if line is None:
        raise UnusableRowError(f"line too long: more than {MAX_LINE_BYTES:,} bytes")
    return parse_review(parse_line(line))


def _check(counts: ReviewCounts, path: Path) -> None:
    if counts.rows_in != counts.accepted + counts.quarantined:
        raise RawDataError(
            f"{path}: {counts.rows_in:,} lines, but {counts.accepted:,} accepted and {counts.quarantined:,} rejected: "
            "the file changed while it was read; run again when nothing writes to it"
        )
    if counts.accepted == 0:
        raise RawDataError(
            f"{path}: none of {counts.rows_in:,} lines is a review (an id and a rating from 1 to 5); "
            "check that the dataset's reviews are set to the right file"
        )


class _Writer(contextlib.AbstractContextManager["_Writer"]):
    """Rows gathered to row groups of a Parquet file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows: list[dict[str, Any]] = []
        self.file = pq.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self.file.close()

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if len(self.rows) == _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            self.file.write_table(pa.Table.from_pylist(self.rows, self.schema))
            self.rows.clear()


def _first(record: dict[str, Any], *names: str) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _product_id(record: dict[str, Any]) -> str:
    value = record.get("asin") if record.get("parent_asin") in (None, "") else record["parent_asin"]
    if value is None or value == "":
        raise UnusableRowError("no id: neither 'asin' nor 'parent_asin'")
    if not isinstance(value, str) or not PRODUCT_ID.fullmatch(value.strip()):
        seen = ascii(value)[:60] if isinstance(value, str) else type(value).__name__
        raise UnusableRowError(f"bad id: {seen} (letters, digits, '.', '_' and '-' only, at most 64)", seen)
    return value.strip()


def _rating(value: Any) -> float:
    if value is None:
        raise UnusableRowError("no rating: neither 'overall' nor 'rating'")
    number = value
    if isinstance(value, str):
        number = float(value) if _NUMBER.fullmatch(value.strip()) else None
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise UnusableRowError(f"bad rating: {ascii(value)[:60] if isinstance(value, str) else type(value).__name__}")
    if not 1 <= number <= 5:  # NaN and infinity too
        shown = "a great number" if abs(number) >= 10**9 else str(number)[:20]
        raise UnusableRowError(f"rating outside 1 to 5: {shown}")
    return float(number)


def _helpful(value: Any) -> int:
    """Votes as 2014 ([helpful, all]), 2018 ("1,204") or 2023 (a number) tell them; 0 for anything else.

    >>> _helpful([3, 5]), _helpful("1,204"), _helpful(7), _helpful("many")
    (3, 1204, 7, 0)
    """
    if isinstance(value, str):
        value = value.strip()
        if value.startswith("["):
            value = value[1:].partition(",")[0].rstrip("]").strip()
        return int(value.replace(",", "")) if _COUNT.fullmatch(value) else 0
    number = _whole_number(value[0] if isinstance(value, (list, tuple)) and value else value)
    return number if number is not None and number < 10**9 else 0


def _whole_number(value: Any) -> int | None:
    """A whole number from 0, also as text or as a float; None for anything else."""
    if isinstance(value, str):
        value = int(value.strip()) if _DIGITS.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 10**15:
        return None
    return int(value) if value == int(value) else None


def _time(record: dict[str, Any]) -> datetime.datetime | None:
    if record.get("unixReviewTime") is not None:
        ticks, a_second = _whole_number(record["unixReviewTime"]), 1
    else:  # 2023 counts milliseconds, under another name
        ticks, a_second = _whole_number(record.get("timestamp")), 1000
    if ticks is None or ticks >= _END_OF_TIME * a_second:
        return None
    return _EPOCH + datetime.timedelta(milliseconds=ticks * 1000 // a_second)


def _text(record: dict[str, Any], *names: str) -> str | None:
    found = (record.get(name) for name in names)
    text = next((value for value in found if isinstance(value, str) and value), None)
    return None if text is None else storable(text[:MAX_TEXT])


def _truth(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None
