"""The queries of `sql/`, by name."""

from pathlib import Path

SQL_FOLDER = Path(__file__).resolve().parents[2] / "sql"


def read_sql(query: str) -> str:
    """Text of `sql/<query>.sql`.

    Where code calls it, it names the query by a literal, or a folder of queries by an f-string that begins with it:
    `eiclip.storage.code_version` finds out what the code depends on from there.
    """
    return (SQL_FOLDER / f"{query}.sql").read_text(encoding="utf-8")


def header(query: str) -> tuple[str, str]:
    """The comment that a query opens with: its first line, which says what a row is, and the rest."""
    lines = []
    for line in read_sql(query).splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return lines[0], " ".join(lines[1:])
