"""The worked examples of docs/search.md do what the page says."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from eiclip.search import Query, SearchEngine
from eiclip.search.cli import command_line
from eiclip.storage.catalogue import connect, refresh_catalogue
from tests.search.conftest import small_home

PAGE = (Path(__file__).parents[1] / "docs" / "search.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shop):
    """A folder with a home as the page has it."""
    folder = tmp_path_factory.mktemp("search_page")
    refresh_catalogue(small_home(folder / "data", shop, ("eiclip",), dataset="fashiongen").lake)
    return folder


def test_the_python_runs_from_top_to_bottom(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    names = {}
    for code in blocks("python"):
        exec(compile(code, "docs/search.md", "exec"), names)
    assert len(names["answer"].hits) == 5
    assert capsys.readouterr().out.count("p") >= 5
    assert names["photo"].startswith(b"\xff\xd8")
    first = names["answer"].hits[0].product_id
    assert first not in [hit.product_id for hit in names["like_it"][1].hits]
    assert set(names["measured"]["query"].to_pylist()) == {"Item p3", "Item p4", "Item p5"}


def test_the_sql_finds_what_the_engine_finds(folder):
    *_, text = blocks("sql")
    with connect(folder / "data") as connection:
        found = connection.execute(text).fetchall()
    engine = SearchEngine.open(folder / "data", "fashiongen", "eiclip")
    hits = engine.search(Query(product_id=found[0][0], top=5, by="vectors")).hits
    assert [row[1] for row in found] == [hit.product_id for hit in hits]
    assert np.allclose([row[3] for row in found], [hit.score for hit in hits], atol=1e-3)
    assert np.allclose([row[4] for row in found], [hit.by_view["image"] for hit in hits], atol=1e-3)


def test_the_commands_are_understood():
    for line in "".join(blocks("bash")).splitlines():
        given, other = command_line()[0].parse_known_args(shlex.split(line)[1:])
        assert given.command
        assert other in ([], ["--brand", "gucci"])  # an option of the dataset's own groups
