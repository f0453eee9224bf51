"""Amazon reviews of the 2014, 2018 and 2023 editions -> one row per review, millions of them."""

import datetime
import glob
import hashlib
import re
import struct
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import RawDataError
from eiclip.readers.amazon.files import EXPECTED, AmazonFile
from eiclip.readers.amazon.metadata import product_id_of
from eiclip.readers.cells import MAX_TEXT, UnusableRowError
from eiclip.readers.records import ROW_GROUP
from eiclip.readers.texts import storable
from eiclip.storage.files import whole_file
from eiclip.storage.sql import read_sql

SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string()),
        pa.field("source", pa.string()),
        pa.field("place", pa.int64()),  # line from 1
        pa.field("product_id", pa.string()),
        pa.field("rating", pa.float64()),  # 1 to 5
        pa.field("helpful", pa.int64()),  # votes; 0 where the line tells none
        pa.field("text", pa.string()),
        pa.field("summary", pa.string()),
        pa.field("time", pa.timestamp("us")),  # UTC
        pa.field("verified", pa.bool_()),  # whether the shop knows of the purchase
    ]
)
REJECTED_SCHEMA = pa.schema([*(SCHEMA.field(n) for n in range(4)), pa.field("reason", pa.string())])
_MEMORY = "1GB"  # of DuckDB; more goes to the disk
_DIGESTS = pa.schema([pa.field(name, pa.int64()) for name in ("place", "high", "low")])
FIELDS = (
    "asin", "parent_asin", "reviewerID", "user_id", "overall", "rating", "helpful", "vote", "helpful_vote",
    "reviewText", "text", "summary", "title", "unixReviewTime", "timestamp", "verified", "verified_purchase",
)  # fmt: skip
_END_OF_TIME = 4_102_444_800  # seconds, the year 2100: what lies outside is no time of a review
_EPOCH = datetime.datetime(1970, 1, 1)  # UTC, without saying so, as everywhere in the lake
_NUMBER = re.compile(r"[0-9]{1,4}(\.[0-9]{1,20})?")
_DIGITS = re.compile(r"[0-9]{1,15}")
_COUNT = re.compile(r"[0-9]{1,9}|[0-9]{1,3}(?:,[0-9]{3}){1,2}")


def write_reviews(path: Path, output: Path, rejected: Path, dataset: str) -> dict[str, int]:
    """Read a reviews file of any edition and format, and write its reviews and what could not be used as Parquet.

    A review that is there again (same user, product, rating, texts and time) is among the latter: products that are
    sold in variants have it once for each. Returns how many lines there were and where they went: rows_in = accepted +
    quarantined, duplicates among these. Raises RawDataError where the file is missing, damaged or of another format, no
    line at all is usable, or it changed meanwhile.
    """
    file = AmazonFile(path, FIELDS, "the dataset's reviews")
    rows_in, found, quarantined = file.count(), 0, 0
    with (
        whole_file(output) as output_part,
        whole_file(rejected) as rejected_part,
        tempfile.TemporaryDirectory(dir=output.parent) as scratch,
    ):
        digests = Path(scratch) / "digests"
        with (
            pq.ParquetWriter(output_part, SCHEMA, compression="zstd") as reviews_file,
            pq.ParquetWriter(rejected_part, REJECTED_SCHEMA, compression="zstd") as rejected_file,
            pq.ParquetWriter(digests, _DIGESTS) as digests_file,
        ):
            records = file.records()
            origin = {"dataset": dataset, "source": path.name}
            while rows := [origin | {"place": n} | read_review(record) for n, record in islice(records, ROW_GROUP)]:
                reviews, others = [row for row in rows if "reason" not in row], [row for row in rows if "reason" in row]
                for writer, kept in ((reviews_file, reviews), (rejected_file, others)):
                    if kept:
                        writer.write_table(pa.Table.from_pylist(kept, writer.schema))
                digests_file.write_table(
                    pa.table([[row[name] for row in reviews] for name in _DIGESTS.names], _DIGESTS)
                )
                found, quarantined = found + len(reviews), quarantined + len(others)
        duplicates = _move_duplicates(output_part, rejected_part, digests)
        accepted, quarantined = found - duplicates, quarantined + duplicates
        if rows_in != accepted + quarantined:
            raise RawDataError(
                f"{path}: {rows_in:,} lines, but {accepted:,} accepted and {quarantined:,} rejected: "
                "the file changed while it was read; run again when nothing writes to it"
            )
        if accepted == 0:
            raise RawDataError(
                f"{path}: none of {rows_in:,} lines is a review (an id and a rating from 1 to 5); "
                f"check that the dataset's reviews are set to the right file: {EXPECTED}"
            )
    return {"rows_in": rows_in, "accepted": accepted, "quarantined": quarantined, "duplicates": duplicates}


