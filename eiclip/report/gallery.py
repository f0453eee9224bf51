"""Queries whose top photos differ between row 3 and row 5, with their pictures (the paper's figure 4).

The choice is a rule, not taste: among texts for which one row has a right photo in its top five and the other has
none, those with the largest difference of rank, won and lost ones apart.

Shape suffixes: Q queries (products), N photos, D embedding width.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import torch
from PIL import Image

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.ranking import full_ranks
from eiclip.evaluation.relevance import Relevance
from eiclip.model.variants import VARIANTS
from eiclip.report.headline import BASELINE, OURS
from eiclip.report.queries import select_table
from eiclip.report.theme import data_uri
from eiclip.shards import Sample, read_samples, shard_paths
from eiclip.storage.lake import matrix_of

TOP = 5
WON, LOST = 6, 4
THUMBNAIL = 128
"""Longest side of a photo in the report: it is to stay small enough to be mailed."""


@dataclass(frozen=True)
class Photo:
    """A photo to show; `uri` is empty where the shards do not hold it."""

    uri: str
    alt: str
    right: bool


@dataclass(frozen=True)
class Strip:
    """The top photos of one row."""

    row: int
    title: str
    rank: int
    photos: list[Photo]


@dataclass(frozen=True)
class Query:
    """One text, its right photo and what both rows found."""

    text: str
    tags: list[tuple[str, str]]
    right: Photo
    strips: list[Strip]


@dataclass(frozen=True)
class Gallery:
    """Won and lost queries, and of how many they were chosen."""

    won: list[Query] = field(default_factory=list)
    lost: list[Query] = field(default_factory=list)
    won_of: int = 0
    lost_of: int = 0
    queries: int = 0


@dataclass(frozen=True)
class _Ranking:
    """One variant's texts and photos, and the rank of each text's best right photo."""

    products: list[str]
    images: list[str]
    owner_N: np.ndarray
    text_QD: np.ndarray
    image_ND: np.ndarray
    rank_Q: np.ndarray

    def top(self, query: int) -> list[int]:
        """Photos with the highest scores, best first."""
        order = np.argsort(-(self.image_ND @ self.text_QD[query]), kind="stable")
        return [int(number) for number in order[:TOP]]


def gallery(connection: duckdb.DuckDBPyConnection, home: Path, dataset: str) -> Gallery | str:
    """The gallery of a dataset, or what must be materialised before there can be one."""
    found = {name: _ranking(connection, dataset, name) for name in (BASELINE, OURS)}
    theirs, ours = found[BASELINE], found[OURS]
    if theirs is None or ours is None:
        return f"Materialise the embeddings of {' and '.join(n for n, r in found.items() if r is None)}."
    if (theirs.products, theirs.images) != (ours.products, ours.images):
        return "Rows 3 and 5 were embedded from different test sets: materialise the embeddings of both again."
    won, lost = _chosen(theirs.rank_Q, ours.rank_Q), _chosen(ours.rank_Q, theirs.rank_Q)
    try:
        samples = _wanted_samples(home, dataset, [theirs, ours], [*won[:WON], *lost[:LOST]])
    except CorruptOutputError:
        return "The photos are not there: materialise the shards."
    pictured = [[_query(number, theirs, ours, samples) for number in numbers] for numbers in (won[:WON], lost[:LOST])]
    return Gallery(pictured[0], pictured[1], len(won), len(lost), len(ours.products))


def _ranking(connection: duckdb.DuckDBPyConnection, dataset: str, variant: str) -> _Ranking | None:
    images = _embeddings(connection, dataset, variant, "image")
    texts = _embeddings(connection, dataset, variant, "text")
    if images is None or texts is None:
        return None
    (image_ids, image_products, image_ND), (_, products, text_QD) = images, texts
    numbers = {product: number for number, product in enumerate(products)}
    owner_N = np.array([numbers.get(product, -1) for product in image_products])
    return _Ranking(products, image_ids, owner_N, text_QD, image_ND, ranks(text_QD, image_ND, owner_N))


def _embeddings(
    connection: duckdb.DuckDBPyConnection, dataset: str, variant: str, kind: str
) -> tuple[list[str], list[str], np.ndarray] | None:
    table = select_table(connection, "embeddings", dataset=dataset, variant=variant, kind=kind)
    if not table:
        return None
    return table["item_id"].to_pylist(), table["product_id"].to_pylist(), matrix_of(table["embedding"])


def ranks(text_QD: np.ndarray, image_ND: np.ndarray, owner_N: np.ndarray) -> np.ndarray:
    """The evaluation's rank of each text's best right photo; 0 for a text that has no photo.

    Args:
        text_QD: embeddings of the texts.
        image_ND: embeddings of the photos.
        owner_N: which text each photo belongs to; -1: to none.
    """
    asked_Q = np.intersect1d(owner_N, np.arange(len(text_QD)))
    found_Q = np.zeros(len(text_QD), dtype=np.int64)
    if len(asked_Q):
        text, image, *owners = map(torch.from_numpy, (text_QD[asked_Q], image_ND, asked_Q, owner_N))
        found_Q[asked_Q] = full_ranks(text, image, Relevance.of(*owners)).numpy()
    return found_Q


def _chosen(behind_Q: np.ndarray, ahead_Q: np.ndarray) -> list[int]:
    """Queries in `ahead`'s top five and not in `behind`'s, largest difference first; ties in the order of ids."""
    numbers = np.flatnonzero((ahead_Q > 0) & (ahead_Q <= TOP) & (behind_Q > TOP))
    order = np.argsort(-(behind_Q - ahead_Q)[numbers], kind="stable")
    return [int(number) for number in numbers[order]]


def _wanted_samples(home: Path, dataset: str, rankings: Sequence[_Ranking], chosen: Iterable[int]) -> dict[str, Sample]:
    """Samples of every photo shown: the top photos of both rows and the right ones."""
    wanted: set[str] = set()
    for number in chosen:
        for ranking in rankings:
            wanted.update(ranking.images[image] for image in [*ranking.top(number), _right_photo(ranking, number)])
    shards = shard_paths(home / "shards" / dataset, "test")
    return {sample.image_id: sample for sample in read_samples(shards, wanted)}


def _right_photo(ranking: _Ranking, query: int) -> int:
    """The right photo that the row scores highest."""
    right = np.flatnonzero(ranking.owner_N == query)
    return int(right[np.argmax(ranking.image_ND[right] @ ranking.text_QD[query])])


def _query(number: int, theirs: _Ranking, ours: _Ranking, samples: dict[str, Sample]) -> Query:
    right = ours.images[_right_photo(ours, number)]
    sample = samples.get(right)
    strips = [
        Strip(VARIANTS[name].row, VARIANTS[name].title, int(ranking.rank_Q[number]), _strip(ranking, number, samples))
        for name, ranking in ((BASELINE, theirs), (OURS, ours))
    ]
    text = sample.description if sample else ours.products[number]
    return Query(text, _tags(sample), Photo(_thumbnail(sample), "The right product’s photo", True), strips)


def _strip(ranking: _Ranking, query: int, samples: dict[str, Sample]) -> list[Photo]:
    photos = []
    for place, image in enumerate(ranking.top(query), start=1):
        right = bool(ranking.owner_N[image] == query)
        sample = samples.get(ranking.images[image])
        photos.append(Photo(_thumbnail(sample), _alt(place, right, sample), right))
    return photos


def _alt(place: int, right: bool, sample: Sample | None) -> str:
    tags = ", ".join(value for _, value in _tags(sample))
    return f"Place {place}, {'the right product' if right else 'another product'}" + (f": {tags}" if tags else "")


def _tags(sample: Sample | None) -> list[tuple[str, str]]:
    """Groups of a product, each with its entities."""
    return [(group, ", ".join(names)) for group, names in sorted(sample.entities.items())] if sample else []


def _thumbnail(sample: Sample | None) -> str:
    """The photo as a data URI, no larger than the report needs; empty where there is none or it cannot be read."""
    if sample is None:
        return ""
    try:
        with Image.open(io.BytesIO(sample.jpeg)) as photo:
            if max(photo.size) <= THUMBNAIL:
                return data_uri(sample.jpeg, "image/jpeg")
            photo.thumbnail((THUMBNAIL, THUMBNAIL))
            buffer = io.BytesIO()
            photo.convert("RGB").save(buffer, "JPEG", quality=82)
    except OSError:
        return ""
    return data_uri(buffer.getvalue(), "image/jpeg")
