"""What the UI shows of a tuning."""

from eiclip.settings.training import TrainingSettings
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.lake import Lake
from eiclip.studies.trials import Base
from eiclip.studies.tuning import RANGES, Judged, rates_of, tuning, tuning_table
from tests.report.reading import cells, said


def test_every_training_is_listed_best_first_and_the_choice_is_told(tmp_path):
    base = Base(("brand",), TrainingSettings(), 0)
    trials = tuning(base, 2)
    rates = [rates_of(trial.training(base), trial.variant) for trial in trials]
    found = zip(trials, rates, [100.0, 120.0, 110.0, None], strict=True)
    lake = Lake(tmp_path)
    lake.write(tuning_table("shop", [Judged(*one, 1000, 90.0) for one in found]), "tuning_results", "shop")
    refresh_catalogue(lake)
    with connect(tmp_path) as connection:
        head, *rows = cells(connection, "shop", "tuning.trials")
        told = said(connection, "shop", "tuning.chosen")
        assert cells(connection, "other", "tuning.trials") == []
        assert said(connection, "other", "tuning.chosen") == ""
    assert head[2:-4] == list(RANGES)
    assert [(line[0], line[1], line[7], line[-1]) for line in rows] == [
        ("5", "the recipe", "120.0", "chosen"), ("5", "draw 1", "diverged", ""),
        ("3", "draw 1", "110.0", "chosen"), ("3", "the recipe", "100.0", ""),
    ]  # fmt: skip
    assert [line[4] == "–" for line in rows] == [False, False, True, True], "row 3 has no entity_lr"
    drawn = rates[2]
    assert told == (
        "Row 5: 120.0 with the recipe as it is. Row 3: 110.0 with "
        f"tower_lr {drawn['tower_lr']:.3g}, weight_decay {drawn['weight_decay']:.3g} (the recipe as it is: 100.0)."
    )