def _move_duplicates(reviews: Path, rejected: Path, digests: Path) -> int:
    """Move the reviews that are there before from one file to the other; returns how many."""
    again = digests.with_name("again")
    spill: dict[str, Any] = {"temp_directory": str(digests.parent / ".duckdb"), "memory_limit": _MEMORY}
    with duckdb.connect(config=spill) as connection:
        for name, file in {"review_digests": digests, "reviews": reviews, "rejected": rejected}.items():
            connection.read_parquet(glob.escape(str(file))).create_view(name)
        connection.sql(read_sql("ingest/repeated_reviews")).create("repeated")
        places = connection.sql("SELECT place FROM repeated ORDER BY place").fetchnumpy()["place"]
        if not len(places):
            return 0
        connection.sql(read_sql("ingest/refused_reviews")).write_parquet(str(again), compression="zstd")
    for source, target in ((reviews, reviews), (again, rejected)):
        schema = pq.read_schema(target)
        with pq.ParquetFile(source) as file, pq.ParquetWriter(digests, schema, compression="zstd") as writer:
            for batch in file.iter_batches(ROW_GROUP):
                place = batch["place"].to_numpy()
                is_first = places[np.searchsorted(places, place).clip(max=len(places) - 1)] != place
                writer.write_batch((batch.filter(pa.array(is_first)) if source == reviews else batch).cast(schema))
        digests.replace(target)
    return len(places)


def read_review(record: dict[str, Any] | UnusableRowError) -> dict[str, Any]:
    """Return the review of a record of any edition, or the `reason` why there is none.

    `high` and `low`, None where no user is known, are the same for the same review alone.
    """
    product_id = None
    try:
        if isinstance(record, UnusableRowError):
            raise record
        value = record.get("asin") if record.get("parent_asin") in (None, "") else record["parent_asin"]
        product_id = product_id_of(value, value if isinstance(value, str) else "")
        verified = _first(record, "verified", "verified_purchase")
        if isinstance(verified, str):
            verified = {"true": True, "false": False}.get(verified.strip().lower())
        review = {
            "product_id": product_id,
            "rating": _rating(_first(record, "overall", "rating")),
            "helpful": _helpful(_first(record, "helpful", "vote", "helpful_vote")),
            "text": _text(record, "reviewText", "text"),
            "summary": _text(record, "summary", "title"),
            "time": _time(record),
            "verified": verified if isinstance(verified, bool) else None,
        }
        user = record.get("user_id") or record.get("reviewerID")
        is_known = isinstance(user, (str, int))
        told = (user, product_id, review["rating"], review["text"], review["summary"], review["time"])
        # 128 bits, so that two reviews are not taken for one.
        digest = hashlib.blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        review["high"], review["low"] = struct.unpack("<qq", digest) if is_known else (None, None)
        return review
    except UnusableRowError as error:
        return {"product_id": product_id or error.product_id, "reason": str(error)}


def _time(record: dict[str, Any]) -> datetime.datetime | None:
    """The time of a review (UTC): seconds, of 2023 milliseconds, or as tables write it; None where it tells none."""
    value = _first(record, "unixReviewTime", "timestamp")
    if isinstance(value, str) and "-" in value:
        try:
            time = datetime.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        time = time.astimezone(datetime.UTC).replace(tzinfo=None) if time.tzinfo else time
        return time if _EPOCH <= time < _EPOCH + datetime.timedelta(seconds=_END_OF_TIME) else None
    # 2023 counts milliseconds, under another name.
    a_second = 1 if record.get("unixReviewTime") is not None else 1000
    ticks = _whole_number(value)
    if ticks is None or ticks >= _END_OF_TIME * a_second:
        return None
    return _EPOCH + datetime.timedelta(milliseconds=ticks * 1000 // a_second)


def _first(record: dict[str, Any], *names: str) -> Any:
    for name in names:  # a generator takes three times as long
        if (value := record.get(name)) is not None:
            return value
    return None


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


def _text(record: dict[str, Any], *names: str) -> str | None:
    for name in names:
        if isinstance(text := record.get(name), str) and text:
            return storable(text[:MAX_TEXT])
    return None
