"""The queries of `sql/`, by name, and what the comment that opens each says of the table that it makes.

    -- <name>: one row per <what>.
    -- Prose: rules and reasons.
    -- Source: <view>, <view>.
    -- Parameters: $<name> (what it means).
    -- <column>: what it holds (unit).
    --   An indented line goes on with the line before it.

Tables that Python writes have theirs in `sql/tables.sql`, one after the other with an empty line between.
"""

import functools
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

SQL_FOLDER = Path(__file__).resolve().parents[2] / "sql"
NOT_TABLES = ("checks", "docs", "report", "search")  # folders of queries that make no table
SHARED = "columns"  # the header of `sql/tables.sql` that describes the columns which many tables have


def read_sql(query: str) -> str:
    """Text of `sql/<query>.sql`.

    Where code calls it, it names the query by a literal, or a folder of queries by an f-string that begins with it:
    `eiclip.storage.code_version` finds out what the code depends on from there.
    """
    return (SQL_FOLDER / f"{query}.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Header:
    """What the opening comment of a query says."""

    name: str
    grain: str  # one row per what
    text: tuple[str, ...]  # prose, sources and parameters
    columns: dict[str, str]  # what each column holds; those of `SHARED` may be left out

    @property
    def sources(self) -> tuple[str, ...]:
        """The views that the query reads."""
        named = next((line for line in self.text if line.startswith("Source: ")), "Source: ")
        return tuple(re.findall(r"\w+", named.removeprefix("Source: ").split(".")[0]))

    @property
    def prose(self) -> str:
        """Rules, reasons and sources: what a reader of the table wants, without the parameters of its query."""
        return " ".join(entry for entry in self.text if not entry.startswith("Parameters: "))

    @property
    def markdown(self) -> str:
        """The whole, for Dagster's UI."""
        columns = "\n".join(f"- `{name}`: {meaning}" for name, meaning in self.columns.items())
        return "\n\n".join(filter(None, [f"{self.name}: {self.grain}", " ".join(self.text), columns]))


def header(query: str) -> Header:
    """Return the header of `sql/<query>.sql`."""
    return _parsed(read_sql(query))


@functools.cache
def headers() -> dict[str, Header]:
    """Return the header of every table, by its name: of queries that make one, and of `sql/tables.sql`."""
    files = [file for file in SQL_FOLDER.glob("*/*.sql") if file.parent.name not in NOT_TABLES]
    texts = [*(file.read_text(encoding="utf-8") for file in files), *read_sql("tables").split("\n\n")]
    return {one.name: one for one in map(_parsed, texts)}


def column_meanings(table: str) -> dict[str, str]:
    """Return what the columns of a table hold, those that many tables have among them."""
    return headers()[SHARED].columns | (headers()[table].columns if table in headers() else {})


def _parsed(text: str) -> Header:
    entries: list[str] = []
    for line in itertools.takewhile(lambda line: line.startswith("--"), text.splitlines()):
        if line.startswith("--   "):
            entries[-1] += f" {line.removeprefix('--').strip()}"
        else:
            entries.append(line.removeprefix("--").strip())
    name, _, grain = entries[0].partition(": ")
    found = {entry: re.fullmatch(r"([a-z_0-9]+): (.+)", entry) for entry in entries[1:]}
    columns = {match[1]: match[2] for match in found.values() if match}
    return Header(name, grain, tuple(entry for entry, match in found.items() if not match), columns)
