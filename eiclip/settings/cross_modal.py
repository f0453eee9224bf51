"""Settings of cross-encoders, which read a photo's patches and a text's words together: rows 10 to 14."""

from typing import Literal

from pydantic import Field, model_validator

from eiclip.settings.section import Section

CrossKind = Literal["fashionbert", "kaleidobert"]


class CrossSettings(Section):
    """Size of a cross-encoder, what it is trained on beside matching, and what is asked of it."""

    layers: int = Field(2, ge=1)  # transformer layers in which patches and words see each other
    width: int = Field(256, ge=8)
    heads: int = Field(4, ge=1)
    feed_forward: int = Field(2, ge=1)  # width of each layer's MLP, in widths
    dropout: float = Field(0.1, ge=0, lt=1)  # of the states that the layers are given
    whole_dropout: float = Field(0.3, ge=0, lt=1)  # row 14: of what the states of a whole photo and text are made of
    text_layers: int = Field(0, ge=0)
    """Lower layers of the text tower whose copy reads the text before it meets the patches; 0: its embeddings alone, as
    in the papers."""
    words: int = Field(64, ge=2)  # tokens of a text that are read; what follows is cut off
    side: int = Field(4, ge=1, le=7)
    """FashionBERT's patches are SIDE x SIDE; Kaleido-BERT's are always 1 x 1 to 5 x 5."""
    lr: float = Field(5e-4, ge=0)  # learning rate of what starts from scratch; the text's layers have `tower_lr`
    masked_words: float = Field(0.15, ge=0, le=1)
    """Share of a text's words that are hidden and to be named again."""
    masked_patches: float = Field(0.1, ge=0, le=1)
    """Share of a photo's patches that are hidden and whose features are to be named again."""
    corrupted: float = Field(0.5, ge=0, le=1)
    """Share of the pairs of a step with hidden words and changed patches; the others are as search will see them."""
    negatives: int = Field(3, ge=1)
    """Row 14: wrong texts for each photo and wrong photos for each text in a step, of those that row 5 ranks first."""
    lists: int = Field(8, ge=1)
    """Row 14: photos and texts of a step whose lists of wrong answers are scored; the others are told apart by the
    cosine of the two whole sides alone."""
    hardest: int = Field(50, ge=1)
    """Row 14: wrong answers are drawn from so many that row 5 ranks first among the training products."""
    kind: CrossKind = "fashionbert"
    """Row 14: whose patches it reads; Kaleido-BERT's 55 take about three times as long and were not tried there."""
    first: int = Field(100, ge=2)
    """k: how many of row 5's first answers are scored again."""
    queries: int | None = Field(None, ge=1)
    """Products whose queries are asked in each direction and protocol; None: all of the test split."""

    @model_validator(mode="after")
    def _divides(self) -> "CrossSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared out among {self.heads} heads; choose a multiple")
        return self
