"""The page: everything escaped, nothing from elsewhere, the same from the same home, useful when half is missing."""

import re
from html.parser import HTMLParser

import pytest

from eiclip.duplicates import SCHEMA
from eiclip.errors import EiclipError
from eiclip.lake import connect
from eiclip.report import plots, tables
from eiclip.report.tables import leaderboard_markdown
from eiclip.report.write import SECTIONS, write_report

PLOTS = (plots.recall_plot, plots.gate_plot, plots.gate_history_plot, plots.loss_plot, plots.usefulness_plot)

PROTOCOLS = ("full", "full_distinct", "sample100", "sample100_distinct")


@pytest.fixture(scope="module")
def made(whole_home, tmp_path_factory):
    output = tmp_path_factory.mktemp("report") / "report.html"
    facts = write_report(whole_home, output, datasets=["fashiongen"], about={"seed": "<b>0</b>"})
    return output.read_text(encoding="utf-8"), facts


class Page(HTMLParser):
    """Tags and attributes of a page, with a check that every element is closed in its turn."""

    EMPTY = frozenset({"meta", "img", "source", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_facts(made):
    page, facts = made
    assert facts["bytes"] == len(page.encode()) < 5_000_000
    assert facts["sections"] == {"fashiongen": list(SECTIONS)}
    assert facts["missing"] == {"fashiongen": {}}
    assert facts["gallery"]["fashiongen"]["won"] > 0
    assert facts["headline"]["fashiongen"].startswith("EI-CLIP (row 5) beats")


def test_everything_is_escaped(made):
    page, _ = made
    tags = {tag for tag, _ in Page(page).tags}
    assert "script" not in tags
    assert "b" not in tags
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;0&lt;/b&gt;" in page


def test_nothing_from_elsewhere(made):
    page, _ = made
    assert "http:" not in page
    assert "https:" not in page
    for _, attributes in Page(page).tags:
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "#").startswith(("data:image/", "#"))


def test_well_formed_links_lead_somewhere_and_images_are_described(made):
    parsed = Page(made[0])
    assert parsed.open == []
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in parsed.tags if tag == "a"} <= set(ids)
    assert all(a["alt"] for tag, a in parsed.tags if tag == "img")


def test_plots_in_both_themes_and_the_paper_beside(made):
    page, _ = made
    pictures = re.findall(r'"data:image/png;base64,([^"]+)"', page)
    assert len(set(pictures)) == 2 * len(PLOTS)
    assert page.count('<tr class="paper">') == 5


def test_same_home_same_bytes(made, whole_home, tmp_path):
    write_report(whole_home, tmp_path / "again.html", datasets=["fashiongen"], about={"seed": "<b>0</b>"})
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == made[0]


def test_a_partial_run_says_what_to_materialise(fake):
    fake.results("toys")
    facts = write_report(fake.refresh(), fake.root / "report.html", datasets=["toys", "other"], about={})
    assert facts["sections"] == {"toys": ["rows"], "other": []}
    page = (fake.root / "report.html").read_text(encoding="utf-8")
    assert "Materialise gate_weights" in page
    assert 'class="paper"' not in page
    assert "Materialise the embeddings of clip_entities_text and eiclip." in page
    assert "No verdict yet." in page
    assert Page(page).open == []


def test_embeddings_without_shards(fake):
    fake.data("toys")
    for tar in (fake.root / "shards" / "toys").glob("*.tar"):
        tar.unlink()
    facts = write_report(fake.refresh(), fake.root / "report.html", datasets=["toys"], about={})
    assert facts["missing"]["toys"]["gallery"] == "The photos are not there: materialise the shards."


def test_view_whose_files_are_gone(fake):
    fake.results("toys")
    fake.refresh()
    fake.lake.path("retrieval_metrics", "toys").unlink()
    facts = write_report(fake.root, fake.root / "report.html", datasets=["toys"], about={})
    assert facts["sections"] == {"toys": ["rows"]}


def test_no_catalogue(tmp_path):
    with pytest.raises(EiclipError, match="no catalogue yet"):
        write_report(tmp_path, tmp_path / "report.html", datasets=["toys"], about={})
    assert not (tmp_path / "report.html").exists()


def test_plots(whole_home):
    with connect(whole_home) as connection:
        assert plots.usefulness_plot(connection, "fashiongen").startswith(b"\x89PNG")
        assert all(plot(connection, "none such") is None for plot in PLOTS)


def test_known_duplicates_and_the_recalls_both_ways(made, whole_home):
    with connect(whole_home) as connection:
        counted = tables.duplicates(connection, "fashiongen")
        effect = tables.duplicates_effect(connection, "fashiongen")
        boards = [tables.leaderboard(connection, "fashiongen", protocol) for protocol in PROTOCOLS]
    assert counted.rows == [("2", "5", "3", "2")]
    assert [row[0] for row in effect.rows] == [line.title for line in boards[0]]
    for place, board in enumerate(boards, start=1):
        assert [row[place] for row in effect.rows] == [line.cells[-1].text for line in board]
    assert counted.caption in made[0]
    assert effect.caption in made[0]


@pytest.mark.parametrize("made_empty", [False, True])
def test_a_home_without_known_duplicates_says_so(fake, made_empty):
    fake.results("toys")
    fake.data("toys")
    if made_empty:
        fake.lake.write(SCHEMA.empty_table(), "product_groups", "toys")
    write_report(fake.refresh(), fake.root / "report.html", datasets=["toys"], about={})
    page = (fake.root / "report.html").read_text(encoding="utf-8")
    assert "No duplicates are known." in page
    assert "SumR with and without" not in page


def test_leaderboard_markdown(fake):
    fake.results("toys", {"clip_entities_text": 20.0, "eiclip": 25.0})
    with connect(fake.refresh()) as connection:
        lines = leaderboard_markdown(connection, "toys", "full").splitlines()
        missing = leaderboard_markdown(connection, "other", "full")
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[3].split("|")[1:5]] == ["5", "EI-CLIP", "**25.0**", "**59.0**"]
    assert re.search(r"^\| +3 \| CLIP fine-tuned, entities as text +\| +20\.0 \|", lines[2])
    assert missing == "No `full` leaderboard of `other` yet: materialise `leaderboard`."
