"""What a checkpoint folder says of its model, and the text that row 3 reads: all of it without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from eiclip.errors import WeightsError
from eiclip.model.sources import CONFIG_FILE, read_config
from eiclip.model.variants import Variant, get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.training import TrainingSettings


class Description(NamedTuple):
    """A model without its weights."""

    variant: Variant
    vocabulary: Vocabulary
    training: TrainingSettings
    width: int
    """D, the width of the embeddings."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read that of a checkpoint folder.

        Raises:
            WeightsError: a file is missing or damaged.
        """
        try:
            described = json.loads((folder / "eiclip.json").read_text(encoding="utf-8"))
            vocabulary = Vocabulary(**json.loads((folder / "vocabulary.json").read_text(encoding="utf-8")))
            width = int(read_config(folder / CONFIG_FILE)["model_cfg"]["embed_dim"])
            return cls(get_variant(described["variant"]), vocabulary, TrainingSettings(**described["training"]), width)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{folder}: not a whole checkpoint ({error}); materialise it again") from error


def compose_text(
    description: str,
    entities: Mapping[str, list[str]],
    groups: tuple[str, ...],
    *,
    entities_first: bool,
    excluded_group: str = "",
) -> str:
    """Row 3's text: the entities of `groups`, in their order, glued to the description.

    Args:
        entities: entities by group; groups without any are skipped.
        entities_first: before the description (they survive a short context) or after it.
        excluded_group: one not to write (that of sample-100's negatives).

    >>> tags = {"brand": ["diesel"], "colour": ["black", "white"]}
    >>> compose_text("A coat.", tags, ("brand", "colour"), entities_first=True)
    'diesel, black, white. A coat.'
    """
    tags = ", ".join(name for group in groups if group != excluded_group for name in entities.get(group, []))
    if not tags:
        return description
    return f"{tags}. {description}" if entities_first else f"{description} {tags}."
