"""The first answers of row 5 scored again by row 14, which reads a photo's patches and a text's words together.

Torch and weights are loaded when something is scored first. What the cross-encoder reads of each product's photo is
kept beside the search index.

Shape suffixes: N products, K first answers, P states of a photo, H width of the cross-encoder.
"""

import functools
import json
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eiclip.errors import CorruptOutputError, EiclipError
from eiclip.inference import EntityClip, Photo
from eiclip.model.description import Description
from eiclip.readers.texts import clean_description
from eiclip.search.reading import Words
from eiclip.search.sources import RANKED, RERANKER
from eiclip.shards import Sample, read_manifest
from eiclip.storage.cache import MANIFEST, content_digest
from eiclip.storage.code_version import code_version
from eiclip.storage.files import digest, remove_parts, whole_file
from eiclip.storage.home import Paths
from eiclip.storage.lock import exclusive

if TYPE_CHECKING:
    from torch import Tensor

    from eiclip.evaluation.pair_scores import TextSides

logger = logging.getLogger(__name__)

WAY_OUT = "run `make cross_modal`"
NO_HOME = f"there is no {RERANKER} to re-rank with here; {WAY_OUT}, and open the home that it makes"


def why_not(home: Paths, dataset: str, variant: str) -> str:
    """Say in a sentence why a variant's answers cannot be re-ranked and what to do; nothing where they can."""
    if not (home.checkpoint(dataset, RERANKER) / MANIFEST).is_file():
        return f"{dataset} has no {RERANKER} to re-rank with; {WAY_OUT}"
    if variant != RANKED:
        return f"{RERANKER} re-ranks answers of {RANKED}, not of {variant}; search by the variant {RANKED}"
    own, served = (_weights(home.checkpoint(dataset, name)) for name in (RERANKER, RANKED))
    if not served or any(own.get(name) != found for name, found in served.items()):
        return f"{RERANKER} of {dataset} was trained from another {RANKED} than the one there is now; {WAY_OUT}"
    return ""


