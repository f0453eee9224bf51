"""The five rows of the paper's Table 1, a sixth of our own, and the rows of same-style retrieval, as data.

A row says what text a variant reads, what it does with entities, and which pairs of products it is trained on.
"""

from dataclasses import dataclass
from typing import Literal

from eiclip.errors import SettingsError


@dataclass(frozen=True)
class Variant:
    """One row: `entities_as_text` glues the tags to the description, `gates` gives them embeddings of their own."""

    name: str
    row: int
    title: str
    trained: bool = True
    entities_as_text: bool = False
    gates: Literal["none", "equal", "learned"] = "none"
    pairs: Literal["none", "clicked", "mined"] = "none"
    """Trained on pairs of products: all that were clicked together, or those that mining takes for one style."""

    @property
    def has_entities(self) -> bool:
        """Whether entity encoders are part of the model (rows 4 to 7, and 9)."""
        return self.gates != "none"


_ROWS = (
    Variant("clip_pretrained", 1, "CLIP as pretrained", trained=False),
    Variant("clip_description", 2, "CLIP fine-tuned on descriptions"),
    Variant("clip_entities_text", 3, "CLIP fine-tuned, entities as text", entities_as_text=True),
    Variant("eiclip_equal", 4, "EI-CLIP, every gate equal", gates="equal"),
    Variant("eiclip", 5, "EI-CLIP", gates="learned"),
    Variant("eiclip_plus", 6, "EI-CLIP+, our own", gates="learned"),
    Variant("same_style_unconstrained", 7, "Same style, all clicked pairs", gates="learned", pairs="clicked"),
    Variant("same_style_plain", 8, "Same style, constrained pairs, no entities", pairs="mined"),
    Variant("same_style", 9, "Same style, constrained pairs and entities", gates="learned", pairs="mined"),
)
VARIANTS = {row.name: row for row in _ROWS if row.pairs == "none"}
SAME_STYLE_VARIANTS = {row.name: row for row in _ROWS if row.pairs != "none"}
"""Trained on pairs of products, in three views; measured beside rows 1, 2 and 5, which know no pairs."""
SAME_STYLE_ROWS = {n: VARIANTS[n] for n in ("clip_pretrained", "clip_description", "eiclip")} | SAME_STYLE_VARIANTS
"""The rows of same-style retrieval that have a model."""


def get_variant(name: str) -> Variant:
    """The variant of that name.

    Raises:
        SettingsError: there is none; lists those there are.
    """
    known = VARIANTS | SAME_STYLE_VARIANTS
    if name not in known:
        raise SettingsError(f"unknown variant {name!r}: choose one of {', '.join(known)}")
    return known[name]
