"""EA-Learner and CE-Selector (section 3.3): entity encoders, their gates, and the sum that joins the description.

Shape suffixes: B batch, K entity groups, M entities of one, D embedding width, V entities of a group, U distinct ones.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eiclip.model.vocabulary import MISSING_ID, Vocabulary
from eiclip.settings.training import TrainingSettings


class EntityEncoder(nn.Module):
    """h_k: one embedding a whole entity (never its words), then an MLP."""

    def __init__(self, entities: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(entities, width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def sparse_table(self) -> Tensor:
        """Return the table (V, D), which from now on has gradients for the rows a batch used alone."""
        self.table.sparse = True
        return self.table.weight

    def forward(self, ids_B: Tensor) -> Tensor:
        """Embeddings (B, D) of entity ids (B,) in 0..V-1."""
        return self.mlp(self.table(ids_B))


class Gate(nn.Module):
    """G_k: how much an entity counts, in (0, 1), from its own embedding; a new gate gives everything 0.5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width // 4), nn.GELU(), nn.Linear(width // 4, 1))
        for weight in self.mlp[-1].parameters():
            nn.init.zeros_(weight)

    def forward(self, entity_BD: Tensor) -> Tensor:
        """Weights (B,) of entity embeddings (B, D)."""
        return torch.sigmoid(self.mlp(entity_BD)).squeeze(-1)


class FusedEntities(NamedTuple):
    """E_A^ = sum_k w_k h_k(a_k), the weights w_k (0 for a group without entity), and which products have any entity."""

    sum_BD: Tensor
    weight_BK: Tensor
    present_B: Tensor


class EntityFusion(nn.Module):
    """All entity groups of a dataset: prior-weighted embeddings, gates, and their weighted sum.

    Of a group in which a product has several entities the mean of their embeddings E_A(a) takes the place of the one
    (it is not scaled to length one again), and the gate weighs that mean.

    Args:
        vocabulary: the dataset's entities and the priors of those with several semantics.
        width: D, the width of the towers' shared space.
        gates: `learned` (row 5), or `equal` with one weight for every entity (row 4).
        training: row 4's weight (None: 1/K), whether priors are used, and whether entity embeddings have length one.
    """

    def __init__(
        self, vocabulary: Vocabulary, width: int, gates: Literal["equal", "learned"], training: TrainingSettings
    ) -> None:
        super().__init__()
        vocabulary = vocabulary if training.prior_mixture else Vocabulary(vocabulary.names, {})
        self.groups = vocabulary.groups
        self.unit_norm = training.unit_norm
        self.equal_weight = 1 / len(self.groups) if training.equal_weight is None else training.equal_weight
        self.encoders = nn.ModuleList(EntityEncoder(len(vocabulary.names[g]), width) for g in self.groups)
        self.gates = nn.ModuleList(Gate(width) for _ in self.groups) if gates == "learned" else None
        self._semantics: list[list[int]] = []
        for number, group in enumerate(self.groups):
            ids_VK, priors_VK = vocabulary.mixture(group)
            # Not persistent: the vocabulary beside the weights is their one source.
            self.register_buffer(f"ids_{number}", ids_VK, persistent=False)
            self.register_buffer(f"priors_{number}", priors_VK, persistent=False)
            self._semantics.append([b for b in range(len(self.groups)) if bool((priors_VK[:, b] > 0).any())])

    def entity(self, group: int, ids_B: Tensor) -> Tensor:
        """E_A(a) = sum_b P(z = g(a, b)) h_b(a) (section 3.3): embeddings (B, D) of ids (B,) of the group number."""
        ids_BK = getattr(self, f"ids_{group}")[ids_B]
        priors_BK = getattr(self, f"priors_{group}")[ids_B]
        mixed_BD = torch.zeros((), device=ids_B.device)
        for semantics in self._semantics[group]:
            embedding_BD = self._unit(self.encoders[semantics](ids_BK[:, semantics]))
            mixed_BD = mixed_BD + priors_BK[:, semantics, None] * embedding_BD
        return self._unit(mixed_BD) if len(self._semantics[group]) > 1 else mixed_BD

    def weight(self, group: int, entity_BD: Tensor) -> Tensor:
        """w_k = G_k(h_k(a_k)): weights (B,) of embeddings (B, D) of the group number."""
        if self.gates is None:
            return torch.full(entity_BD.shape[:1], self.equal_weight, device=entity_BD.device, dtype=entity_BD.dtype)
        return self.gates[group](entity_BD)

    def forward(self, ids_BKM: Tensor) -> FusedEntities:
        """Fuse entity ids (B, K, M), -1 for none: those count for nothing and pass no gradient."""
        entity_BKD, weight_BK = self.each(ids_BKM)
        present_B = (ids_BKM != MISSING_ID).any(dim=2).any(dim=1)
        # Summed in the groups' order: another one moves the last digits of every figure.
        sum_BD = torch.stack((weight_BK[..., None] * entity_BKD).unbind(dim=1)).sum(0)
        return FusedEntities(sum_BD, weight_BK, present_B)

    def each(self, ids_BKM: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, K, D) of the entities of each group, and their weights (B, K), 0 for a group without any."""
        present_BKM = ids_BKM != MISSING_ID
        count_BK = present_BKM.sum(dim=2)
        entities, weights = [], []
        for group in range(len(self.groups)):
            # Each entity of the batch goes through the encoders once: most of a batch share a few.
            ids_U, place_BM = ids_BKM[:, group].clamp(min=0).unique(return_inverse=True)
            entity_BMD = self.entity(group, ids_U)[place_BM]
            sum_BD = (entity_BMD * present_BKM[:, group, :, None]).sum(dim=1)
            entity_BD = sum_BD / count_BK[:, group, None].clamp(min=1)
            entities.append(entity_BD)
            weights.append(self.weight(group, entity_BD) * (count_BK[:, group] > 0))
        return torch.stack(entities, dim=1), torch.stack(weights, dim=1)

    def _unit(self, embedding_BD: Tensor) -> Tensor:
        return F.normalize(embedding_BD, dim=-1) if self.unit_norm else embedding_BD
