"""A row's cells: bytes as text, lines and texts as the values that they write, or why a row cannot be used."""

import ast
import contextlib
import io
import itertools
import json
import re
import tokenize
import warnings
from typing import Any

from eiclip.readers.texts import says_nothing, storable, without_addresses

MAX_LINE_BYTES = 4 * 2**20
MAX_LITERAL_BYTES = 256 * 2**10  # Python's parser takes some hundred bytes of memory per byte
MAX_TEXT = 20_000  # characters of one text kept; the text tower reads 77 tokens
MAX_PARTS = 100
MAX_UNREAD = 60  # characters kept of a text that could not be read, such as no price
_NO_VALUE = {"", "None", "nan", "NaN", "null", "NULL"}
"""How programs write into CSV that there is no value."""
_BARE = re.compile(r"(?:['\"}\]]|None)\s+(?:['\"{\[]|None)")  # values without a comma between them


class UnusableRowError(Exception):
    """A line holds no usable product; its text is the reason, ready for the quarantine."""

    def __init__(self, reason: str, product_id: str | None = None) -> None:
        super().__init__(storable(reason))
        self.product_id = product_id


def decoded(content: bytes, encoding: str = "utf-8") -> str:
    """Return bytes as text, all of it. Raises UnusableRowError, which says where what is not in the encoding lies."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"its byte {error.start + 1} is 0x{content[error.start]:02x}"
        raise UnusableRowError(f"not {encoding.upper()}: {place}") from error


def parse_line(line: bytes | None, encoding: str = "utf-8") -> dict[str, Any]:
    """Return the record of a line, which is None where it is too long to be read. Raises UnusableRowError."""
    if line is None:
        raise UnusableRowError(f"line too long: over {MAX_LINE_BYTES:,} bytes")
    text = decoded(line, encoding).strip()
    if not text:
        raise UnusableRowError("blank line")
    # No JSON object can open like this, and every 2014 line does.
    record = _literal(text) if text.startswith("{'") else _json(text)
    if not isinstance(record, dict):
        raise UnusableRowError(f"not an object: {type(record).__name__}")
    return record


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UnusableRowError(f"broken JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise UnusableRowError("broken JSON: nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise UnusableRowError(f"broken JSON: {error}") from error


def _literal(text: str) -> Any:
    if len(text) > MAX_LITERAL_BYTES:
        raise UnusableRowError(f"Python literal too long: {len(text):,} characters, at most {MAX_LITERAL_BYTES:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in the text are not our reader's concern
            tree = ast.parse(text, mode="eval")
            return ast.literal_eval(_Plain().visit(tree) if "nan" in text or "array(" in text else tree)
    except SyntaxError as error:
        raise UnusableRowError(f"broken Python literal: {error.msg} at column {error.offset}") from error
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        reason = without_addresses(str(error))[:80]
        raise UnusableRowError(f"broken Python literal: {reason or type(error).__name__}") from error


class _Plain(ast.NodeTransformer):
    """Literals for what Python and NumPy write otherwise: None for `nan`, a list for `array([...], dtype=...)`."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Constant(None), node) if node.id == "nan" else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        is_array = isinstance(node.func, ast.Name) and node.func.id == "array" and len(node.args) == 1
        return self.visit(node.args[0]) if is_array else node


def unread_text(text: str) -> str | None:
    """Return what is kept of a text that could not be read; None of one that stands for none (`n/a`, '-')."""
    return storable(text[:MAX_UNREAD]) if not says_nothing(text[:MAX_UNREAD]) else None


def joined_texts(parts: list[str]) -> str:
    """Join cleaned texts into one, each once, as sentences.

    >>> joined_texts(["Red dress", "", "Fits well!", "red dress", "Imported"])
    'Red dress. Fits well! Imported'
    """
    unique: dict[str, str] = {}
    for part in filter(None, parts):
        unique.setdefault(part.lower(), part)
    texts = list(unique.values())
    ended = [text if text[-1] in ".!?:;," else f"{text}." for text in texts[:-1]]
    return " ".join([*ended, *texts[-1:]])[:MAX_TEXT]


def value_of(cell: str) -> Any:
    """Return what the text of a cell holds: a list or an object where it is that of one, None where it says so.

    >>> value_of("['Imported', 'Zipper closure']"), value_of('{"Brand": "Acme"}'), value_of("[Red] dress")
    (['Imported', 'Zipper closure'], {'Brand': 'Acme'}, '[Red] dress')
    >>> value_of("['Imported' 'Zipper closure']"), value_of("None")
    (['Imported', 'Zipper closure'], None)
    """
    text = cell.strip()
    if text in _NO_VALUE:
        return None
    value = parse_value(text)
    return cell if value is None else value


def parse_value(text: str) -> Any:
    """Return the value of a text that holds a list or an object as JSON or as Python's repr, else None."""
    if not text.startswith(("[", "{")) or len(text) > MAX_LITERAL_BYTES:
        return None
    for parse in (_json, _literal):
        with contextlib.suppress(UnusableRowError):
            return parse(_separated(text) if parse is _literal and _BARE.search(text) else text)
    return None


def _separated(text: str) -> str:
    """Return a literal with commas between values that NumPy parts by white space: of texts Python would make one."""
    parts: list[str] = []
    is_after_value, at = False, 0
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        starts = [0, *itertools.accumulate(len(line) + 1 for line in text.split("\n"))]
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            is_name = token.type in (tokenize.STRING, tokenize.NUMBER, tokenize.NAME)
            if is_after_value and (is_name or token.string in ("{", "[")):
                begin = starts[token.start[0] - 1] + token.start[1]
                parts, at = [*parts, text[at:begin], ","], begin
            if token.type != tokenize.NL:
                is_after_value = is_name or token.string in ("}", "]", ")")
    return "".join([*parts, text[at:]])
