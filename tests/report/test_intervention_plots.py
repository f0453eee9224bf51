"""Plots, tables and sentences of interventions and gates: from rows made by hand."""

import itertools
import math
import re
import statistics
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from eiclip.evaluation.interventions import SCHEMA
from eiclip.report import gates
from eiclip.report import intervention_plots as plots
from eiclip.report.source import markdown
from eiclip.report.theme import svg
from tests.report.drawn import assert_legible, dots, intervals, words
from tests.report.reading import cells

GROUPS = ["brand", "a$b$c " * 9, "無印<b>\nx"]
"""Entity groups, two of names that try to break a page."""
VARIANTS = ("clip_entities_text", "eiclip_equal", "eiclip")


def intervention(kind, group, product, before, after, variant="eiclip", **given):
    row = {"variant": variant, "intervention": kind, "entity_group": group, "product_id": product, "entity": "diesel"}
    row |= {"gate_weight": 0.5, "rank_before": before, "rank_after": after, "share_before": 0.5, "share_after": 0.2}
    row |= {"top_before": "i1", "top_after": "i2"}
    swapped = {"replacement": "coach | <b>", "replacement_share_before": 0.0, "replacement_share_after": 0.3}
    return row | (swapped if kind == "swapped" else {}) | given


def summary(kind, group, variant="eiclip", **given):
    shares = {"share_before": 0.9, "share_after": 0.3, "replacement_share_before": 0.0, "replacement_share_after": 0.3}
    row = {"variant": variant, "intervention": kind, "entity_group": group, "queries": 1400, "r1_before": 20.0}
    row |= {"r1_after": 11.5, "mean_rank_change": 14.2, "mean_log2_rank_change": 1.0, "median_rank_before": 7.0}
    row |= {"median_rank_after": 14.0, "worse_share": 0.67, "mean_gate": 0.6, "gate_correlation": 0.48}
    return row | shares | given


def report(group, gate, removed, shuffled=5.0, variant="eiclip", **given):
    row = {"variant": variant, "entity_group": group, "entities": 41, "training_products": 2907, "mean_weight": gate}
    row |= {"lowest": 0.2, "lower_quartile": 0.49, "median": 0.5, "upper_quartile": 0.63, "highest": 0.86}
    return row | {"r1_lost_removed": removed, "r1_lost_shuffled": shuffled} | given


def kinds(variant):
    return ("removed", "swapped") if variant == "clip_entities_text" else ("removed", "swapped", "as_text")


