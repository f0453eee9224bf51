"""Plots, tables and the sentence about where row 5 wins: what they show, and that they do without what is missing."""

import duckdb
import pyarrow as pa
import pytest

from eiclip.evaluation.breakdowns import BREAKDOWNS
from eiclip.evaluation.comparisons import COMPARISONS, PAIRS
from eiclip.report.breakdown import brand_plot, comparison_plot, facet_plot, where_it_wins
from eiclip.report.source import markdown
from tests.report.drawn import assert_legible, dots, intervals, lengths, words
from tests.report.reading import cells

ODD = ["a$b$c", "無印良品", "x" * 90, "<script>", "two\nlines"]
PLOTS = (comparison_plot, facet_plot, brand_plot)
TABLES = ("rows.comparisons", "breakdowns.facets")


def comparison(pair, direction, measure, difference=5.0, width=2.0, p=0.0001):
    return {
        "protocol": "full", "variant": pair[0], "baseline": pair[1], "direction": direction, "measure": measure,
        "difference": difference, "low": difference - width, "high": difference + width, "p_value": p, "products": 700,
    }  # fmt: skip


def comparisons(pairs=PAIRS):
    figures = (("i2t", "r1"), ("t2i", "r1"), ("both", "sum_r"), ("i2t", "mrr"))
    return [comparison(pair, *figure) for pair in pairs for figure in figures]


def gain(facet, value, gained, products=50, width=4.0, direction="t2i", baseline=10.0):
    """Rows 3 and 5 of one value; without a width there is no interval."""
    shared = {"protocol": "full", "direction": direction, "facet": facet, "value": value}
    shared |= {"products": products, "queries": products}
    ends = {} if width is None else {"gain_low": gained - width, "gain_high": gained + width, "p_value": 0.012}
    ours = {"variant": "eiclip", "r1": baseline + gained, "gain_r1": gained} | ends
    return [shared | {"variant": "clip_entities_text", "r1": baseline}, shared | ours]


def breakdowns(brands=(), slope=0.0):
    """Every facet, and these brands: the gain of each grows with its place by `slope`."""
    rows = gain("brand confounded", "0 %", 11.4, 431) + gain("brand confounded", "10 to 50 %", -6.8, 12)
    rows += gain("brand state", "known", 9.0) + gain("brand state", "unseen", 0.0, 4, None)
    rows += gain("season state", "missing", 0.0, 9, None) + gain("meanings", "one", 3.0)
    rows += gain("subcategory", "coats", 1.0) + gain("subcategory", "jeans", 2.0, 60)
    for place, name in enumerate(brands):
        for way in ("t2i", "i2t"):
            rows += gain("brand", name, slope * place, 100 - place, direction=way)
    return rows


def priors(brands):
    """Brands whose words are used untagged ever more often, the first never."""
    return [{"entity": name, "entity_group": "brand", "tagged_count": 100, "untagged_mentions": place}
            for place, name in enumerate(brands)]  # fmt: skip


def catalogue(compared=(), broken_down=(), prior=()):
    connection = duckdb.connect()
    tables = {"row_comparisons": (compared, COMPARISONS), "recall_breakdowns": (broken_down, BREAKDOWNS)}
    for name, (rows, schema) in tables.items():
        if rows:
            arrow = pa.Table.from_pylist([{"dataset": "d"} | row for row in rows], schema=schema)
            connection.register("rows", arrow)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM rows")
    if prior:
        connection.register("rows", pa.Table.from_pylist([{"dataset": "d"} | row for row in prior]))
        connection.execute("CREATE TABLE semantic_prior AS SELECT * FROM rows")
    return connection


@pytest.fixture
def whole():
    brands = [*ODD, *(f"brand {n}" for n in range(20))]
    with catalogue(comparisons(), breakdowns(brands), priors(brands)) as connection:
        yield connection


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_are_legible_and_alike_every_time(plot, whole):
    assert_legible(plot, whole)


def test_differences_of_rows_have_dots_and_intervals(whole):
    figure = comparison_plot(whole, "d")
    for axes, ways in zip(figure.axes, (2, 1), strict=True):
        assert dots(axes) == [(5.0, pytest.approx(y)) for _, y in dots(axes)]
        assert set(intervals(axes).values()) == {(3.0, 7.0)}
        assert len(dots(axes)) == ways * len(PAIRS)
    told = words(figure)
    assert told.index("equal gates (4)") > told.index("pretrained (1)"), "the first pair stands above"
    assert {"from photo to text", "from text to photo", "EI-CLIP (5) −"} <= set(told)


def test_kinds_of_products_of_few_are_hollow_and_without_an_interval_have_no_line(whole):
    figure = facet_plot(whole, "d")
    assert [x for x, _ in dots(figure.axes[0])] == [3.0, 9.0, 11.4]
    assert [x for x, _ in dots(figure.axes[0], hollow=True)] == [0.0, -6.8], "4 unseen are too few to be drawn"
    assert sorted(intervals(figure.axes[0]).values()) == [(-10.8, pytest.approx(-2.8)), (-1, 7), (5, 13), (7.4, 15.4)]
    bold = [label.get_text() for label in figure.axes[0].get_yticklabels() if label.get_fontweight() == "bold"]
    assert bold[::-1] == ["brand’s words untagged", "brand state", "season state", "entity meanings"]
    told = words(figure)
    assert "0 %  (431)" in told
    assert " ".join(told[-2:]) == "in brackets: test products; hollow: fewer than 20; no line: none differs"


