"""Settings of same-style retrieval: the click log, and which co-clicked products count as pairs."""

import os
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from eiclip.settings.section import Section

Location = Annotated[str, BeforeValidator(os.fspath)]
"""A path, or a URL that fsspec knows."""


class LogColumns(Section):
    """Which columns of a click or basket log hold what: a session and an item, or a trigger and what was clicked."""

    session: str = "session"  # visit, basket or customer: clicks in one session belong together
    item: str = "item"  # the product clicked
    time: str | None = "time"  # a timestamp, a date, or seconds since 1970; None (in TOML: ''): the log has none
    trigger: str | None = None
    """The product shown when another was clicked; if set, the log is of (trigger, item) and needs no session."""
    time_format: str | None = None
    """How times are written, such as `%d/%m/%Y %H:%M`; None: whatever is not ambiguous."""
    encoding: str | None = None
    """Of CSV files, such as `cp1252`; None: UTF-8, or what most of a file's lines are in."""


class MiningSettings(Section):
    """Which co-clicked products count as the same style. What each limit removes is a row of `pair_funnel`."""

    category: Literal["category", "subcategory", "department", "none"] = "subcategory"
    """Level that both products must share (the category constraint)."""
    clicked_support: int = Field(1, ge=1)
    """Sessions from which on two products are a pair of `click_pairs` at all: 2 keeps large logs small."""
    minimum_support: int = Field(2, ge=1)  # sessions in which the two were clicked
    minimum_lift: float = Field(5.0, ge=0)
    """Sessions with both, over those expected by chance: below 1 popularity explains them."""
    minimum_text_similarity: float = Field(0.15, ge=0, le=1)
    """Share of common words: the Jaccard index of the two descriptions."""
    minimum_image_similarity: float = Field(0.2, ge=-1, le=1)
    """Cosine of the two products' photos under the pretrained towers."""
    most_positives: int = Field(20, ge=1)  # positives a trigger keeps, those of the highest lift
    weight_cap: int = Field(5, ge=1)  # support beyond this adds nothing to the probability of being drawn
    most_session_items: int = Field(100, ge=2)
    """A session with more distinct items is a crawler's: excluded, and counted."""
    session_gap: float | None = Field(None, gt=0)  # most seconds between two clicks of a pair; None: any time apart
    latest_time: str | None = None
    """Rows later than this (ISO 8601, UTC) are rejected as clock skew; None: a day later than the file itself."""


class SameStyleSettings(Section):
    """With no `log`, pairs come from the catalogue alone (Amazon's `also_*`, photos of one product)."""

    log: Location | None = None  # a Parquet or CSV file of clicks or baskets, or a pattern of them
    columns: LogColumns = LogColumns()
    mining: MiningSettings = MiningSettings()

    @model_validator(mode="after")
    def _whole(self) -> "SameStyleSettings":
        named = [self.columns.session, self.columns.item, self.columns.time, self.columns.trigger]
        present = [name for name in named if name]
        if len(set(present)) < len(present):
            raise ValueError(f"same_style.columns: {present} names a column twice")
        return self
