"""The profile's plots and tables: what they show, None where there is nothing, names of any script."""

import duckdb
import pyarrow as pa
import pytest

from eiclip.report import profile_plots
from eiclip.report.source import markdown
from tests.report.drawn import assert_legible, heights, lengths, words
from tests.report.reading import cells

TABLES = {
    "profile_splits": [{"split": "test", "products": 10, "images": 20, "share": 1.0}],
    "profile_descriptions": [{"split": "test", "descriptions": 10, "tokens_min": 3, "tokens_median": 20,
                              "tokens_p95": 70, "tokens_max": 99000, "cut": 1, "cut_share": 0.1, "context_length": 64,
                              "duplicates": 2}],
    "profile_token_histogram": [{"tokens": 4 * n, "products": 30 - n} for n in range(30)]
    + [{"tokens": 99000, "products": 1}],
    "profile_entities": [{"entity_group": group, "tagged_products": 7, "coverage": 0.7, "entities": 0,
                          "distinct_entities": 3, "unseen_in_test": 1, "paper_entities": paper}
                         for group, paper in (("brand", 570), ("season", None))],
    "profile_confounded": [{"entity": name, "entity_group": group, "tagged_count": 3, "untagged_mentions": 40 - n,
                            "ratio": 9.0} for group in ("brand", "season")
                           for n, name in enumerate(["a$b$c", "無印良品", "x" * 300, "two\nlines", "<b>", "sixth"])],
    "profile_photos": [{"smaller_side": 64 * n, "photo_width": None, "photo_height": None, "images": n}
                       for n in range(40)],
    "profile_quarantine": [{"source": source, "kind": "photo | broken", "rows": 3, "example": "photo | broken: <b>\nx"}
                           for source in ("a.h5", "b.h5")],
    "quarantine": [{"source": source, "reason": f"photo | broken : <b>{n}\nx"}
                   for n in "abc" for source in ("a.h5", "b.h5")],
    "products": [{"product_id": f"p{n}", "split": split, "image_count": 2}
                 for n, split in enumerate(("test", "train", "train", "excluded"))],
    "product_groups": [{"product_id": f"p{n}", "group_id": "g"} for n in (0, 1, 3)],
    "semantic_prior": [{"entity": "denim", "entity_group": group, "tagged_count": 30, "untagged_mentions": 40,
                        "prior": prior} for group, prior in (("season", 0.25), ("brand", 0.75))]
    + [{"entity": f"<b>{n}", "entity_group": "brand", "tagged_count": 90, "untagged_mentions": n, "prior": 1.0}
       for n in range(12)],
    "profile_placeholders": [{"field": "brand", "text": "<n/a>", "rows": 3}],
    "profile_compositions": [{"compositions": 3, "parsed": 2, "unparsed": 1, "products_unparsed": 4, "incomplete": 0,
                              "fibres": [{"fibre": "cotton", "products": 5}]}],
    "profile_prices": [{"rows": 1200, "priced": 1000, "unread": 7, "lowest": 0.5, "median": 20.0, "highest": 1299.0,
                        "unread_texts": [{"text": "Call us", "rows": 6}, {"text": "£5", "rows": 1}]}],
    "conflicting_ids": [{"product_id": f"p{n}", "rows": 2 + n, "differs": differs}
                        for n, differs in enumerate((["title"], ["title"], ["title", "brand"]))],
}  # fmt: skip
PLOTS = {
    profile_plots.entity_plot: "profile_entities",
    profile_plots.confounded_plot: "profile_confounded",
    profile_plots.token_plot: "profile_token_histogram",
    profile_plots.photo_plot: "profile_photos",
    profile_plots.quarantine_plot: "quarantine",
}
WRITTEN = ("descriptions", "entities", "compositions", "quarantine", "placeholders", "prices", "conflicts", "splits",
           "duplicates", "confounded")  # fmt: skip


def catalogue(**tables):
    connection = duckdb.connect()
    for name, rows in tables.items():
        arrow = pa.Table.from_pylist([{"dataset": "d"} | row for row in rows])
        connection.register(f"{name}_rows", arrow)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_rows")
    return connection


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_are_legible_and_alike_every_time(plot):
    with catalogue(**TABLES) as connection:
        assert_legible(plot, connection)


def drawn(plot, **tables):
    with catalogue(**(TABLES | tables)) as connection:
        figure = plot(connection, "d")
    return figure, words(figure)