TABLES = {
    "interventions": [intervention(kind, group, f"p{n}", 1 + n, 3 * n + 1, variant) for variant in VARIANTS
                      for kind in kinds(variant) for group in GROUPS for n in range(5)],
    "intervention_summary": [summary(kind, group, variant) for variant in VARIANTS for kind in kinds(variant)
                             for group in GROUPS],
    "gate_report": [report(group, 0.3 * n + 0.1, 4.0 * n, variant=variant)
                    for variant in VARIANTS[1:] for n, group in enumerate(GROUPS)],
    "gate_weights": [{"variant": variant, "entity_group": group, "entity": f"{group[:20]} {n}", "weight": 0.02 * n}
                     for variant in VARIANTS[1:] for group in GROUPS for n in range(40)],
    "entity_vocabulary": [{"entity_group": group, "entity": f"{group[:20]} {n}", "product_count": 200 // (n + 1)}
                          for group in GROUPS for n in range(40)],
    "entity_shuffles": [{"variant": variant, "entity_group": group, "direction": way, "r1": 20.0,
                         "r1_shuffled": 20.0 - n, "r1_lost": float(n)}
                        for variant in VARIANTS[1:] for way in ("i2t", "t2i") for n, group in enumerate(GROUPS)],
    "images": [{"image_id": f"i{n}", "product_id": f"p{n}"} for n in (1, 2)],
    "product_entities": [{"product_id": f"p{n}", "entity_group": group, "entity": f"{made} by {n}", "ordinal": place}
                         for n in (1, 2) for group in GROUPS for place, made in ((2, "sold"), (1, "made"))],
    "products": [{"product_id": f"p{n}", "title": f"Coat {n} <script>" if n else None} for n in range(5)],
}  # fmt: skip
PLOTS = {
    plots.intervention_plot: "interventions",
    plots.swap_plot: "intervention_summary",
    plots.gate_usefulness_plot: "gate_report",
    plots.gate_support_plot: "gate_weights",
}
WRITTEN = {
    "gates.interventions": "intervention_summary",
    "gates.examples": "interventions",
    "gates.by_group": "gate_report",
    "gates.entities": "gate_weights",
    "gates.extremes": "gate_weights",
    "gates.shuffles": "entity_shuffles",
}


def catalogue(dataset="d", **given):
    connection = duckdb.connect()
    for name, rows in given.items():
        listed = [{"dataset": dataset} | row for row in rows]
        arrow = pa.Table.from_pylist(listed, schema=SCHEMA if name == "interventions" else None)
        connection.register(f"{name}_rows", arrow)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_rows")
    return connection


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_are_legible_and_alike_every_time(plot):
    with catalogue(**TABLES) as connection:
        assert_legible(plot, connection)


def drawn(plot, dataset="d", **changed):
    with catalogue(**(TABLES | changed)) as connection:
        return plot(connection, dataset)


def test_changes_of_rank_are_means_with_intervals_over_products():
    figure = drawn(plots.intervention_plot)
    changes = [math.log2((3 * n + 1) / (n + 1)) for n in range(5)]
    mean, reach = statistics.mean(changes), 1.96 * statistics.pstdev(changes) / 5**0.5
    assert len(figure.axes) == 3
    for axes, rows in zip(figure.axes, (2, 2, 1), strict=True):
        places = dots(axes)
        assert len(places) == rows * len(GROUPS)
        assert [x for x, _ in places] == pytest.approx([mean] * len(places))
        for low, high in intervals(axes).values():
            assert (low, high) == pytest.approx((mean - reach, mean + reach), rel=0.15), "of a sample or of all"
    assert {"The entity taken away", "3 entities as text", "5 EI-CLIP", "same", "2×"} <= set(words(figure))


def test_swaps_go_from_rings_to_dots():
    figure = drawn(plots.swap_plot)
    for axes in figure.axes:
        assert sorted({round(x) for x, _ in dots(axes, hollow=True)}) == [0, 90]
        assert {round(x) for x, _ in dots(axes)} == {30}
    told = words(figure)
    assert told.count("90 → 30") == told.count("0 → 30") == 2 * len(GROUPS)


def test_gates_stand_against_the_recall_they_are_worth():
    figure = drawn(plots.gate_usefulness_plot)
    ours = [row for row in TABLES["gate_report"] if row["variant"] == "eiclip"]
    assert set(dots(figure.axes[0])) == {(row["mean_weight"], row["r1_lost_removed"]) for row in ours}
    assert set(dots(figure.axes[0], hollow=True)) == {(row["mean_weight"], row["r1_lost_shuffled"]) for row in ours}


def test_every_gate_has_a_dot_at_its_support():
    figure = drawn(plots.gate_support_plot)
    rows = [row for row in TABLES["gate_weights"] if row["variant"] == "eiclip" and row["entity_group"] == "brand"]
    support = {row["entity"]: row["product_count"] for row in TABLES["entity_vocabulary"]}
    (axes,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith("brand"))
    places = {tuple(place) for place in axes.collections[0].get_offsets().tolist()}
    assert places == {(support[row["entity"]], row["weight"]) for row in rows}
    mean = np.average([row["weight"] for row in rows], weights=[support[row["entity"]] for row in rows])
    assert f"brand: 40 entities, mean gate {mean:.2f}" in words(figure)


def test_nothing_to_show_is_none():
    with duckdb.connect() as empty, catalogue(**TABLES) as whole:
        for connection, dataset in ((empty, "d"), (whole, "another dataset")):
            assert {make(connection, dataset) for make in (*PLOTS, gates.what_gates_say)} == {None}
            assert {markdown(connection, dataset, macro) for macro in WRITTEN} == {""}


@pytest.mark.parametrize(("make", "table"), [*PLOTS.items(), *WRITTEN.items(), (gates.what_gates_say, "gate_report")])
def test_one_row_of_row_5_is_enough(make, table):
    ours = [row for row in TABLES[table] if row["variant"] == "eiclip"]
    one = [row for row in ours if row.get("intervention", "swapped") == "swapped"][-1:]
    with catalogue(**(TABLES | {table: one})) as connection:
        assert len(cells(connection, "d", make)) > 1 if isinstance(make, str) else make(connection, "d")


@pytest.mark.parametrize("plot", [plots.intervention_plot, plots.swap_plot])
def test_row_3_is_drawn_beside_row_5_and_row_4_is_not(plot):
    def image(*variants):
        kept = {name: [row for row in TABLES[name] if row["variant"] in variants] for name in set(PLOTS.values())}
        figure = drawn(plot, **kept)
        return figure and svg(figure)

    assert image(*VARIANTS) == image("clip_entities_text", "eiclip") != image("eiclip")
    assert image("eiclip_equal") is None


def test_groups_of_other_datasets_are_in_the_plot_of_usefulness():
    other = [row | {"dataset": "e"} for row in TABLES["gate_report"]]
    with catalogue() as both:
        rows = [{"dataset": "d"} | row for row in TABLES["gate_report"]]
        both.register("all_rows", pa.Table.from_pylist(rows + other))
        both.execute("CREATE TABLE gate_report AS SELECT * FROM all_rows")
        told = {name: words(plots.gate_usefulness_plot(both, name)) for name in ("d", "e")}
    assert {"brand", "brand (e)"} <= set(told["d"])
    assert {"brand", "brand (d)"} <= set(told["e"])


def test_the_summary_is_read_in_words_of_ranks():
    with catalogue(**TABLES) as connection:
        _, *rows = cells(connection, "d", "gates.interventions")
    assert rows[0][:1] + rows[0][2:] == ["Taken away", "1,400", "20.0 → 11.5", "7 → 14", "×2.00", "67", "0.48"]
    assert [row[0] for row in rows] == ["Taken away"] * 3 + ["Swapped"] * 3 + ["Written as text"] * 3


def test_gates_of_groups_stand_beside_what_the_groups_are_worth():
    with catalogue(**TABLES) as connection:
        _, first, *_ = cells(connection, "d", "gates.by_group")
        _, equal, *_ = cells(connection, "d", "gates.by_group", "eiclip_equal")
        assert markdown(connection, "d", "gates.by_group", "eiclip_equal").startswith("**Gates of row 4 ")
    assert first == ["無印<b> x", "41", "2,907", "0.70", "0.49 to 0.63", "0.20 to 0.86", "8.0", "5.0"]
    assert equal == first


def test_extremes_leave_out_rare_entities_and_name_each_once():
    with catalogue(**TABLES) as connection:
        all_of_them = {row[0]: row[1:] for row in cells(connection, "d", "gates.extremes")}
        common = {row[0]: row[1:] for row in cells(connection, "d", "gates.extremes", 3, 40)}
    assert all_of_them["brand"] == [
        ", ".join(f"brand {n} ({0.02 * n:.2f})" for n in places) for places in (range(39, 34, -1), range(5))
    ]
    assert common["brand"] == [
        "brand 4 (0.08), brand 3 (0.06), brand 2 (0.04)", "brand 0 (0.00), brand 1 (0.02)"
    ], "five have 40 training products"  # fmt: skip


def test_shuffles_stand_beside_what_was_before():
    with catalogue(**TABLES) as connection:
        _, *rows = cells(connection, "d", "gates.shuffles")
    assert rows[0] == ["*nothing*", "20.0", "–", "20.0", "–"]
    assert ["brand", "20.0", "0.0", "20.0", "0.0"] in rows
    assert len(rows) == 4
    one_way = [row for row in TABLES["entity_shuffles"] if row["direction"] == "t2i" and row["entity_group"] == "brand"]
    with catalogue(entity_shuffles=one_way) as connection:
        assert cells(connection, "d", "gates.shuffles")[2] == ["brand", "20.0", "0.0", "–", "–"]


def examples(rows):
    with catalogue(**(TABLES | {"interventions": rows})) as connection:
        return cells(connection, "d", "gates.examples")[1:]


def test_examples_are_the_strongest_of_each_kind_and_group():
    rows = [intervention("removed", "brand", f"p{n}", 1, 2**n) for n in range(5)]
    rows += [intervention("swapped", "brand", "p3", 2, 40), intervention("as_text", "brand", "p2", 50, 5)]
    best = "brand: made by 1, sold by 1 → made by 2, sold by 2"
    assert examples(rows) == [
        ["Coat 3 <script>", "brand diesel swapped for coach | <b>", "2 → 40", best],
        ["Coat 4 <script>", "brand diesel taken away", "1 → 16", best],
        ["Coat 2 <script>", "brand diesel written as text", "50 → 5", best],
    ]


def test_examples_fall_from_the_top_or_rise_into_it_in_row_5():
    rows = [intervention("removed", "brand", "p1", 11, 900), intervention("removed", "brand", "p2", 900, 11)]
    rows += [intervention("removed", "brand", "p3", 4, 4), intervention("removed", "brand", "p4", 1, 9, "eiclip_equal")]
    assert examples(rows) == []


def test_examples_are_few_whatever_there_is():
    rows = [intervention(kind, f"group {g}", f"p{g}", *ranks) for kind in ("removed", "swapped", "as_text")
            for g in range(9) for ranks in ((1, 5 + g), (50 + g, 3))]  # fmt: skip
    found = examples(rows)
    ranks = [tuple(map(int, row[2].split(" → "))) for row in found]
    assert [after > before for before, after in ranks] == [True] * 6 + [False] * 2
    assert ranks[0] == (1, 13)
    assert ranks[-1] == (58, 3)


def test_a_product_without_a_title_and_a_photo_without_the_entity_are_shown_all_the_same():
    rows = [intervention("removed", "brand", "p0", 1, 9, top_after="elsewhere")]
    assert examples(rows) == [["p0", "brand diesel taken away", "1 → 9", "brand: made by 1, sold by 1 → none"]]


def test_entities_come_with_support_and_the_effect_of_their_removal():
    rows = [intervention("removed", "brand", f"p{n}", 1, 4, entity="brand 0") for n in range(3)]
    rows += [intervention("removed", "brand", f"p{n}", 1, 4, entity="brand 1") for n in range(2)]
    with catalogue(**(TABLES | {"interventions": rows})) as connection:
        brands = [row for row in cells(connection, "d", "gates.entities") if row[0] == "brand"]
    assert brands[:2] == [["brand", "brand 0", "200", "0.00", "×4.00"], ["brand", "brand 1", "100", "0.02", "–"]]
    assert len(brands) == 6
    with catalogue(**{name: TABLES[name] for name in ("gate_weights", "entity_vocabulary")}) as connection:
        assert {row[4] for row in cells(connection, "d", "gates.entities")[1:]} == {"–"}


def said(*groups, correlations=()):
    summaries = [summary("removed", name, gate_correlation=value) for name, value in correlations]
    summaries += [summary("swapped", "brand", gate_correlation=0.99)]
    with catalogue(gate_report=[report(*group) for group in groups], intervention_summary=summaries) as connection:
        return gates.what_gates_say(connection, "d")


def test_gates_that_order_groups_as_usefulness_does():
    text = said(("brand", 0.6, 9.3), ("type", 0.5, 1.6), ("season", 0.14, 0.0))
    assert "brand 0.60 and 9.3; type 0.50 and 1.6; season 0.14 and 0.0." in text
    assert "Gates order the groups as usefulness does (rank correlation 1.00 over 3 groups" in text
    assert "agrees as well in 17 % of cases, so few groups prove little" in text


def test_gates_that_follow_usefulness_in_part_or_not():
    groups = [("brand", 0.58, 9.3), ("type", 0.63, 1.6), ("season", 0.14, 0.1), ("fabric", 0.37, -0.4)]
    assert "Gates follow usefulness in part (rank correlation 0.60 over 4 groups" in said(*groups)
    turned = [(group, 1 - gate, lost) for group, gate, lost in groups]
    assert "Gates do not follow usefulness (rank correlation −0.60" in said(*turned)


def test_many_groups_in_order_are_more_than_chance():
    text = said(*[(f"g{n}", 0.1 * n, float(n)) for n in range(6)])
    assert "0 % of cases)" in text
    assert "prove little" not in text


def test_one_group_and_equal_groups_say_nothing():
    assert "One group says nothing" in said(("brand", 0.75, 2.6))
    assert "nothing can be said" in said(("brand", 0.5, 2.6), ("type", 0.5, 1.0))
    assert "nothing can be said" in said(("brand", 0.5, 0.0), ("type", 0.6, 0.0))


def test_correlations_within_groups_are_told_as_they_are():
    text = said(("brand", 0.7, 9.0), ("type", 0.6, 1.0), correlations=[("type", -0.01), ("brand", 0.48), ("x", None)])
    assert text.endswith("correlate by 0.48 for brand, −0.01 for type (over queries).")


@pytest.mark.parametrize("lost", [[3, 1, 2, 0], [1, 1, 2, 0], [5, 4, 4, 4], [0, 1, 2, 3]])
def test_chance_is_the_share_of_orders_that_agree_as_well(lost):
    weights = [0.6, 0.5, 0.4, 0.1]
    every = [spearmanr(order, lost).statistic for order in itertools.permutations(weights)]
    correlation, chance = gates.order_agreement(weights, lost)
    assert correlation == pytest.approx(spearmanr(weights, lost).statistic)
    assert chance == pytest.approx(sum(value > correlation - 1e-6 for value in every) / 24)


def test_chance_with_many_groups_is_near_the_exact_one(monkeypatch):
    weights, lost = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [1, 3, 2, 5, 4, 7, 6]
    exact = gates.order_agreement(weights, lost)
    monkeypatch.setattr(gates, "EXACT_GROUPS", 6)
    near = gates.order_agreement(weights, lost)
    assert near == pytest.approx(exact, abs=0.01)


def test_queries_of_the_page_find_something():
    """On rows made by hand: what they come to on a result is for people to see."""
    page = (Path(__file__).parents[2] / "docs" / "interventions.md").read_text(encoding="utf-8")
    asked = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(asked) == 3
    with catalogue("fashiongen", **TABLES) as connection:
        assert all(connection.sql(query).fetchall() for query in asked)
