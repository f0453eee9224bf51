"""The ablations as data: what each trains, and what it compares."""

import pytest
from pydantic import ValidationError

from eiclip.model.variants import VARIANTS
from eiclip.settings.load import AMAZON, FASHIONGEN
from eiclip.settings.training import OWN, TrainingSettings
from eiclip.studies.trials import ABLATIONS, Base, Trial, lengths

GROUPS = ("brand", "subcategory", "season", "composition")
PLUS = TrainingSettings(epochs=3, batch_size=64, **OWN["eiclip_plus"])
BASE = Base(GROUPS, TrainingSettings(epochs=3, batch_size=64), 7, {"eiclip_plus": PLUS}, "subcategory")


def plan(name, base=BASE):
    return ABLATIONS[name].plan(base)


def described(trials):
    return [(VARIANTS[trial.variant].row, trial.value) for trial in trials]


@pytest.mark.parametrize("name", ABLATIONS)
def test_labels_are_unique_and_references_are_trials_of_another_setting_or_row(name):
    trials = {trial.label: trial for trial in plan(name)}
    assert len(trials) == len(plan(name))
    assert any(trial.reference for trial in trials.values())
    for trial in trials.values():
        if trial.reference is not None:
            other = trials[trial.reference]
            assert (other.variant, other.value) != (trial.variant, trial.value)
            assert other.seed == trial.seed
            assert other.training(BASE).epochs == trial.training(BASE).epochs


@pytest.mark.parametrize("name", ABLATIONS)
def test_no_training_stands_twice_in_an_ablation(name):
    trained = [(t.variant, t.groups, t.seed, t.neutral, t.training(BASE)) for t in plan(name)]
    assert all(trained.count(one) == 1 for one in trained)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("ablation_entities", {"clip_description", "clip_entities_text", "eiclip"}),
        ("ablation_batch_size", {"clip_entities_text", "eiclip"}),
        ("ablation_losses", {"eiclip"}),
        ("ablation_prior", {"eiclip"}),
        ("ablation_budget", {"clip_entities_text", "eiclip_equal", "eiclip"}),
        ("ablation_ambiguity", {"clip_entities_text", "eiclip"}),
        ("ablation_group_batches", {"clip_entities_text", "eiclip_equal", "eiclip"}),
        ("ablation_plus", {"clip_entities_text", "eiclip", "eiclip_plus"}),
        ("seed_study", {"clip_description", "clip_entities_text", "eiclip_equal", "eiclip", "eiclip_plus"}),
    ],
)
def test_the_rows_as_full_eval_trains_them_are_among_the_trials(name, rows):
    assert {trial.variant for trial in plan(name) if trial.plain(BASE)} == rows


def test_each_group_alone_as_text_and_as_entity():
    trials = plan("ablation_entities")
    assert described(trials)[0] == (2, "none")
    assert described(trials)[1:] == [(row, value) for value in (*GROUPS, "all") for row in (3, 5)]
    assert [trial.groups for trial in trials[1:]] == [g for one in GROUPS for g in [(one,)] * 2] + [GROUPS] * 2
    assert {trial.reference for trial in trials[1:]} == {trials[0].label}


def test_batch_sizes_of_the_paper_and_nothing_else_changes():
    trials = plan("ablation_batch_size")
    assert [trial.x for trial in trials] == [16, 16, 32, 32, 64, 64, 128, 128]
    for trial in trials:
        assert trial.training(BASE) == BASE.training.model_copy(update={"batch_size": int(trial.x)})


def test_each_term_is_off_once():
    whole, *others = plan("ablation_losses")
    assert whole.training(BASE).loss_terms == ("joint", "description", "entities")
    off = [set(whole.training(BASE).loss_terms) - set(other.training(BASE).loss_terms) for other in others]
    assert off == [{"joint"}, {"description"}, {"entities"}]


@pytest.mark.parametrize(
    ("epochs", "budgets"), [(3, [1, 2, 3, 6, 12]), (6, [2, 4, 6, 12, 24]), (1, [1, 2, 4]), (20, [7, 13, 20, 40, 80])]
)
def test_budgets_hold_the_rows_own(epochs, budgets):
    base = Base(GROUPS, TrainingSettings(epochs=epochs), 0)
    assert described(plan("ablation_budget", base)) == [(row, str(n)) for n in budgets for row in (3, 4, 5)]
    assert {trial.training(base).epochs for trial in plan("ablation_budget", base)} == set(budgets)


