"""Query vectors out of several things asked for: photo and words, what is not wanted, one attribute for another.

All vectors are of the space that the three views share. Shape suffixes: D embedding width, N products.
"""

from collections.abc import Callable

import numpy as np

LEAST_NEGATIVE = 0.5
"""Of eight kinds of garment less each of eight colours (synthetic catalogue, 50 products each) one product in seven had
the colour that had it before, and 98 % were still of the kind; projection alone left one in two."""
EMPHASIS = 1.5
"""How much of an attribute is put in. Its products lie around their mean, a query among others: it must go further."""
Fuse = Callable[[np.ndarray, np.ndarray], np.ndarray]  # image and text vectors (N, D) to their joint view (N, D)


def unit(vector: np.ndarray) -> np.ndarray:
    """Return vectors (..., D) scaled to length one; a zero stays one."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    scaled: np.ndarray = vector / np.where(length > 0, length, 1)
    return scaled.astype(np.float32)


def summed(image_ND: np.ndarray, text_ND: np.ndarray) -> np.ndarray:
    """Return the joint view of a model that has learned none: the sum, of length one."""
    return unit(image_ND + text_ND)


def composed(image_D: np.ndarray, text_D: np.ndarray, weight: float, fuse: Fuse = summed) -> np.ndarray:
    """Join photo and words: the photo alone at weight 1, the words alone at 0, the model's joint view at 0.5.

    With the plain sum as joint view this is unit(weight * image + (1 - weight) * text). A learned fusion takes the
    place of the sum's direction: half the photo and half the words are what a product of that photo and that text
    looks like, and a slider from one to the other goes through it without a jump.

    >>> composed(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.5).round(3).tolist()
    [0.7070000171661377, 0.7070000171661377]
    """
    middle_D = fuse(image_D[None], text_D[None])[0] * (np.linalg.norm(image_D + text_D) / 2)
    ends_D = max(0.0, 2 * weight - 1) * image_D + max(0.0, 1 - 2 * weight) * text_D
    return unit(2 * min(weight, 1 - weight) * middle_D + ends_D)


def without(query_D: np.ndarray, negative_D: np.ndarray) -> np.ndarray:
    """Subtract unwanted words from the query: their projection, and never less than `LEAST_NEGATIVE` of them.

    The projection alone makes the query indifferent to the words, not averse; of a photo, which is far from all words,
    it takes next to nothing.

    >>> without(np.array([0.8, 0.6]), np.array([1.0, 0.0])).tolist()
    [0.0, 1.0]
    """
    left_D = query_D - max(float(query_D @ negative_D), LEAST_NEGATIVE) * negative_D
    if np.linalg.norm(left_D) < 1e-3:  # rounding: what is wanted is what is not, and only away from it is left
        left_D = -negative_D
    return unit(left_D)


def restyled(query_D: np.ndarray, has_ND: np.ndarray, mean_D: np.ndarray, emphasis: float) -> np.ndarray:
    """Return the query with `emphasis` times as much of an attribute over the mean as the products (N, D) have.

    At 0 the attribute is taken out: as much of it is left as the mean product has.
    """
    over_D = has_ND.mean(axis=0) - mean_D
    direction_D = unit(over_D)
    changed: np.ndarray = query_D + ((mean_D + emphasis * over_D - query_D) @ direction_D) * direction_D
    return changed
