"""`results/verdict`: what is answered in a whole home, in part of one, of rows at chance and of old results."""

import dagster as dg
import pytest

from assets.common import Project
from eiclip.report.answers import answer_of_styles, answers_of_rows, recalls
from eiclip.settings.load import AMAZON, FASHIONGEN, STYLES, load_settings
from eiclip.storage.catalogue import connect
from eiclip.storage.home import Paths
from pipelines.factory import Recipe
from pipelines.jobs import CATALOGUE_KEY
from pipelines.verdict import as_markdown, verdict

from .conftest import RECALLS
from .test_standing import AT_CHANCE

DATASETS = {"fashiongen": FASHIONGEN, "amazon": AMAZON, "styles": STYLES}


@pytest.fixture
def materialise(fake):
    """Return a function that makes the verdict of the home as it is: its metadata and its check."""

    def make(**datasets):
        settings = load_settings(home=fake.refresh(), datasets=datasets or DATASETS)
        asset = verdict(Project(settings, Paths(settings.home)))
        catalogue = dg.AssetSpec(CATALOGUE_KEY)
        result = dg.materialize([asset, catalogue], resources={"recipe": Recipe()}, selection=[asset])
        [made] = result.asset_materializations_for_node("results__verdict")
        [check] = result.get_asset_check_evaluations()
        return made.metadata, check

    return make


def test_row_5_is_compared_with_both_rows_in_sentences_with_intervals(fake, materialise):
    fake.results("fashiongen")
    fake.sure("fashiongen")
    fake.chance("fashiongen")
    fake.outcomes("fashiongen")
    metadata, check = materialise()
    text = metadata["answer"].value
    row_3, row_4, *_ = (line for line in text.splitlines() if line.startswith("**Is row 5"))
    assert "better than row 3" in row_3
    assert "EI-CLIP (row 5) beats" in row_3
    assert "95 % interval +" in row_3
    assert metadata["fashiongen: row 5 or 3?"].value == row_3.partition("** ")[2], "readable without a click"
    assert "better than row 4" in row_4
    assert "does worse than EI-CLIP, every gate equal (row 4) in SumR" in row_4
    assert text.count("No result yet: run `full_eval`.") == 2  # of amazon
    assert text.count("No result yet: run `same_style_eval`.") == 1
    assert metadata["fashiongen: recall by row"].value.startswith("![")
    assert "amazon: recall by row" not in metadata
    with connect(fake.root) as connection:
        found = connection.sql("SELECT variant, sum_r FROM leaderboard WHERE protocol = 'full'").fetchall()
    gain = dict(found)["eiclip"] - dict(found)["clip_entities_text"]
    assert metadata["fashiongen_sum_r_5_less_3"].value == pytest.approx(gain)
    assert check.passed
    assert check.description == "no results yet of amazon, styles"


def test_rows_at_chance_fail_the_check_and_stop_nothing(fake, materialise):
    fake.results("fashiongen", AT_CHANCE)
    fake.sure("fashiongen", AT_CHANCE, width=0.01)
    fake.chance("fashiongen", 0.8)
    metadata, check = materialise(fashiongen=FASHIONGEN)
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "SumR is 29.3 where a random order reaches 25.6" in check.description
    assert "train longer" in check.description
    assert "beats" not in metadata["answer"].value


def test_a_row_that_has_not_learned_fails_the_check(fake, materialise):
    fake.results("fashiongen")
    fake.sure("fashiongen")
    fake.outcomes("fashiongen", eiclip_equal="at chance")
    _, check = materialise(fashiongen=FASHIONGEN)
    assert not check.passed
    assert "what was found of eiclip_equal" in check.description


def test_without_any_result_nothing_is_answered_and_nothing_is_passed(materialise):
    metadata, check = materialise()
    assert "beats" not in metadata["answer"].value
    assert not check.passed
    assert check.description == "no results yet of fashiongen, amazon, styles"


def test_without_intervals_nothing_is_answered(fake):
    fake.results("fashiongen")
    with connect(fake.refresh()) as connection:
        row_3, row_4 = answers_of_rows(connection, "fashiongen")
        assert [row_3.sentence, row_4.sentence, row_4.gains] == [None, None, {}]
        assert answer_of_styles(connection, "fashiongen").sentence is None


def test_results_of_other_settings_are_said_to_be_so(fake):
    fake.results("fashiongen")
    fake.sure("fashiongen")
    with connect(fake.refresh()) as connection:
        found = list(answers_of_rows(connection, "fashiongen"))
    lines = as_markdown({"fashiongen": found}, {("fashiongen", "full_eval"): "epochs 3 -> 5"}).splitlines()
    assert lines[-1].endswith("(epochs 3 -> 5): run `full_eval` again.")
    assert lines[0] == "### fashiongen"


def test_recalls_are_numbers_by_model(fake):
    fake.results("fashiongen")
    with connect(fake.refresh()) as connection:
        found = recalls(connection, "fashiongen")
    assert found["t2i_r1_eiclip"] == pytest.approx(RECALLS["eiclip"] * 0.98)
    assert found["i2t_r1_clip_pretrained"] == pytest.approx(RECALLS["clip_pretrained"])
    assert len(found) == 3 * len(RECALLS)
