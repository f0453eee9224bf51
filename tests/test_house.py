"""The rooms of the house: which may know which, what a room says of itself, and that every query says what it makes."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ABOVE = {
    "eiclip": {"dagster", "dagster_pipes", "assets", "pipelines"},
    "assets": {"dagster", "dagster_pipes", "pipelines"},
}
FLOORS = (
    ("errors",),
    ("settings",),
    ("storage", "system"),
    ("readers", "synthetic"),
    ("shards",),
    ("model",),
    ("features",),
    ("evaluation", "profile"),
    ("studies", "same_style", "train"),
    ("inference",),
    ("report", "search"),
    ("web",),
)
"""Rooms of `eiclip/` from the ground up: a room knows those of the floors below it, and no other of its own floor."""
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def imported(file):
    """Dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "eiclip":
            yield from (f"eiclip.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def room_of(module):
    """The room of a module of `eiclip`; the names that `eiclip` itself offers are those of `inference`."""
    room = module.split(".")[1]
    return room if room in FLOOR_OF else "inference"


@pytest.mark.parametrize("package", ABOVE)
def test_no_package_reaches_up(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, "the package has modules"
    reached = {file.name: ABOVE[package] & {name.split(".")[0] for name in imported(file)} for file in files}
    assert {name: found for name, found in reached.items() if found} == {}


def test_every_room_has_its_floor():
    rooms = {file.stem for file in (ROOT / "eiclip").iterdir() if file.name not in ("__init__.py", "__pycache__")}
    assert rooms == set(FLOOR_OF)


@pytest.mark.parametrize("room", FLOOR_OF)
def test_a_room_knows_only_rooms_below_it(room):
    place = ROOT / "eiclip" / room
    up = {
        f"{file.relative_to(ROOT)} imports {name}"
        for file in (place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")])
        for name in imported(file)
        if name.startswith("eiclip.") and room_of(name) != room and FLOOR_OF[room_of(name)] >= FLOOR_OF[room]
    }
    assert up == set()


@pytest.mark.parametrize("folder", sorted(file.parent for file in (ROOT / "eiclip").rglob("__init__.py")),
                         ids=lambda folder: folder.relative_to(ROOT).as_posix())  # fmt: skip
def test_a_room_says_what_it_is_for(folder):
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert said
    assert said.count(".") >= 2, "what it is for, and what may not come in"


@pytest.mark.parametrize("file", sorted((ROOT / "sql").rglob("*.sql")), ids=lambda file: file.stem)
def test_every_query_opens_with_what_it_makes(file):
    assert file.read_text(encoding="utf-8").startswith("-- ")


def test_queries_have_names_of_their_own():
    names = [file.stem for file in (ROOT / "sql").rglob("*.sql")]
    assert len(names) == len(set(names)), "a table has the name of the query that makes it"


def test_constraints_name_versions_and_no_host():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(line.count("==") == 1 and "/" not in line for line in lines)
