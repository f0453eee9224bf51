"""Lines of a text file, gzipped or plain, with their numbers and with a cap on their length.

Whether a file is gzipped is read from its first bytes, since names are often wrong. A line over the cap is skipped
without being held in memory, so that one endless line cannot take the machine down.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from eiclip.errors import RawDataError

MAX_LINE_BYTES = 4 * 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_PIECE = 2**20


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
