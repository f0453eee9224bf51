"""The objects of a JSON array, one after the other: what a file of one holds is never in memory as a whole.

Each is read as a line of JSON lines would be (`json` takes NaN, repeated keys and lone surrogates, which streaming
parsers refuse), and one that is not in the encoding is told by itself. An array that is not JSON has no objects that
can be trusted, so it is refused with the place.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eiclip.errors import RawDataError
from eiclip.readers.cells import MAX_LINE_BYTES, UnusableRowError, decoded
from eiclip.readers.lines import pieces

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MARK = re.compile(r"[\[\]{},]|[^\s\[\]{},]+")
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}
_UNDECODED = re.compile("[\udc80-\udcff]")


def array_rows(path: Path, encoding: str = "utf-8") -> Iterator[dict[str, Any] | UnusableRowError]:
    """Yield every item of the array in a file, gzipped or plain, or what is wrong with it.

    Raises RawDataError where the file is damaged, or no JSON array: says in which item and line.
    """
    array = _Array(path, encoding)
    while array.goes_on():
        value, content = array.value()
        try:
            if _UNDECODED.search(content):
                decoded(content.encode(encoding, "surrogateescape"), encoding)
            if not isinstance(value, dict):
                raise UnusableRowError(f"not an object: {type(value).__name__}")
        except UnusableRowError as error:
            yield error
        else:
            yield value


def count_items(path: Path, encoding: str = "utf-8") -> int:
    """Count the items of the array in a file by its brackets and commas alone. Raises RawDataError."""
    depth, commas, is_filled, rest = 0, 0, False, ""
    for text in _texts(path, encoding):
        plain, quote, rest = _STRING.sub("0", rest + text).partition('"')
        rest = quote + rest  # the beginning of a string that the next piece ends
        if len(rest) > MAX_LINE_BYTES:
            raise RawDataError(f"{path}: a quote of item {commas + 1} of the array is not closed; write the file again")
        for mark in _MARK.findall(plain):
            is_filled = is_filled or (depth > 0 and mark != "]")
            depth += _DEPTH.get(mark, 0)
            commas += (mark, depth) == (",", 1)
    return commas + (is_filled or bool(rest))


def _texts(path: Path, encoding: str) -> Iterator[str]:
    """Yield a file's content; bytes that are not in the encoding as lone surrogates."""
    name = codecs.lookup(encoding).name
    running = codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)("surrogateescape")
    yield from map(running.decode, pieces(path))
    yield running.decode(b"", final=True)


class _Array:
    """What has been read of an array and not been looked at."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self.texts, self.items, self.lines = path, _texts(path, encoding), 0, 1
        self.text, self.at, self.ended = "", 0, False
        self.decode = json.JSONDecoder().raw_decode

    def goes_on(self) -> bool:
        """Whether there is another item, which is what comes next then."""
        mark = self._mark()
        if mark != ("," if self.items else "[") and not (mark == "]" and self.items):
            raise self._broken(f"{mark or 'the end of the file'} where a comma or ] is expected", self.at)
        if mark != "]":
            first = self._mark()
            self.at -= len(first)
            if self.items or first != "]":
                self.items += 1
                return True
            self._mark()
        if rest := self._mark():
            raise self._broken(f"{rest} after the end of the array", self.at)
        return False

    def value(self) -> tuple[Any, str]:
        """The item that comes next, and how it is written."""
        while True:
            broken = None
            try:
                value, end = self.decode(self.text, self.at)
                following = self.text[end : end + 1]
                # A number may go on.
                if self.ended or (following and (following in " \t\r\n,]" or not isinstance(value, int | float))):
                    content = self.text[self.at : end]
                    self.at = end
                    return value, content
            except json.JSONDecodeError as error:
                broken = self._broken(error.msg, error.pos)
            except (RecursionError, ValueError) as error:  # nested too deeply, a number of thousands of digits
                broken = self._broken(str(error) or "nested too deeply", self.at)
            if broken and (self.ended or len(self.text) - self.at > MAX_LINE_BYTES):
                raise broken
            self._more()

    def _mark(self) -> str:
        """Take the next character that is no space; '' at the end."""
        while True:
            found = _SPACE.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.text):
                self.at += 1
                return self.text[self.at - 1]
            if self.ended:
                return ""
            self._more()

    def _more(self) -> None:
        more = next(self.texts, None)
        self.ended = more is None
        self.lines += self.text.count("\n", 0, self.at)
        self.text, self.at = self.text[self.at :] + (more or ""), 0

    def _broken(self, how: str, at: int) -> RawDataError:
        line = self.lines + self.text.count("\n", 0, at)
        near = self.text[max(0, at - 30) : at + 30]
        return RawDataError(
            f"{self.path}: broken JSON in item {max(self.items, 1)} of the array, line {line}: {how}, near {near!a}; "
            "mend it there, or write one object a line (JSONL), of which a broken one goes to quarantine alone"
        )
