"""Files of lines, gzipped or plain: one after the other, with their numbers, in bounded memory."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from eiclip.errors import RawDataError
from eiclip.readers.base import check_file
from eiclip.readers.cells import MAX_LINE_BYTES

_BOM = b"\xef\xbb\xbf"
_PIECE = 2**20
_QUOTED = re.compile(rb'"[^"]*"')
_FIRST_END = re.compile(rb"\r(?!\r?\n)|\r?\n")


def numbered_lines(path: Path, cap: int = MAX_LINE_BYTES, end: bytes = b"\n") -> Iterator[tuple[int, bytes | None]]:
    """Yield (number from 1, content without its end, None where it is longer than `cap`). Raises RawDataError."""
    check_file(path, "the dataset's metadata")
    number = 0
    try:
        with _opened(path, end) as stream:
            while line := stream.readline(cap + 1):
                number += 1
                if len(line) > cap and not line.endswith(b"\n"):
                    while (piece := stream.readline(_PIECE)) and not piece.endswith(b"\n"):
                        pass
                    yield number, None
                else:
                    content = line.rstrip(b"\r\n")
                    yield number, content.removeprefix(_BOM) if number == 1 else content
    except (EOFError, zlib.error, OSError) as error:
        raise _damaged(path, number, error) from error


def is_gzip(path: Path) -> bool:
    """Whether a file is gzipped, by its first bytes: names are often wrong. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def line_end(path: Path) -> bytes:
    r"""What ends the lines of a file: b"\r" where the first outside quotes is one alone. Raises RawDataError."""
    piece = next(pieces(path), b"")
    first = _FIRST_END.search(_QUOTED.sub(b"", piece)) or _FIRST_END.search(piece)
    return b"\r" if first is not None and first[0] == b"\r" else b"\n"


def count_lines(path: Path, end: bytes = b"\n") -> int:
    """Count the lines as `numbered_lines` numbers them, without holding or splitting them. Raises RawDataError."""
    ends, last = 0, b"\n"
    for piece in pieces(path):
        # Where carriage returns end lines, so do the line feeds in cells.
        ends, last = ends + piece.count(b"\n") + (piece.count(b"\r") if end == b"\r" else 0), piece[-1:]
    return ends + (last not in (b"\n", end))


def pieces(path: Path) -> Iterator[bytes]:
    """Yield the content of a file, gzipped or plain, a mebibyte at a time. Raises RawDataError."""
    check_file(path, "the dataset's files")
    ends = 0
    try:
        with _opened(path) as stream:
            while piece := stream.read(_PIECE):
                yield piece
                ends += piece.count(b"\n")
    except (EOFError, zlib.error, OSError) as error:
        raise _damaged(path, ends, error) from error


def _damaged(path: Path, line: int, error: Exception) -> RawDataError:
    return RawDataError(f"{path}: damaged or cut short after line {line} ({error}); fetch it again from where it came")


def _opened(path: Path, end: bytes = b"\n") -> IO[bytes]:
    # The extra buffer makes readline several times faster than GzipFile's own.
    stream = io.BufferedReader(gzip.GzipFile(path), _PIECE) if is_gzip(path) else path.open("rb")
    return stream if end == b"\n" else io.BufferedReader(_CarriageReturns(stream), _PIECE)


class _CarriageReturns(io.RawIOBase):
    """A file whose lines end with a carriage return, as if they ended with a line feed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()
