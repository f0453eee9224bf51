"""CSV as people have it: a header somewhere at the top, then a row a line (quoted cells may hold line ends).

Nothing is lost with a quote that never closes: a line that opens one goes to quarantine, and reading goes on at the
next line. A line's bytes are decoded as they are or not at all.
"""

import csv
import logging
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes

from eiclip.errors import RawDataError
from eiclip.readers.cells import MAX_LINE_BYTES, UnusableRowError, decoded
from eiclip.readers.lines import count_lines, line_end, numbered_lines
from eiclip.readers.table.parquet import check_columns

logger = logging.getLogger(__name__)
csv.field_size_limit(MAX_LINE_BYTES)  # a description may hold a picture

DELIMITERS = (",", ";", "\t", "|")
ENCODINGS = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "gb18030", "big5", "cp932", "cp949"
)  # fmt: skip
"""What is tried where most lines are not UTF-8."""
LATIN = ("cp1252", "cp1250", "cp1254")
"""Those of scripts whose words are ASCII for the most part, the usual one first."""
HEADER_LINES = 20
"""Lines from the top among which the header is looked for."""
BLANK = "blank row"
ROW_LINES = 500
"""Lines that a row may have, with the line ends of its quoted cells."""
_LOOKED_AT = 20_000  # lines that are not ASCII, of which the encoding is told
_SAMPLE = 256 * 2**10  # bytes of them that tell which other encoding it is
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_HIGH = re.compile(rb"[\x80-\xff]+")
_MAX_NAMES = 50  # column names shown in an error
_Row = list[str] | UnusableRowError


