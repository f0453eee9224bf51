"""The summary of interventions against numpy and scipy."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from eiclip.evaluation.interventions import SCHEMA
from eiclip.storage.lake import Lake


def rows_of(group, ranks, gates, intervention="removed", **given):
    """Interventions of one group with these (before, after) ranks."""
    row = {"dataset": "d", "variant": "eiclip", "intervention": intervention, "entity_group": group, "entity": "e"}
    row |= {"share_before": 0.5, "share_after": 0.1, "top_before": "i", "top_after": "j"} | given
    return [row | {"product_id": f"p{n}", "rank_before": before, "rank_after": after, "gate_weight": gate}
            for n, ((before, after), gate) in enumerate(zip(ranks, gates, strict=True))]  # fmt: skip


def drawn(many=60, seed=0):
    """Ranks with many ties, also between ratios of different ranks, and gates that several products share."""
    draw = np.random.default_rng(seed)
    gates = draw.choice([0.2, 0.5, 0.7, 0.9], many)
    before = draw.integers(1, 9, many)
    after = np.maximum(1, np.round(before * 2.0 ** draw.normal(2 * gates - 1, 1, many))).astype(int)
    return list(zip(before.tolist(), after.tolist(), strict=True)), gates.tolist()


@pytest.fixture
def summary(tmp_path):
    def make(*parts):
        lake = Lake(tmp_path)
        source = lake.write(pa.Table.from_pylist([*itertools.chain(*parts)], schema=SCHEMA), "interventions", "d")
        output = lake.path("intervention_summary", "d")
        lake.query("evaluation/intervention_summary", output, {"interventions": [source]}, {})
        return pq.read_table(output).to_pylist()

    return make


@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_are_numpys(summary, seed):
    ranks, gates = drawn(seed=seed)
    [row] = summary(rows_of("brand", ranks, gates))
    before, after = np.array(ranks).T
    change = np.log2(after / before)
    assert row["queries"] == len(ranks)
    assert row["r1_before"] == pytest.approx(100 * np.mean(before == 1))
    assert row["r1_after"] == pytest.approx(100 * np.mean(after == 1))
    assert row["mean_rank_change"] == pytest.approx(np.mean(after - before))
    assert row["mean_log2_rank_change"] == pytest.approx(np.mean(change))
    assert (row["median_rank_before"], row["median_rank_after"]) == (np.median(before), np.median(after))
    assert row["worse_share"] == pytest.approx(np.mean(after > before))
    assert row["mean_gate"] == pytest.approx(np.mean(gates))
    assert row["gate_correlation"] == pytest.approx(spearmanr(gates, change).statistic)


def test_groups_and_kinds_are_kept_apart_and_in_order(summary):
    ranks, gates = drawn()
    other, weights = drawn(seed=9)
    found = summary(
        rows_of("season", other, weights),
        rows_of("brand", ranks, gates, "as_text"),
        rows_of("brand", other, gates, "swapped", replacement_share_before=0.0, replacement_share_after=0.25),
        rows_of("brand", ranks, weights),
    )
    assert [(row["intervention"], row["entity_group"]) for row in found] == [
        ("removed", "brand"), ("removed", "season"), ("swapped", "brand"), ("as_text", "brand"),
    ]  # fmt: skip
    changes = {id(one): np.log2(np.array(one)[:, 1] / np.array(one)[:, 0]) for one in (ranks, other)}
    wanted = [(weights, ranks), (weights, other), (gates, other), (gates, ranks)]
    assert [row["gate_correlation"] for row in found] == pytest.approx(
        [spearmanr(one, changes[id(two)]).statistic for one, two in wanted]
    )
    assert [row["share_before"] for row in found] == pytest.approx([0.5] * 4)
    assert [row["share_after"] for row in found] == pytest.approx([0.1] * 4)
    assert [row["replacement_share_after"] for row in found] == [None, None, 0.25, None]


@pytest.mark.parametrize(
    ("ranks", "gates"),
    [
        ([(1, 2 + n) for n in range(9)], [n / 10 for n in range(9)]),  # too few
        ([(1, 2 + n) for n in range(12)], [0.5] * 12),  # one gate
        ([(n, 2 * n) for n in range(1, 13)], [n / 20 for n in range(12)]),  # one change
        ([(1, 2 + n) for n in range(12)], [None] * 12),  # no gates: row 3
    ],
)
def test_where_nothing_can_correlate_there_is_no_correlation(summary, ranks, gates):
    [row] = summary(rows_of("brand", ranks, gates))
    assert row["gate_correlation"] is None
    assert row["queries"] == len(ranks)
    assert row["mean_gate"] == (None if gates[0] is None else pytest.approx(np.mean(gates)))


def test_ten_queries_are_enough(summary):
    [row] = summary(rows_of("brand", [(1, 2 + n) for n in range(10)], [1 - n / 10 for n in range(10)]))
    assert row["gate_correlation"] == pytest.approx(-1)


def test_no_interventions_are_no_rows(summary):
    assert summary([]) == []
