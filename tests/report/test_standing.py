"""Rows at chance, or whose training has not learned: nothing that is said of them is a verdict."""

import re

import pytest

from eiclip.report import breakdown
from eiclip.report.ablation_plots import budget_plot, seed_plot
from eiclip.report.ablation_verdicts import verdict
from eiclip.report.about import About
from eiclip.report.headline import UNLEARNED, comparison, headline
from eiclip.report.standing import no_verdict
from eiclip.report.write import write_report
from eiclip.storage.catalogue import connect
from eiclip.studies.results import RESULTS_SCHEMA
from tests.report import reading

AT_CHANCE = {"clip_pretrained": 0.3, "clip_description": 0.3, "clip_entities_text": 0.25, "eiclip_equal": 0.4,
             "eiclip": 0.45}  # fmt: skip
"""Recall@1 of rows whose SumR, 25 to 27, is that of a random order of few products; row 5 beats row 3 by 80 %."""
VERDICT = re.compile(r"\bbeats\b|\bdoes worse\b|cannot be told apart|p < 0|p = 0|< 0\.001|higher recalls|\bleads row")


@pytest.fixture
def at_chance(fake):
    """A finished home whose five rows all are at chance, and yet differ beyond their intervals."""
    fake.results("toys", AT_CHANCE)
    fake.sure("toys", AT_CHANCE, width=0.01)
    fake.chance("toys", 0.8)
    fake.studied("toys")
    return fake


def test_a_report_of_rows_at_chance_has_no_verdict(at_chance, tmp_path):
    facts = write_report(at_chance.refresh(), tmp_path / "report.html", datasets=["toys"], about=About())
    page, reading, _ = (tmp_path / "report.html").read_text(encoding="utf-8").partition('<dl id="reading">')
    assert reading
    assert VERDICT.findall(page) == []
    assert facts["headline"]["toys"].startswith("No verdict on row 5 and row 3: not every row has learned.")
    assert 'class="headline unlearned"' in page


def test_the_headline_says_who_is_at_chance_and_what_to_do(at_chance):
    with connect(at_chance.refresh()) as connection:
        found = headline(connection, "toys")
        assert found.outcome == UNLEARNED
        assert found.figures == ()
        assert found.sentence == (
            "No verdict on row 5 and row 3: not every row has learned. Row 5: SumR is 29.3 where a random order "
            "reaches 25.6. Row 3: SumR is 26.9 where a random order reaches 25.6. What to do: train longer "
            "(EICLIP_TRAINING__STEPS) or raise the learning rate."
        )
        assert comparison(connection, "toys", "eiclip", "eiclip_equal").startswith("No verdict on row 5 and row 4")
        assert breakdown.comparison_plot(connection, "toys") is None
        assert breakdown.facet_plot(connection, "toys") is None
        assert breakdown.brand_plot(connection, "toys") is None
        assert breakdown.where_it_wins(connection, "toys") == found.sentence
        facets, compared = (reading.cells(connection, "toys", one) for one in ("breakdowns.facets", "rows.comparisons"))
        assert {cell for row in facets[1:] for cell in row[5:]} == {"–"}
        assert {row[1] for row in compared[1:]} == {"not learned"}


def test_before_there_are_intervals_there_is_no_verdict_either(fake):
    fake.results("toys", AT_CHANCE)
    fake.chance("toys", 0.8)
    with connect(fake.refresh()) as connection:
        assert headline(connection, "toys").outcome == UNLEARNED


FAR = {"clip_pretrained": 0.3, "clip_description": 12.0, "clip_entities_text": 20.0, "eiclip_equal": 24.0,
       "eiclip": 25.0}  # fmt: skip


@pytest.fixture
def far(fake):
    """Trained rows far above chance; the pretrained one is at it."""
    fake.results("toys", FAR)
    fake.sure("toys", FAR)
    fake.chance("toys", 0.8)
    return fake


def test_an_untrained_row_may_be_at_chance(far):
    with connect(far.refresh()) as connection:
        assert headline(connection, "toys").outcome == "wins"
        assert "beats CLIP as pretrained" in comparison(connection, "toys", "clip_description", "clip_pretrained")
        assert no_verdict(connection, "toys", "clip_pretrained") is not None, "alone it is at chance"


