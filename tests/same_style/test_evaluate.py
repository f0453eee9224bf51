"""Leave-one-out ranks against a full sort in numpy; ties, the query itself, unknown styles, known duplicates."""

import itertools

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest

from eiclip.errors import EiclipError, NonFiniteError
from eiclip.evaluation.ranking import TIE
from eiclip.same_style import VIEW_COLUMNS, VIEW_PAIRS
from eiclip.same_style.evaluate import RANKS_SCHEMA, same_style_chance, same_style_ranks
from eiclip.storage.sql import read_sql
from tests.same_style.conftest import styles_table, unit, views_table

WIDTH = 8


def random_views(products, seed, width=WIDTH, distinct=None):
    """Three unit views; `distinct`: of so many different vectors, so that much ties."""
    random = np.random.default_rng(seed)
    views = {}
    for name in VIEW_COLUMNS.values():
        view = unit(random.standard_normal((distinct or len(products), width)))
        views[name] = view if distinct is None else view[random.integers(0, distinct, len(products))]
    return views


def oracle(products, views, style_of, groups, pair):
    """The definition, a query at a time, by a full sort in which ties stand before the relevant ones."""
    queries, candidates = (
        views[VIEW_COLUMNS[letter]].astype(np.float32).astype(np.float64) for letter in pair.split("-")
    )
    found = {}
    for row, product in enumerate(products):
        style = style_of.get(product)
        mates = {other for other in products if style is not None and style_of.get(other) == style}
        if len(mates) < 2:
            continue
        shared = {groups[mate] for mate in mates if mate in groups}
        ignored = {other for other in products if groups.get(other) in shared} - mates
        scored = sorted(
            (-candidates[place] @ queries[row], other)
            for place, other in enumerate(products)
            if other != product and other not in ignored
        )
        best = min(score for score, other in scored if other in mates)
        found[product] = 1 + sum(score <= best + TIE for score, other in scored if other not in mates)
    return found


@pytest.mark.parametrize("seed", range(30))
def test_ranks_are_the_definition(seed):
    random = np.random.default_rng(seed)
    products = [f"p{number}" for number in random.permutation(random.integers(2, 40))]
    style_of = {product: f"s{random.integers(0, 8)}" for product in products if random.random() < 0.8}
    groups = {product: f"g{random.integers(0, 10)}" for product in products if random.random() < 0.5}
    views = random_views(products, seed, distinct=5 if seed % 2 else None)
    table = pa.table({"product_id": list(groups), "group_id": list(groups.values())})
    given = views_table(products, **views), styles_table(style_of)
    for known, group_table in (({}, None), (groups, table)):
        found = same_style_ranks(*given, "d", "v", 7, groups=group_table)
        assert found.schema == RANKS_SCHEMA
        for pair in VIEW_PAIRS:
            rows = {row["product_id"]: row for row in found.to_pylist() if row["view_pair"] == pair}
            expected = oracle(products, views, style_of, known, pair)
            assert {product: row["rank"] for product, row in rows.items()} == expected, pair
            for product, row in rows.items():
                mates = sum(style == style_of[product] for style in style_of.values())
                assert (row["style_id"], row["right"], row["seed"]) == (style_of[product], mates - 1, 7)


def test_a_constant_model_ranks_last():
    products = [f"p{number}" for number in range(20)]
    style_of = {product: f"s{number // 2}" for number, product in enumerate(products)}
    same = {name: np.full((20, WIDTH), WIDTH**-0.5) for name in VIEW_COLUMNS.values()}
    found = same_style_ranks(views_table(products, **same), styles_table(style_of), "d", "v", 0)
    assert set(found["rank"].to_pylist()) == {19}, "one relevant product behind 18 others: itself is not among them"


def test_random_embeddings_are_at_chance():
    products = [f"p{number}" for number in range(600)]
    style_of = {product: f"s{number // 2}" for number, product in enumerate(products)}
    found = same_style_ranks(
        views_table(products, **random_views(products, 0, 32)), styles_table(style_of), "d", "v", 0
    )
    for pair in VIEW_PAIRS:
        rank_Q = found.filter(pa.compute.equal(found["view_pair"], pair))["rank"].to_numpy()
        assert len(rank_Q) == 600
        assert rank_Q.mean() == pytest.approx(300, abs=30)
        assert (1 / rank_Q).mean() == pytest.approx(sum(1 / rank for rank in range(1, 600)) / 599, abs=0.01)


