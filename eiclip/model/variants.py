"""The five rows of the paper's Table 1, a sixth of our own, the rows of same-style retrieval, and the cross-encoders.

A row says what text a variant reads, what it does with entities, which pairs of products it is trained on, and whether
it scores a photo and a text together.
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
    cross: Literal["none", "fashionbert", "kaleidobert", "rerank"] = "none"
    """A cross-encoder, which scores a photo and a text together; `rerank`: one that orders row 5's first answers."""

    @property
    def has_entities(self) -> bool:
        """Whether entity encoders are part of the model (rows 4 to 7, 9 and 14)."""
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
    Variant("fashionbert", 10, "FashionBERT", cross="fashionbert"),
    Variant("fashionbert_entities", 11, "FashionBERT*, entities as text", entities_as_text=True, cross="fashionbert"),
    Variant("kaleidobert", 12, "Kaleido-BERT", cross="kaleidobert"),
    Variant("kaleidobert_entities", 13, "Kaleido-BERT*, entities as text", entities_as_text=True, cross="kaleidobert"),
    Variant("eiclip_rerank", 14, "EI-CLIP, its first answers re-ranked", gates="learned", cross="rerank"),
)
VARIANTS = {row.name: row for row in _ROWS if row.pairs == row.cross == "none"}
SAME_STYLE_VARIANTS = {row.name: row for row in _ROWS if row.pairs != "none"}
"""Trained on pairs of products, in three views; measured beside rows 1, 2 and 5, which know no pairs."""
SAME_STYLE_ROWS = {n: VARIANTS[n] for n in ("clip_pretrained", "clip_description", "eiclip")} | SAME_STYLE_VARIANTS
"""The rows of same-style retrieval that have a model."""
CROSS_VARIANTS = {row.name: row for row in _ROWS if row.cross != "none"}
"""Cross-encoders: those that the paper's Table 2 compares with (* with entities), and our re-ranker of row 5."""


def get_variant(name: str) -> Variant:
    """The variant of that name.

    Raises:
        SettingsError: there is none; lists those there are.
    """
    known = VARIANTS | SAME_STYLE_VARIANTS | CROSS_VARIANTS
    if name not in known:
        raise SettingsError(f"unknown variant {name!r}: choose one of {', '.join(known)}")
    return known[name]