def _weights(folder: Path) -> dict[str, str]:
    """Checksums of a checkpoint's files of weights; none where its manifest cannot be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {name: found for name, found in manifest.items() if name.endswith(".safetensors")}
    except (OSError, ValueError, AttributeError):
        return {}


class Reranker:
    """Row 14 of a dataset, for the products of an index of row 5. Threads may share it.

    Args:
        home: that has both.
        variant: whose answers are to be re-ranked.
        product_ids: of the index's rows (N,).
    """

    def __init__(
        self, home: Paths, dataset: str, variant: str, product_ids: Sequence[str], device: str = "cpu"
    ) -> None:
        self.home, self.dataset, self.product_ids, self.device = home, dataset, product_ids, device
        self.checkpoint = home.checkpoint(dataset, RERANKER)
        self.why_not = why_not(home, dataset, variant)
        """Why it cannot be used, in a sentence; empty where it can."""
        self._lock = threading.RLock()  # patches and texts are read through hooks, which one thread sets at a time

    @functools.cached_property
    def first(self) -> int:
        """k: how many answers are scored again."""
        return Description.read(self.checkpoint).training.cross.first

    @functools.cached_property
    def model(self) -> EntityClip:
        """Row 14, whose weights are loaded when they are first needed."""
        return EntityClip(self.checkpoint, self.device)

    def of_words(self, words: Words, rows_K: np.ndarray) -> np.ndarray:
        """Return the worth (K,) of the pairs of a text and the photos of the products at `rows_K`.

        It is what the pair's score adds to the cosine of the two. NaN where a product has no photo.
        """
        with self._lock:
            photo_KPH, texts = self._kept[rows_K], self._texts([words])
        return self._worth(texts, photo_KPH)

    def of_photo(self, photo: Photo | int, products: Sequence[Words], text_KD: np.ndarray) -> np.ndarray:
        """Return the worth (K,) of the pairs of a photo (or that of the product at a row) and products' texts, whose
        embeddings by row 5 are known.
        """
        with self._lock:
            photo_1PH = self._kept[[photo]] if isinstance(photo, int) else self._photo(photo)
            texts = self._texts(products, text_KD)
        return self._worth(texts, photo_1PH)

    def _worth(self, texts: "TextSides", photo_NPH: np.ndarray) -> np.ndarray:
        import torch

        from eiclip.evaluation.pair_scores import PairScorer, require_cross

        model = self.model.model
        count = max(len(texts), len(photo_NPH))
        text_K, image_K = (np.broadcast_to(np.arange(own), count) if own == count else np.zeros(count, np.int64)
                           for own in (len(texts), len(photo_NPH)))  # fmt: skip
        there_K = ~np.isnan(photo_NPH[image_K, 0, 0])
        worth_K = np.full(count, np.nan)
        image_NPH = torch.from_numpy(photo_NPH.astype(np.float32)).to(self.device)
        text_mix, pair_mix = require_cross(model).get_buffer("mix").tolist()
        score_K = PairScorer(model, texts, image_NPH, self.device).scores(text_K[there_K], image_K[there_K])
        worth_K[there_K] = pair_mix / (text_mix * model.scale.item()) * score_K.astype(np.float64)
        return worth_K

    def _texts(self, words: Sequence[Words], text_KD: np.ndarray | None = None) -> "TextSides":
        import torch

        from eiclip.evaluation.pair_scores import texts_of

        known = None if text_KD is None else torch.from_numpy(np.ascontiguousarray(text_KD, np.float32))
        samples = [Sample("", "", clean_description(own.text), own.entities) for own in words]
        return texts_of(self.model.model, samples, self.device, text_ND=known)

    def _photo(self, photo: Photo) -> np.ndarray:
        """Return what is read of a photo (1, P, H), as it is kept of products'. Raises RawDataError."""
        import torch

        from eiclip.evaluation.embed import normalised_pixels
        from eiclip.features.files import half
        from eiclip.model.patches import PatchReader
        from eiclip.system.devices import mixed_precision

        model = self.model.model
        pixels = normalised_pixels(model, self.model.photo_samples([photo]), self.device)
        with torch.inference_mode(), mixed_precision(self.device):
            values = half(PatchReader(model.towers).read(pixels).flatten(1))
        return self._states(values)

    def _states(self, values_NF: "Tensor") -> np.ndarray:
        """Return what is read of photos (N, P, H), float16, of all values of their patches."""
        from eiclip.evaluation.pair_scores import photos_of
        from eiclip.features.files import half

        states: np.ndarray = half(photos_of(self.model.model, values_NF, self.device)).numpy()
        return states

    @functools.cached_property
    def _kept(self) -> np.ndarray:
        """What is read of each product's first photo (N, P, H), float16, a file mapped into memory; NaN: none there.

        Raises:
            EiclipError: it is not kept yet, and the home cannot be written to, or its shards not be read.
        """
        code = code_version(("eiclip.evaluation.pair_scores:photos_of", "eiclip.features.patches:PatchStore"))
        of = [code.digest, content_digest(self.checkpoint), content_digest(self.home.shards(self.dataset))]
        index = self.home.search_index(self.dataset, RANKED)
        place = index.with_name(f"{RERANKER}.{digest([*of, self.product_ids])}.npy")
        if not place.is_file():
            if not os.access(self.home.root, os.W_OK):
                what = f"what {RERANKER} reads of photos is not kept yet, and this home cannot be written to"
                raise EiclipError(f"{place}: {what}; re-rank a search once where it can")
            with exclusive(index.with_name(f"{RERANKER}.lock")):
                if not place.is_file():
                    logger.warning(
                        "%s: reading the photos of %s products for %s; once, it takes minutes",
                        self.dataset, f"{len(self.product_ids):,}", RERANKER,
                    )  # fmt: skip
                    remove_parts(place)  # of one that was killed
                    self._make(place)
                    for other in place.parent.glob(f"{RERANKER}.*.npy"):
                        if other != place:  # of other weights or products
                            other.unlink(missing_ok=True)
        kept: np.ndarray = np.load(place, mmap_mode="r", allow_pickle=False)
        return kept

    def _make(self, place: Path) -> None:
        from eiclip.features.patches import PatchStore
        from eiclip.shards.read import index_of

        shards = self.home.shards(self.dataset)
        store = PatchStore(self.home.patches(self.dataset), shards, self.model.model, device=self.device)
        left = {product: row for row, product in enumerate(self.product_ids)}
        with whole_file(place) as part:
            kept: np.memmap | None = None
            for shard in read_manifest(shards)["shards"]:
                path = shards / shard["name"]
                of_photo = enumerate(index_of(path)["product_id"].to_pylist())
                found = {photo: left.pop(product) for photo, product in of_photo if product in left}
                values_NF = store.photos(path)[1][list(found), 0]
                state_NPH = self._states(values_NF)
                if kept is None:
                    shape = len(self.product_ids), *state_NPH.shape[1:]
                    kept = np.lib.format.open_memmap(part, "w+", np.float16, shape)
                    kept[:] = np.nan
                kept[list(found.values())] = state_NPH
            if kept is None:
                raise CorruptOutputError(f"{shards}: there is no shard; materialise the shards again")
            kept.flush()


def reordered(score_K: np.ndarray, worth_K: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the new order of the first answers, as their places (K,), and the scores (K,) in that order.

    Answers move by what their worth is above the mean; those without one (NaN) keep their place. No score comes to lie
    below `floor`, that of the answer which follows: it stays where it is.

    >>> order, scores = reordered(np.array([3.0, 2.0, 1.0]), np.array([-1.0, 1.5, -0.5]), 0.5)
    >>> order.tolist(), scores.tolist()
    ([1, 0, 2], [3.5, 2.0, 0.5])
    """
    order_K, new_K = np.arange(len(score_K)), score_K.astype(np.float64)
    scored, kept = np.flatnonzero(~np.isnan(worth_K)), np.flatnonzero(np.isnan(worth_K))
    if not len(scored):
        return order_K, new_K
    moved = new_K[scored] + worth_K[scored] - worth_K[scored].mean()
    best = np.argsort(-moved, kind="stable")
    order_K[scored], found = scored[best], np.maximum(moved[best], floor)
    above = np.searchsorted(
        scored, kept
    )  # scores fall from place to place: those that stay are between their neighbours
    new_K[kept] = np.clip(new_K[kept], np.append(found, floor)[above], np.append(np.inf, found)[above])
    new_K[scored] = found
    return order_K, new_K
