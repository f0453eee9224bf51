"""Leaderboards for the terminal; for the page and the UI they are templates, as all tables are."""

import duckdb

from eiclip.report.source import markdown


def leaderboard_text(connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str) -> str:
    """The leaderboard as a Markdown table of even columns (best numbers bold), for the terminal."""
    text = markdown(connection, dataset, "rows.leaderboard", protocol, "", False)
    if not text:
        return f"No `{protocol}` leaderboard of `{dataset}` yet: materialise `leaderboard`."
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return aligned([[cell.strip() for cell in line] for line in lines])


def aligned(rows: list[list[str]]) -> str:
    """The cells of a Markdown table in columns of even width.

    >>> print(aligned([["a", "n"], [":--", "--:"], ["x", "1"]]))
    | a   |   n |
    | :-- | --: |
    | x   |   1 |
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [cell.endswith(":") for cell in rows[1]]
    lines = (
        " | ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        for row in rows
    )
    return "\n".join(f"| {line} |" for line in lines)
