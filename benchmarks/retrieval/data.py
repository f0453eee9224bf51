"""Embeddings of Fashion-Gen's size whose ranks are spread as a trained model's are."""

from typing import NamedTuple

import numpy as np

WIDTH = 512
NOISE = 8.0
"""Length of what is added to a text of length one to make its photos: four in ten have their text in the top ten."""
ROWS = 4096


class Sides(NamedTuple):
    """Unit vectors of photos (N, D) and texts (P, D), and the row of each photo's text (N,)."""

    image_ND: np.ndarray
    text_PD: np.ndarray
    owner_N: np.ndarray

    def directions(self) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Queries, candidates and the owners of both: photos ask for texts, texts for photos."""
        text_owner_P = np.arange(len(self.text_PD))
        return (
            (self.image_ND, self.text_PD, self.owner_N, text_owner_P),
            (self.text_PD, self.image_ND, text_owner_P, self.owner_N),
        )


def make(photos: int, products: int, seed: int = 0) -> Sides:
    """Every product has a photo; the others are drawn. Made in place: no more memory is taken than is kept."""
    random = np.random.default_rng(seed)
    owner_N = random.permutation(np.concatenate([np.arange(products), random.integers(0, products, photos - products)]))
    text_PD = random.standard_normal((products, WIDTH), dtype=np.float32)
    image_ND = random.standard_normal((photos, WIDTH), dtype=np.float32)
    _to_unit_length(text_PD)
    _to_unit_length(image_ND)
    for begin in range(0, photos, ROWS):
        rows = slice(begin, begin + ROWS)
        image_ND[rows] *= NOISE
        image_ND[rows] += text_PD[owner_N[rows]]
    _to_unit_length(image_ND)
    return Sides(image_ND, text_PD, owner_N)


def _to_unit_length(embedding_ND: np.ndarray) -> None:
    for begin in range(0, len(embedding_ND), ROWS):
        rows = embedding_ND[begin : begin + ROWS]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
