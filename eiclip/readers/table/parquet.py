"""Parquet files of a user's own: cells in batches, and photos held as bytes in a column.

Photos are left out of the pass over the rows, and read later, a row group at a time and once each.
"""

import logging
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from eiclip.errors import RawDataError
from eiclip.readers.cells import UnusableRowError, decoded

logger = logging.getLogger(__name__)

MAGIC = b"PAR1"
BATCH_ROWS = 1000
PHOTO_BATCH_ROWS = 16  # photos have megabytes
_BUFFER = 2**20  # bytes; without a buffer a whole column of a row group is held
_HOLDS_BYTES = (
    types.is_struct, types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view
)  # fmt: skip
_UNREADABLE = (ValueError, OverflowError, KeyError, pa.ArrowException)

EMBEDDED = object()  # the cell of a photo that the table itself holds; `ParquetTable.photos` reads it


def missing_column(path: Path, name: str, held: Sequence[str]) -> RawDataError:
    """Return the error for a column that a file lacks."""
    return RawDataError(
        f"{path}: no column {name!r}; it has {', '.join(map(repr, held)) or 'none'}. "
        "Rename the column that holds it, or (of a catalogue) name that under the dataset's `columns`"
    )


def check_columns(path: Path, absent: Sequence[str], optional: Collection[str], held: Sequence[str]) -> None:
    """Raise RawDataError for the first column of `absent` that is not `optional`, and log those that are."""
    if needed := [name for name in absent if name not in optional]:
        raise missing_column(path, needed[0], held)
    if absent:
        logger.warning("%s: no column %s; left out", path, ", ".join(map(repr, absent)))


@dataclass(frozen=True)
class ParquetTable:
    """One Parquet file, of which only the wanted columns are read."""

    path: Path
    columns: Sequence[str]
    photo: str | None = None
    """The photo's column, whose bytes are left out of `rows`; None: no column holds photos alone."""
    encoding: str = "utf-8"
    """Of texts that are kept as bytes."""
    optional: Collection[str] = ()
    """Columns that may be absent."""

    def check(self) -> None:
        """Raise RawDataError where a wanted column is absent, there twice, or cannot hold photos."""
        with self._opened() as file:
            self._embedded(file)
            held = file.schema_arrow.names
            check_columns(self.path, [name for name in self.columns if name not in held], self.optional, held)

    def names(self) -> list[str]:
        """Return the columns that the file holds. Raises RawDataError."""
        with self._opened() as file:
            return list(file.schema_arrow.names)

    def count(self) -> int:
        """Count the rows, as the file's footer says. Raises RawDataError."""
        with self._opened() as file:
            return int(file.metadata.num_rows)

    def rows(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        """Yield every row; the photo's cell is EMBEDDED where the column holds bytes. Raises RawDataError."""
        with self._opened() as file:
            embedded = self._embedded(file)
            wanted = dict.fromkeys(self.columns if embedded else self._wanted)
            names = [name for name in wanted if name in file.schema_arrow.names]
            left = file.metadata.num_rows
            for batch in file.iter_batches(BATCH_ROWS, columns=names, use_threads=False):
                left -= batch.num_rows
                cells = {name: _cells(batch.column(name)) for name in names}
                if embedded and self.photo is not None:
                    cells[self.photo] = [EMBEDDED] * batch.num_rows
                for row in range(batch.num_rows):
                    yield self._texts({name: column[row] for name, column in cells.items()})
            if left:
                raise self._damaged("it holds other rows than it declares")

    def _texts(self, cells: dict[str, Any]) -> dict[str, Any] | UnusableRowError:
        """The cells of a row, their bytes as text."""
        try:
            for name, cell in cells.items():
                if isinstance(cell, bytes):
                    cells[name] = decoded(cell, self.encoding)
            return cells
        except UnusableRowError as error:
            return error

    def photos(self, rows: Sequence[int]) -> Iterator[Any]:
        """Yield the photo's cell (bytes, a dict or None) of rising rows. Raises RawDataError beyond the last."""
        with self._opened() as file:
            if rows and rows[-1] >= file.metadata.num_rows:
                raise RawDataError(
                    f"{self.path}: no row {rows[-1]}, it has {file.metadata.num_rows:,}: the file changed, "
                    "make the listings again"
                )
            self._embedded(file)
            first = 0
            for group in range(file.metadata.num_row_groups):
                end = first + file.metadata.row_group(group).num_rows
                if asked := _within(rows, first, end):
                    yield from self._group_photos(file, group, first, asked)
                first = end

    def _group_photos(self, file: pq.ParquetFile, group: int, first: int, asked: Sequence[int]) -> Iterator[Any]:
        for batch in file.iter_batches(PHOTO_BATCH_ROWS, [group], [self.photo], use_threads=False):
            end = first + batch.num_rows
            yield from (_cell(batch.column(self.photo)[row - first]) for row in _within(asked, first, end))
            if asked[-1] < end:
                return
            first = end
        raise self._damaged("it holds other rows than it declares")

    @property
    def _wanted(self) -> list[str]:
        return [*self.columns, *([] if self.photo is None else [self.photo])]

    def _embedded(self, file: pq.ParquetFile) -> bool:
        """Check the columns, and return whether the photo's holds bytes."""
        schema = file.schema_arrow
        for name in self._wanted:
            if name not in schema.names and name not in self.optional:
                raise missing_column(self.path, name, schema.names)
            if schema.names.count(name) > 1:
                raise RawDataError(f"{self.path}: {schema.names.count(name)} columns are named {name!r}; rename one")
        if self.photo is None:
            return False
        kind = schema.field(self.photo).type
        is_list = types.is_list(kind) or types.is_large_list(kind)
        if types.is_map(kind) or (is_list and any(test(kind.value_type) for test in _HOLDS_BYTES)):
            raise RawDataError(f"{self.path}: column {self.photo!r} is {kind}; give every photo a row of its own")
        if types.is_struct(kind) and "bytes" not in [field.name for field in kind]:
            raise RawDataError(f"{self.path}: column {self.photo!r} is {kind}; a struct needs a field 'bytes'")
        return any(test(kind) for test in _HOLDS_BYTES)

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        try:
            with pq.ParquetFile(self.path, buffer_size=_BUFFER, pre_buffer=False) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, how: str) -> RawDataError:
        return RawDataError(f"{self.path}: damaged or cut short ({how}); fetch it again from where it came")


def _within(rows: Sequence[int], first: int, end: int) -> Sequence[int]:
    """Return those of `rows`, which rise, from `first` and before `end`."""
    return rows[bisect_left(rows, first) : bisect_left(rows, end)]


def _cells(column: pa.Array) -> list[Any]:
    try:
        # Nanoseconds have no Python value.
        return list((column.cast(pa.string()) if types.is_temporal(column.type) else column).to_pylist())
    except _UNREADABLE:  # text that is not UTF-8, among others
        return [_cell(cell) for cell in column]


def _cell(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return cell.as_buffer().to_pybytes() if hasattr(cell, "as_buffer") else None  # whoever reads it says where
    except _UNREADABLE:
        return None
