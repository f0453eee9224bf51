"""Files of queries whose relevant products are known: tables, search logs, TREC qrels, the JSON and TSV of BEIR.

The format is read from the content. What cannot be used is kept with its place and reason; nothing is dropped unsaid.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from eiclip.errors import RawDataError
from eiclip.readers.cells import UnusableRowError, decoded
from eiclip.readers.lines import numbered_lines, pieces
from eiclip.readers.table.files import JsonlTable, first_line, format_of, is_parquet, open_table
from eiclip.readers.texts import storable
from eiclip.settings.queries import QuerySettings

QUERIES = pa.schema([*((name, pa.string()) for name in ("kind", "query", "product_id")), ("grade", pa.int64())])
"""A row a query and judged product; `grade` is how relevant it is, from 0: not at all. A query is a kind and words."""
REJECTED = pa.schema([("source", pa.string()), ("place", pa.int64()), ("reason", pa.string())])
FILE = "file"
"""The kind of a file's queries."""
PLAIN = QuerySettings()
MOST_GRADE, MOST_CLICKS = 1000, 10**9
BEIR = ("query-id", "corpus-id", "score")
_TREC = re.compile(rb"\S+\s+\S+\s+\S+\s+-?\d+\s*")
_SHOWN = 3  # names in a note


class QueryFile(NamedTuple):
    """What a file of queries holds."""

    rows: pa.Table
    """Schema `QUERIES`, each query and product once, in the file's order."""
    rejected: pa.Table
    """Schema `REJECTED`: lines, rows or (of BEIR's JSON) judgements that cannot be used, numbered from 1, and why."""
    notes: list[str]
    """What was put together, a sentence each."""


def read_query_file(path: Path, settings: QuerySettings = PLAIN, texts: Path | None = None) -> QueryFile:
    """Read queries and their relevant products, gzipped or plain. Blank lines do not count.

    - A table has a row a query and product, and the grade where it has such a column; JSON may have a list, under
      `product_ids`. BEIR's TSV is one, too.
    - With `settings.log` rows are clicks. Queries that differ in case alone are one, and the grade of a product is
      1 + log2 of its clicks, rounded down: 1 for one click, 2 from two, 3 from four.
    - BEIR's JSON is {query: {product: grade}} or {query: [product, ...]}.
    - TREC qrels (`id iteration product grade`, without a header) need `texts`. A grade below zero is 0.

    Of a query and product that are there several times the highest grade counts.

    Args:
        path: the file.
        settings: the columns, the encoding, and whether it is a log; the places named there are not looked at.
        texts: the words of queries by id, where `path` has ids.

    Raises RawDataError where a file cannot be read, or holds no query that can be used.
    """
    rejected: list[tuple[str, int, str]] = []
    notes: list[str] = []
    words = None if texts is None else _texts(texts, settings.encoding, rejected, notes)
    grades: dict[tuple[str, str], int] = {}
    repeated: Counter[str] = Counter()
    for place, item in _judgements(path, settings, has_texts=texts is not None):
        try:
            query, product, grade = _judgement(item, MOST_CLICKS if settings.log else MOST_GRADE)
            if words is not None and texts is not None:
                if query not in words:
                    raise UnusableRowError(f"no words: {texts.name} has none of the id {query[:60]!r}")
                query = words[query]
        except UnusableRowError as error:
            if not str(error).startswith("blank"):
                rejected.append((path.name, place, str(error)))
            continue
        key = (query.lower() if settings.log else query, product)
        if settings.log:
            grades[key] = grades.get(key, 0) + grade
        else:
            if key in grades:
                repeated[query] += 1
            grades[key] = max(grade, grades.get(key, 0))
    if settings.log:
        grades = {key: clicks.bit_length() for key, clicks in grades.items()}
    if repeated:
        notes.append(f"rows that repeat a query and product, of which the highest grade counts: {_some(repeated)}")
    table = pa.Table.from_pylist([dict(zip(REJECTED.names, row, strict=True)) for row in rejected], schema=REJECTED)
    if not grades:
        why = (
            f"; the first of {len(rejected):,} rows that cannot be used, row {rejected[0][1]}: {rejected[0][2]}"
            if rejected
            else ""
        )
        raise RawDataError(f"{path}: no queries; write a query and the id of a relevant product in each row{why}")
    queries, products = zip(*grades, strict=True)
    columns = [[FILE] * len(grades), queries, products, list(grades.values())]
    return QueryFile(pa.table([pa.array(c) for c in columns], schema=QUERIES), table, notes)


