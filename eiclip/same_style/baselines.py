"""Baselines without a model: photos as a handful of pixels or as perceptual hashes, texts as bags of words.

Each is a table like `product_views` with the one view it has.

Shape suffixes: N photos, P products, D width of a view.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eiclip.errors import EiclipError
from eiclip.shards import read_samples

PIXELS, PHASH, WORDS = "pixels", "phash", "words"
"""Their names as variants."""
SIDE = 16
"""Pixels of a shrunken photo's side."""
MOST_WORDS = 4096
"""Words that have a place of their own, and places that they share where there are more."""


def pixel_views(shards: Sequence[Path], dataset: str) -> pa.Table:
    """Return photos of `SIDE` x `SIDE` pixels, less their mean, of length one: cosines are correlations of photos.

    Several photos of a product are averaged, and the mean scaled to length one again. A photo of a single colour is a
    vector of zeros, which is like nothing.

    Raises:
        CorruptOutputError: a photo cannot be decoded.
    """
    products, rows = [], []
    for sample in read_samples(shards):
        flat_D = sample.pixels(SIDE).astype(np.float32).reshape(-1)
        products.append(sample.product_id)
        rows.append(flat_D - flat_D.mean())
    view_ND = np.array(rows, dtype=np.float32).reshape(len(rows), 3 * SIDE * SIDE)
    return _mean_views(products, view_ND, dataset, PIXELS)


def phash_views(images: pa.Table, dataset: str) -> pa.Table:
    """Return perceptual hashes of test `images` (product_id, split, phash): +1 or -1 for each of their 64 bits.

    A cosine is 1 - (differing bits) / 32. Several photos of a product are averaged, as for `pixel_views`.

    Raises:
        EiclipError: a photo has no hash.
    """
    chosen = images.filter(pc.equal(images["split"], "test"))
    if chosen["phash"].null_count:
        raise EiclipError(f"images of {dataset}: {chosen['phash'].null_count} of the test split have no phash")
    hash_N = chosen["phash"].to_numpy().astype(np.int64).view(np.uint64)
    bit_ND = (hash_N[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    view_ND = np.where(bit_ND == 1, np.float32(1), np.float32(-1))
    return _mean_views(chosen["product_id"].to_pylist(), view_ND, dataset, PHASH)


def word_views(texts: Mapping[str, str], training_texts: Iterable[str], dataset: str) -> pa.Table:
    """Return descriptions as weighted words of length one: (1 + log count) by a word's rarity among training texts.

    Only words of at least two products can make two products alike: each of them has a place of its own, unless there
    are more than `MOST_WORDS`, which then share so many places (by CRC-32). A word of a single product shortens what
    is left of its vector, so that dot products are the cosines over all words (where no place is shared); such a
    vector is shorter than one. Equal texts have equal vectors: they tie.

    Args:
        texts: description by product.
        training_texts: descriptions that the rarity of a word (its inverse document frequency) is counted in.
    """
    counts = {product: Counter(words(text)) for product, text in texts.items()}
    products_with = Counter(word for found in counts.values() for word in found)
    trained, trained_with = 0, Counter[str]()
    for text in training_texts:
        trained += 1
        trained_with.update(products_with.keys() & set(words(text)))
    rarity = {word: 1 + math.log((1 + trained) / (1 + trained_with[word])) for word in products_with}
    shared = sorted(word for word, products in products_with.items() if products > 1)
    place_of = {word: place for place, word in enumerate(shared)}
    if len(shared) > MOST_WORDS:
        place_of = {word: zlib.crc32(word.encode()) % MOST_WORDS for word in shared}
    view_PD = np.zeros((len(counts), max([1, *(1 + place for place in place_of.values())])), dtype=np.float32)
    for row, found in enumerate(counts.values()):
        weights = {word: (1 + math.log(count)) * rarity[word] for word, count in sorted(found.items())}
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        for word, weight in weights.items():
            if word in place_of:
                view_PD[row, place_of[word]] += weight / length
    return _table(list(counts), view_PD, "text", dataset, WORDS)


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case.

    >>> words("A V-neck T-shirt, 100% cotton.")
    ['a', 'v', 'neck', 't', 'shirt', '100', 'cotton']
    """
    return re.findall(r"[^\W_]+", text.lower())


def _mean_views(owners: Sequence[str], view_ND: np.ndarray, dataset: str, variant: str) -> pa.Table:
    """The mean of each product's photos, all of length one before and after."""
    numbers = {product: number for number, product in enumerate(dict.fromkeys(owners))}
    sum_PD = np.zeros((len(numbers), view_ND.shape[1]), dtype=np.float32)
    np.add.at(sum_PD, [numbers[owner] for owner in owners], _unit(view_ND))
    return _table(list(numbers), _unit(sum_PD), "image", dataset, variant)


def _unit(view_ND: np.ndarray) -> np.ndarray:
    """Rows at length one; zeros stay zeros."""
    length_N1 = np.linalg.norm(view_ND, axis=1, keepdims=True)
    scaled: np.ndarray = view_ND / np.where(length_N1 > 0, length_N1, 1)
    return scaled


def _table(products: list[str], view_PD: np.ndarray, column: str, dataset: str, variant: str) -> pa.Table:
    fixed = [pa.repeat(value, len(products)) for value in (dataset, variant, "test")]
    view = pa.FixedSizeListArray.from_arrays(pa.array(view_PD.astype(np.float32).reshape(-1)), view_PD.shape[1])
    columns = [*fixed[:2], pa.array(products, pa.string()), fixed[2], view]
    return pa.table(columns, names=["dataset", "variant", "product_id", "split", column])