def test_brands_stand_by_their_untagged_words_beside_what_they_gain():
    brands = [f"brand {n}" for n in range(14)]
    with catalogue(broken_down=breakdowns(brands, 0.5), prior=priors(brands)) as connection:
        figure = brand_plot(connection, "d")
    gains, shares = figure.axes
    assert [x for x, _ in dots(gains)] == [0.5 * n for n in range(12)], "the twelve of most products"
    assert lengths(shares) == pytest.approx([100 * n / (100 + n) for n in range(12)])
    assert {"brand 3  (97)", f"{1100 / 111:.1f}"} <= set(words(figure))


def test_nothing_to_show_is_none(whole):
    with duckdb.connect() as empty:
        for connection, dataset in ((empty, "d"), (whole, "another dataset")):
            assert [make(connection, dataset) for make in (*PLOTS, where_it_wins)] == [None] * 4
            assert [markdown(connection, dataset, macro) for macro in TABLES] == ["", ""]


@pytest.mark.parametrize("pairs", [PAIRS[:1], PAIRS[4:5]])
def test_a_partial_run_compares_the_rows_it_has(pairs):
    with catalogue(comparisons(pairs)) as connection:
        assert comparison_plot(connection, "d")
        assert len(cells(connection, "d", "rows.comparisons")) == 2
    with catalogue([comparison(PAIRS[0], *figure) for figure in (("t2i", "r1"), ("both", "sum_r"))]) as connection:
        assert comparison_plot(connection, "d")
        assert cells(connection, "d", "rows.comparisons")[1][1:] == [*["+5.0 [+3.0, +7.0]", "< 0.001"] * 2, "–", "–"]


def test_comparisons_stand_in_order_of_importance():
    figures = (("t2i", "r1"), ("both", "sum_r"))
    rows = [comparison(pair, *figure, -0.04, 1.0, 0.5) for pair in PAIRS for figure in figures]
    with catalogue(rows[::-1]) as connection:
        _, first, *others = cells(connection, "d", "rows.comparisons")
    assert first[:3] == ["5 EI-CLIP less 3 entities as text", "±0.0 [−1.0, +1.0]", "0.50"]
    assert [row[0].partition(" less ")[2][0] for row in others] == ["4", "2", "5", "3", "4", "3", "2", "1"]


def test_kinds_of_products_with_intervals_where_there_are_any(whole):
    rows = {(kind, value): rest for kind, value, *rest in cells(whole, "d", "breakdowns.facets")[1:]}
    assert rows["brand’s words untagged", "0 %"] == ["431", "10.0", "21.4", "+11.4 [+7.4, +15.4]", "0.012"]
    assert rows["brand state", "unseen"] == ["4", "10.0", "10.0", "±0.0", "–"]
    kinds = list(dict.fromkeys(kind for kind, _ in rows))
    assert kinds == ["brand’s words untagged", "brand state", "season state", "entity meanings", "subcategory", "brand"]
    assert [value for kind, value in rows if kind == "subcategory"] == ["jeans", "coats"]
    assert sum(kind == "brand" for kind, _ in rows) == 12


def test_kinds_that_no_product_tells_apart_are_drawn_without_a_line():
    with catalogue(broken_down=gain("season state", "missing", 0.0, 9, None)) as connection:
        assert facet_plot(connection, "d")
    with catalogue(broken_down=gain("season state", "missing", 0.0, 4, None)) as connection:
        assert facet_plot(connection, "d") is None


def test_brands_without_a_prior_are_drawn_too():
    with catalogue(broken_down=breakdowns(ODD), prior=priors(["diesel"])) as connection:
        assert brand_plot(connection, "d")


@pytest.mark.parametrize(
    ("slope", "verdict"),
    [
        (0.5, ": confounded brands gain more here."),
        (-0.5, ": confounded brands gain less here."),
        (0.0, None),
    ],
)
def test_the_sentence_says_what_the_correlation_says(slope, verdict):
    brands = [f"brand {n:02}" for n in range(30)]
    with catalogue(broken_down=breakdowns(brands, slope), prior=priors(brands)) as connection:
        sentence = where_it_wins(connection, "d")
    assert "+11.4 (+7.4 to +15.4, 431 products) where texts never use the brand’s words untagged" in sentence
    assert "−6.8 (−10.8 to −2.8, 12 products) where 10 to 50 % of uses are untagged" in sentence
    assert ("Over the 30 brands" in sentence) == (verdict is not None)
    assert sentence.endswith(verdict or "untagged.")


def test_the_sentence_admits_that_an_interval_has_zero_in_it():
    brands = [f"brand {n:02}" for n in range(30)]
    rows = breakdowns()
    for place, name in enumerate(brands):
        rows += gain("brand", name, float((7 * place) % 11))
    with catalogue(broken_down=rows, prior=priors(brands)) as connection:
        assert "has zero in it, so this run does not show" in where_it_wins(connection, "d")


@pytest.mark.parametrize(("brands", "confounded"), [(7, 7), (30, 4)])
def test_no_correlation_over_a_handful_of_brands(brands, confounded):
    names = [f"brand {n:02}" for n in range(brands)]
    prior = [row | {"untagged_mentions": max(0, row["untagged_mentions"] - (brands - confounded) + 1)}
             for row in priors(names)]  # fmt: skip
    with catalogue(broken_down=breakdowns(names, 0.5), prior=prior) as connection:
        assert "Spearman" not in where_it_wins(connection, "d")
