"""The page: everything escaped, nothing from elsewhere, the same from the same home, useful when half is missing."""

import base64
import csv
import io
import re
from html.parser import HTMLParser

import duckdb
import pytest

from eiclip.errors import EiclipError
from eiclip.readers.product_groups import SCHEMA
from eiclip.report import plots
from eiclip.report.about import About
from eiclip.report.numbers import NO_BREAK
from eiclip.report.sections import BEHIND, ROWS
from eiclip.report.source import Source, markdown
from eiclip.report.tables import leaderboard_text
from eiclip.report.write import write_report
from eiclip.storage.catalogue import connect
from tests.report.conftest import GROUPS, RECALLS
from tests.report.drawn import assert_legible, lengths

PLOTS = (plots.recall_plot, plots.gate_plot, plots.gate_history_plot, plots.loss_plot, plots.usefulness_plot)
ABOUT = About(
    {"seed": "<b>0</b>"},
    {"numpy": "2.0 <script>"},
    {"fashiongen": "Drawn by this project, seed 0."},
    '{"seed": "$x$ <script>alert(3)</script>"}',
)
EVERY_SECTION = [question.key for question in (*ROWS, *BEHIND)]


@pytest.fixture(scope="module")
def made(whole_home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    facts = write_report(whole_home, folder / "report.html", datasets=["fashiongen"], about=ABOUT)
    return (folder / "report.html").read_text(encoding="utf-8"), facts


class Page(HTMLParser):
    """Tags and attributes of a page, with a check that every element is closed in its turn; texts by nearest id."""

    EMPTY = frozenset({"meta", "img", "source", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts, self.place = [], [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.place = dict(attrs).get("id", self.place)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] in (["script"], ["style"]):
            return
        self.texts[self.place] = (self.texts.get(self.place, "") + " " + data).replace(NO_BREAK, " ")

    def said(self, place):
        """The text below an id, with single spaces."""
        return " ".join(self.texts[place].split())


def page_of(fake, *datasets):
    """The page of a home and its facts."""
    output = fake.root / "report.html"
    facts = write_report(fake.refresh(), output, datasets=datasets, about=About())
    return Page(output.read_text(encoding="utf-8")), facts


def test_facts(made):
    page, facts = made
    assert facts["bytes"] == len(page.encode()) < 5_000_000
    assert facts["sections"] == {"fashiongen": EVERY_SECTION}
    assert facts["missing"] == {"fashiongen": []}
    assert facts["gallery"]["fashiongen"]["won"] > 0
    assert facts["headline"]["fashiongen"].startswith("EI-CLIP (row 5) beats")


def test_everything_is_escaped(made):
    page, _ = made
    tags = {tag for tag, _ in Page(page).tags}
    assert tags.isdisjoint({"iframe", "object", "form"})
    assert page.count("<script") == 1, "the page's own"
    assert not any(name.startswith("on") for _, attributes in Page(page).tags for name in attributes)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;0&lt;/b&gt;" in page
    assert "a$b$c" in page
    assert "<b>lapel" not in page


def test_nothing_from_elsewhere(made):
    page, _ = made
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    for _, attributes in Page(page).tags:
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "#").startswith(("data:image/", "data:text/csv;", "#"))


def test_well_formed_links_lead_somewhere_and_images_are_described(made):
    parsed = Page(made[0])
    assert parsed.open == []
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"][1:] for tag, a in parsed.tags if tag == "a" and a["href"].startswith("#")}
    assert links <= set(ids)
    assert all(a["alt"].strip() for tag, a in parsed.tags if tag == "img")
    assert {f"d1-{key}" for key in EVERY_SECTION} <= links


def test_the_first_screen_says_which_model_to_use_and_how_sure_that_is(made):
    said = Page(made[0]).said("d1")
    assert "Drawn by this project, seed 0." in said
    assert said.index("Drawn by") < said.index("%"), "what the data is, before any percentage"
    assert "Use EI-CLIP+, our own (row 6): it has the highest SumR, 411.8. It is ahead of row 3, row 4 and" in said
    assert "Row 5, EI-CLIP, is ahead of row 3 in SumR 340.6 against 195.7, +74.0 %" in said
    assert "Row 5, EI-CLIP, is behind row 4" in said
    assert "A random order reaches SumR 8.0, row 5 340.6" in said
    assert "5 EI-CLIP 26.6 [23.6, 29.6] +144.9 [+141.9, +147.9] < 0.001 27.1 [24.1, 30.1]" in said
    assert "Searches that EI-CLIP (row 5) wins against row 3" in said


def test_plots_are_in_the_page_once_with_their_size(made):
    pictures = [a for tag, a in Page(made[0]).tags if tag == "img" and a["src"].startswith("data:image/svg")]
    assert len({a["src"] for a in pictures}) == len(pictures) >= 15
    assert all(a["width"] == "403" and int(a["height"]) > 100 for a in pictures)


def test_all_but_the_first_screen_is_folded_and_words_come_first(made):
    page = made[0]
    assert page.index('class="words"') < page.index('id="d1"')
    assert "<details open" not in page
    for key in EVERY_SECTION:
        before = page[: page.index(f'id="d1-{key}"')]
        assert before.count("<details") == before.count("</details>") + 1


def test_every_table_has_its_csv(made):
    page, _ = made
    links = re.findall(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)
    assert len(links) == page.count("<table") > 15
    board = list(csv.DictReader(io.StringIO(base64.b64decode(links[0]).decode())))
    ours = next(row for row in board if row["Model"] == "5 EI-CLIP")
    assert [ours[f"SumR less row 3’s{end}"] for end in ("", " low", " high")] == ["144.9", "141.9", "147.9"]
    assert all(len(row) == len(board[0]) for row in board)
    heads = [next(csv.reader(io.StringIO(base64.b64decode(link).decode()))) for link in links]
    assert [head for head in heads if len(set(head)) < len(head)] == [], "no column's name twice"


def test_no_markup_shows_and_no_cell_is_empty(made):
    text = made[0]
    assert "**" not in re.sub(r'"data:[^"]+"', "", text)
    assert "<span>Table</span>" not in text, "a table without its title"
    assert re.findall(r"<t[dh][^>]*>\s*</t[dh]>", text) == []


def test_the_verdict_with_all_its_figures(made):
    said = Page(made[0]).said("d1-verdict")
    assert "EI-CLIP (row 5) beats CLIP with the entities as text (row 3)" in said
    assert "+84.4 %" in said
    assert "the paper: +10.3 %" in said
    assert "EI-CLIP+ (row 6), our own and not in the paper, beats EI-CLIP (row 5). SumR" in said
    assert "Intervals: 2,000 bootstrap draws" in said


def test_leaderboards_with_intervals_paper_and_peers(made):
    said = Page(made[0]).said("d1-rows")
    assert "27.1 [24.1, 30.1]" in said
    assert said.count("as the paper printed ") == 5, "row 6 is not the paper's"
    assert said.count("6 EI-CLIP+, our own (not in the paper) 32.5 [29.5, 35.5]") == 1
    assert "Row 6 is our own: the paper has no such row." in said
    assert "chance 0.2 1.2 2.5 0.2 1.2 2.5 8.0" in said
    assert "Kaleido-BERT (CVPR 2021) 33.9 60.6 68.6 28.0 60.1 68.4 319.5" in said
    assert "are in a section of their own" in said
    assert "All, no known duplicates" in said
    assert "Sample-100, 5 × 1,000" in said
    assert "Rule of sample100_5x1000: <b>&" in said


def test_what_has_been_run_is_shown_and_what_has_not_takes_a_line(made):
    parsed = Page(made[0])
    assert "Does row 5's lead over row 3 depend on the batch size?" in parsed.said("d1-ablations")
    [line] = re.findall(r"Studies not run.*?</p>", made[0])
    assert "dagster job execute -j NAME" in line
    assert "ablation_losses" in line
    assert "ablation_batch_size" not in line


def test_how_it_was_made(made):
    said = Page(made[0]).said("about")
    assert "This run CSV What Value seed <b>0</b>" in said
    assert "numpy 2.0 <script>" in said
    assert "Every setting" in said
    assert "<script>alert(3)</script>" in said
    assert "CSV What fashiongen run run-1 finished 2026-01-02 00:00 UTC" in said
    assert "Kept runs of fashiongen, newest first" in said
    assert said.index("run-1 2026-01-02") < said.index("run-0 2026-01-01")
    assert "trainings of fashiongen" in said


def test_same_home_same_bytes(made, whole_home, tmp_path):
    write_report(whole_home, tmp_path / "again.html", datasets=["fashiongen"], about=ABOUT)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == made[0]


def test_a_partial_run_says_what_to_materialise(fake):
    fake.results("toys")
    parsed, facts = page_of(fake, "toys", "other")
    assert facts["sections"] == {"toys": ["rows"], "other": []}
    assert facts["missing"]["toys"] == [
        "verdict",
        "where",
        "gates",
        "interventions",
        *(question.key for question in BEHIND),
    ]
    said = parsed.said("d1") + parsed.said("d1-rows")
    assert "Gates (materialise gate_weights and gate_report)" in said
    assert "materialise row_comparisons" in said
    assert "other : nothing has been made of it yet; dagster job execute -j full_eval does." in parsed.said("d2")
    assert "Nothing was recorded." in parsed.said("about")
    assert "as the paper printed" not in said
    assert parsed.open == []


TABLES = ("metric_intervals", "row_comparisons", "recall_breakdowns", "interventions", "runs", "protocols",
          "gate_report", "ablation_results", "run_metrics", "training_log")  # fmt: skip


@pytest.mark.parametrize("gone", TABLES)
def test_any_table_may_be_missing(fake, gone, monkeypatch):
    monkeypatch.setattr(Source, "picture", lambda *given: None)  # plots are tried without their tables one by one
    fake.results("toys")
    fake.sure("toys")
    fake.studied("toys")
    fake.learned("toys")
    for file in fake.lake.files(gone, "toys"):
        file.unlink()
    parsed, facts = page_of(fake, "toys")
    assert parsed.open == []
    assert "rows" in facts["sections"]["toys"]


def test_embeddings_without_shards(fake):
    fake.data("toys")
    for tar in (fake.root / "shards" / "toys").glob("*.tar"):
        tar.unlink()
    _, facts = page_of(fake, "toys")
    assert "gallery" in facts["missing"]["toys"]


def test_a_view_whose_files_are_gone_is_an_error(fake):
    fake.results("toys")
    fake.refresh()
    fake.lake.path("retrieval_metrics", "toys").unlink()
    with pytest.raises(EiclipError, match=r"(?s)sql/report/\w+\.sql: IO Error.*retrieval_metrics: make again"):
        write_report(fake.root, fake.root / "report.html", datasets=["toys"], about=About())


def test_a_table_of_an_older_form_is_an_error(fake):
    fake.table("leaderboard", "toys", [{"protocol": "full", "paper_row": 3, "variant": "eiclip", "sum_r": 200.0}])
    with pytest.raises(EiclipError, match=r'(?s)sql/report/board\.sql: .*"i2t_r1".*leaderboard: make again'):
        page_of(fake, "toys")


def test_no_catalogue(tmp_path):
    with pytest.raises(EiclipError, match="no catalogue yet"):
        write_report(tmp_path, tmp_path / "report.html", datasets=["toys"], about=About())
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_are_legible_and_alike_every_time(whole_home, plot):
    with connect(whole_home) as connection:
        assert_legible(plot, connection, "fashiongen")
        assert plot(connection, "none such") is None


def test_plots_draw_what_the_tables_hold(whole_home):
    with connect(whole_home) as connection:
        recall, gates, history, loss, useful = (plot(connection, "fashiongen") for plot in PLOTS)
        lost = connection.execute("SELECT r1_lost FROM entity_shuffles WHERE dataset = 'fashiongen'").fetchall()
        weights = connection.execute("SELECT weight FROM gate_weights WHERE dataset = 'fashiongen'").fetchall()
        last = connection.execute("SELECT loss_joint FROM training_log ORDER BY step DESC, variant LIMIT 5").fetchall()
    for axes, factor in zip(recall.axes, (1, 0.98), strict=True):
        first = [round(bars[0].get_height(), 6) for bars in axes.containers]
        assert first == [round(factor * value, 6) for value in RECALLS.values()], "rows stand in their order"
        whiskers = [line for line in axes.lines if len(line.get_xdata()) == 2]
        assert len(whiskers) == 3 * len(RECALLS)
    drawn = [x for dots in gates.axes[0].collections for x, _ in dots.get_offsets().tolist()]
    assert sorted(drawn) == pytest.approx(sorted(weight for (weight,) in weights))
    assert [line.get_ydata()[-1] for line in history.axes[0].lines] == pytest.approx(
        [0.5 + (mean - 0.5) * 0.825 for _, (_, mean) in sorted(GROUPS.items())]
    )
    ends = [line.get_ydata()[-1] for line in loss.axes[0].lines if len(line.get_ydata()) > 2]
    assert sorted(ends) == pytest.approx(sorted(value for (value,) in last))
    assert sorted(lengths(useful.axes[0])) == pytest.approx(sorted(value for (value,) in lost))


def cells(text):
    """The cells of a Markdown table, its head first."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip().replace("\\", "") for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def test_readings_without_duplicates_only_where_some_are_known(whole_home, fake):
    with connect(whole_home) as connection:
        head, *lines = cells(markdown(connection, "fashiongen", "rows.sums"))
        board = cells(markdown(connection, "fashiongen", "rows.leaderboard", "full_distinct", "", False))
    assert head[1:4] == ["All candidates", "All, no known duplicates", "All, product level"]
    assert [line[2].split(" [")[0] for line in lines] == [line[-1].strip("*") for line in board[1:]]
    fake.results("toys")
    with connect(fake.refresh()) as connection:
        assert "duplicates" not in markdown(connection, "toys", "rows.sums")


def test_readings_hold_what_their_tables_hold(whole_home):
    with connect(whole_home) as connection:
        quality, equal, rules = (
            cells(markdown(connection, "fashiongen", f"rows.{name}")) for name in ("quality", "text_equal", "protocols")
        )
    assert quality[1][:2] == ["chance", "1.0"]
    assert quality[6][0::3] == ["5 EI-CLIP", "43.4 [40.4, 46.4]"]
    assert [line[0] for line in quality[7:]] == ["6 EI-CLIP+"]
    assert equal[1][1:3] == ["0.2", "–"], "of the strict reading alone"
    assert equal[6][3:5] == ["27.1", "28.1"]
    assert [line[0] for line in rules[1:]][::6] == ["All candidates (full)", "Sample-100, 5 × 1,000 (sample100_5x1000)"]
    assert rules[1][2:] == ["1,200", "–", "3", "9"]
    for table in (quality, equal, rules):
        assert len({len(line) for line in table}) == 1


@pytest.mark.parametrize("made_empty", [False, True])
def test_a_home_without_known_duplicates_says_so(fake, made_empty):
    fake.results("toys")
    fake.data("toys")
    if made_empty:
        fake.lake.write(SCHEMA.empty_table(), "product_groups", "toys")
    parsed, _ = page_of(fake, "toys")
    assert "No duplicates are known." in parsed.said("d1-data")


def test_leaderboard_on_the_terminal(fake):
    fake.results("toys", {"clip_entities_text": 20.0, "eiclip": 25.0})
    with connect(fake.refresh()) as connection:
        lines = leaderboard_text(connection, "toys", "full").splitlines()
        missing = leaderboard_text(connection, "other", "full")
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[3].split("|")[1:3]] == ["5 EI-CLIP", "**24.5**"]
    fake.chance("toys", 0.5)
    with connect(fake.refresh()) as connection:
        floor = leaderboard_text(connection, "toys", "sample100").splitlines()[2]
    assert [cell.strip() for cell in floor.split("|")[1:-1]] == [
        "chance",
        "0.8",
        "4.0",
        "8.0",
        "0.8",
        "4.0",
        "8.0",
        "25.6",
    ]
    assert re.search(r"^\| 3 CLIP fine-tuned, entities as text +\| +19\.6 \|", lines[2])
    assert missing == "No `full` leaderboard of `other` yet: materialise `leaderboard`."


@pytest.mark.parametrize(
    ("short", "lists", "said"),
    [(0, 0, "All 100 wrong items of each list are of the right"), (1200 * 84, 1100, "84 % of the wrong items"),
     (1200 * 84, 1100, "1,100 of 1,200 lists")],
)  # fmt: skip
def test_how_many_wrong_items_are_of_the_subcategory_is_said(short, lists, said):
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE protocols AS SELECT 'toys' AS dataset, 'sample100' AS protocol, '' AS rule, "
            "'image' AS level, 'list' AS candidates, 1200 AS queries, 1 AS draws, 7 AS seed, "
            "? AS with_shortfall, ? AS negatives_short",
            [lists, short],
        )
        assert said in markdown(connection, "toys", "rows.list_note")
        assert markdown(connection, "elsewhere", "rows.list_note") == ""
