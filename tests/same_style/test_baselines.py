"""Pixels, hashes and words against their definitions, on real JPEGs in real shards."""

import math

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from eiclip.errors import EiclipError
from eiclip.same_style import baselines
from eiclip.same_style.baselines import phash_views, pixel_views, word_views, words
from eiclip.same_style.evaluate import same_style_ranks
from eiclip.shards import Sample, encode_photo, shard_paths, write_shards

TEXTS = {
    "a": "Red cotton shirt, cotton collar",
    "b": "Cotton shirt in blue",
    "c": "Blue jeans",
    "d": "Cotton shirt in blue",
    "e": "Zebra",
    "f": "",
}
TRAINING = ["cotton shirt", "cotton socks", "blue hat", ""]


def matrix(table, column):
    """A column of vectors, (N, D)."""
    return np.array(table[column].to_pylist(), dtype=np.float64).reshape(len(table), -1)


def cosines(table, column):
    """Dot products of all rows, by product."""
    view_PD = matrix(table, column)
    products = table["product_id"].to_pylist()
    return {(one, other): float(view_PD[row] @ view_PD[place])
            for row, one in enumerate(products) for place, other in enumerate(products)}  # fmt: skip


def tf_idf(one, other):
    """The cosine over all words, from the definition."""
    vectors = []
    for text in (one, other):
        found = words(text)
        rare = {word: 1 + math.log(5 / (1 + sum(word in words(text) for text in TRAINING))) for word in found}
        vectors.append({word: (1 + math.log(found.count(word))) * rare[word] for word in found})
    dot = sum(weight * vectors[1].get(word, 0) for word, weight in vectors[0].items())
    lengths = [math.sqrt(sum(weight**2 for weight in vector.values())) for vector in vectors]
    return dot / math.prod(lengths) if all(lengths) else 0.0


def test_words_are_cosines_of_weighted_words():
    table = word_views(TEXTS, TRAINING, "d")
    assert table.column_names == ["dataset", "variant", "product_id", "split", "text"]
    for (one, other), cosine in cosines(table, "text").items():
        if one != other:
            assert cosine == pytest.approx(tf_idf(TEXTS[one], TEXTS[other]), abs=1e-6)


def test_equal_texts_tie_and_ties_count_against():
    texts = {f"p{number}": "The same words" for number in range(6)}
    styles = pa.table({"product_id": list(texts), "style_id": ["r", "r", "s", "s", "t", "t"]})
    found = same_style_ranks(word_views(texts, [], "d"), styles, "d", "words", 0)
    assert found["view_pair"].unique().to_pylist() == ["t-t"]
    assert found["rank"].to_pylist() == [5] * 6


def test_more_words_than_places_share_them(monkeypatch):
    monkeypatch.setattr(baselines, "MOST_WORDS", 3)
    texts = {f"p{number}": " ".join(f"word{number // 2}{place}" for place in range(3)) for number in range(20)}
    table = word_views(texts, [], "d")
    assert table.schema.field("text").type.list_size <= 3
    found = cosines(table, "text")
    assert found["p0", "p1"] == pytest.approx(found["p0", "p0"]), "equal texts stay equal"


def test_no_words_at_all():
    table = word_views({"a": "", "b": "!"}, [], "d")
    assert set(cosines(table, "text").values()) == {0.0}
    assert word_views({}, [], "d").num_rows == 0


def test_hashes_are_alike_by_their_bits():
    draw = np.random.default_rng(0)
    hashes = {"a": 0, "b": -1, "c": 1, "d": -(2**63), "e": int(draw.integers(-(2**63), 2**63 - 1))}
    images = pa.table(
        {"product_id": list(hashes), "split": ["test"] * 5, "phash": pa.array(hashes.values(), pa.int64())}
    )
    for (one, other), cosine in cosines(phash_views(images, "d"), "image").items():
        differing = ((hashes[one] ^ hashes[other]) & (2**64 - 1)).bit_count()
        assert cosine == pytest.approx(1 - differing / 32, abs=1e-6)


def test_hashes_of_a_product_are_averaged_and_other_splits_left_out():
    images = pa.table({"product_id": ["a", "a", "b", "c"], "split": ["test"] * 3 + ["train"], "phash": [0, -1, 3, 3]})
    table = phash_views(images, "d")
    assert table["product_id"].to_pylist() == ["a", "b"]
    view_PD = matrix(table, "image")
    assert not view_PD[0].any(), "opposite hashes have no mean direction"
    assert np.linalg.norm(view_PD[1]) == pytest.approx(1)


def test_a_photo_without_a_hash_is_named():
    images = pa.table({"product_id": ["a"], "split": ["test"], "phash": pa.array([None], pa.int64())})
    with pytest.raises(EiclipError, match="1 of the test split have no phash"):
        phash_views(images, "d")


def test_pixels_are_correlations_of_small_photos(tmp_path):
    draw = np.random.default_rng(0)
    photos = {name: draw.integers(0, 255, (4, 4, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1) for name in "abc"}
    photos["bright"] = (photos["a"] // 2 + 90).astype(np.uint8)
    photos["plain"] = np.full((64, 64, 3), 200, dtype=np.uint8)
    samples = [
        Sample(f"{name}_{number}", name, "text", {}, encode_photo(Image.fromarray(pixels), 64))
        for name, pixels in photos.items()
        for number in range(2)
    ]
    write_shards((("test", sample) for sample in samples), tmp_path / "shards", photo_size=64)
    table = pixel_views(shard_paths(tmp_path / "shards", "test"), "d")
    assert table["product_id"].to_pylist() == list(photos)
    found = cosines(table, "image")
    small = {
        name: sample.pixels(16).astype(np.float64).reshape(-1)
        for name, sample in zip(photos, samples[::2], strict=True)
    }
    for one in "abc":
        for other in "abc":
            assert found[one, other] == pytest.approx(np.corrcoef(small[one], small[other])[0, 1], abs=1e-5)
    assert found["a", "bright"] > 0.99, "neither brightness nor contrast counts"
    assert found["plain", "plain"] == found["plain", "a"] == 0
