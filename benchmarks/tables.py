"""The tables of docs/tables.md, written anew from a home's catalogue: `make tables`.

Each stands between `<!-- NAME: COMMAND -->` and `<!-- end -->` and is what `sql/docs/NAME.sql` selects. A table whose
views the home does not have, since COMMAND was not run there, stays as it is, and that is said.
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

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tables.md"
_TABLE = re.compile(r"(<!-- (?P<name>\w+): (?P<command>[^\n]*) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Rewrite the page and print what became of each table."""
    try:
        with connect(load_settings().home) as connection:
            page, outcomes = rewritten(PAGE.read_text(encoding="utf-8"), connection)
    except EiclipError as error:  # no catalogue yet, or bad settings
        sys.exit(str(error))
    write_text(PAGE, page)
    print("\n".join(outcomes))


def rewritten(page: str, connection: duckdb.DuckDBPyConnection) -> tuple[str, list[str]]:
    """Return the page with the tables that the catalogue can fill, and a line on each table."""
    outcomes = []

    def table(found: re.Match[str]) -> str:
        name = found["name"]
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