@dataclass(frozen=True)
class CsvTable:
    """A table of text cells parted by one of `DELIMITERS`; `encoding` None: UTF-8, or what most lines are in."""

    path: Path
    wanted: Sequence[str]
    encoding: str | None = None
    optional: Collection[str] = ()
    """Columns of `wanted` that may be absent."""
    padded: bool = False
    """Whether a row with less cells than the header ends with empty ones, which some programs leave out."""

    def check(self) -> tuple[str, list[str]]:
        """Return the delimiter and the header. Raises RawDataError where it lacks a wanted column or names it twice."""
        delimiter, header, above, _ = self._layout
        for number, line in islice(numbered_lines(self.path, end=self._end), HEADER_LINES):
            if line and not self._text(line) and not set(self.wanted) - set(self.optional) <= set(header):
                found = f"{self.path}: line {number}, perhaps the header, is not {self._encoding.upper()}"
                raise RawDataError(f"{found}; set the encoding, such as 'cp1252'")
        check_columns(
            self.path, [name for name in self.wanted if name not in header], self.optional, header[:_MAX_NAMES]
        )
        for name in self.wanted:
            if header.count(name) > 1:
                raise RawDataError(f"{self.path}: the header names {name!r} {header.count(name)} times; rename one")
        if above:
            logger.warning("%s: the header is line %d; what stands above it is left out", self.path, above + 1)
        return delimiter, header

    def names(self) -> list[str]:
        """Return the columns of the header. Raises RawDataError."""
        return self._layout[1]

    def count(self) -> int:
        """Count the rows below the header, blank ones too: lines, less those that only go on with a row.

        Raises RawDataError.
        """
        _, _, above, span = self._layout
        below = max(0, count_lines(self.path, self._end) - above - span)
        return below - sum(lines - 1 for lines, _ in self._records())

    def rows(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        """Yield an item for every row below the header. Raises RawDataError."""
        _, header = self.check()
        for _, cells in self._records():
            if isinstance(cells, UnusableRowError):
                yield cells
            elif not cells:
                yield UnusableRowError(BLANK)
            elif len(cells) != len(header) and not (self.padded and len(cells) < len(header)):
                yield UnusableRowError(f"bad row: {len(cells)} cells, the header has {len(header)}")
            else:
                yield dict(zip_longest(header, cells, fillvalue=""))

    @property
    def plain_delimiter(self) -> str | None:
        """The delimiter where the header is the first line, holds the wanted columns and line feeds end the lines."""
        delimiter, header, above, span = self._layout
        is_plain = (above, span, self._end) == (0, 1, b"\n") and all(header.count(name) == 1 for name in self.wanted)
        return delimiter if is_plain else None

    @cached_property
    def _end(self) -> bytes:
        return line_end(self.path)

    @cached_property
    def _encoding(self) -> str:
        if self.encoding is None and (found := told_encoding(self.path, self._end)) != "utf-8":
            logger.warning("%s: most lines are not UTF-8 and are read as %s", self.path, found)
            return found
        return self.encoding or "utf-8"

    @cached_property
    def _layout(self) -> tuple[str, list[str], int, int]:
        """The delimiter, the header, how many lines stand above it, and how many lines it has."""
        lines = [line for _, line in islice(numbered_lines(self.path, end=self._end), HEADER_LINES)]
        texts = [self._text(line) if line is not None else "" for line in lines]
        filled = [number for number, text in enumerate(texts) if text.strip() and not _SEPARATOR.fullmatch(text)]
        wanted, found = {name for name in self.wanted if name not in self.optional}, []
        for number in filled:
            headers = {mark: _header(texts[number:], mark) for mark in DELIMITERS}
            delimiter, header = best_header({mark: cells for mark, (cells, _) in headers.items()}, wanted)
            found.append((delimiter, header, number, headers[delimiter][1]))
            if wanted <= set(header):
                return found[-1]
        return found[0] if found else (DELIMITERS[0], [], 0, 1)

    def _text(self, line: bytes) -> str:
        try:
            return decoded(line, self._encoding)
        except UnusableRowError:
            return ""

    def _records(self) -> Iterator[tuple[int, _Row]]:
        """Yield how many lines each row has, and its cells."""
        delimiter, header, above, span = self._layout
        lines = (line for _, line in islice(numbered_lines(self.path, end=self._end), above + span, None))
        ahead: deque[bytes | None] = deque()
        while True:
            try:
                first = ahead.popleft() if ahead else next(lines)
            except StopIteration:
                return
            yield self._record(first, ahead, lines, delimiter, len(header))

    def _record(
        self, first: bytes | None, ahead: deque[bytes | None], lines: Iterator[bytes | None], delimiter: str, width: int
    ) -> tuple[int, _Row]:
        """The row that begins with a line; of the lines `ahead` it takes those that go on with it."""
        if first is None:
            return 1, UnusableRowError(f"line too long: over {MAX_LINE_BYTES:,} bytes")
        try:
            text = decoded(first, self._encoding)
        except UnusableRowError as error:
            return 1, error
        if '"' not in text and "\r" not in text and len(text) < csv.field_size_limit():  # as csv does, twice as fast
            return 1, _without_ends([cell.lstrip(" ") for cell in text.split(delimiter)] if text else [], width)
        span, row = self._parsed(text, ahead, lines, delimiter, width, escaped=False)
        if isinstance(row, UnusableRowError) and '\\"' in text:  # quotes that a backslash escapes
            span, other = self._parsed(text, ahead, lines, delimiter, width, escaped=True)
            row = row if isinstance(other, UnusableRowError) else other
        for _ in range(span - 1):
            ahead.popleft()
        return span, row

    def _parsed(
        self, text: str, ahead: deque[bytes | None], lines: Iterator[bytes | None], delimiter: str, width: int,
        *, escaped: bool,
    ) -> tuple[int, _Row]:  # fmt: skip
        """The lines and the cells of a row that begins with `text`; (1, the error) where it is none.

        Where a backslash `escaped` quotes, it is left as it is before anything else.
        """
        taken_lines: list[str] = []

        def line_of(text: str) -> str:
            taken_lines.append(text)
            return (text.replace('\\"', '""') if escaped else text) + "\n"

        def source() -> Iterator[str]:
            size, taken = len(text), 0
            yield line_of(text)
            while taken < ROW_LINES and size <= MAX_LINE_BYTES:
                if taken == len(ahead):
                    ahead.extend(islice(lines, 1))
                if taken == len(ahead) or (line := ahead[taken]) is None:
                    return
                size, taken = size + len(line), taken + 1
                yield line_of(decoded(line, self._encoding))

        reader = csv.reader(source(), delimiter=delimiter, strict=True, skipinitialspace=True)
        try:
            cells = next(reader, [])
        except (csv.Error, UnusableRowError) as error:
            why = _STRAY_END if "universal-newline" in str(error) else str(error)
            return 1, UnusableRowError(f"bad row: {why}" if reader.line_num <= 1 else _OPEN)
        cells = _without_ends(cells, width)
        if reader.line_num > 1 and (len(cells) != width or _holds_rows(taken_lines, delimiter, width)):
            return 1, UnusableRowError(_OPEN)
        return reader.line_num, cells


_OPEN = "bad row: a quote is opened and not closed as it should be"
_STRAY_END = "a carriage return stands within a cell that has no quotes"
_FEWEST_CELLS = 4  # of a line that is taken for a row: two commas are in many a sentence


def _holds_rows(lines: Sequence[str], delimiter: str, width: int) -> bool:
    """Whether lines of one row are rows themselves, at least half of those between its first and its last."""
    within = lines[1:-1]
    rows = sum(line.count(delimiter) == width - 1 for line in within)
    return width >= _FEWEST_CELLS and bool(within) and 2 * rows >= len(within)


def _signs_in_words(text: str) -> int:
    """How many characters that are not ASCII stand between two letters and are none."""
    triples = zip(text, text[1:], text[2:], strict=False)
    return sum(not c.isascii() and not c.isalpha() and a.isalpha() and b.isalpha() for a, c, b in triples)


def _without_ends(cells: list[str], width: int) -> list[str]:
    """The cells without the empty ones that a delimiter at the end of a row makes, beyond the header's."""
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    return cells


def best_header(headers: Mapping[str, list[str]], wanted: Collection[str | None]) -> tuple[str, list[str]]:
    """Return the delimiter whose header holds the most wanted columns, then the most columns, and that header."""
    return max(headers.items(), key=lambda item: (len(set(wanted) & set(item[1])), len(item[1])))


def _header(texts: Sequence[str], delimiter: str) -> tuple[list[str], int]:
    """The stripped cells of the first row of some lines, and how many of them it has; no cell where it is no row."""
    reader = csv.reader((f"{text}\n" for text in texts), delimiter=delimiter, skipinitialspace=True)
    try:
        return [cell.strip() for cell in next(reader, [])], reader.line_num
    except csv.Error:
        return [], 1


def told_encoding(path: Path, end: bytes = b"\n") -> str:
    """UTF-8, or where most lines that are not ASCII, and several, are no UTF-8 the likeliest of `ENCODINGS`.

    Raises RawDataError.
    """
    whole, others, sample, size = 0, 0, [], 0
    for _, line in numbered_lines(path, end=end):
        if line is None or line.isascii():
            continue
        try:
            line.decode("utf-8")
            whole += 1
        except UnicodeDecodeError:
            others += 1
            if size < _SAMPLE:
                sample.append(line)
                size += len(line)
        if whole + others >= _LOOKED_AT:
            break
    return "utf-8" if others <= max(whole, 1) else _likeliest(b"\n".join(sample))


def _likeliest(sample: bytes) -> str:
    """The likeliest of `ENCODINGS` of some lines that are not ASCII; "utf-8" where it can be none of them."""
    runs = _HIGH.findall(sample)
    if sum(len(run) for run in runs if len(run) > 2) * 3 < sum(map(len, runs)):  # single letters or signs, as of Latin
        texts = {name: sample.decode(name, "replace") for name in LATIN}
        # No sign stands within a word; of encodings that are as good the usual one.
        odd = {name: _signs_in_words(text) for name, text in texts.items() if "\ufffd" not in text}
        if odd:
            return min(odd, key=odd.__getitem__)
    matches = list(from_bytes(sample, cp_isolation=list(ENCODINGS)))
    least = min((match.chaos for match in matches), default=0.0)
    # Of those that are no mess the one of most letters, since a few names tell no language; then the usual one.
    ranked = [
        (-sum(map(str.isalpha, str(match))), ENCODINGS.index(name))
        for match in matches
        for name in match.could_be_from_charset
        if match.chaos == least and name in ENCODINGS
    ]
    return ENCODINGS[min(ranked)[1]] if ranked else "utf-8"