def read_queries(path: Path | str, settings: QuerySettings = PLAIN, texts: Path | None = None) -> QueryFile:
    """Read as `read_query_file` does, where every row is to be right.

    Raises RawDataError where a row cannot be used, too: says which.
    """
    found = read_query_file(Path(path), settings, texts)
    for row in found.rejected.slice(0, 1).to_pylist():
        file = texts if texts is not None and row["source"] == texts.name else path
        raise RawDataError(f"{file}: row {row['place']}: {row['reason']}; mend it, or leave it out")
    return found


def _some(counts: Mapping[str, int]) -> str:
    """How many there are in all, and of which queries."""
    shown = [repr(name if len(name) <= 40 else f"{name[:39]}…") for name in islice(counts, _SHOWN)]
    return f"{sum(counts.values()):,} ({', '.join(shown + ['...'] * (len(counts) > _SHOWN))})"


class _Item(NamedTuple):
    """Cells of a judgement, as the file has them."""

    query: Any
    product: Any
    grade: Any = None


def _judgement(item: _Item | UnusableRowError, most: int) -> tuple[str, str, int]:
    """Return a query, a product and a grade. Raises UnusableRowError."""
    if isinstance(item, UnusableRowError):
        raise item
    query, product = _text(item.query), _text(item.product)
    if not query:
        raise UnusableRowError("no query")
    if not product:
        raise UnusableRowError(f"no product: of {query[:60]!r}")
    return query, product, _grade(item.grade, most)


def _text(cell: Any) -> str:
    """A cell as text, its white space as single spaces; '' for what is neither text nor number."""
    if isinstance(cell, bool):
        return ""
    if isinstance(cell, float) and cell.is_integer():  # a column of whole numbers with gaps is one of floats
        cell = int(cell)
    return storable(" ".join(str(cell).split())) if isinstance(cell, str | int | float) and cell == cell else ""


def _grade(cell: Any, most: int) -> int:
    """A cell as a grade, 1 where it is empty. Raises UnusableRowError."""
    text = _text(cell)
    if not text:
        return 1
    try:
        number = float(text)
        if number != int(number) or number > most:
            raise ValueError
    except (ValueError, OverflowError):
        reason = f"bad grade: {text[:20]!r}; write a whole number from 0 (not relevant) to {most:,}"
        raise UnusableRowError(reason) from None
    return max(0, int(number))


def _judgements(
    path: Path, settings: QuerySettings, *, has_texts: bool
) -> Iterator[tuple[int, _Item | UnusableRowError]]:
    """Yield the place, from 1, and the cells of each judgement of a file. Raises RawDataError."""
    if not is_parquet(path, "the queries' file"):
        begin = next((piece.lstrip(b"\xef\xbb\xbf \t\r\n") for piece in pieces(path)), b"")
        if begin.startswith(b"{") and (pairs := _beir_pairs(path, settings.columns.query)) is not None:
            return _of_pairs(pairs)
        if not begin.startswith((b"{", b"[")) and begin and _TREC.fullmatch(first_line(path)):
            if has_texts:
                return _trec(path, settings.encoding)
            raise RawDataError(
                f"{path}: TREC qrels, which have ids of queries; name the file of their words too (texts)"
            )
    return _table(path, settings)


def _table(path: Path, settings: QuerySettings) -> Iterator[tuple[int, _Item | UnusableRowError]]:
    names = (settings.columns.query, settings.columns.product_id, settings.columns.grade)
    held = open_table(path, (), None, settings.encoding).names()
    if set(BEIR[:2]) <= set(held) and names[0] not in held:
        names = BEIR
    query, product, grade = names
    table = open_table(path, [name for name in names if name != grade or name in held], None, settings.encoding)
    if isinstance(table, JsonlTable):  # an object may have a list of products
        table = replace(table, wanted=(query,))
    for place, row in enumerate(table.rows(), start=1):
        if isinstance(row, UnusableRowError):
            yield place, row
            continue
        given = row.get("product_ids", row.get(product))
        for own in (given or [None]) if isinstance(given, list) else [given]:
            yield place, _Item(row.get(query), own, row.get(grade))


