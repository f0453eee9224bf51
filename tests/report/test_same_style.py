"""The section on same-style retrieval from tables as they are computed: what it says, and that it does without some."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from markupsafe import Markup

from eiclip.model.variants import SAME_STYLE_ROWS
from eiclip.report import same_style_plots as plots
from eiclip.report import same_style_verdicts as verdicts
from eiclip.report.about import About
from eiclip.report.queries import select
from eiclip.report.sections import SEARCH
from eiclip.report.write import write_report
from eiclip.same_style import VIEW_PAIRS
from eiclip.same_style.evaluate import same_style_chance, same_style_ranks
from eiclip.same_style.pairs_curve import same_style_pr_curve
from eiclip.same_style.uncertainty import same_style_comparisons, same_style_intervals
from eiclip.storage.sql import read_sql
from tests.report.drawn import assert_legible, dots, intervals, words
from tests.report.reading import cells, said

PRODUCTS, WIDTH = 120, 24
NOISE = {"clip_pretrained": 2.0, "clip_description": 1.6, "eiclip": 1.5, "same_style_unconstrained": 1.4,
         "same_style_plain": 1.0, "same_style": 0.8}  # fmt: skip
"""How far a product's views lie from its style's centre; the joint view is the mean of the other two."""
TABLES = ("same_style_ranks", "same_style_metrics", "same_style_intervals", "same_style_comparisons",
          "same_style_pr_curve", "pair_funnel", "same_style_ablation")  # fmt: skip
FUNNEL = [
    {"dataset": "d", "step": 1, "name": "rows read", "unit": "rows", "kept": 1000, "lost": 0, "why": None},
    {
        "dataset": "d",
        "step": 2,
        "name": "known <items>",
        "unit": "rows",
        "kept": 900,
        "lost": 100,
        "why": "unknown & new",
    },
]


def unit(matrix):
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def views_of(variant, seed, columns=("image", "text", "joint")):
    random = np.random.default_rng([seed, len(variant)])
    centres = unit(np.random.default_rng(1).standard_normal((PRODUCTS // 3, WIDTH)))[np.arange(PRODUCTS) // 3]
    noise = NOISE.get(variant, 1.5) / WIDTH**0.5
    image, text = (unit(centres + noise * side * random.standard_normal((PRODUCTS, WIDTH))) for side in (1, 1.5))
    made = {"image": image, "text": text, "joint": unit(image + text)}
    lists = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(made[name].astype(np.float32).reshape(-1)), WIDTH)
        for name in columns
    }
    return pa.table({"product_id": [f"p{number}" for number in range(PRODUCTS)]} | lists)


STYLES = pa.table({"product_id": [f"p{number}" for number in range(PRODUCTS)],
                   "style_id": [f"s{number // 3}" for number in range(PRODUCTS)]})  # fmt: skip


def computed(variants=(*NOISE, "pixels", "words"), seeds=(0,)):
    """All tables of the evaluation of made-up views."""
    ranks, curves = [], []
    for variant in variants:
        columns = {"pixels": ("image",), "words": ("text",)}.get(variant, ("image", "text", "joint"))
        for seed in seeds if SAME_STYLE_ROWS.get(variant) and SAME_STYLE_ROWS[variant].trained else seeds[:1]:
            given = views_of(variant, seed, columns), STYLES, "d", variant, seed
            ranks.append(same_style_ranks(*given))
            curves.append(same_style_pr_curve(*given))
    ranks = pa.concat_tables(ranks)
    with duckdb.connect() as connection:
        connection.register("same_style_ranks", ranks)
        metrics = connection.sql(read_sql("evaluation/same_style_metrics")).to_arrow_table()
    ablation = [
        {"dataset": "d", "label": label, "setting": "views", "value": label, "seed": seed, "view_pair": pair,
         "mrr": 60.0 + seed, "r1": 50.0}
        for label in ("every pair", "m-m <alone>") for seed in (0, 1) for pair in VIEW_PAIRS
    ]  # fmt: skip
    return {
        "same_style_ranks": ranks,
        "same_style_metrics": metrics,
        "same_style_intervals": same_style_intervals(ranks, resamples=200),
        "same_style_comparisons": same_style_comparisons(ranks, resamples=200),
        "same_style_pr_curve": pa.concat_tables(curves),
        "same_style_chance": same_style_chance(STYLES["product_id"].to_pylist(), STYLES, "d"),
        "pair_funnel": pa.Table.from_pylist(FUNNEL),
        "same_style_ablation": pa.Table.from_pylist(ablation),
    }


@pytest.fixture(scope="module")
def made():
    return computed()


def catalogue(found):
    connection = duckdb.connect()
    for name, table in found.items():
        connection.register("rows", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM rows")
    return connection


@pytest.fixture
def whole(made):
    with catalogue(made) as connection:
        yield connection


PLOTS = (plots.views_plot, plots.curve_plot, plots.view_curves_plot)
EVERYTHING = (*PLOTS, verdicts.without_model, verdicts.basis, verdicts.same_style_headline)
MACROS = ("measure", "comparisons", "joint", "precision", "funnel", "parts")
SERVED = SAME_STYLE_ROWS["same_style"].title
WORDS = {"i": "photo", "t": "text", "m": "product"}


def by_name(connection, macro, *arguments):
    """Lines of a table as dictionaries, by their first cell."""
    head, *lines = cells(connection, "d", f"same_style.{macro}", *arguments)
    return {line[0]: dict(zip(head, line, strict=True)) for line in lines}


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_are_legible_and_alike_every_time(plot, whole):
    assert_legible(plot, whole)


def test_every_row_has_a_dot_and_a_line_in_every_pair_of_views(whole, made):
    figure = plots.views_plot(whole, "d")
    rows = [row for row in made["same_style_intervals"].to_pylist() if row["measure"] == "mrr"]
    assert sorted(x for x, _ in dots(figure.axes[0])) == sorted(row["value"] for row in rows)
    assert sorted(intervals(figure.axes[0]).values()) == sorted((row["low"], row["high"]) for row in rows)
    told = words(figure)
    assert {"text →", "photo →", "product →", "Words of the text", SAME_STYLE_ROWS["same_style"].title} <= set(told)
    assert f"chance {made['same_style_chance']['mrr'][0].as_py():.1f}" in told


def test_curves_are_those_of_each_rows_fullest_view_and_of_each_view_of_ours(whole, made):
    points = {}
    for row in made["same_style_pr_curve"].to_pylist():
        points.setdefault((row["variant"], row["view"]), []).append((row["recall"], row["precision"]))

    def lines(plot):
        return {tuple(zip(*line.get_data(), strict=True))[1:] for line in plot(whole, "d").axes[0].lines
                if len(line.get_xdata()) > 2}  # fmt: skip

    fullest = {"pixels": "i", "words": "t"}
    assert lines(plots.curve_plot) == {tuple(points[name, fullest.get(name, "m")]) for name in {*NOISE, *fullest}}
    assert lines(plots.view_curves_plot) == {tuple(points["same_style", view]) for view in "itm"}


@pytest.mark.parametrize("make", EVERYTHING)
def test_nothing_to_show_is_none(make, whole):
    with duckdb.connect() as empty:
        assert make(empty, "d") is None
    assert make(whole, "another dataset") is None
    assert verdicts.verdicts(whole, "another dataset") == ()


@pytest.mark.parametrize("macro", MACROS)
def test_there_is_a_table_where_there_is_something_to_show(macro, whole):
    assert len(cells(whole, "d", f"same_style.{macro}")) > 1
    assert said(whole, "another dataset", f"same_style.{macro}") == ""
    with duckdb.connect() as empty:
        assert said(empty, "d", f"same_style.{macro}") == ""


def test_every_row_in_every_pair_of_views_beside_what_was_published(whole, made):
    head, *rows = cells(whole, "d", "same_style.measure", "mrr")
    assert head == ["Model", *(" → ".join(WORDS[view] for view in pair.split("-")) for pair in VIEW_PAIRS)]
    assert "120 queries of 40 styles" in said(whole, "d", "same_style.measure", "mrr")
    titles = ["Photo as 16 × 16 pixels", "Words of the text"]
    titles += [variant.title for variant in SAME_STYLE_ROWS.values()]
    assert [row[0] for row in rows] == ["chance", *titles, "*published, on other data*"]
    assert set(rows[0][1:]) == {f"{made['same_style_chance']['mrr'][0].as_py():.1f}"}
    assert rows[-1][1:] == ["90.3", "64.3", "–", "–", "84.1", "57.5", "92.0"]
    lines = by_name(whole, "measure", "mrr")
    assert [pair for pair, cell in lines["Photo as 16 × 16 pixels"].items() if cell != "–"][1:] == ["photo → photo"]
    row = next(row for row in made["same_style_intervals"].to_pylist()
               if (row["variant"], row["view_pair"], row["measure"]) == ("same_style", "m-m", "mrr"))  # fmt: skip
    expected = f"{row['value']:.1f} [{row['low']:.1f}, {row['high']:.1f}]"
    assert lines[SERVED]["product → product"] == expected


def test_metrics_alone_are_shown_without_intervals(made):
    with catalogue({"same_style_metrics": made["same_style_metrics"]}) as connection:
        table = cells(connection, "d", "same_style.measure")
        assert len(table) > 8
        assert not any("[" in cell for row in table for cell in row)
        assert plots.views_plot(connection, "d")
        assert verdicts.verdicts(connection, "d") == ()


def test_the_verdicts_say_what_the_intervals_say(whole):
    told = verdicts.verdicts(whole, "d")
    assert len(told) == 6
    rows = {(row["variant"], row["baseline"], row["view_pair"], row["measure"]): row
            for row in select(whole, "same_style_comparisons", dataset="d")}  # fmt: skip
    constrained = [rows["same_style", "same_style_unconstrained", "m-m", measure] for measure in ("mrr", "r1")]
    assert all(row["low"] > 0 for row in constrained)
    assert told[1].startswith("Training on constrained pairs beats training on all clicked pairs: MRR ")
    assert f"{constrained[0]['difference']:+.1f} points (95 % interval {constrained[0]['low']:+.1f} to " in told[1]
    assert "another seed may say otherwise" in verdicts.basis(whole, "d")
    lines = cells(whole, "d", "same_style.comparisons")
    first = ["Same style, all clicked pairs", "product → product"]
    [line] = [line for line in lines if line[:2] == first]
    assert line[2] == "{difference:+.1f} [{low:+.1f}, {high:+.1f}]".format(**constrained[0])
    assert len(lines) == 1 + 5 * len(VIEW_PAIRS)


def test_the_headline_is_the_joint_view_in_mrr_and_what_chance_reaches(whole, made):
    [row] = [row for row in select(whole, "same_style_comparisons", dataset="d")
             if row["variant"] == row["baseline"] == "same_style" and row["measure"] == "mrr"]  # fmt: skip
    verdict, floor = verdicts.same_style_headline(whole, "d").brief
    single = " → ".join(WORDS[view] for view in row["baseline_view_pair"].split("-"))
    assert verdict.startswith("Search by photo and text together ")
    assert f": MRR {row['value']:.1f} against {row['baseline_value']:.1f} ({single}), " in verdict
    assert "R@1 " not in verdict.partition(": MRR")[2]
    assert floor == f"A random order reaches MRR {made['same_style_chance']['mrr'][0].as_py():.1f} of 100."


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ([(1, 2), (0.1, 2)], "Search by photo and text together beats the better of photo and text alone: MRR"),
        (
            [(-2, -1), (-3, -0.1)],
            "Search by photo and text together does worse than the better of photo and text alone: MRR",
        ),
        ([(-1, 1), (-1, 1)], " cannot be told apart: every interval has zero in it: MRR"),
        ([(1, 2), (-1, 1)], "beats the better of photo and text alone in MRR; in R@1 the interval has zero in it: MRR"),
    ],
)
def test_a_verdict_is_that_of_both_intervals(made, ends, verdict):
    rows = [row for row in made["same_style_comparisons"].to_pylist() if row["variant"] == row["baseline"]]
    for row in rows:
        row |= dict(zip(("low", "high"), ends[row["measure"] == "r1"], strict=True))
    table = pa.Table.from_pylist(rows, schema=made["same_style_comparisons"].schema)
    with catalogue({"same_style_comparisons": table}) as connection:
        (told,) = verdicts.verdicts(connection, "d")
        assert verdict in told
        assert told.startswith(verdicts.same_style_headline(connection, "d").verdict)


def test_several_seeds_are_shown_as_their_mean():
    found = computed(("same_style", "same_style_unconstrained", "clip_pretrained"), seeds=(0, 1, 2))
    with catalogue(found) as connection:
        assert "means over up to 3 seeds" in said(connection, "d", "same_style.measure")
        assert verdicts.basis(connection, "d").startswith("Means over 3 or more seeds")
        assert ", p " not in verdicts.verdicts(connection, "d")[0], "no p-value over seeds"
        _, *joint = cells(connection, "d", "same_style.joint")
        assert len(joint) == 3
        assert joint[1][3] == "–"
        assert plots.curve_plot(connection, "d")
        assert all(row["seed"] is None for row in select(connection, "same_style_comparisons", dataset="d")
                   if row["variant"] == "same_style")  # fmt: skip


def test_it_is_said_where_words_alone_do_better(made):
    intervals = made["same_style_intervals"].to_pylist()
    for row in intervals:
        if row["view_pair"] == "t-t":
            row["value"] = {"words": 99.9, "same_style": 90.0}.get(row["variant"], 0.0)
    table = pa.Table.from_pylist(intervals, schema=made["same_style_intervals"].schema)
    with catalogue({"same_style_intervals": table}) as connection:
        told = verdicts.without_model(connection, "d")
    assert "99.9 from text → text (words of the text)" in told
    assert told.endswith("The model does not reach it from text → text.")


def test_what_mining_lost_and_what_parts_contribute(whole):
    assert cells(whole, "d", "same_style.funnel")[2] == ["known <items>", "rows", "900", "100", "unknown & new"]
    for measure, mean in (("mrr", "60.5"), ("r1", "50.0")):
        _, chance, *rows = cells(whole, "d", "same_style.parts", measure)
        assert chance[:2] == ["chance", "–"]
        assert [row[:3] for row in rows] == [["every pair", "2", mean], ["product → product <alone>", "2", mean]]


def write(fake, found, dataset="d"):
    for name, table in found.items():
        fake.lake.write(table, name, dataset)
    output = fake.root / "report.html"
    facts = write_report(fake.refresh(), output, datasets=[dataset], about=About())
    return output.read_text(encoding="utf-8"), facts["sections"][dataset], facts["missing"][dataset]


def test_a_dataset_of_both_systems_has_the_section_among_the_others(fake, made):
    fake.results("d")
    page, there, missing = write(fake, made)
    assert there == ["rows", "same_style"]
    assert "gates" in missing
    assert "known &lt;items&gt;" in page
    assert "known <items>" not in page
    assert "product → product &lt;alone&gt;" in page
    assert "m-m" not in page


def test_a_dataset_of_same_style_alone_says_nothing_of_the_five_rows(fake, made):
    page, there, missing = write(fake, made)
    assert there == ["same_style"]
    assert missing == []
    assert "No verdict yet" not in page


def test_without_its_tables_nothing_changes(fake):
    fake.results("d")
    _, there, missing = write(fake, {})
    assert not {question.key for question in SEARCH} & {*there, *missing}


@pytest.mark.parametrize("gone", TABLES)
def test_any_table_may_be_missing(fake, made, gone, monkeypatch):
    monkeypatch.setattr("eiclip.report.source.Source.picture", lambda *given: Markup(""))
    _, there, _ = write(fake, {name: table for name, table in made.items() if name != gone})
    assert there == ["same_style"]


@pytest.mark.parametrize("name", [
    "same_style_intervals", "same_style_means", "same_style_comparisons", "same_style_curve", "average_precisions",
    "mining_funnel", "same_style_ablation",
])  # fmt: skip
def test_every_query_is_answered_by_tables_as_they_are_made(whole, name):
    assert select(whole, name, dataset="d")


@pytest.mark.parametrize("why", ["chance", "training"])
def test_no_verdict_over_rows_that_have_not_learned(made, why):
    """As if chance were nearly what the rows reach, or the served row's loss had stayed at that of guessing."""
    floor = made["same_style_chance"].to_pylist()[0] | {"mrr": 98.0}
    row = {"dataset": "d", "variant": "same_style", "verdict": "at ln(batch)", "message": "loss is still at ln(64)"}
    changed = {"same_style_chance" if why == "chance" else "training_outcomes": pa.Table.from_pylist(
        [floor] if why == "chance" else [row]
    )}  # fmt: skip
    with catalogue(made | changed) as connection:
        told = verdicts.verdicts(connection, "d")
        assert not any(word in sentence for sentence in told for word in ("beats", "worse", "told apart", "p <", "p ="))
        assert all(sentence.startswith("No verdict on model `same_style`") for sentence in told)
        assert verdicts.same_style_headline(connection, "d").outcome == "unlearned"
        _, *compared = cells(connection, "d", "same_style.comparisons")
        assert {cell for row in compared for cell in row[2:]} == {"not learned", "–"}
        assert by_name(connection, "joint")[SERVED]["MRR"] == "not learned"


def test_the_verdict_on_an_undertrained_model_says_so(made):
    row = {"dataset": "d", "variant": "same_style", "verdict": "still rising", "message": "it still rose"}
    with catalogue(made | {"training_outcomes": pa.Table.from_pylist([row])}) as connection:
        first = verdicts.verdicts(connection, "d")[0]
    assert "This compares undertrained rows: model `same_style` still rose when training ended" in first
