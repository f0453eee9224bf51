"""A click or basket log of any shop -> `click_log` and, with the reason of each, `click_rejections`.

Files are normalised one after another into one table of a database in memory, which puts onto the disk what does not
fit; repeated clicks are looked for among all of them.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import contextlib
import datetime
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from eiclip.errors import SettingsError
from eiclip.same_style.log_files import damaged, open_log
from eiclip.settings.same_style import LogColumns
from eiclip.storage.files import whole_file
from eiclip.storage.lake import count_rows
from eiclip.storage.locations import local_files
from eiclip.storage.sql import read_sql

MEMORY = "2GB"
"""What DuckDB may take for mining; what does not fit goes to the disk."""
_TABLE = (
    'CREATE TABLE log_rows (file INTEGER, "row" BIGINT, place BIGINT, session VARCHAR, "time" TIMESTAMP, item VARCHAR, '
    '"trigger" VARCHAR, reason VARCHAR)'
)
# Most sessions and many items are there a few times only: without dictionaries the file is smaller, and sooner there.
_CLICKS = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1"


def write_log(
    log: str | None,
    columns: LogColumns,
    dataset: str,
    output: Path,
    rejections: Path,
    *,
    cache: Path,
    latest: str | None,
) -> dict[str, int]:
    """Write `click_log` to `output` and `click_rejections` to `rejections`, both whole.

    Returns the numbers of rows, and of those `kept` and `rejected`.

    Args:
        log: Parquet or CSV: a file, a pattern or a folder, or the URL of one; None: no log, and empty tables.
        columns: which columns hold what.
        dataset: what the tables' first column says.
        output: of the clicks.
        rejections: of what is no click.
        cache: where files of URLs are copied to.
        latest: time (ISO 8601) after which a click is clock skew; None: a day after its file was last written.

    Raises:
        RawDataError: a file is missing, damaged, or neither Parquet nor CSV.
        SettingsError: a file lacks a column, or `latest` is no time.
    """
    limit = None if latest is None else _moment(latest)
    files = [] if log is None else local_files(log, cache)
    with connect(output.parent) as connection:
        connection.execute(_TABLE)
        for number, file in enumerate(files):
            if file.stat().st_size:  # else a day on which nobody clicked
                _add(connection, number, file, columns, limit)
        duplicates = read_sql("clicks/log_duplicates")
        connection.execute(f"UPDATE log_rows SET reason = 'duplicate row' WHERE rowid IN ({duplicates})")  # noqa: S608
        with whole_file(output) as kept, whole_file(rejections) as rejected:
            parameters = {"dataset": dataset, "sources": [file.name for file in files]}
            clicks = read_sql("clicks/click_log")
            connection.execute(f"COPY ({clicks}) TO $output ({_CLICKS})", parameters | {"output": str(kept)})
            others = connection.sql(read_sql("clicks/click_rejections"), params=parameters)
            others.write_parquet(str(rejected), compression="zstd")
            counts = {"kept": count_rows([kept]), "rejected": count_rows([rejected])}
    return {"rows": sum(counts.values())} | counts


@contextlib.contextmanager
def connect(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that takes `MEMORY` at most; what does not fit goes into `folder`, and is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".duckdb-") as scratch:
        config: dict[str, Any] = {"temp_directory": f"{scratch}/swap", "memory_limit": MEMORY}
        with duckdb.connect(config=config) as connection:
            connection.execute("SET enable_progress_bar = false").fetchall()  # it is drawn into logs
            connection.execute("SET TimeZone = 'UTC'").fetchall()
            yield connection


def _add(
    connection: duckdb.DuckDBPyConnection,
    number: int,
    file: Path,
    columns: LogColumns,
    latest: datetime.datetime | None,
) -> None:
    """Add the rows of a file to `log_rows`, and the lines of it that cannot be read."""
    if latest is None:
        written = file.stat().st_mtime
        if written < datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC).timestamp():  # as some archives unpack files
            written = time.time()
        # A day later: a log's clock may be of any time zone.
        latest = datetime.datetime.fromtimestamp(written, datetime.UTC).replace(tzinfo=None) + datetime.timedelta(1)
    parameters = {"file": number, "latest": latest, "timed": bool(columns.time), "triggered": bool(columns.trigger)}
    unreadable = 'INSERT INTO log_rows (file, "row", reason) SELECT $file, "row", $reason FROM'
    for strict in (True, False):
        try:
            refused = open_log(connection, file, columns, strict=strict)
            connection.execute(f"INSERT INTO log_rows {read_sql('clicks/log_rows')}", parameters)
            connection.execute(f"{unreadable} ({refused})", {"file": number, "reason": "unreadable row"})
            return
        except duckdb.Error as error:
            if not strict:
                raise damaged(file, error) from error


def _moment(latest: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(latest)
    except ValueError as error:
        place = "same_style.mining.latest_time"
        raise SettingsError(f"{place}: {latest!r} is no time; write 2024-05-31T12:00:00") from error
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)
