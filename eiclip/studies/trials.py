"""The questions of ablations and seed studies as data: the trainings that each consists of, and what is compared.

A trial is a training: a row of Table 1, or of same-style retrieval, with something changed. Trials that come to the
same training are trained once, whichever questions they answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple

from eiclip.model.variants import SAME_STYLE_ROWS, VARIANTS
from eiclip.settings.training import LOSS_TERMS, LOSS_VIEW_PAIRS, OWN, TrainingSettings, layered

DESCRIPTION, AS_TEXT, EQUAL, OURS = "clip_description", "clip_entities_text", "eiclip_equal", "eiclip"
PLUS = "eiclip_plus"
SAME_STYLE = "same_style"
NOISE = 0.3
"""Of features of photos, in standard deviations of each value: what is tried of it."""
AS_IT_IS = "as it is"
BATCH_SIZES = (16, 32, 64, 128)
BUDGETS = (Fraction(1, 3), Fraction(2, 3), Fraction(1), Fraction(2), Fraction(4))
"""Budgets, in those of the rows themselves."""
SEEDS = 3
ALL, SEVERAL_MEANINGS = "all", "several meanings"
"""Parts of the test products: all, or those that carry an entity tagged under several groups."""


@dataclass(frozen=True)
class Base:
    """What the rows of a dataset are trained with where nothing is varied."""

    groups: tuple[str, ...]
    training: TrainingSettings
    seed: int
    rows: Mapping[str, TrainingSettings] = field(default_factory=dict)
    """Of rows that have rates of their own."""
    negatives_group: str = ""
    """What sample-100's negatives share with the query."""

    def of(self, variant: str) -> TrainingSettings:
        """Return what a row is trained with."""
        return self.rows.get(variant, self.training)


@dataclass(frozen=True)
class Trial:
    """One training of a study: the row, what is varied and to which value, and the trial it is compared with."""

    label: str
    variant: str
    setting: str
    value: str
    groups: tuple[str, ...]
    seed: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Training settings that differ from the base."""
    neutral: bool = False
    """Made-up brand names in place of the real ones."""
    x: float | None = None
    """The value as a number, where it is one."""
    reference: str | None = None
    """Label of the trial that this one's gain is measured against."""

    def training(self, base: Base) -> TrainingSettings:
        """Return the settings it is trained with.

        Raises:
            pydantic.ValidationError: a change is no valid setting.
        """
        return TrainingSettings.model_validate(layered(base.of(self.variant).model_dump(), self.changes))

    def budget(self, base: Base) -> float:
        """Return the share of the rows' own length that it is trained for."""
        own, rows = self.training(base), base.of(self.variant)
        return round(own.epochs / rows.epochs if own.epochs and rows.epochs else own.budget / rows.budget, 6)

    def plain(self, base: Base) -> bool:
        """Return whether it is one of the rows as `full_eval` trains them."""
        as_it_is = base.groups, base.seed, base.of(self.variant)
        return (self.groups, self.seed, self.training(base)) == as_it_is and not self.neutral


def _trial(base: Base, variant: str, setting: str, value: str, **given: Any) -> Trial:
    """A trial over all of the dataset's groups and with its seed, unless given otherwise."""
    label = f"row {VARIANTS[variant].row}, {given.pop('named', value)}"
    whole: dict[str, Any] = {"groups": base.groups, "seed": base.seed}
    return Trial(label, variant, setting, value, **(whole | given))


def _compared(first: Trial, *others: Trial) -> list[Trial]:
    """The first trial, and the others compared with it."""
    return [first, *(replace(other, reference=first.label) for other in others)]


def entities(base: Base) -> list[Trial]:
    """Figure 2 and Table 4: the description with each group alone, as text and as entity; without any and with all."""
    given = {group: (group,) for group in base.groups} | {"all": base.groups}
    trials = [_trial(base, v, "entities", value, groups=some) for value, some in given.items() for v in (AS_TEXT, OURS)]
    return _compared(_trial(base, DESCRIPTION, "entities", "none"), *trials)


def batch_size(base: Base) -> list[Trial]:
    """Figure 5: rows 3 and 5 by batch size, with the length and learning rates of the base."""
    found = []
    for size in BATCH_SIZES:
        given = {"changes": {"batch_size": size}, "x": float(size), "named": f"batch {size}"}
        found += _compared(*(_trial(base, name, "batch_size", str(size), **given) for name in (AS_TEXT, OURS)))
    return found