def test_what_is_tagged_and_how_many_entities_there_are():
    figure, told = drawn(profile_plots.entity_plot)
    coverage, sizes = figure.axes
    assert lengths(coverage) == pytest.approx([70, 70])
    assert sorted(lengths(sizes)) == [0, 0, 3, 3, 570], "the paper has no seasons"
    assert {"brand", "season", "70.0", "570", "embedded", "all", "the paper’s"} <= set(told)


def test_the_most_confounded_stand_above_with_both_counts():
    figure, told = drawn(profile_plots.confounded_plot)
    assert lengths(figure.axes[0]) == [3, 36, 3, 37, 3, 38, 3, 39, 3, 40] * 2
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[::-1][:5] == [f"{name} (brand)" for name in ("a$b$c", "無印良品", "x" * 15 + "…", "two lines", "<b>")]
    assert {"mentioned, not tagged", "tagged", *names} <= set(told)


def test_every_product_is_in_the_histogram_and_the_longest_are_its_last_bar():
    figure, told = drawn(profile_plots.token_plot)
    bars = heights(figure.axes[0])
    assert sum(bars) == sum(row["products"] for row in TABLES["profile_token_histogram"])
    assert bars[:3] == [30, 29, 28]
    assert "cut at 64: 10.0 %" in told
    assert "tokens (longer texts at 116)" in told


def test_the_commonest_sizes_of_photos_are_drawn_and_the_others_counted():
    figure, told = drawn(profile_plots.photo_plot)
    assert heights(figure.axes[0]) == list(range(24, 40))
    assert f"pixels, from ({sum(range(24))} photos of rarer sizes left out)" in told
    assert {"1,536", "2,496"} <= set(told)


def test_reasons_of_all_files_together():
    figure, told = drawn(profile_plots.quarantine_plot)
    assert lengths(figure.axes[0]) == [6]
    assert "photo | broken" in told


def test_nothing_to_show_is_none():
    with duckdb.connect() as empty, catalogue(**TABLES) as whole:
        for connection, dataset in ((empty, "d"), (whole, "another dataset")):
            assert {plot(connection, dataset) for plot in PLOTS} == {None}
            assert {markdown(connection, dataset, f"data.{macro}") for macro in WRITTEN} == {""}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("plot", "table"), PLOTS.items())
def test_one_row_is_enough(plot, table, count):
    with catalogue(**{table: TABLES[table][:count]}) as connection:
        assert plot(connection, "d")


def test_zero_entities_of_every_group_can_be_drawn():
    rows = [
        row | {"distinct_entities": 0, "coverage": 0.0, "paper_entities": None} for row in TABLES["profile_entities"]
    ]
    kinds = pa.schema([("dataset", pa.string()), *((name, pa.string() if name == "entity_group" else pa.int64())
                                                   for name in rows[0])])  # fmt: skip
    with duckdb.connect() as connection:
        connection.register(
            "profile_entities", pa.Table.from_pylist([{"dataset": "d"} | r for r in rows], schema=kinds)
        )
        assert profile_plots.entity_plot(connection, "d")


def test_tables_say_what_the_profile_holds():
    with catalogue(**TABLES) as connection:
        (
            descriptions, entities, compositions, quarantine, placeholders, prices, conflicts, splits, duplicates, words
        ) = (cells(connection, "d", f"data.{macro}")[1:] for macro in WRITTEN)  # fmt: skip
    assert descriptions == [["test", "10", "100.0 %", "20", "20", "70", "99,000", "1 (10.0 %)", "2"]]
    assert entities[0] == ["brand", "7", "70.0 %", "3", "0", "570", "1"]
    assert entities[1][5] == "–"
    assert placeholders == [["brand", "<n/a>", "3"]]
    assert compositions == [["3", "1", "4", "0", "cotton (5)"]]
    assert quarantine == [["photo | broken", "6", "2", "photo | broken : <b>a x"]]
    assert prices == [["1,200", "1,000", "0.50", "20.00", "1,299.00", "7", "Call us (6), £5 (1)"]]
    assert conflicts == [["title", "2", "5", "p1, p0"], ["title, brand", "1", "4", "p2"]]
    assert splits == [["train", "2", "4"], ["test", "1", "2"], ["excluded", "1", "2"], ["all", "4", "8"]]
    assert duplicates == [["1", "3", "1", "1"]]
    assert words[0] == ["denim", "brand 75 %, season 25 %", "60", "40", "40 %"]
    assert len(words) == 8, "of one group"
    assert words[1:] == [[f"<b>{n}", "brand", "90", str(n), f"{100 * n / (90 + n):.0f} %"] for n in range(11, 4, -1)]
