"""Entity vocabulary: entity strings to ids by group, and the prior-weighted mixture of an entity of several groups."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eiclip.errors import CorruptOutputError

if TYPE_CHECKING:  # a query is read by the vocabulary without torch
    from torch import Tensor

UNKNOWN_ID = 0
MISSING_ID = -1
UNKNOWN = "<unk>"


@dataclass(frozen=True)
class Vocabulary:
    """Ids of entities within their groups.

    `names[group][i]` is the entity of id i (0 is `<unk>`). `priors[entity][group]` is P(z = g(a, b)) (equation 2) for
    the entities tagged in more than one group; an entity that is not there has one semantics, with prior 1.
    """

    names: dict[str, list[str]]
    priors: dict[str, dict[str, float]]

    def __post_init__(self) -> None:
        for group, names in self.names.items():
            if not names or names[UNKNOWN_ID] != UNKNOWN:
                raise CorruptOutputError(f"vocabulary of {group!r}: id 0 must be {UNKNOWN}, it is {names[:1]}")

    @functools.cached_property
    def _ids(self) -> dict[str, dict[str, int]]:
        return {group: {name: number for number, name in enumerate(names)} for group, names in self.names.items()}

    @property
    def groups(self) -> tuple[str, ...]:
        """Entity groups, in the order of the model's K axis."""
        return tuple(self.names)

    def entity_id(self, group: str, entity: str) -> int:
        """Id of `entity` within `group`; 0 (`<unk>`) where training did not see it, or too rarely."""
        return self._ids[group].get(entity, UNKNOWN_ID)

    def encode(self, entities: Mapping[str, list[str]], excluded_group: str = "") -> list[list[int]]:
        """Ids of a product's entities, a list a group (none of `excluded_group`): 0 for one that training never saw."""
        named = ((group, [] if group == excluded_group else entities.get(group, [])) for group in self.groups)
        return [[self.entity_id(group, name) for name in names] for group, names in named]

    def mixture(self, group: str) -> tuple[Tensor, Tensor]:
        """What E_A(a) of each entity of `group` is mixed from.

        Returns:
            ids (V, K) int64 and priors (V, K) float32: entity i's embedding is sum_b priors[i, b] h_b(ids[i, b]).
        """
        import torch

        names, groups = self.names[group], self.groups
        ids_VK = torch.zeros(len(names), len(groups), dtype=torch.int64)
        priors_VK = torch.zeros(len(names), len(groups))
        ids_VK[:, groups.index(group)] = torch.arange(len(names))
        priors_VK[:, groups.index(group)] = 1.0
        for number, name in enumerate(names):
            for semantics, prior in self.priors.get(name, {}).items():
                column = groups.index(semantics)
                ids_VK[number, column] = self.entity_id(semantics, name)
                priors_VK[number, column] = prior
        return ids_VK, priors_VK


def read_vocabulary(groups: tuple[str, ...], vocabulary: Path, prior: Path) -> Vocabulary:
    """Read the `entity_vocabulary` and `semantic_prior` tables of a dataset (Parquet files).

    `groups` are those to read, in the order of the model's K axis: an entity's priors are shared out among them.

    Raises:
        CorruptOutputError: ids are not dense from 0 within a group, or a group has no rows.
    """

    def rows(file: Path, *columns: str) -> list[dict[str, Any]]:
        table = pq.read_table(file, columns=["entity_group", *columns])
        kept = table.filter(pc.is_in(table["entity_group"], value_set=pa.array(groups, pa.string())))
        return kept.sort_by([(name, "ascending") for name in table.column_names]).to_pylist()

    names: dict[str, list[str]] = {group: [] for group in groups}
    for row in rows(vocabulary, "entity_id", "entity"):
        known = names[row["entity_group"]]
        if row["entity_id"] != len(known):
            raise CorruptOutputError(
                f"{vocabulary}: {row['entity_group']} goes from id {len(known) - 1} to {row['entity_id']}; "
                "ids must be dense: materialise entity_vocabulary again"
            )
        known.append(row["entity"])
    priors: dict[str, dict[str, float]] = {}
    for row in rows(prior, "entity", "prior"):
        if 0 < row["prior"] < 1:
            priors.setdefault(row["entity"], {})[row["entity_group"]] = row["prior"]
    several = {entity: shares for entity, shares in priors.items() if len(shares) > 1}
    sums = {entity: sum(shares.values()) for entity, shares in several.items()}
    return Vocabulary(names, {e: {g: prior / sums[e] for g, prior in shares.items()} for e, shares in several.items()})
