"""The comments that queries open with: one form for all, which the catalogue and people read."""

import re

import pytest

from eiclip.storage.sql import NOT_TABLES, SHARED, SQL_FOLDER, header, headers

FILES = sorted(SQL_FOLDER.glob("*/*.sql"))
QUERIES = [file.relative_to(SQL_FOLDER).with_suffix("").as_posix() for file in FILES]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_says_its_name_and_what_a_row_is(query):
    found = header(query)
    assert found.name == query.split("/")[1]
    assert found.grain.startswith("one row")
    lines = (SQL_FOLDER / f"{query}.sql").read_text().splitlines()
    assert all(len(line) <= 120 for line in lines if line.startswith("--"))


@pytest.mark.parametrize("file", FILES, ids=QUERIES)
def test_parameters_of_a_header_are_those_of_the_query(file):
    lines = file.read_text().splitlines()
    said, asked = ({name for line in lines if line.startswith("--") is comment for name in re.findall(r"\$\w+", line)}
                   for comment in (True, False))  # fmt: skip
    assert said == asked


def test_no_table_is_described_twice():
    made = [query.split("/")[1] for query in QUERIES if query.split("/")[0] not in NOT_TABLES]
    written = re.findall(r"(?:^|\n\n)-- (\w+): ", (SQL_FOLDER / "tables.sql").read_text())
    assert sorted(made + written) == sorted(headers())


@pytest.mark.parametrize("table", sorted(headers()))
def test_a_column_that_many_tables_have_is_described_once(table):
    if table != SHARED:
        assert not headers()[table].columns.items() & headers()[SHARED].columns.items()