def losses(base: Base) -> list[Trial]:
    """Row 5 with its three terms, and without each."""
    without = {f"without {term}": tuple(other for other in LOSS_TERMS if other != term) for term in LOSS_TERMS}
    return _of_row_5(base, "loss_terms", {"all three": LOSS_TERMS} | without)


def prior(base: Base) -> list[Trial]:
    """Row 5 with and without the prior-weighted mixture of entities of several groups."""
    return _of_row_5(base, "prior_mixture", {"mixture": True, "own group alone": False})


def _group(base: Base) -> str:
    return base.negatives_group if base.negatives_group in base.groups else base.groups[0]


def group_batches(base: Base) -> list[Trial]:
    """Rows 3, 4 and 5 with and without epochs whose batches are of one subcategory (or of the first group there is)."""
    group, found = _group(base), []
    for variant in (AS_TEXT, EQUAL, OURS):
        plain = _trial(base, variant, "group_batches", "mixed", changes={"group_batches": ""})
        found += _compared(plain, _trial(base, variant, "group_batches", group, changes={"group_batches": group}))
    return found


def plus(base: Base) -> list[Trial]:
    """Row 6, and with noise or group batches besides; rows 5 and 3, and row 3 with row 6's image levels."""
    more = {"noise": {"feature_noise": NOISE}, "group batches": {"group_batches": _group(base)}}
    trials = [_trial(base, PLUS, "parts", name, changes=changes) for name, changes in more.items()]
    whole, *others = (_trial(base, variant, "parts", AS_IT_IS) for variant in (PLUS, OURS, AS_TEXT))
    return _compared(whole, *trials, *others, _trial(base, AS_TEXT, "parts", "image levels", changes=OWN[PLUS]))


def _of_row_5(base: Base, setting: str, values: Mapping[str, Any]) -> list[Trial]:
    trials = (_trial(base, OURS, setting, value, changes={setting: change}) for value, change in values.items())
    return _compared(*trials)


class Length(NamedTuple):
    """A training's length as a study varies it: the setting, its value, what the trial is called, and the change."""

    setting: str
    value: str
    named: str
    changes: dict[str, Any]


def length(training: TrainingSettings, share: Fraction) -> Length:
    """Return a share of the rows' own length: in whole epochs where these are set, else in that of their steps.

    Another length than the rows' own is trained to its end: a long training that `patience` stops, stops at a rate that
    has hardly fallen, and is then worse than a short one.

    >>> length(TrainingSettings(epochs=3), Fraction(1, 3)).named, length(TrainingSettings(), Fraction(1, 3)).named
    ('1 epochs', 'budget 1/3')
    """
    if training.epochs is None or training.steps is not None:
        to_its_end = {} if share == 1 else {"patience": 0}
        return Length("budget", str(share), f"budget {share}", {"budget": training.budget * float(share)} | to_its_end)
    epochs = max(1, round(training.epochs * share))
    return Length("epochs", str(epochs), f"{epochs} epochs", {"epochs": epochs})


def lengths(training: TrainingSettings) -> list[Length]:
    """Return the lengths of all budgets, the shortest first, none twice.

    >>> [one.value for one in lengths(TrainingSettings(epochs=1))]
    ['1', '2', '4']
    """
    return list({one.value: one for one in (length(training, share) for share in BUDGETS)}.values())


def budget(base: Base) -> list[Trial]:
    """Rows 3, 4 and 5 against the training's length: is row 5's lead speed or ceiling?"""
    found = []
    for setting, value, named, changes in lengths(base.training):
        given = {"changes": changes, "named": named}
        found += _compared(*(_trial(base, name, setting, value, **given) for name in (AS_TEXT, EQUAL, OURS)))
    return found


def ambiguity(base: Base) -> list[Trial]:
    """Row 3 with real and with neutral brand names, at the base budget and at the longest.

    Row 5 reads a brand as one symbol: with neutral names it is the control, with real ones the lead to be explained.
    """
    found = []
    for share, renamed in ((Fraction(1), 2), (BUDGETS[-1], 1)):
        one = length(base.training, share)
        given = {"changes": one.changes, "named": f"real names, {one.named}"}
        real = _compared(*(_trial(base, name, "brand names", "real", **given) for name in (AS_TEXT, OURS)))
        found += real
        for trial in real[:renamed]:
            label = trial.label.replace("real names", "neutral names")
            found.append(replace(trial, label=label, value="neutral", neutral=True, reference=trial.label))
    return found


