"""What a home is held to whichever job made it."""

from eiclip.storage.catalogue import connect
from eiclip.storage.sql import headers


def require_descriptions(home):
    """Every view and column of a catalogue has a comment, and no header names a column that its view lacks."""
    with connect(home) as connection:
        views = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
        assert connection.sql(views).fetchall() == []
        columns = connection.sql("SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal")
        there = {}
        for name, column, comment in columns.fetchall():
            assert comment, f"{name}.{column}"
            there.setdefault(name, set()).add(column)
    assert there
    assert [name for name, found in there.items() if not set(headers()[name].columns) <= found] == []
