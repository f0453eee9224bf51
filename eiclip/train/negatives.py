"""Hard negatives of a re-ranker: the wrong answers that row 5 itself ranks first among the training products.

Shape suffixes: N samples, M hardest of each, B batch, D embedding width.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from eiclip.evaluation.embed import embed_images, embed_texts
from eiclip.features.reader import feature_store, features_of
from eiclip.model.entity_clip import EntityClipModel
from eiclip.shards.read import indexed_samples
from eiclip.shards.verify import CheckedShard
from eiclip.train.job import TrainJob

CHUNK = 1024
"""Queries compared with all candidates at once."""
SAME = -2.0
"""Score of what is the query's own: less than any cosine."""


class HardNegatives(NamedTuple):
    """Samples whose text (N, M) the first stage ranks first for each photo, and whose photo (N, M) for each text."""

    texts_NM: Tensor
    photos_NM: Tensor
    text_ND: Tensor
    """The first stage's embeddings of the texts, of length one."""

    @classmethod
    def of(
        cls, model: EntityClipModel, job: TrainJob, shards: Sequence[CheckedShard], read_N: np.ndarray,
        product_N: np.ndarray, device: str,
    ) -> Self:  # fmt: skip
        """Those of a training split by a model's embeddings.

        Args:
            shards: of the split, in the order of its samples.
            read_N: equal numbers where description and entities are equal: such samples are no negatives.
            product_N: nor are those of the same product.

        Raises:
            NonFiniteError: an embedding is NaN or infinite.
        """
        store = feature_store(model, job.features, job.shards, device)
        images, texts = [], []
        for shard in shards:
            samples = list(indexed_samples(shard.path, shard.index))
            features = features_of(store, [shard.path])
            images.append(embed_images(model, samples, device, features))
            texts.append(embed_texts(model, samples, device, features=features))
        image_ND, text_ND = torch.cat(images), torch.cat(texts)
        hardest = min(job.training.cross.hardest, len(image_ND) - 1)
        same = torch.from_numpy(read_N), torch.from_numpy(product_N)
        return cls(_hardest(image_ND, text_ND, same, hardest), _hardest(text_ND, image_ND, same, hardest), text_ND)

    def draw(self, samples_B: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Samples of wrong texts and of wrong photos (B, count) for each sample, by torch's random state."""
        most = self.texts_NM.shape[1]
        place_2BC = torch.randint(most, (2, len(samples_B), count))
        return self.texts_NM[samples_B].gather(1, place_2BC[0]), self.photos_NM[samples_B].gather(1, place_2BC[1])


def _hardest(query_ND: Tensor, candidate_ND: Tensor, same: Sequence[Tensor], count: int) -> Tensor:
    """The candidates (N, count) that score highest, equal ones of the query's own aside.

    Where there are fewer others than `count` they are repeated, the best first; where there are none, any are given.
    """
    parts = []
    for start in range(0, len(query_ND), CHUNK):
        rows = slice(start, start + CHUNK)
        score_BN = query_ND[rows] @ candidate_ND.T
        for own_N in same:
            score_BN.masked_fill_(own_N[rows, None] == own_N, SAME)
        others_B1 = (score_BN > SAME).sum(dim=1, keepdim=True).clamp(1, count)
        parts.append(score_BN.topk(count, dim=1).indices.gather(1, torch.arange(count) % others_B1))
    return torch.cat(parts)
