"""Curves of duplicate detection against one that sorts all pairs, as scikit-learn's does; bounds of memory, ties."""

import numpy as np
import pyarrow as pa
import pytest

from eiclip.same_style import pairs_curve
from eiclip.same_style.pairs_curve import CURVE, POINTS, WIDTH, same_style_pr_curve
from tests.same_style.conftest import styles_table, unit, views_table


def clustered(products, styles, seed=0, noise=0.5, width=12):
    """Styles around centres of their own, and their products."""
    random = np.random.default_rng(seed)
    names = [f"p{number}" for number in range(products)]
    style = random.integers(0, styles, products)
    view = unit(
        unit(random.standard_normal((styles, width)))[style] + noise * random.standard_normal((products, width))
    )
    return names, dict(zip(names, (f"s{number}" for number in style), strict=True)), view.astype(np.float32)


def all_pairs(names, style_of, view, groups=None):
    """Scores and whether right, of every pair, by definition."""
    scored = []
    for one in range(len(names)):
        for other in range(one):
            styles = [style_of.get(names[place], names[place]) for place in (one, other)]
            known = [(groups or {}).get(names[place], names[place]) for place in (one, other)]
            if styles[0] == styles[1] or known[0] != known[1]:
                scored.append((float(view[one].astype(np.float64) @ view[other]), styles[0] == styles[1]))
    return scored


def reference(scored):
    """Average precision, and precision, recall and pairs by distinct score: tied pairs are found at once."""
    total = sum(right for _, right in scored)
    average, found, curve = 0.0, [], []
    for score in sorted({score for score, _ in scored}, reverse=True):
        before = sum(found)
        found += [right for other, right in scored if other == score]
        curve.append((score, sum(found) / len(found), sum(found) / total, len(found)))
        average += (sum(found) - before) / total * sum(found) / len(found)
    return average, curve


def on_bins(scored):
    return [(round((score + 1) / WIDTH), right) for score, right in scored]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("duplicates", [False, True])
def test_the_curve_is_that_of_all_pairs_sorted(seed, duplicates, monkeypatch):
    monkeypatch.setattr(pairs_curve, "ROWS", 7)
    monkeypatch.setattr(pairs_curve, "COLUMNS", 11)  # many blocks, none of them square
    names, style_of, view = clustered(45, 12, seed)
    del style_of["p3"], style_of["p4"]  # no known style
    groups = {name: f"g{number % 9}" for number, name in enumerate(names)} if duplicates else None
    table = pa.table({"product_id": list(groups), "group_id": list(groups.values())}) if groups else None
    found = same_style_pr_curve(views_table(names, image=view), styles_table(style_of), "d", "v", 3, table)
    assert found.schema == CURVE
    scored = all_pairs(names, style_of, view, groups)
    average, curve = reference(on_bins(scored))
    exact, _ = reference(scored)
    rows = found.to_pylist()
    assert {(row["dataset"], row["variant"], row["seed"], row["view"]) for row in rows} == {("d", "v", 3, "i")}
    assert [row["average_precision"] for row in rows] == pytest.approx([average] * len(rows))
    assert average == pytest.approx(exact, abs=1e-3), "bins are narrow enough not to matter"
    by_pairs = {pairs: (score, precision, recall) for score, precision, recall, pairs in curve}
    for row in rows:
        score, precision, recall = by_pairs[row["pairs"]]
        assert (row["precision"], row["recall"]) == pytest.approx((precision, recall))
        assert row["threshold"] == pytest.approx(score * WIDTH - 1 - WIDTH / 2, abs=1.01 * WIDTH)
        # A float32 score may fall on the other side of its bin's end.
        above = [sum(score >= row["threshold"] + side for score, _ in scored) for side in (1e-6, -1e-6)]
        assert above[0] <= row["pairs"] <= above[1]
    assert rows[-1]["recall"] == 1
    assert len(rows) <= POINTS


def test_thresholds_fall_and_recall_rises_evenly():
    names, style_of, view = clustered(400, 60)
    rows = same_style_pr_curve(views_table(names, joint=view), styles_table(style_of), "d", "v", 0).to_pylist()
    assert {row["view"] for row in rows} == {"m"}
    recalls = np.array([row["recall"] for row in rows])
    assert 150 < len(rows) <= POINTS
    assert (np.diff([row["threshold"] for row in rows]) < 0).all()
    assert (np.diff(recalls) > 0).all()
    assert np.diff(recalls).max() < 0.02


def test_perfect_constant_and_random_views():
    names = [f"p{number}" for number in range(60)]
    style_of = {name: f"s{number // 3}" for number, name in enumerate(names)}
    perfect = np.eye(20)[np.arange(60) // 3]
    constant = np.full((60, 4), 0.5)
    random = unit(np.random.default_rng(0).standard_normal((60, 32)))
    found = same_style_pr_curve(views_table(names, image=perfect, text=constant, joint=random),
                                styles_table(style_of), "d", "v", 0).to_pylist()  # fmt: skip
    averages = {row["view"]: row["average_precision"] for row in found}
    share = 60 / (60 * 59 / 2)  # 20 styles of 3 pairs each
    assert averages["i"] == 1
    assert averages["t"] == pytest.approx(share)
    assert averages["m"] == pytest.approx(share, abs=0.05)
    assert [row["pairs"] for row in found if row["view"] == "i"] == [60], (
        "the right pairs tie at one, no other is there"
    )
    assert [row["pairs"] for row in found if row["view"] == "t"] == [1770]


def test_no_pair_of_one_style_no_curve():
    given = views_table(["a", "b"], image=np.eye(2)), styles_table({"a": "s", "b": "r"})
    assert same_style_pr_curve(*given, "d", "v", 0).num_rows == 0
    assert same_style_pr_curve(views_table([], image=np.eye(2)[:0]), styles_table({}), "d", "v", 0).num_rows == 0