def test_perfect_views_rank_first_and_finding_itself_is_no_merit():
    products = [f"p{number}" for number in range(12)]
    style_of = {product: f"s{number // 3}" for number, product in enumerate(products)}
    perfect = np.eye(12)[np.arange(12) // 3]
    alone = np.eye(12)  # each is like itself and like nothing else
    given = views_table(products, image=perfect, text=alone), styles_table(style_of)
    found = same_style_ranks(*given, "d", "v", 0).to_pylist()
    assert {row["rank"] for row in found if row["view_pair"] == "i-i"} == {1}
    ranks = {row["rank"] for row in found if row["view_pair"] == "t-t"}
    assert ranks == {10}, "9 irrelevant ones tie with the relevant ones at zero"


def test_duplicates_of_a_styles_member_are_ignored_for_the_whole_style_and_no_further():
    products = ["a1", "a2", "b1", "b2", "c1", "c2"]
    style_of = {product: product[0] for product in products}
    line = np.array([[0.0], [1.0], [0.1], [0.2], [1.0], [1.1]])  # of a1, found best: b1, b2, then its own a2
    views = {"image": unit(np.hstack([np.cos(line), np.sin(line)]))}
    given = views_table(products, **views), styles_table(style_of), "d", "v", 0
    groups = pa.table({"product_id": ["a2", "b1", "c1", "c2"], "group_id": ["g", "g", "h", "h"]})

    def ranks(**known):
        found = same_style_ranks(*given, **known)
        return dict(zip(found["product_id"].to_pylist(), found["rank"].to_pylist(), strict=True))

    plain, known = ranks(), ranks(groups=groups)
    assert plain["a1"] == 4, "b1 and b2 are nearer, and c1 stands where a2 does"
    assert known["a1"] == 3, "b1 is a duplicate of a2; b2 is not"
    assert known["c1"] == plain["c1"], "duplicates of one style stay relevant, and to no one else"


def test_views_that_are_not_there_are_left_out():
    products = ["a", "b", "c"]
    views = {"text": unit(np.random.default_rng(0).standard_normal((3, 4)))}
    table = views_table(products, **views).append_column("image", pa.nulls(3, pa.list_(pa.float32(), 4)))
    found = same_style_ranks(table, styles_table({"a": "s", "b": "s"}), "d", "words", 0)
    assert found["view_pair"].unique().to_pylist() == ["t-t"]


def test_no_known_style_no_ranks():
    given = views_table(["a", "b"], image=np.eye(2)), styles_table({"a": "s", "b": "r"})
    assert same_style_ranks(*given, "d", "v", 0).num_rows == 0
    unknown = views_table(["a", "b"], image=np.eye(2)), styles_table({"a": None, "b": None})
    assert same_style_ranks(*unknown, "d", "v", 0).num_rows == 0
    assert same_style_ranks(views_table([], image=np.eye(2)[:0]), styles_table({}), "d", "v", 0).num_rows == 0


def test_what_cannot_be_ranked_is_named():
    eye = views_table(["a", "b"], image=np.eye(2))
    styles = styles_table({"a": "s", "b": "s"})
    with pytest.raises(EiclipError, match="several splits"):
        same_style_ranks(pa.concat_tables([eye, views_table(["c"], "train", image=np.eye(2)[:1])]), styles, "d", "v", 0)
    with pytest.raises(EiclipError, match="'a' occurs 2 times"):
        same_style_ranks(pa.concat_tables([eye, eye.slice(0, 1)]), styles, "d", "v", 0)
    two = pa.table({"product_id": ["a", "a"], "style_id": ["s", "r"]})
    with pytest.raises(EiclipError, match="'a' has two values of style_id"):
        same_style_ranks(eye, two, "d", "v", 0)
    partly = pa.table({"product_id": ["a", "b"], "image": pa.array([[1.0], None], pa.list_(pa.float32(), 1))})
    with pytest.raises(EiclipError, match="'b' has no image embedding"):
        same_style_ranks(partly, styles, "d", "v", 0)
    with pytest.raises(NonFiniteError):
        same_style_ranks(views_table(["a", "b"], image=np.full((2, 2), np.nan)), styles, "d", "v", 0)


def test_metrics_are_means_of_ranks():
    products = [f"p{number}" for number in range(30)]
    style_of = {product: f"s{number // 3}" for number, product in enumerate(products)}
    ranks = same_style_ranks(views_table(products, **random_views(products, 3)), styles_table(style_of), "d", "v", 2)
    with duckdb.connect() as connection:
        connection.register("same_style_ranks", ranks)
        rows = connection.sql(read_sql("evaluation/same_style_metrics")).to_arrow_table().to_pylist()
    assert [row["view_pair"] for row in rows] == sorted(VIEW_PAIRS)
    for row in rows:
        rank_Q = ranks.filter(pa.compute.equal(ranks["view_pair"], row["view_pair"]))["rank"].to_numpy()
        assert (row["dataset"], row["variant"], row["seed"], row["queries"]) == ("d", "v", 2, 30)
        assert row["mrr"] == pytest.approx(100 * (1 / rank_Q).mean())
        assert row["median_rank"] == np.median(rank_Q)
        for k in (1, 5, 10):
            assert row[f"r{k}"] == pytest.approx(100 * (rank_Q <= k).mean())


STYLE_OF = {"a": "s", "b": "s", "c": "s", "d": "r", "e": "r", "f": "q", "g": None, "h": "s", "i": "q"}
GROUP_OF = {"a": "a", "d": "a", "b": "b", "g": "b", "e": "e", "f": "e", "h": "h", "x": "h"}
"""a and d, b and g, e and f are known duplicates of two styles; the duplicate of h is not tested."""


@pytest.mark.parametrize("with_groups", [False, True])
def test_chance_is_the_mean_over_every_placement(with_groups):
    products, found = list(STYLE_OF), []
    group_of = GROUP_OF if with_groups else {}
    for product in products:
        mates = [p for p in products if STYLE_OF[p] == STYLE_OF[product] is not None]
        if len(mates) < 2:
            continue
        shared = {group_of[mate] for mate in mates if mate in group_of}
        ignored = [p for p in products if p not in mates and group_of.get(p) in shared]
        candidates = len(products) - 1 - len(ignored)
        firsts = np.array([min(p) + 1 for p in itertools.combinations(range(candidates), len(mates) - 1)])
        found.append([100 * np.mean(1 / firsts), *(100 * np.mean(firsts <= k) for k in (1, 5, 10))])
    pairs = [(p, q) for p, q in itertools.combinations(products, 2)
             if STYLE_OF[p] == STYLE_OF[q] is not None or group_of.get(p, p) != group_of.get(q, q)]  # fmt: skip
    one_style = sum(STYLE_OF[p] == STYLE_OF[q] is not None for p, q in pairs)
    groups = pa.table({"product_id": list(GROUP_OF), "group_id": list(GROUP_OF.values())}) if with_groups else None
    [row] = same_style_chance(products, styles_table(STYLE_OF), "d", groups).to_pylist()
    assert [row[name] for name in ("mrr", "r1", "r5", "r10")] == pytest.approx(np.mean(found, axis=0))
    assert row["pair_share"] == pytest.approx(100 * one_style / len(pairs))
    assert (row["dataset"], row["queries"]) == ("d", 8)


def test_ranks_of_random_views_are_at_chance():
    products = [f"p{number}" for number in range(60)]
    style_of = {product: f"s{number // 4}" for number, product in enumerate(products)}
    [row] = same_style_chance(products, styles_table(style_of), "d").to_pylist()
    means = []
    for seed in range(40):
        ranks = same_style_ranks(views_table(products, **random_views(products, seed, 32)), styles_table(style_of),
                                 "d", "v", seed)  # fmt: skip
        means.append(100 * np.mean(1 / ranks["rank"].to_numpy()))
    assert np.mean(means) == pytest.approx(row["mrr"], abs=4 * np.std(means) / len(means) ** 0.5)


def test_chance_of_nothing_is_no_row():
    assert same_style_chance(["a", "b"], styles_table({"a": "s", "b": "r"}), "d").num_rows == 0