def _beir_pairs(path: Path, column: str) -> Any:
    """The items of a file's one object {query: products}; None where it is no such file, but has an object a line."""
    decoder = json.JSONDecoder(object_pairs_hook=tuple)  # a mapping would drop what is there twice
    begin = next(pieces(path), b"").decode("utf-8-sig", errors="replace").lstrip()
    try:
        if begin[decoder.raw_decode(begin)[1] :].strip():
            return None
    except (ValueError, RecursionError):
        pass  # it may be longer
    try:
        pairs = decoder.decode(b"".join(pieces(path)).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    is_row = any(name == column for name, _ in pairs) or not all(isinstance(own, tuple | list) for _, own in pairs)
    return None if is_row else pairs


def _of_pairs(pairs: Any) -> Iterator[tuple[int, _Item | UnusableRowError]]:
    place = 0
    for query, products in pairs:
        listed = [own if isinstance(products, tuple) else (own, None) for own in products]
        for product, grade in listed or [(None, None)]:
            yield (place := place + 1), _Item(query, product, grade)


def _trec(path: Path, encoding: str | None) -> Iterator[tuple[int, _Item | UnusableRowError]]:
    for number, line in _lines(path, encoding):
        cells = line.split() if isinstance(line, str) else line
        if isinstance(cells, UnusableRowError):
            yield number, cells
        elif len(cells) == 4:
            yield number, _Item(cells[0], cells[2], cells[3])
        elif cells:
            reason = f"bad row: {len(cells)} words, qrels have four (query's id, iteration, product, grade)"
            yield number, UnusableRowError(reason)


def _lines(path: Path, encoding: str | None) -> Iterator[tuple[int, str | UnusableRowError]]:
    for number, line in numbered_lines(path):
        try:
            yield number, UnusableRowError("line too long") if line is None else decoded(line, encoding or "utf-8")
        except UnusableRowError as error:
            yield number, error


def _texts(path: Path, encoding: str | None, rejected: list[tuple[str, int, str]], notes: list[str]) -> dict[str, str]:
    """Return words of queries by id, and add to what is rejected and noted. Raises RawDataError."""
    found: dict[str, str] = {}
    for place, own, text in _named_texts(path, encoding):
        if text is None:
            rejected.append((path.name, place, own))
        elif not own or not text:
            rejected.append((path.name, place, f"no words: of the id {own!r}" if own else "no id before the words"))
        elif own in found:
            rejected.append((path.name, place, f"repeated id: {own!r} has words above, which are kept"))
        else:
            found[own] = text
    if not found:
        raise RawDataError(
            f"{path}: no words of queries; write lines of `id<TAB>words`, or objects of `_id` and `text`"
        )
    same = {text: times - 1 for text, times in Counter(found.values()).items() if times > 1}
    if same:
        notes.append(f"ids whose words another id has too, and whose judgements are put together: {_some(same)}")
    return found


def _named_texts(path: Path, encoding: str | None) -> Iterator[tuple[int, str, str | None]]:
    """Yield the place, the id and the words of each query; the reason and None where a line cannot be used."""
    if format_of(path, (), "the queries' texts") == "csv":
        for number, line in _lines(path, encoding):
            if isinstance(line, UnusableRowError):
                yield number, str(line), None
            elif line.strip():
                own, tab, text = line.partition("\t")
                yield (
                    (number, _text(own), _text(text)) if tab else (number, "no tab between the id and the words", None)
                )
        return
    table = open_table(path, ("_id", "text"), None, encoding)
    for number, row in enumerate(table.rows(), start=1):
        if not isinstance(row, UnusableRowError):
            yield number, _text(row.get("_id")), _text(row.get("text"))
        elif not str(row).startswith("blank"):
            yield number, str(row), None
