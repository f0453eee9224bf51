"""The lists hold nearly what comparing with every product finds."""

import sys

import numpy as np
import pytest

from eiclip.errors import CorruptOutputError, SettingsError
from eiclip.search.approximate import ApproximateIndex, recall
from eiclip.search.compose import unit
from eiclip.search.engine import best


@pytest.fixture(scope="module")
def drawn():
    """Products in clusters, and queries near some of them."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((40, 24))
    products = unit(centres[random.integers(0, 40, 3000)] + 0.4 * random.standard_normal((3000, 24)))
    return products, unit(products[::150] + 0.1 * random.standard_normal((20, 24)))


def test_recall_grows_with_the_lists_looked_into_and_ends_exact(drawn, tmp_path):
    pytest.importorskip("faiss")
    products, queries = drawn
    index = ApproximateIndex.build(products)
    index.save(tmp_path / "index.faiss")
    index = ApproximateIndex.open(tmp_path / "index.faiss")
    assert len(index) == 3000
    recalls = [recall(index.search(queries, 10, lists)[0], products, queries) for lists in (1, 4, 16, 10_000)]
    assert recalls == sorted(recalls)
    assert recalls[1] > 0.9
    rows, scores = index.search(queries, 10, 10_000)
    assert recall(rows, products, queries) == 1
    assert scores == pytest.approx(np.take_along_axis(queries @ products.T, rows, axis=1), abs=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("count", [1, 3, 50])
def test_few_products_are_found_too(drawn, count):
    pytest.importorskip("faiss")
    products, queries = drawn
    rows, _ = ApproximateIndex.build(products[:count]).search(queries[0], 5)
    expected = best(products[:count] @ queries[0], 5).tolist()
    assert rows.tolist() == [expected + [-1] * (5 - len(expected))]


def test_recall_by_hand(drawn):
    products, queries = drawn
    exact = np.array([best(products @ query, 4) for query in queries])
    assert recall(exact, products, queries) == 1
    half = exact.copy()
    half[:, :2] = -1
    assert recall(half, products, queries) == 0.5


def test_without_the_library_the_way_to_it_is_told(monkeypatch, drawn):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(SettingsError, match="pip install 'faiss-cpu"):
        ApproximateIndex.build(drawn[0])


def test_a_file_that_is_no_index_is_named(tmp_path):
    pytest.importorskip("faiss")
    (tmp_path / "index.faiss").write_bytes(b"not an index")
    for name in ("index.faiss", "missing.faiss"):
        with pytest.raises(CorruptOutputError, match=f"{name}: .*build the index again"):
            ApproximateIndex.open(tmp_path / name)
