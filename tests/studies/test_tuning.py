"""Draws around the recipe, what is chosen of them, and the lines that put it in use."""

import tomllib

import numpy as np
import pytest

from eiclip.errors import NonFiniteError
from eiclip.model.variants import CROSS_VARIANTS, SAME_STYLE_VARIANTS, VARIANTS
from eiclip.settings.load import load_settings
from eiclip.settings.training import TRAINED_ROWS, RowSettings, TrainingSettings
from eiclip.studies.trials import Base
from eiclip.studies.tuning import FOLLOWS, RANGES, SCHEMA, SETTINGS, Judged, chosen_toml, rates_of, tuning, tuning_table

BASE = Base(("brand",), TrainingSettings(), 7, {"eiclip": TrainingSettings(tower_lr=2e-4)})


def judged(found, base=BASE):
    """The trials with these results, in their order."""
    trials = tuning(base, len(found) // 2)
    given = [rates_of(t.training(base), t.variant) for t in trials]
    return [Judged(*one, 100, 9.5) for one in zip(trials, given, found, strict=True)]


def test_rows_3_and_5_have_as_many_trainings_and_the_first_is_the_recipe_as_it_is():
    trials = tuning(BASE, 4)
    assert [(trial.variant, trial.value) for trial in trials] == [
        (variant, str(n)) for n in range(4) for variant in ("clip_entities_text", "eiclip")
    ]
    assert [trial.plain(BASE) for trial in trials] == [True, True, *[False] * 6]
    assert trials[1].training(BASE).tower_lr == 2e-4, "its own"
    assert tuning(BASE, 4) == trials
    assert tuning(BASE, 6)[:8] == trials, "a larger budget begins with the same"


def test_both_rows_draw_the_same_factors_and_another_seed_draws_others():
    same = Base(("brand",), TrainingSettings(), 7)
    three, five, *others = (trial.training(same) for trial in tuning(same, 3)[2:])
    assert (three.tower_lr, three.weight_decay) == (five.tower_lr, five.weight_decay)
    assert five.entity_lr != same.training.entity_lr == three.entity_lr
    assert {one.tower_lr for one in others}.isdisjoint({three.tower_lr})
    assert tuning(Base(("brand",), TrainingSettings(), 8), 2)[2].training(same).tower_lr != three.tower_lr


def test_draws_are_even_over_the_logarithm_of_the_range():
    plain = Base(("brand",), TrainingSettings(head_lr=1e-3), 0)
    settings = [trial.training(plain) for trial in tuning(plain, 400)[3::2]]
    for name, (low, high) in RANGES.items():
        factor = np.log([getattr(one, name) / getattr(plain.training, name) for one in settings])
        place = (factor - np.log(low)) / np.log(high / low)
        assert place.min() > -0.01
        assert place.max() < 1.01
        assert np.histogram(place, 4, (-0.01, 1.01))[0].min() > 70, "of 100 a quarter"


def test_only_rates_change():
    changed = {name for trial in tuning(BASE, 5) for name in trial.changes}
    assert changed == set(RANGES) - {"head_lr"}
    assert set(RANGES) <= set(RowSettings.model_fields) < set(TrainingSettings.model_fields)
    every = (VARIANTS | SAME_STYLE_VARIANTS | CROSS_VARIANTS).values()
    assert set(TRAINED_ROWS) == {row.name for row in every if row.trained}
    assert set(FOLLOWS) == set(SETTINGS) == {row.name for row in VARIANTS.values() if row.trained}


def test_the_best_of_each_row_is_chosen_and_a_diverged_one_never():
    table = tuning_table("my_shop", judged([10.0, 30.0, 50.0, None, 50.0, 20.0]))
    assert table.schema == SCHEMA
    rows = table.to_pylist()
    assert {(row["variant"], row["trial"]) for row in rows if row["chosen"]} == {
        ("clip_entities_text", 1),
        ("eiclip", 0),
    }
    assert (rows[0]["entity_lr"], rows[1]["tower_lr"], rows[3]["validation"]) == (None, 2e-4, None)
    assert {row["head_lr"] for row in rows} == {None}
    with pytest.raises(NonFiniteError, match="my_shop/eiclip: all trainings diverged"):
        tuning_table("my_shop", judged([10.0, None]))


def test_what_was_chosen_can_be_put_into_a_settings_file(tmp_path, monkeypatch):
    table = tuning_table("my_shop", judged([10.0, 30.0, 50.0, 40.0]))
    file = tmp_path / "eiclip.toml"
    file.write_text('[datasets.my_shop]\nkind = "table"\nfiles = "x.csv"\n[datasets.my_shop.training]\nsteps = 9\n')
    file.write_text(file.read_text() + chosen_toml(table))
    rows = tomllib.loads(file.read_text())["datasets"]["my_shop"]["rows"]
    three, five = (row for row in table.to_pylist() if row["chosen"])
    assert rows["clip_description"] == rows["clip_entities_text"]
    assert rows["clip_entities_text"] == {name: three[name] for name in ("tower_lr", "weight_decay")}
    assert rows["eiclip"] == {name: five[name] for name in RANGES if name != "head_lr"}
    assert rows["eiclip_equal"] == {name: five[name] for name in ("tower_lr", "weight_decay", "entity_lr")}
    monkeypatch.setenv("EICLIP_SETTINGS", str(file))
    assert load_settings().datasets["my_shop"].rows["eiclip"].gate_lr == five["gate_lr"]
