"""The section on cross-encoders: rows beside the printed ones, the ceiling in words, verdicts that follow intervals."""

import duckdb
import pytest

from assets.cross_modal import PAIRS
from eiclip.model.variants import CROSS_VARIANTS
from eiclip.report.about import About
from eiclip.report.numbers import short_title
from eiclip.report.source import markdown
from eiclip.report.write import write_report
from eiclip.storage.catalogue import connect
from tests.pages import blocks
from tests.report.reading import cells, said
from tests.report.test_report import Page, page_of

NUMBERS = ["2", "3", "5", "6", "10", "11", "12", "13", "14"]


@pytest.fixture
def connection(fake):
    """A home with the job's tables alone; dataset `shop`."""
    fake.cross_modal("shop")
    fake.chance("shop")
    with connect(fake.refresh()) as connection:
        yield connection


def test_rows_stand_in_their_order_between_chance_and_the_printed_ones(connection):
    head, chance, *rows = cells(connection, "shop", "cross_modal.board")
    assert head == ["Model", "Text → photo R@1", "R@5", "R@10", "Photo → text R@1", "R@5", "R@10", "SumR"]
    assert chance[0] == "chance"
    assert [row[0].split()[0] for row in rows[:-2]] == NUMBERS
    assert rows[5][0] == "11 FashionBERT*, entities as text"
    assert rows[0][4] == "21.9 [18.9, 24.9]", "photo to text, with its interval"
    assert rows[3][1].startswith("**52.1**"), "row 6 is the best"
    assert [row[0] for row in rows[-2:]] == [
        "*FashionBERT (SIGIR 2020), as printed*",
        "*Kaleido-BERT (CVPR 2021), as printed*",
    ]
    assert rows[-1][1:] == ["33.9", "60.6", "68.6", "28.0", "60.1", "68.4", "319.5"]


def test_printed_rows_are_part_of_the_table(connection):
    assert "|\n| *FashionBERT" in markdown(connection, "shop", "cross_modal.board"), "a blank line would end it"


def test_all_candidates_have_no_printed_rows(connection):
    _, _, *rows = cells(connection, "shop", "cross_modal.full")
    assert [row[0].split()[0] for row in rows] == NUMBERS
    assert rows[-1][4] == "32.1 [29.1, 35.1]"


def test_every_pair_is_compared_under_both_protocols(connection):
    told = said(connection, "shop", "cross_modal.comparisons")
    for one, other in PAIRS:
        names = " less ".join(map(short_title, (one, other)))
        assert told.count(f"| {names} |") == 2, names
    assert "| 14 EI-CLIP re-ranked less 5 EI-CLIP | +4.9" in told


@pytest.mark.parametrize(
    ("width", "verdict"), [(3.0, "puts more right ones first"), (9.0, "cannot be told from row 5")]
)
def test_the_sentence_follows_the_interval(fake, width, verdict):
    fake.cross_modal("shop", width)
    with connect(fake.refresh()) as connection:
        told = said(connection, "shop", "cross_modal.verdict")
        assert said(connection, "another", "cross_modal.verdict") == ""
    assert told.count(verdict) == 2
    assert "points of recall@1 (from 27.1 to 32.1)" in told


def test_there_is_no_verdict_on_a_re_ranker_that_has_not_learned(fake):
    fake.cross_modal("shop")
    fake.table("training_outcomes", "shop", [
        {"variant": "eiclip_rerank", "verdict": "at chance", "message": "it guesses"}
    ])  # fmt: skip
    with connect(fake.refresh()) as connection:
        told = said(connection, "shop", "cross_modal.verdict")
        compared = said(connection, "shop", "cross_modal.comparisons")
    assert told.startswith("No verdict on row 14 and row 5: not every row has learned. Row 14: it guesses")
    assert compared.count("not learned") == 4, "two of its pairs, twice"


def test_the_page_has_the_section_where_the_job_has_run(fake):
    fake.results("shop")
    fake.cross_modal("shop")
    fake.results("other")
    page, facts = page_of(fake, "shop", "other")
    assert "cross_modal" in facts["sections"]["shop"]
    assert "cross_modal" not in facts["sections"]["other"] + facts["missing"]["other"]
    told = page.said("d1-cross_modal")
    assert "no line of rows 10 to 14 can have a recall above row 5’s recall@k" in told
    for differs in ("Data", "Towers", "Patches", "Size", "Corruption", "Alignment", "Lists"):
        assert f"{differs} :" in told
    html = (fake.root / "report.html").read_text(encoding="utf-8")
    assert html.count(", cross_modal.</p>") == 1, "a line for the dataset where it has not been run"


def test_peers_are_quoted_in_short_where_rows_of_their_kind_are_there(whole_home, fake, tmp_path):
    fake.results("fashiongen")
    without, _ = page_of(fake, "fashiongen")
    assert "which nobody has checked" in without.said("d1-rows")
    output = tmp_path / "report.html"
    write_report(whole_home, output, datasets=["fashiongen"], about=About())
    page = Page(output.read_text(encoding="utf-8"))
    assert "are in a section of their own" in page.said("d1-rows")
    assert "which nobody has checked" not in page.said("d1-rows")
    assert "which nobody has checked" in page.said("d1-cross_modal")


def test_the_queries_of_the_page_run(whole_home):
    asked = [block for block in blocks("docs/queries.md", "sql") if "cross_modal" in block.text]
    assert asked
    assert not any(block.run for block in asked), "full_eval makes no such table"
    with connect(whole_home) as connection:
        for block in asked:
            found = connection.sql(block.text).fetchall()
            assert {row[0] for row in found} & set(CROSS_VARIANTS), block.line


def test_an_empty_catalogue_has_nothing_to_show():
    with duckdb.connect() as connection:
        for macro in ("board", "full", "comparisons", "verdict"):
            assert said(connection, "shop", f"cross_modal.{macro}") == ""
