"""Lengths, batches and measurements: chosen by size where nothing is set, obeyed where something is."""

import itertools

import pytest

from eiclip.settings.training import TrainingSettings
from eiclip.train import recipe
from eiclip.train.recipe import batch_size_for, planned


@pytest.mark.parametrize("samples", [1, 20, 127, 128, 255, 300, 511, 1023, 1024, 2500, 10**6])
def test_a_chosen_batch_leaves_eight_batches_an_epoch_where_that_is_possible(samples):
    batch = batch_size_for(TrainingSettings(), samples)
    assert batch in (16, 32, 64, 128)
    assert samples // batch >= 8 or batch == 16
    assert batch == 128 or samples // (2 * batch) < 8, "no smaller than it must be"
    assert batch_size_for(TrainingSettings(batch_size=48), samples) == 48


@pytest.mark.parametrize(("samples", "steps"), [(20, 1000), (2500, 1000), (8000, 1240), (130_000, 20_000)])
def test_a_chosen_length_is_twenty_epochs_within_bounds(samples, steps):
    plan = planned(TrainingSettings(), samples, batch_size_for(TrainingSettings(), samples))
    assert (plan.steps, plan.patience) == (steps, recipe.PATIENCE)
    assert len(plan.measured_after) == recipe.VALIDATIONS
    assert plan.measured_after[-1] == steps


@pytest.mark.parametrize(
    ("given", "steps"),
    [({"epochs": 3}, 30), ({"steps": 7}, 7), ({"epochs": 3, "steps": 7}, 7), ({"epochs": 1, "budget": 0.01}, 1)],
)
def test_a_length_that_is_set_is_obeyed_and_goes_to_its_end(given, steps):
    plan = planned(TrainingSettings(**given), 100, 10)
    assert (plan.steps, plan.measured_after, plan.patience) == (steps, (), 0)


def test_the_budget_is_a_share_of_whatever_the_length_is():
    assert planned(TrainingSettings(steps=9, budget=1 / 3), 100, 10).steps == 3
    assert planned(TrainingSettings(budget=4.0), 100, 10).steps == 4000


@pytest.mark.parametrize(("steps", "validations"), [(10, 3), (10, 10), (3, 10), (1000, 20), (7, 1)])
def test_measurements_are_even_and_the_last_is_at_the_end(steps, validations):
    plan = planned(TrainingSettings(steps=steps, validations=validations, patience=2), 100, 10)
    after = plan.measured_after
    assert len(after) == len(set(after)) == min(steps, validations)
    gaps = [later - sooner for sooner, later in itertools.pairwise((0, *after))]
    assert max(gaps) - min(gaps) <= 1
    assert after[-1] == steps
    assert plan.patience == 2


def test_a_patience_alone_has_the_training_measured():
    plan = planned(TrainingSettings(steps=100, patience=3), 100, 10)
    assert (len(plan.measured_after), plan.patience) == (recipe.VALIDATIONS, 3)
    with pytest.raises(ValueError, match="patience 3 with validations 0"):
        TrainingSettings(patience=3, validations=0)


def test_nothing_is_given_up_that_is_not_measured():
    assert planned(TrainingSettings(validations=0), 100, 10).patience == 0
    assert planned(TrainingSettings(patience=0), 100, 10).patience == 0
