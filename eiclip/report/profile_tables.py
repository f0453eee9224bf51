"""The data profile as tables of text, for Dagster's metadata and the report; None where a table is missing or empty."""

import duckdb

from eiclip.report.queries import select
from eiclip.report.tables import Table
from eiclip.report.numbers import number

REASONS_SHOWN = 20
FIBRES_SHOWN = 8
PRICES_SHOWN = 5
IDS_SHOWN = 5


def splits(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Products, photos and lengths of the descriptions of each split."""
    rows = select(connection, "split_lengths", dataset=dataset)
    lines = [
        (
            row["split"],
            f"{row['products']:,}",
            _percent(row["share"]),
            f"{row['images']:,}",
            number(row["tokens_median"], 0),
            number(row["tokens_p95"], 0),
            number(row["tokens_max"], 0),
            f"{number(row['cut'], 0)} ({_percent(row['cut_share'])})",
            number(row["duplicates"], 0),
        )
        for row in rows
    ]
    header = ("Split", "Products", "Share", "Photos", "Tokens, median", "95 %", "most", "Cut", "Shared descriptions")
    return Table("Splits and descriptions", header, (False,) + (True,) * 8, lines) if lines else None


def entities(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Coverage and vocabulary of each entity group beside the paper's."""
    rows = select(connection, "entity_profile", dataset=dataset)
    lines = [
        (
            row["entity_group"],
            f"{row['tagged_products']:,}",
            _percent(row["coverage"]),
            f"{row['distinct_entities']:,}",
            f"{row['entities']:,}",
            number(row["paper_entities"], 0),
            f"{row['unseen_in_test']:,}",
        )
        for row in rows
    ]
    header = ("Group", "Products tagged", "Share", "Entities", "with an embedding", "Paper", "Unseen in test")
    return Table("Entity groups", header, (False,) + (True,) * 6, lines) if lines else None


def quarantine(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Raw rows set aside, by kind of reason, over all files."""
    rows = select(connection, "quarantine_reasons", dataset=dataset, shown=REASONS_SHOWN)
    lines = [(row["kind"], f"{row['rows']:,}", f"{row['files']:,}", row["example"]) for row in rows]
    header = ("Reason", "Rows", "Files", "For example")
    return Table("Raw rows in quarantine", header, (False, True, True, False), lines) if lines else None


def placeholders(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Texts that name nothing, as entities or alone on a line of text."""
    rows = select(connection, "placeholders", dataset=dataset, shown=REASONS_SHOWN)
    lines = [(row["field"], row["text"], f"{row['rows']:,}") for row in rows]
    return Table("Placeholders", ("Field", "Placeholder", "Rows"), (False, False, True), lines) if lines else None


def compositions(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """How many compositions could be taken apart, and the fibres most products are of."""
    lines = [
        (
            f"{row['compositions']:,}",
            f"{row['unparsed']:,}",
            f"{row['products_unparsed']:,}",
            f"{row['incomplete']:,}",
            ", ".join(f"{entry['fibre']} ({entry['products']:,})" for entry in row["fibres"][:FIBRES_SHOWN]),
        )
        for row in select(connection, "composition_profile", dataset=dataset)
    ]
    header = ("Compositions", "Not parsed", "their products", "Not adding up", "Most common fibres (products)")
    return Table("Compositions", header, (True,) * 4 + (False,), lines) if lines else None


def prices(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """How many raw rows have a price, and the most frequent texts that could not be read as one."""
    lines = [
        (
            f"{row['rows']:,}",
            f"{row['priced']:,}",
            *(number(row[name], 2) for name in ("lowest", "median", "highest")),
            f"{row['unread']:,}",
            ", ".join(f"{entry['text']} ({entry['rows']:,})" for entry in row["unread_texts"][:PRICES_SHOWN]),
        )
        for row in select(connection, "price_profile", dataset=dataset)
    ]
    header = ("Raw rows", "With a price", "Lowest", "Median", "Highest", "Not read", "Most common of these (rows)")
    return Table("Prices", header, (True,) * 6 + (False,), lines) if lines else None


def conflicts(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Product ids whose raw rows differ in title, tags or price."""
    rows = select(connection, "id_conflicts", dataset=dataset, shown=IDS_SHOWN)
    lines = [(row["what"], f"{row['ids']:,}", f"{row['rows']:,}", ", ".join(row["examples"])) for row in rows]
    header = ("Rows of one id differ in", "Ids", "Raw rows", "For example")
    return (
        Table("Product ids that several products may share", header, (False, True, True, False), lines)
        if lines
        else None
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
