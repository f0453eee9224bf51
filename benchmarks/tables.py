"""Tables of the documentation, written anew from a home: `make tables`, and at the end of `make real_study`.

Each stands between `<!-- NAME: COMMAND -->` and `<!-- end -->` and is what `sql/docs/NAME.sql` selects. A table whose
views the home does not have, since COMMAND was not run there, stays as it is, and that is said. Those of the study on
real products are written from its own homes alone.
"""

import re
import sys
from pathlib import Path

import duckdb

from eiclip.errors import EiclipError
from eiclip.settings.load import load_settings
from eiclip.storage.catalogue import connect
from eiclip.storage.files import write_text
from eiclip.storage.sql import read_sql

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/tables.md", "docs/real.md", "docs/results.md", "README.md")
REAL = "make real_study"
JUDGED = "judged"
"""The table that no query makes: `benchmarks.real_study` fills it."""
_TABLE = re.compile(r"(<!-- (?P<name>\w+): (?P<command>[^\n]*) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Rewrite the pages and print what became of each table."""
    try:
        print("\n".join(write(load_settings().home)))
    except EiclipError as error:  # no catalogue yet, or bad settings
        sys.exit(str(error))


def write(home: Path, command: str | None = None) -> list[str]:
    """Write the tables of a command in all pages from a home; None: of all commands but those of the study on real
    products.

    Returns:
        A line on each table.

    Raises:
        EiclipError: the home has no catalogue.
    """
    said = []
    with connect(home) as connection:
        for name in PAGES:
            page = (ROOT / name).read_text(encoding="utf-8")
            changed, outcomes = rewritten(page, connection, command)
            said += [f"{name}: {outcome}" for outcome in outcomes]
            if changed != page:
                write_text(ROOT / name, changed)
    return said


def fill(name: str, table: str, command: str, rows: str) -> None:
    """Put rows of Markdown, made elsewhere than in `sql/docs`, in the place of a table of a page."""
    page = (ROOT / name).read_text(encoding="utf-8")

    def filled(found: re.Match[str]) -> str:
        own = (found["name"], found["command"]) == (table, command)
        return f"{found[1]}{rows}{found[4]}" if own else found[0]

    write_text(ROOT / name, _TABLE.sub(filled, page))


def rewritten(page: str, connection: duckdb.DuckDBPyConnection, command: str | None = None) -> tuple[str, list[str]]:
    """Return the page with the tables that the catalogue can fill, and a line on each table. `command` as `write`'s."""
    outcomes = []

    def table(found: re.Match[str]) -> str:
        name = found["name"]
        if name == JUDGED or (found["command"] != command if command else found["command"].startswith(REAL)):
            return found[0]
        try:
            rows = markdown(connection.sql(read_sql(f"docs/{name}")))
        except duckdb.CatalogException as missing:
            outcomes.append(f"{name}: kept, run `{found['command']}` first ({str(missing).splitlines()[0]})")
            return found[0]
        outcomes.append(f"{name}: {rows.count(chr(10)) - 2} rows")
        return f"{found[1]}{rows}{found[4]}"

    return _TABLE.sub(table, page), outcomes


def markdown(relation: duckdb.DuckDBPyRelation) -> str:
    """Return a relation's rows as a Markdown table, a line a row; numbers stand at the right."""
    numeric = [str(kind) in ("BIGINT", "INTEGER", "DOUBLE") for kind in relation.types]
    lines = [relation.columns, ["--:" if right else "---" for right in numeric], *relation.fetchall()]
    return "".join(f"| {' | '.join(str(cell).strip() for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