@pytest.mark.parametrize("wrong", ["at ln(batch)", "at chance"])
def test_a_training_that_has_not_learned_takes_its_comparisons_with_it(far, wrong):
    far.outcomes("toys", clip_entities_text=wrong)
    with connect(far.refresh()) as connection:
        found = headline(connection, "toys")
        assert found.sentence == (
            "No verdict on row 5 and row 3: not every row has learned. Row 3: what was found of clip_entities_text. "
            "What to do: train longer (EICLIP_TRAINING__STEPS) or raise the learning rate."
        )
        assert "beats" in comparison(connection, "toys", "eiclip", "clip_description")
        told = {row[0]: row[1] for row in reading.cells(connection, "toys", "rows.comparisons")}
    assert {name for name, cell in told.items() if cell == "not learned"} == {
        "5 EI-CLIP less 3 entities as text", "4 equal gates less 3 entities as text",
        "3 entities as text less 2 description",
    }  # fmt: skip


def test_rows_that_still_rose_are_said_to_be_undertrained(far):
    far.outcomes("toys", eiclip="still rising", clip_entities_text="still rising")
    with connect(far.refresh()) as connection:
        found = headline(connection, "toys")
    assert found.outcome == "wins"
    assert found.verdict == (
        "EI-CLIP (row 5) beats CLIP with the entities as text (row 3). This compares undertrained rows: row 5 and row "
        "3 still rose when training ended; train longer (EICLIP_TRAINING__STEPS)"
    )
    assert "This compares undertrained rows: row 5 still rose" in found.remarks[0]


def trials(fake, sums, verdicts=(None,) * 6):
    """The budget ablation of rows 3 and 5: a gain of 5 with an interval of one point, whatever the sums."""
    rows = [
        {"ablation": "ablation_budget", "trial": f"row {row}, {epochs} epochs", "setting": "epochs",
         "value": str(epochs), "x": 100.0 * epochs, "variant": variant, "row": row, "seed": 0, "subset": "all",
         "epochs": epochs, "budget": epochs / 3, "steps": 100 * epochs, "seconds": 1.0, "products": 400, "sum_r": value,
         "sum_r_low": value - 9, "sum_r_high": value + 9, "reference": f"row 3, {epochs} epochs" if row == 5 else None}
        | dict.fromkeys(("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "i2t_mrr", "t2i_mrr"), 1.0)
        | ({"sum_r_gain": 5.0, "gain_low": 4.0, "gain_high": 6.0} if row == 5 else {})
        for epochs, values in sums.items() for (row, variant), value in zip(((3, "clip_entities_text"), (5, "eiclip")),
                                                                            values, strict=True)
    ]  # fmt: skip
    given = [row | {"verdict": one} for row, one in zip(rows, verdicts, strict=False)]
    fake.table("ablation_results", "toys", given, part="ablation_budget", schema=RESULTS_SCHEMA)


def test_ablations_leave_out_what_has_not_learned(fake):
    fake.chance("toys", 0.8)
    trials(fake, {3: (100.0, 120.0), 6: (120.0, 140.0), 12: (140.0, 150.0)})
    with connect(fake.refresh()) as connection:
        whole = verdict(connection, "toys", "ablation_budget")
        assert "Row 5 leads row 3 by SumR +5.0 [+4.0, +6.0] after 300 steps" in whole
        assert "Left out" not in whole
        rows = reading.cells(connection, "toys", "ablations.trials", "ablation_budget")
        assert rows[1] == ["–", "chance", "–", "0.8", "3.2", "0.8", "3.2", "25.6", "–"]
        assert budget_plot(connection, "toys")
    trials(fake, {1: (30.0, 80.0), 3: (100.0, 120.0), 12: (140.0, 150.0)})
    with connect(fake.refresh()) as connection:
        partly = verdict(connection, "toys", "ablation_budget")
        gains = {row[1]: row[-1] for row in reading.cells(connection, "toys", "ablations.trials", "ablation_budget")}
    assert "Row 5 leads row 3 by SumR +5.0 [+4.0, +6.0] after 300 steps" in partly
    assert "Left out, at chance, or not learned: row 3, 1 epochs; train longer" in partly
    assert gains["1"] == "not learned"


@pytest.mark.parametrize("why", ["chance", "loss"])
def test_an_ablation_of_nothing_but_such_trainings_has_no_verdict(fake, why):
    low, verdicts = (26.0, [None] * 6) if why == "chance" else (100.0, ["at ln(batch)"] * 6)
    fake.chance("toys", 0.8)
    trials(fake, {3: (low, low + 5), 6: (low, low + 5), 12: (low, low + 5)}, verdicts)
    with connect(fake.refresh()) as connection:
        said = verdict(connection, "toys", "ablation_budget")
        assert said.startswith("No verdict: at chance, or not learned: row 3, 3 epochs, row 5, 3 epochs")
        assert said.endswith("raise the learning rate.")
        assert VERDICT.findall(said) == []
        assert budget_plot(connection, "toys")
        assert seed_plot(connection, "toys") is None