def seed_study(base: Base) -> list[Trial]:
    """Rows 2 to 6 by training seed, on the same products; rows 4 to 6 are compared with row 3 of their seed."""
    found = []
    for seed in range(base.seed, base.seed + SEEDS):
        given = {"seed": seed, "x": float(seed), "named": f"seed {seed}"}
        rows = (DESCRIPTION, AS_TEXT, EQUAL, OURS, PLUS)
        plain, *others = (_trial(base, variant, "seed", str(seed), **given) for variant in rows)
        found += [plain, *_compared(*others)]
    return found


def same_style_seeds(base: Base) -> list[Trial]:
    """Every trained row of same-style retrieval with `SEEDS` seeds."""
    runs = [(seed, name) for seed in range(base.seed, base.seed + SEEDS) for name in SAME_STYLE_ROWS]
    trained = [(seed, name) for seed, name in runs if SAME_STYLE_ROWS[name].trained]
    return [Trial(f"{name}, seed {seed}", name, "seed", str(seed), base.groups, seed) for seed, name in trained]


def same_style_ablation(base: Base) -> list[Trial]:
    """The served row of same-style retrieval as it is, and without each part of its loss."""
    changes: list[tuple[str, str, Any]] = [
        ("view_pairs", "one view at a time", dict.fromkeys(("i-i", "t-t", "m-m"), 1.0)),
        ("view_pairs", "m-m alone", {"m-m": 1.0}),
        ("view_pairs", "without i-t and t-i", {pair: 1.0 for pair in LOSS_VIEW_PAIRS if pair not in ("i-t", "t-i")}),
        ("caption", "without the caption term", 0.0),
        ("consistency", "without consistency", 0.0),
        ("consistency", "ten times the consistency", 1.0),
        ("self_pair_probability", "never with itself", 0.0),
    ]
    style = base.training.style.model_dump()
    return [Trial("as it is", SAME_STYLE, "", "as it is", base.groups, base.seed)] + [
        Trial(value, SAME_STYLE, name, value, base.groups, base.seed, {"style": style | {name: setting}})
        for name, value, setting in changes
    ]


@dataclass(frozen=True)
class Ablation:
    """A question, the trials that answer it, and the datasets it can be asked of."""

    name: str
    question: str
    plan: Callable[[Base], list[Trial]]
    several_groups: bool = False
    """Needs two entity groups at least."""
    subsets: tuple[str, ...] = (ALL,)
    against_steps: bool = False
    """Its x are the steps that the trainings took."""

    def fits(self, groups: tuple[str, ...]) -> bool:
        """Return whether it can be asked of a dataset with these entity groups."""
        return len(groups) > (1 if self.several_groups else 0)


def _by_name(*ablations: Ablation) -> dict[str, Ablation]:
    return {ablation.name: ablation for ablation in ablations}


ABLATIONS = _by_name(
    Ablation("ablation_entities", "What is each entity group worth alone, as text and as an entity of its own?",
             entities, several_groups=True),
    Ablation("ablation_batch_size", "Does row 5's lead over row 3 depend on the batch size?", batch_size),
    Ablation("ablation_losses", "What does each of the loss's three terms do?", losses),
    Ablation("ablation_prior", "What does the prior-weighted mixture do for entities of several groups?", prior,
             several_groups=True, subsets=(ALL, SEVERAL_MEANINGS)),
    Ablation("ablation_budget", "Is row 5's lead over row 3 speed or ceiling: what is left of it when both train "
             "longer?", budget, against_steps=True),
    Ablation("ablation_ambiguity", "Is row 3 held back by what the brands' words mean elsewhere, or by slow learning "
             "of its text?", ambiguity),
    Ablation("ablation_group_batches", "What do batches of one entity group, whose products are hard to tell apart, do "
             "to rows 3, 4 and 5?", group_batches),
    Ablation("ablation_plus", "What do noise and batches of one entity group add to row 6, and how far does row 3 come "
             "with its image levels?", plus),
    Ablation("seed_study", "How far do results spread between training seeds?", seed_study),
)  # fmt: skip
"""Studies of Table 1."""
SAME_STYLE_STUDIES = _by_name(
    Ablation("same_style_seeds", "Does each difference hold over training seeds? Results: the part `seeds` of the "
             "tables of measures, whose seed is empty where all are taken together.", same_style_seeds),
    Ablation("same_style_ablation", "What does each term of the loss do? The served row without it.",
             same_style_ablation),
)  # fmt: skip
