"""The table `entity_spellings`: every way in which the raw rows write an entity, and the one name it is counted by."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from eiclip.errors import SettingsError
from eiclip.readers.texts import entity_spelling, match_key, names_nothing
from eiclip.storage.lake import RECORDS, open_views
from eiclip.storage.sql import read_sql

SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("dataset", "entity_group", "spelling", "entity")),
        pa.field("rows", pa.int64(), nullable=False),
    ]
)
HEADER = ["spelling", "entity"]


def entity_spellings(
    records: Sequence[Path], dataset: str, synonyms: Mapping[str, str], placeholders: Sequence[str], *, fold: bool
) -> pa.Table:
    """Return one row per entity group and way to write an entity of it, schema `SCHEMA`.

    With `fold`, ways of one `match_key` are one entity, named as most rows write it, whichever their groups.

    Args:
        records: files of the table `records`.
        synonyms: spelling -> the entity that it means; '' for none.
        placeholders: further texts that name nothing.

    Raises SettingsError where synonyms contradict each other.
    """
    with duckdb.connect() as connection:
        open_views(connection, {RECORDS: list(records)})
        rows = connection.sql(read_sql("entities/spelling_counts")).to_arrow_table().to_pylist()
    keys = {row["spelling"]: _key(row["spelling"], fold) for row in rows}
    meant = _meant(synonyms, fold)
    nothing = frozenset(entity_spelling(text) for text in placeholders)
    counts: dict[str, dict[str, int]] = {}
    for row in rows:  # of a synonym's entity too: it is named as the synonym names it
        counts.setdefault(keys[row["spelling"]], {}).setdefault(row["spelling"], 0)
        counts[keys[row["spelling"]]][row["spelling"]] += row["rows"]
    names = {key: min(ways, key=lambda way: (-ways[way], way)) for key, ways in counts.items()}
    names |= {_key(entity, fold): entity for entity in meant.values()}  # as the file of synonyms writes it

    def entity_of(spelling: str) -> str:
        entity = meant.get(keys[spelling], spelling)
        return "" if names_nothing(entity, nothing) else names[_key(entity, fold)]

    named = [row | {"dataset": dataset, "entity": entity_of(row["spelling"])} for row in rows]
    return pa.Table.from_pylist(named, schema=SCHEMA)


def _meant(synonyms: Mapping[str, str], fold: bool) -> dict[str, str]:
    """The entity that each key means. Raises SettingsError where a key means two, or one that means another itself."""
    meant: dict[str, tuple[str, str]] = {}
    for spelling, entity in synonyms.items():
        first, other = meant.setdefault(_key(spelling, fold), (spelling, entity))
        if _key(other, fold) != _key(entity, fold):
            raise SettingsError(
                f"synonyms: {first!r} means {other!r}, and {spelling!r}, the same name, {entity!r}; keep one"
            )
    for spelling, entity in synonyms.items():
        last = meant.get(_key(entity, fold), ("", entity))[1]
        if _key(last, fold) != _key(entity, fold):
            raise SettingsError(f"synonyms: {spelling!r} means {entity!r}, which means {last!r}; name the last")
    return {key: entity for key, (_, entity) in meant.items()}


def _key(text: str, fold: bool) -> str:
    return (match_key(text) or text) if fold else text  # nothing is left of a name such as "!!!"


def read_synonyms(file: Path | None) -> dict[str, str]:
    """Return the spellings and entities of a CSV file with the columns `spelling` and `entity`, as `entity_spelling`.

    An empty entity says that the spelling names nothing. Raises SettingsError, which names the line, where the file
    cannot be read, or a spelling is empty or means two entities.
    """
    if file is None:
        return {}
    found: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if list(reader.fieldnames or ()) != HEADER:
                raise SettingsError(f"{file}: its first line is to be '{','.join(HEADER)}', it is {reader.fieldnames}")
            for row in reader:
                _add(found, row, f"{file}: line {reader.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{file}: cannot be read as synonyms ({error}); write a CSV file in UTF-8") from error
    return found


def _add(found: dict[str, str], row: Mapping[str, Any], where: str) -> None:
    """Add a row of the file of synonyms. Raises SettingsError."""
    if None in row or None in row.values():
        raise SettingsError(f"{where}: {len(HEADER)} cells are expected, a spelling and its entity")
    spelling, entity = (entity_spelling(row[name]) for name in HEADER)
    if not spelling:
        raise SettingsError(f"{where}: the spelling is empty")
    if found.setdefault(spelling, entity) != entity:
        raise SettingsError(f"{where}: {spelling!r} means {entity!r} here and {found[spelling]!r} above; keep one")
