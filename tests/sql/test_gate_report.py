"""Gates by group beside what the group is worth, and gates over the steps."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.evaluation.gates import GATES_SCHEMA, SHUFFLES_SCHEMA
from eiclip.storage.lake import Lake
from eiclip.train.job import LOG_SCHEMA

BRANDS = {"<unk>": (0.9, 0), "b0": (0.2, 60), "b1": (0.4, 30), "b2": (0.7, 10), "b3": (0.6, 1)}
SEASONS = {"<unk>": (0.3, 4), "ss": (0.1, 16)}
"""Gate and training products; a brand is never rare, so that its `<unk>` is never trained."""


def report(home, variant="eiclip", losses=((9.0, 12.0), (7.0, 8.0))):
    lake = Lake(home)
    groups = {"brand": BRANDS, "season": SEASONS}
    shared = {"dataset": "d", "variant": variant}
    gates = [shared | {"entity_group": g, "entity_id": n, "entity": e, "weight": weight}
             for g, entities in groups.items() for n, (e, (weight, _)) in enumerate(entities.items())]  # fmt: skip
    vocabulary = [{"dataset": "d", "entity_group": g, "entity": e, "product_count": count}
                  for g, entities in groups.items() for e, (_, count) in entities.items()]  # fmt: skip
    shuffles = [shared | {"entity_group": "brand", "direction": way, "r1_removed_lost": removed, "r1_lost": shuffled}
                for way, (removed, shuffled) in zip(("i2t", "t2i"), losses, strict=True)]  # fmt: skip
    tables = {
        "gate_weights": pa.Table.from_pylist(gates, schema=GATES_SCHEMA),
        "entity_vocabulary": pa.Table.from_pylist(vocabulary),
        "entity_shuffles": pa.Table.from_pylist(shuffles, schema=SHUFFLES_SCHEMA),
    }
    files = {name: [lake.write(rows, name, "d")] for name, rows in tables.items()}
    output = lake.path("gate_report", "d")
    lake.query("evaluation/gate_report", output, files, {})
    return {row["entity_group"]: row for row in pq.read_table(output).to_pylist()}


def test_distribution_is_over_entities_and_the_mean_over_products(tmp_path):
    brand = report(tmp_path)["brand"]
    weights, counts = zip(*[entry for entry in BRANDS.values() if entry[1]], strict=True)
    assert (brand["entities"], brand["training_products"]) == (4, 101)
    assert brand["mean_weight"] == pytest.approx(np.average(weights, weights=counts))
    names = ("lowest", "lower_quartile", "median", "upper_quartile", "highest")
    assert [brand[name] for name in names] == pytest.approx(list(np.percentile(weights, [0, 25, 50, 75, 100])))


def test_unknown_is_an_entity_where_rare_ones_train_it(tmp_path):
    season = report(tmp_path)["season"]
    assert (season["entities"], season["training_products"]) == (2, 20)
    assert season["mean_weight"] == pytest.approx((0.3 * 4 + 0.1 * 16) / 20)


def test_losses_are_the_mean_of_both_directions(tmp_path):
    found = report(tmp_path)
    assert (found["brand"]["r1_lost_removed"], found["brand"]["r1_lost_shuffled"]) == (8.0, 10.0)
    assert found["season"]["r1_lost_removed"] is found["season"]["r1_lost_shuffled"] is None


def test_history_has_a_row_for_each_group_and_logged_step(tmp_path):
    lake = Lake(tmp_path)
    numbers = {name: 0.0 for name in LOG_SCHEMA.names if name.startswith(("loss", "lr")) or name == "seconds"}
    numbers |= {"loss_views": [], "dataset": "d", "temperature": 0.1, "pairs_per_second": 1.0}
    gates = {step: [("brand", 0.5 + step / 100), ("season", 0.5 - step / 100)] for step in (0, 10, 20)}
    log = [numbers | {"variant": "eiclip", "step": step, "epoch": step // 20, "gates": gates[step]} for step in gates]
    log.append(numbers | {"variant": "clip_description", "step": 0, "epoch": 0, "gates": []})
    source = lake.write(pa.Table.from_pylist(log, schema=LOG_SCHEMA), "training_log", "d")
    output = lake.path("gate_history", "d")
    assert lake.query("evaluation/gate_history", output, {"training_log": [source]}, {}) == 6
    found = pq.read_table(output).to_pylist()
    assert [(r["entity_group"], r["step"], r["epoch"]) for r in found] == [
        (group, step, step // 20) for group in ("brand", "season") for step in (0, 10, 20)
    ]
    assert [r["mean_weight"] for r in found] == pytest.approx([0.5, 0.6, 0.7, 0.5, 0.4, 0.3])
    assert {r["variant"] for r in found} == {"eiclip"}
