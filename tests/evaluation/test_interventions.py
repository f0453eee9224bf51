"""Interventions against a model whose embeddings are set by hand, and against a plain reading of the definition."""

import random

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from eiclip.errors import CorruptOutputError, NonFiniteError
from eiclip.evaluation.embed import embed_texts
from eiclip.evaluation.interventions import (
    KINDS,
    SCHEMA,
    interventions,
    interventions_table,
    sampled,
    training_counts,
    written,
)
from eiclip.model.description import compose_text
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.sources import SMALL
from eiclip.model.towers import embedding_width, new_towers
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.training import TrainingSettings
from eiclip.shards import Sample

BRANDS = ["b0", "b1", "b2"]
SEASONS = ["ss", "fw"]
VOCABULARY = Vocabulary({"brand": ["<unk>", *BRANDS], "season": ["<unk>", *SEASONS]}, {})
COUNTS = {"b0": 60, "b1": 30, "b2": 10, "<unk>": 500, "ss": 5, "fw": 5, "gone": 900}
EACH = 6
"""Products of a brand; each has two photos, so that a brand fills the ten best photos."""
WIDTH = 128


def measure(model, embeddings, made, seed=0, **more):
    return interventions_table(model, embeddings, photos_of(made), vocabulary_table(), seed=seed, **more)


def vocabulary_table():
    rows = [{"entity_group": group, "entity": name, "product_count": COUNTS[name]}
            for group, names in VOCABULARY.names.items() for name in [*names, "gone"]]  # fmt: skip
    return pa.Table.from_pylist(rows)


def products(last=()):
    """Products of the three brands in turn, and `last` after them."""
    made = [Sample("", f"p{n:02}", f"Item {n}.", {"brand": [BRANDS[n % 3]], "season": [SEASONS[n % 2]]})
            for n in range(3 * EACH)]  # fmt: skip
    return [*made, *last]


def photos_of(made):
    """Two samples a product, as shards hold them."""
    return [Sample(f"{s.product_id}_{n}", s.product_id, s.description, s.entities) for s in made for n in range(2)]


def build(variant="eiclip", **training):
    torch.manual_seed(0)
    settings = TrainingSettings(**training)
    return EntityClipModel(new_towers(SMALL, 0), get_variant(variant), VOCABULARY, settings).eval()


class Weights(nn.Module):
    """A gate that is read off the embedding."""

    def forward(self, entity_BD):
        return entity_BD @ torch.linspace(0.1, 0.9, entity_BD.shape[1])


def by_hand(width=WIDTH):
    """Descriptions say nothing, a brand points along an axis of its own, and a season along one that no photo has."""
    model = build()
    with torch.no_grad():
        model.towers.text_projection.zero_()
    axes = torch.eye(width)
    model.fusion.encoders[0] = nn.Embedding.from_pretrained(axes[:4])
    model.fusion.encoders[1] = nn.Embedding.from_pretrained(axes[4:7])
    model.fusion.gates = nn.ModuleList([Weights(), Weights()])
    return model


def table(variant, texts, images):
    """An embeddings table of (item, product, vector) triples."""
    shared = {"dataset": "shop", "variant": variant}
    rows = [shared | {"kind": kind, "item_id": item, "product_id": product, "embedding": v}
            for kind, entries in (("image", images), ("text", texts)) for item, product, v in entries]  # fmt: skip
    width = len(rows[0]["embedding"])
    schema = pa.schema([(name, pa.string()) for name in ("dataset", "variant", "kind", "item_id", "product_id")]
                       + [("embedding", pa.list_(pa.float32(), width))])  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def hand_table(model, made):
    """Photos along their brand's axis, product after product a little further off it."""
    texts = [(s.product_id, s.product_id, v) for s, v in zip(made, embed_texts(model, made).tolist(), strict=True)]
    images = []
    for number, sample in enumerate(made):
        brand = VOCABULARY.entity_id("brand", sample.entities["brand"][0])
        vector = np.zeros(WIDTH)
        vector[brand], vector[8] = 1, 0.1 * (number + 1)
        vector /= np.linalg.norm(vector)
        images += [(f"{sample.product_id}_{n}", sample.product_id, list(vector)) for n in range(2)]
    return table("eiclip", texts, images)


