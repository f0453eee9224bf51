"""Neutral names: made-up, one to one, and nothing else in tables and shards changes."""

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip.model.tokenizer import clip_tokenizer
from eiclip.model.vocabulary import UNKNOWN, read_vocabulary
from eiclip.shards import Sample, find_damage, merge_parts, read_manifest, read_samples, shard_paths, write_shards
from eiclip.storage.lake import Lake
from eiclip.studies.neutral import names_of, neutral_names, renamed_shards, renamed_table
from eiclip.synthetic.brands import ALL_BRANDS
from eiclip.synthetic.scenes import SCENES

BRANDS = [brand.lower() for brand in ALL_BRANDS]


def tokens(text):
    return clip_tokenizer().count(text)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.text(max_size=12) | st.just(UNKNOWN), max_size=20), st.randoms())
def test_names_are_one_to_one_new_and_the_same_in_any_order(brands, draw):
    names = neutral_names(brands, set(), tokens)
    assert set(names) == brands - {UNKNOWN}
    assert len(set(names.values())) == len(names)
    assert not set(names.values()) & brands
    shuffled = sorted(brands)
    draw.shuffle(shuffled)
    assert neutral_names(shuffled, set(), tokens) == names


def test_a_brand_keeps_its_name_when_others_come():
    few, many = neutral_names(BRANDS[:5], set(), tokens), neutral_names(BRANDS, set(), tokens)
    assert {brand: many[brand] for brand in few} == few


def test_no_name_is_taken_or_a_word_of_one():
    first = neutral_names(["diesel"], set(), tokens)["diesel"]
    assert neutral_names(["diesel"], {f"the {first} coat"}, tokens)["diesel"] != first


def test_names_are_as_long_to_the_models_as_the_brands_and_mean_nothing_to_them():
    names = neutral_names(BRANDS, set(), tokens)
    assert all(tokens(name) == max(2, tokens(brand)) for brand, name in names.items())
    language = {word for scene in SCENES.values() for caption in scene.captions for word in caption.lower().split()}
    assert not set(names.values()) & language


def test_thousands_of_names_still_differ_and_are_no_more_than_two_tokens_longer():
    brands = [f"b{number}" for number in range(1000)]
    names = neutral_names(brands, set(), tokens)
    assert len(set(names.values())) == 1000
    assert max(tokens(name) - max(2, tokens(brand)) for brand, name in names.items()) <= 2


TAGS = [
    {"brand": "top", "subcategory": "coats"}, {"brand": "diesel", "subcategory": "top"}, {"brand": "top"}, {},
    {"brand": "diesel", "subcategory": "top"}, {"brand": "<unk>", "subcategory": "coats"},
]  # fmt: skip
"""By product; "top" is a brand and a subcategory. The last is a test product."""


def tagged():
    return pa.Table.from_pylist(
        [
            {
                "dataset": "d",
                "product_id": f"p{n}",
                "split": "train" if n < 5 else "test",
                "entity_group": g,
                "entity": e,
            }
            for n, tags in enumerate(TAGS)
            for g, e in tags.items()
        ]
    )


def test_brands_alone_are_renamed_and_rows_keep_their_order():
    names = names_of(tagged(), "brand")
    assert set(names) == {"top", "diesel"}, "a brand called <unk> is none"
    before, after = tagged().to_pylist(), renamed_table(tagged(), "brand", names).to_pylist()
    for old, new in zip(before, after, strict=True):
        brand = old["entity_group"] == "brand" and old["entity"] != "<unk>"
        assert new == old | ({"entity": names[old["entity"]]} if brand else {})


def drawn_up(lake, rows):
    """Vocabulary and prior of tagged entities, as the pipeline's queries make them."""
    lake.write(rows, "tagged_entities", "d")
    products = {"dataset": ["d"] * 6, "product_id": [f"p{n}" for n in range(6)], "split": ["train"] * 5 + ["test"]}
    lake.write(pa.table(products | {"description": ["A top coat."] * 6}), "products", "d")
    for table, sources, more in (
        ("entity_vocabulary", ["tagged_entities"], {"groups": ["brand", "subcategory"], "minimum": 1}),
        ("semantic_prior", ["tagged_entities", "products"], {}),
    ):
        inputs = {source: [lake.path(source, "d")] for source in sources}
        lake.query(f"entities/{table}", lake.path(table, "d"), inputs, {"dataset": "d"} | more)
    paths = [lake.path(table, "d") for table in ("entity_vocabulary", "semantic_prior")]
    return read_vocabulary(("brand", "subcategory"), *paths)


def test_a_brand_that_shared_its_name_with_another_group_no_longer_does(tmp_path):
    names = names_of(tagged(), "brand")
    real = drawn_up(Lake(tmp_path / "real"), tagged())
    neutral = drawn_up(Lake(tmp_path / "neutral"), renamed_table(tagged(), "brand", names))
    assert real.priors == {"top": {"brand": 0.5, "subcategory": 0.5}}
    assert neutral.priors == {}
    assert neutral.names["subcategory"] == real.names["subcategory"]
    assert sorted(neutral.names["brand"]) == sorted(names.get(name, name) for name in real.names["brand"])


def lists(tags):
    return {group: [entity] for group, entity in tags.items()}


@pytest.fixture
def shards(tmp_path):
    """Two parts of a catalogue, more than one shard and split in them."""
    folder, draw = tmp_path / "shards", random.Random(0)
    for part in ("a", "b"):
        samples = [
            (
                split,
                Sample(f"{part}{n}_{split}", f"{part}{n}", f"coat number {n}", lists(TAGS[n % 5]), draw.randbytes(40)),
            )
            for n in range(12)
            for split in ("train", "test")
        ]
        write_shards(samples, folder / part, photo_size=64)
    merge_parts(folder, ["a", "b"])
    return folder


def test_shards_keep_their_photos_texts_order_and_parts(shards, tmp_path):
    names = names_of(tagged(), "brand")
    renamed_shards(shards, tmp_path / "neutral", "brand", names)
    assert find_damage(tmp_path / "neutral") == []
    one, other = read_manifest(shards), read_manifest(tmp_path / "neutral")
    assert [s["name"] for s in one["shards"]] == [s["name"] for s in other["shards"]]
    assert (one["samples"], one["photo_size"]) == (other["samples"], other["photo_size"])
    for split in ("train", "test"):
        pairs = zip(*(read_samples(shard_paths(f, split)) for f in (shards, tmp_path / "neutral")), strict=True)
        for old, new in pairs:
            assert new.jpeg == old.jpeg
            assert (new.image_id, new.product_id, new.description) == (old.image_id, old.product_id, old.description)
            brand = {"brand": [names[brand] for brand in old.entities["brand"]]} if "brand" in old.entities else {}
            assert new.entities == old.entities | brand
