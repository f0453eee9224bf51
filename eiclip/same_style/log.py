"""A click or basket log of any shop -> `click_log` and, with the reason of each, `click_rejections`.

Files are normalised one after another into one table of a database in memory, which puts onto the disk what does not
fit; repeated clicks are looked for among all of them.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import datetime
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

from eiclip.errors import RawDataError, SettingsError
from eiclip.same_style.log_files import damaged, open_log
from eiclip.settings.same_style import LogColumns
from eiclip.storage.files import whole_file
from eiclip.storage.lake import count_rows
from eiclip.storage.locations import local_files
from eiclip.storage.sql import read_sql

logger = logging.getLogger(__name__)

MEMORY = "2GB"
"""What DuckDB may take for mining; what does not fit goes to the disk."""
DUPLICATE = "duplicate row"
_GRACE = datetime.timedelta(days=1)  # a log's clock may be of any time zone
_NO_CLOCK = datetime.datetime(1990, 1, 1)  # what unpacks an archive may set a file's time to 1970
_TABLE = (
    'CREATE TABLE log_rows (file INTEGER, "row" BIGINT, place BIGINT, session VARCHAR, "time" TIMESTAMP, item VARCHAR, '
    '"trigger" VARCHAR, unread VARCHAR, reason VARCHAR)'
)
# Most sessions and many items are there a few times only: without dictionaries the file is smaller, and sooner there.
_CLICKS = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1"


def write_log(
    log: str | None, columns: LogColumns, dataset: str, output: Path, rejections: Path, cache: Path, latest: str | None
) -> dict[str, int]:
    """Write `click_log` to `output` and `click_rejections` to `rejections`, both whole.

    Returns how many clicks the log has and where they went: rows = kept + rejected.

    Args:
        log: Parquet or CSV: a file, a pattern or a folder, or the URL of one; None: no log, and empty tables.
        columns: which columns hold what.
        dataset: what the tables' first column says.
        cache: where files of URLs are copied to.
        latest: time (ISO 8601) after which a click is clock skew; None: a day after its file was last written.

    Raises RawDataError where a file is missing, damaged, or neither Parquet nor CSV, SettingsError where a file lacks a
    column, or `latest` is no time.
    """
    limit = None if latest is None else _moment(latest)
    output.parent.mkdir(parents=True, exist_ok=True)
    files = [] if log is None else local_files(log, cache)
    scratch = tempfile.TemporaryDirectory(dir=output.parent, prefix=".log-")
    with scratch, connect(Path(scratch.name)) as connection:
        connection.execute(_TABLE)
        _check_format(connection, columns.time_format)
        limits = [limit or _latest(file) for file in files]
        for number, file in enumerate(files):
            if file.stat().st_size:  # else a day on which nobody clicked
                _add(connection, number, file, columns, limits[number], Path(scratch.name))
        if columns.time_format is None:
            _read_times(connection, limits)
        connection.execute(
            f"UPDATE log_rows SET reason = '{DUPLICATE}' WHERE rowid IN ({read_sql('clicks/log_duplicates')})"  # noqa: S608
        )
        with whole_file(output) as kept, whole_file(rejections) as rejected:
            parameters = {"dataset": dataset, "sources": [file.name for file in files]}
            connection.execute(
                f"COPY ({read_sql('clicks/click_log')}) TO $output ({_CLICKS})", parameters | {"output": str(kept)}
            )
            connection.sql(read_sql("clicks/click_rejections"), params=parameters).write_parquet(
                str(rejected), compression="zstd"
            )
            counts = {"kept": count_rows([kept]), "rejected": count_rows([rejected])}
            if not counts["kept"] and counts["rejected"]:
                raise _nothing_kept(connection, files)
    return {"rows": sum(counts.values())} | counts


def _nothing_kept(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> RawDataError:
    """The error for a log of which no row can be used: names the commonest kind of reason and its first row."""
    commonest = "SELECT mode(split_part(reason, ':', 1)) FROM log_rows"
    [(file, row, reason)] = connection.execute(
        f"SELECT file, \"row\", reason FROM log_rows WHERE split_part(reason, ':', 1) = ({commonest}) "  # noqa: S608
        'ORDER BY file, "row" LIMIT 1'
    ).fetchall()
    return RawDataError(f"{files[file]}: no click can be used; the most common reason: {reason} (row {row})")


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that takes no more of it than `MEMORY`, and puts what does not fit below `scratch`."""
    connection = duckdb.connect(config={"temp_directory": str(scratch / ".duckdb"), "memory_limit": MEMORY})
    connection.execute("SET enable_progress_bar = false").fetchall()  # it is drawn into logs
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    return connection


def _add(
    connection: duckdb.DuckDBPyConnection,
    number: int,
    file: Path,
    columns: LogColumns,
    latest: datetime.datetime,
    scratch: Path,
) -> None:
    """Add the rows of a file to `log_rows`, those that cannot be read too."""
    parameters = {"file": number, "latest": latest, "timed": bool(columns.time), "triggered": bool(columns.trigger)}
    for by_rows in (False, True):
        connection.begin()
        try:
            rows = open_log(connection, file, columns, scratch, by_rows=by_rows)
            added = connection.execute(f"INSERT INTO log_rows {read_sql('clicks/log_rows')}", parameters).fetchall()
            if rows is None or added == [(rows,)]:
                connection.commit()
                return
        except duckdb.Error as error:
            if by_rows:
                raise damaged(file, error) from error
        connection.rollback()


def _read_times(connection: duckdb.DuckDBPyConnection, limits: list[datetime.datetime]) -> None:
    """Read the times that are texts in other forms than DuckDB's; `limits` are those of the files."""
    if not connection.execute("SELECT 1 FROM log_rows WHERE unread IS NOT NULL LIMIT 1").fetchall():
        return
    connection.execute(f"CREATE TABLE log_times AS {read_sql('clicks/log_times')}", {"latest": limits})
    told = 'SELECT "order", min(unread) FROM log_times WHERE "order" IS NOT NULL GROUP BY "order"'
    for order, example in connection.execute(told).fetchall():
        logger.warning("%r in the log, and dates like it, are read %s, as its other dates are", example, order)
    connection.execute(
        'UPDATE log_rows SET "time" = log_times."time", reason = log_times.reason FROM log_times '
        "WHERE log_rows.rowid = log_times.id"
    )


def _check_format(connection: duckdb.DuckDBPyConnection, time_format: str | None) -> None:
    if time_format is None:
        return
    setting, example = f"same_style.columns.time_format: {time_format!r}", "%d/%m/%Y %H:%M:%S"
    if "%" not in time_format:
        raise SettingsError(f"{setting} names no part of a time; write one as {example}")
    try:
        connection.execute("SELECT try_strptime('', $time_format)", {"time_format": time_format}).fetchall()
    except duckdb.Error as error:
        raise SettingsError(f"{setting} is none ({str(error).splitlines()[0]}); write one as {example}") from error


def _moment(latest: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(latest)
    except ValueError as error:
        way_out = "write 2024-05-31T12:00:00"
        raise SettingsError(f"same_style.mining.latest_time: {latest!r} is no time; {way_out}") from error
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _latest(file: Path) -> datetime.datetime:
    written = datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.UTC).replace(tzinfo=None)
    if written < _NO_CLOCK:
        written = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return written + _GRACE
