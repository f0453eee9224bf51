"""Settings of training: what is learned (`TrainingSettings`), and how the machine is used (`HardwareSettings`)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from eiclip.settings.cross_modal import CrossSettings
from eiclip.settings.section import Section


def _tower_mode(value: str) -> str:
    if not re.fullmatch(r"full|heads|frozen|last:[1-9][0-9]*", value):
        raise ValueError(f"{value!r} is none of full, last:N (N from 1 on), heads, frozen")
    return value


TowerMode = Annotated[str, AfterValidator(_tower_mode)]
"""What of a tower is trained: all of it, its projection, nothing, or its last N blocks and its projection."""
Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""What products are computed in; auto: bf16 on a GPU, fp32 on a CPU."""


class AugmentSettings(Section):
    """open_clip's augmentation of training photos, under its own names."""

    scale: tuple[float, float] = (0.9, 1.0)
    """Share of the photo's area that a random crop keeps, from and to: above 0, up to 1."""
    ratio: tuple[float, float] = (0.75, 4 / 3)  # width by height of the crop, before it is made square
    color_jitter: float = Field(0.0, ge=0, le=1)
    """Strength of random brightness, contrast and saturation; hue a quarter of it."""
    color_jitter_prob: float = Field(0.8, ge=0, le=1)
    gray_scale_prob: float = Field(0.0, ge=0, le=1)

    @field_validator("scale")
    @classmethod
    def _shares(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"{list(scale)} are no shares of a photo's area, from and to, between 0 and 1")
        return scale


ViewPair = Literal["i-i", "t-t", "m-m", "i-t", "t-i", "i-m", "m-i", "t-m", "m-t"]
"""A view of the trigger and one of its positive: i photo, t text, m both together."""
LOSS_VIEW_PAIRS: tuple[ViewPair, ...] = ("i-i", "t-t", "m-m", "i-t", "t-i", "i-m", "m-i", "t-m", "m-t")


class StyleLossSettings(Section):
    """What is learned of same-style pairs."""

    view_pairs: dict[ViewPair, float] = Field(default_factory=lambda: dict.fromkeys(LOSS_VIEW_PAIRS, 1.0))
    """Weight of each combination of views between trigger and positive; one that is absent, or 0, does not count."""
    caption: float = Field(1.0, ge=0)
    """Weight of CLIP's own loss, over the triggers' photos and texts, beside the mean of the view pairs."""
    consistency: float = Field(0.1, ge=0)
    """Weight of the consistency term: an augmented trigger is to rank its best candidates as the plain one does."""
    consistency_top: int = Field(10, ge=2)  # candidates whose order is compared
    self_pair_probability: float = Field(0.25, ge=0, le=1)
    """Probability of pairing a trigger that has positives with itself (another photo of it) instead."""

    @field_validator("view_pairs")
    @classmethod
    def _some(cls, weights: dict[ViewPair, float]) -> dict[ViewPair, float]:
        if any(weight < 0 for weight in weights.values()) or not any(weights.values()):
            raise ValueError("weights are not negative, and one at least is not 0")
        return {name: weights.get(name, 0.0) for name in LOSS_VIEW_PAIRS}  # equal sums are equal settings


LossTerm = Literal["joint", "description", "entities"]
LOSS_TERMS: tuple[LossTerm, ...] = ("joint", "description", "entities")
"""L(E_I, E_D + E_A^), L(E_I, E_D) and L(E_I, E_A^)."""