@pytest.mark.parametrize("training", [TrainingSettings(), TrainingSettings(steps=300), TrainingSettings(budget=0.3)])
def test_budgets_are_shares_of_the_steps_where_no_epochs_are_set(training):
    base = Base(GROUPS, training, 0)
    assert [one.value for one in lengths(training)] == ["1/3", "2/3", "1", "2", "4"]
    trials = plan("ablation_budget", base)
    assert [trial.budget(base) for trial in trials] == [n for n in (0.333333, 0.666667, 1, 2, 4) for _ in range(3)]
    # Each but the rows' own is trained to its end.
    assert [trial.training(base).patience for trial in trials[::3]] == [0, 0, training.patience, 0, 0]
    assert [trial.label for trial in trials if trial.plain(base)] == [f"row {row}, budget 1" for row in (3, 4, 5)]
    assert {(trial.training(base).epochs, trial.training(base).steps) for trial in trials} == {(None, training.steps)}
    assert [trial.budget(base) for trial in plan("ablation_ambiguity", base) if trial.neutral] == [1, 1, 4]


def test_ambiguity_has_row_5_as_its_control():
    trials = plan("ablation_ambiguity")
    neutral = [trial for trial in trials if trial.neutral]
    assert [(t.variant, t.training(BASE).epochs) for t in neutral] == [
        ("clip_entities_text", 3),
        ("eiclip", 3),
        ("clip_entities_text", 12),
    ]
    by_label = {trial.label: trial for trial in trials}
    assert all(by_label[t.reference].variant == t.variant and t.value == "neutral" for t in neutral)


def test_seeds_follow_the_settings_own():
    assert sorted({trial.seed for trial in plan("seed_study")}) == [7, 8, 9]


def test_a_trial_that_stands_in_two_ablations_is_the_same_training():
    longest = [t for t in plan("ablation_budget") if t.training(BASE).epochs == 12 and t.variant == "eiclip"]
    ambiguity = [t for t in plan("ablation_ambiguity") if t.training(BASE).epochs == 12 and t.variant == "eiclip"]
    [one], [other] = longest, ambiguity
    assert (one.groups, one.seed, one.neutral, one.training(BASE)) == (
        other.groups, other.seed, other.neutral, other.training(BASE),
    )  # fmt: skip


def test_which_datasets_a_question_can_be_asked_of():
    fit = {
        name: (one.fits(FASHIONGEN.entity_groups), one.fits(AMAZON.entity_groups)) for name, one in ABLATIONS.items()
    }
    assert fit == dict.fromkeys(ABLATIONS, (True, True)) | dict.fromkeys(
        ("ablation_entities", "ablation_prior"), (True, False)
    )
    assert not any(one.fits(()) for one in ABLATIONS.values())


def test_a_change_that_is_no_setting_is_refused():
    trial = Trial("x", "eiclip", "batch_size", "1", GROUPS, 0, changes={"batch_size": 1})
    with pytest.raises(ValidationError, match="batch_size"):
        trial.training(BASE)


def test_group_batches_are_of_the_subcategory_or_of_the_first_group_there_is():
    for groups, group in ((GROUPS, "subcategory"), (("brand",), "brand")):
        trials = plan("ablation_group_batches", Base(groups, TrainingSettings(), 0, negatives_group="subcategory"))
        assert [(VARIANTS[t.variant].row, t.changes["group_batches"]) for t in trials] == [
            (row, given) for row in (3, 4, 5) for given in ("", group)
        ]
        assert [t.reference for t in trials[1::2]] == [t.label for t in trials[::2]]


def test_row_6_is_compared_with_more_parts_and_with_row_3_that_reads_as_much():
    whole, *others = plan("ablation_plus")
    assert whole.training(BASE) == PLUS
    changed = {
        trial.value: {name: value for name, value in trial.training(BASE) if value != getattr(PLUS, name)}
        for trial in others
        if trial.variant == "eiclip_plus"
    }
    assert changed == {
        "noise": {"feature_noise": 0.3}, "group batches": {"group_batches": "subcategory"}
    }  # fmt: skip
    text = [trial.training(BASE) for trial in others if trial.variant == "clip_entities_text"]
    assert text == [BASE.training, PLUS]
    assert {trial.reference for trial in others} == {whole.label}