@pytest.fixture(scope="module")
def hand():
    model, made = by_hand(), products()
    rows = measure(model, hand_table(model, made), made).to_pylist()
    return {(row["intervention"], row["entity_group"], row["product_id"]): row for row in rows}


def test_every_entity_of_every_product_has_each_intervention_once(hand):
    ids = [sample.product_id for sample in products()]
    assert list(hand) == [(kind, group, p) for kind in KINDS for group in VOCABULARY.groups for p in ids]


def test_a_group_that_no_photo_shows_changes_nothing(hand):
    for (_, group, _), row in hand.items():
        if group == "season":
            assert row["rank_after"] == row["rank_before"]
            assert row["top_after"] == row["top_before"]
            assert row["share_after"] == row["share_before"]


def test_without_its_brand_a_product_is_last_and_with_another_the_ranking_follows_it(hand):
    """All photos of other products score at least as high; ties count against the model."""
    last = 1 + 2 * (3 * EACH - 1)
    for number, sample in enumerate(products()):
        removed, swapped, text = (hand[kind, "brand", sample.product_id] for kind in KINDS)
        for row in (removed, swapped, text):
            assert row["rank_before"] == 1 + 2 * (number // 3)
            assert [row["entity"]] == sample.entities["brand"]
            assert row["share_before"] == 1
            assert row["top_before"] in photos_of_number(number % 3)
        assert removed["rank_after"] == swapped["rank_after"] == text["rank_after"] == last
        assert swapped["share_after"] == swapped["replacement_share_before"] == 0
        assert swapped["replacement_share_after"] == 1
        assert swapped["top_after"] in photos_of_number(BRANDS.index(swapped["replacement"]))
        assert removed["replacement"] is removed["replacement_share_after"] is text["replacement"] is None


def photos_of_number(number):
    """A product's two photos, which are alike: either may be best."""
    return {f"p{number:02}_{place}" for place in range(2)}


def test_the_gate_is_that_of_the_original_entity(hand):
    gates = torch.linspace(0.1, 0.9, WIDTH).tolist()
    for (_, group, _), row in hand.items():
        axis = VOCABULARY.entity_id(group, row["entity"]) + (4 if group == "season" else 0)
        assert row["gate_weight"] == pytest.approx(gates[axis])


def test_an_unseen_entity_counts_under_its_own_name_with_the_gate_of_unknown_ones():
    model = by_hand()
    made = products([Sample("", "q", "New.", {"brand": ["newcomer"]})])
    found = measure(model, hand_table(model, made), made)
    rows = {row["intervention"]: row for row in found.to_pylist() if row["product_id"] == "q"}
    assert list(rows) == list(KINDS)
    for row in rows.values():
        assert (row["entity"], row["rank_before"], row["share_before"]) == ("newcomer", 1, 0.2)
        assert row["gate_weight"] == pytest.approx(0.1)
    assert rows["swapped"]["replacement"] in BRANDS
    assert rows["removed"]["rank_after"] == 1 + 2 * 3 * EACH


def random_table(variant, made, model):
    draw = np.random.default_rng(2)  # no two scores of one text closer than rounding
    images = [(s.image_id, s.product_id, draw.normal(size=embedding_width(model.towers))) for s in photos_of(made)]
    images = [(item, product, list(v / np.linalg.norm(v))) for item, product, v in images]
    texts = zip(made, embed_texts(model, made).tolist(), strict=True)
    return table(variant, [(s.product_id, s.product_id, v) for s, v in texts], images)


@pytest.mark.parametrize("variant", ["eiclip", "eiclip_equal", "clip_entities_text"])
def test_rows_are_the_definition_read_plainly(variant):
    """Rank one text at a time, one score after the other."""
    two = Sample("", "two", "Both.", {"brand": ["b2", "b0"], "season": ["new", "fw"]})
    last = Sample("", "bare", "Nothing."), Sample("", "q", "New.", {"brand": ["new"]}), two
    model, made = build(variant), products(last)
    embeddings = random_table(variant, made, model)
    rows = measure(model, embeddings, made, seed=3).to_pylist()
    kinds = KINDS if model.fusion is not None else KINDS[:2]
    assert [*dict.fromkeys(row["intervention"] for row in rows)] == list(kinds)
    of_two = {kind: [(row["entity_group"], row["entity"]) for row in rows if row["product_id"] == "two"
                     and row["intervention"] == kind] for kind in kinds}  # fmt: skip
    assert list(of_two.values()) == [[("brand", "b2"), ("brand", "b0"), ("season", "new"), ("season", "fw")]] * len(
        kinds
    )
    images = [row for row in embeddings.to_pylist() if row["kind"] == "image"]
    by_id = {sample.product_id: sample for sample in made}
    before = {sample.product_id: text for sample, text in zip(made, embed_texts(model, made).numpy(), strict=True)}
    after = embed_texts(model, [plainly(row, by_id[row["product_id"]]) for row in rows]).numpy()
    for row, text in zip(rows, after, strict=True):
        sample = by_id[row["product_id"]]
        assert row["entity"] in sample.entities[row["entity_group"]]
        assert row["replacement"] not in sample.entities[row["entity_group"]]
        for when, vector in (("before", before[sample.product_id]), ("after", text)):
            rank, top = read(vector, sample.product_id, images)
            assert (row[f"rank_{when}"], row[f"top_{when}"]) == (rank, top[0]["item_id"])
            for name, entity in (("share", row["entity"]), ("replacement_share", row["replacement"])):
                carried = [entity in by_id[photo["product_id"]].entities.get(row["entity_group"], []) for photo in top]
                assert row[f"{name}_{when}"] == (None if entity is None else pytest.approx(np.mean(carried)))
    assert "bare" not in {row["product_id"] for row in rows}
    assert {row["gate_weight"] for row in rows} == {"eiclip": {0.5}, "eiclip_equal": {1.0}}.get(variant, {None})


def plainly(row, sample):
    """The product as the model reads it after the intervention."""
    names = sample.entities[row["entity_group"]]
    changed = [row["replacement"] if name == row["entity"] else name for name in names]
    others = sample.entities | {row["entity_group"]: [name for name in changed if name is not None]}
    text = f"{row['entity']}. {sample.description}" if row["intervention"] == "as_text" else sample.description
    return Sample("", sample.product_id, text, others)


def read(text, own, images):
    """Rank of the product's best photo and the ten best photos, by one score after the other."""
    scored = [(float(np.float32(photo["embedding"]) @ text), photo) for photo in images]
    order = [photo for _, photo in sorted(scored, key=lambda entry: -entry[0])]
    best = max(score for score, photo in scored if photo["product_id"] == own)
    return 1 + sum(score >= best and photo["product_id"] != own for score, photo in scored), order[:10]


def test_texts_are_written_as_row_3_reads_them():
    sample = Sample("", "p", "A coat.", {"brand": ["diesel"], "season": ["fw2016"]})
    for first, text in ((True, "diesel. A coat."), (False, "A coat. diesel.")):
        changed = written(sample, "brand", "diesel", first)
        assert changed.description == text
        assert text == compose_text("A coat.", {"brand": ["diesel"]}, ("brand", "season"), entities_first=first)
        assert changed.entities == {"season": ["fw2016"]}
    for first in (True, False):
        made = interventions(
            build(entities_first=first), [sample], training_counts(build(), vocabulary_table()), seed=0
        )
        texts = {i.group: i.after.description for i in made if i.kind == "as_text"}
        assert texts == {g: compose_text("A coat.", sample.entities, (g,), entities_first=first) for g in texts}
        assert len(texts) == 2


def swaps(entity="b0", many=4000, seed=0):
    made = [Sample("", f"q{n}", "", {"brand": [entity]}) for n in range(many)]
    found = interventions(build(), made, training_counts(build(), vocabulary_table()), seed=seed)
    return [i.replacement for i in found if i.kind == "swapped"]


@pytest.mark.parametrize(
    ("entity", "shares"),
    [("b0", {"b1": 0.75, "b2": 0.25}), ("b2", {"b0": 2 / 3, "b1": 1 / 3}), ("new", {"b0": 0.6, "b1": 0.3, "b2": 0.1})],
)
def test_swaps_are_other_known_entities_in_proportion_to_training(entity, shares):
    """Never the own one, never `<unk>`, never one that the model does not know; three errors of a share wide."""
    drawn = swaps(entity)
    assert set(drawn) == set(shares)
    for name, share in shares.items():
        assert drawn.count(name) / len(drawn) == pytest.approx(share, abs=3 * (share * (1 - share) / len(drawn)) ** 0.5)


def test_swaps_depend_on_seed_and_product_alone():
    assert swaps(many=50) == swaps(many=4000)[:50]
    assert swaps(many=50) != swaps(many=50, seed=1)


def test_where_there_is_no_other_entity_nothing_is_swapped():
    only = {"brand": {"b0": 3, "b1": 0, "b2": 0}, "season": {"ss": 1, "fw": 1}}
    made = interventions(build(), products()[:1], only, seed=0)
    assert [(i.kind, i.group) for i in made if i.group == "brand"] == [("removed", "brand"), ("as_text", "brand")]


def test_the_sample_is_a_matter_of_ids_alone():
    many = [Sample("", f"p{n}", f"Item {n}", {"brand": ["b0"]}) for n in range(300)]
    drawn = {sample.product_id for sample in sampled(many, ("brand",), seed=0, count=60)}
    shuffled = random.Random(1).sample(many, len(many))
    assert sampled(shuffled, ("brand",), seed=0, count=60) == sampled(many, ("brand",), seed=0, count=60)
    fewer = [sample for sample in many if int(sample.product_id[1:]) % 3]
    kept = {sample.product_id for sample in sampled(fewer, ("brand",), seed=0, count=60)}
    assert {product for product in drawn if int(product[1:]) % 3} <= kept
    assert len(kept) == 60
    assert {sample.product_id for sample in sampled(many, ("brand",), seed=1, count=60)} != drawn


def test_products_without_an_entity_are_not_drawn():
    made = [Sample("", f"p{n}", "", {"brand": ["b0"]} if n % 2 else {"other": ["x"]}) for n in range(40)]
    assert {int(s.product_id[1:]) % 2 for s in sampled(made, ("brand", "season"), seed=0, count=30)} == {1}


def test_fewer_products_give_the_same_rows_for_those_drawn():
    model, made = build(), products()
    embeddings = random_table("eiclip", made, model)
    whole, part = (measure(model, embeddings, made, count=count).to_pylist() for count in (100, 5))
    drawn = {row["product_id"] for row in part}
    assert len(drawn) == 5
    assert part == [row for row in whole if row["product_id"] in drawn]


def test_no_entities_at_all_is_an_empty_table():
    model, made = build(), [Sample("", f"p{n}", f"Item {n}") for n in range(3)]
    found = measure(model, random_table("eiclip", made, model), made)
    assert found.schema == SCHEMA
    assert found.num_rows == 0


def test_a_variant_that_reads_no_entities_is_refused():
    with pytest.raises(ValueError, match="clip_description reads no entities"):
        interventions(build("clip_description"), products(), {}, seed=0)


def test_other_products_than_embedded_are_an_error():
    model, made = build(), products()
    embeddings = random_table("eiclip", made, model)
    with pytest.raises(CorruptOutputError, match="18 products embedded, 17 in the shards"):
        measure(model, embeddings, made[1:])


@pytest.mark.parametrize("where", ["entity", "photo"])
def test_an_embedding_that_is_not_finite_is_an_error(where):
    model, made = build(), products()
    embeddings = random_table("eiclip", made, model)
    if where == "entity":
        with torch.no_grad():
            model.fusion.encoders[0].table.weight[1, 0] = float("nan")
    else:
        rows = embeddings.to_pylist()
        rows[4]["embedding"][2] = float("inf")
        embeddings = pa.Table.from_pylist(rows, schema=embeddings.schema)
    with pytest.raises(NonFiniteError):
        measure(model, embeddings, made)