class TrainingSettings(Section):
    """How one variant is trained. The defaults are the paper's recipe (section 4.1), its length chosen by size.

    What is None here is chosen by the number of training photos: `eiclip.train.recipe`.
    """

    epochs: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)  # of the whole training; where both are set, these count and not the epochs
    budget: float = Field(1.0, gt=0)
    """Share of that length that is trained, chosen or set: studies train for a third of it, or four times as long."""
    batch_size: int | None = Field(None, ge=2)
    validations: int | None = Field(None, ge=0)
    """How many times recall on the validation split is measured, evenly along the steps; the best state is kept. None:
    20 times where the length is chosen by size or a patience is set, else never."""
    patience: int | None = Field(None, ge=0)
    """Measurements without a new best after which training stops; 0: never. None: 5 where the length is chosen by size,
    else never."""
    tower_lr: float = Field(5e-5, ge=0)  # learning rate of the two CLIP towers
    head_lr: float | None = Field(None, ge=0)
    """Learning rate of the towers' projections into the shared space; None: the towers'."""
    entity_lr: float = Field(1e-3, ge=0)
    """Learning rate of the entity encoders, which start from scratch (about 20 times the towers')."""
    gate_lr: float = Field(5e-3, ge=0)  # learning rate of the gates once they are released
    gate_freeze: float = Field(0.15, ge=0, le=1)
    """Share of the steps with frozen gates: released earlier, they close on untrained entities."""
    weight_decay: float = Field(1e-4, ge=0)
    warmup_steps: int = Field(1000, ge=0)  # linear warm-up; at most a tenth of all steps is used for it
    entities_first: bool = True
    """Row 3: entities before the description in its text (after it, they are cut off at the end of the context)."""
    equal_weight: float | None = Field(1.0, gt=0)
    """Row 4: the weight every entity group has; None: one over the number of groups."""
    unit_norm: bool = True  # scale the description and every entity embedding to length one before they are added
    loss_terms: tuple[LossTerm, ...] = LOSS_TERMS
    """Rows 4 and 5: the terms whose sum is minimised. The others have one term, L(E_I, E_D), whatever stands here."""
    prior_mixture: bool = True
    """Rows 4 and 5: an entity of several groups is mixed from all their encoders, weighted by the semantic prior;
    False: from its own group's alone."""
    loss: Literal["softmax", "sigmoid"] | None = None
    """How the pairs of a batch are compared: against each other (CLIP), or each on its own (SigLIP). None: as the
    towers were trained, sigmoid where they have a logit bias. Same-style rows always compare against each other."""
    batch_norm: Literal["frozen", "batch"] = "frozen"
    """Statistics of batch norm layers: those the towers came with, or each batch's own, which change with processes and
    chunks."""
    augment: AugmentSettings | None = None
    """Random crops and colours of training photos, by open_clip's own transforms; None: photos as they are."""
    image_tower: TowerMode = "full"
    text_tower: TowerMode = "full"
    """What of the towers is trained: `full`, `last:N` (blocks, and the projection), `heads` (the projection) or
    `frozen`. The output of what is not is computed once and kept (the asset `features`)."""
    feature_views: int = Field(1, ge=1)
    """With a frozen image tower: kept views of each training photo, the first plain, the others augmented."""
    image_levels: bool = False
    """Add to a photo's embedding what a head of its own reads of the image tower's earlier blocks: colour, texture."""
    feature_noise: float = Field(0.0, ge=0)
    """Gaussian noise on kept features of photos in training, in standard deviations of each value; photos that are
    read as pixels have none."""
    group_batches: str = ""
    """Entity group (such as `subcategory`) whose products some epochs put into batches of their own: hard negatives."""
    group_every: int = Field(2, ge=1)  # the epochs that do so: each second one, each third, ...
    style: StyleLossSettings = StyleLossSettings()  # same-style rows alone: the terms of their loss
    cross: CrossSettings = CrossSettings()  # cross-encoders alone
    log_every: int = Field(10, ge=1)

    @field_validator("loss_terms")
    @classmethod
    def _in_order(cls, terms: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        if not terms or len(set(terms)) < len(terms):
            raise ValueError(f"name at least one of {', '.join(LOSS_TERMS)}, and none twice")
        return tuple(term for term in LOSS_TERMS if term in terms)  # equal sums are equal settings

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.patience and self.validations == 0:
            raise ValueError(
                f"patience {self.patience} with validations 0: nothing is measured that could stop training; leave "
                "validations out or above 0"
            )
        return self


TRAINED_ROWS = (
    "clip_description", "clip_entities_text", "eiclip_equal", "eiclip", "eiclip_plus", "same_style_unconstrained",
    "same_style_plain", "same_style", "fashionbert", "fashionbert_entities", "kaleidobert", "kaleidobert_entities",
    "eiclip_rerank",
)  # fmt: skip
"""The variants that are trained."""


OWN: dict[str, dict[str, Any]] = {"eiclip_plus": {"image_levels": True}}
"""What a row is trained with over the general settings; what a dataset's entry says comes after it. Chosen on real
products: docs/decisions.md."""


class RowSettings(Section):
    """What may differ for one row of a dataset: its rates, image levels, noise and group batches."""

    image_levels: bool | None = None
    feature_noise: float | None = Field(None, ge=0)
    group_batches: str | None = None
    group_every: int | None = Field(None, ge=1)

    tower_lr: float | None = Field(None, ge=0)
    head_lr: float | None = Field(None, ge=0)
    entity_lr: float | None = Field(None, ge=0)
    gate_lr: float | None = Field(None, ge=0)
    gate_freeze: float | None = Field(None, ge=0, le=1)
    weight_decay: float | None = Field(None, ge=0)


class TuneSettings(Section):
    """What the job `tune` may spend."""

    trainings: int = Field(8, ge=1)  # of row 3, and as many of row 5; the recipe as it is counts as the first


LENGTHS = ("epochs", "steps")


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Training settings of several layers, each over those before it; its epochs or steps replace both of theirs.

    >>> layered({"epochs": 3, "batch_size": 64}, {"steps": 500})
    {'epochs': None, 'batch_size': 64, 'steps': 500}
    """
    found: dict[str, Any] = {}
    for layer in layers:
        if any(layer.get(name) is not None for name in LENGTHS):
            found |= {name: None for name in LENGTHS if name in found}
        found |= layer
    return found


class HardwareSettings(Section):
    """How the machine is used: memory, speed and safety, without effect on what is learned."""

    processes: int | None = Field(None, ge=1)
    """Trainer processes that share each batch (data parallel); None: one a GPU, one where there is none."""
    precision: Precision = "auto"  # of the towers' products
    chunk_size: int | None = Field(None, ge=1)
    """Gradient caching: towers see this many pairs at a time, the loss the whole batch; None: all at once."""
    gradient_checkpointing: bool = False
    """Recompute each block's activations in the backward pass instead of keeping them."""
    compile: bool = False
    """`torch.compile` of the towers' transformers (needs a C++ compiler; minutes before the first step)."""
    fused_optimizer: bool = True  # one kernel for the optimizer's step over all weights
    channels_last: bool = False  # photos and convolutions with channels innermost
    sparse_entities: bool = False
    """Gradients and moments of a batch's own entities alone (lazy Adam): for tables of millions of entities."""
    workers: int | None = Field(None, ge=0)
    """Processes that decode photos, a trainer; None: all cores shared out on a GPU machine, none on a CPU one."""
    prefetch: int = Field(4, ge=1)  # batches each of those prepares in advance
    checkpoint_every: int = Field(200, ge=1)
    """Steps between two saved states of the training: what a killed run loses at most."""
    corrupt_samples: Literal["refuse", "quarantine"] = "refuse"
    """What to do about training samples that are not as the shards' manifest says: stop, or go on without them."""
