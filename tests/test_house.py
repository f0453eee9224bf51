"""The floors of the house: the library knows nothing of what stands on it, and every query says what it makes."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imported(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize(
    ("floor", "above"),
    [
        ("eiclip", {"dagster", "dagster_pipes", "assets", "pipelines"}),
        ("assets", {"dagster", "dagster_pipes", "pipelines"}),
    ],
)
def test_no_floor_reaches_up(floor, above):
    reached = {file.name: above & set(imported(file)) for file in (ROOT / floor).rglob("*.py")}
    assert reached, "the floor has modules"
    assert {name: found for name, found in reached.items() if found} == {}


@pytest.mark.parametrize("file", sorted((ROOT / "sql").rglob("*.sql")), ids=lambda file: file.stem)
def test_every_query_opens_with_what_it_makes(file):
    assert file.read_text(encoding="utf-8").startswith("-- ")


def test_constraints_name_versions_and_no_host():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(line.count("==") == 1 and "/" not in line for line in lines)
