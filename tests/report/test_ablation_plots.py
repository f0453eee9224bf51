"""The ablations' plots, tables and sentences, from ranks whose differences are known."""

import numpy as np
import pyarrow as pa
import pytest

from eiclip.report.ablation_plots import PLOTS
from eiclip.report.ablation_verdicts import VERDICTS, verdict
from eiclip.settings.training import TrainingSettings
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.lake import Lake
from eiclip.studies.results import Outcome, results_table
from eiclip.studies.trials import ABLATIONS, ALL, SEVERAL_MEANINGS, Base
from tests.report import reading
from tests.report.drawn import assert_legible, dots, intervals, words

PRODUCTS = 400
BASE = Base(("brand", "season"), TrainingSettings(epochs=3, batch_size=64), 0)
ROWS = {"clip_description": 1.0, "clip_entities_text": 1.05, "eiclip_equal": 1.5, "eiclip": 1.6, "eiclip_plus": 1.8}
"""How good each row is."""


def ranks(skill, seed=0):
    """Ranks that are harder for some products, lower with skill: the same draws for every trial, but for its seed's."""
    draw, own = np.random.default_rng(5), np.random.default_rng(seed + 100)
    parts = []
    for way, photos in (("i2t", 2), ("t2i", 1)):
        products = np.repeat([f"p{n:04d}" for n in range(PRODUCTS)], photos)
        chance = draw.uniform(size=len(products)) * 0.85 + own.uniform(size=len(products)) * 0.15
        drawn = 1 + np.floor(60 * chance**2 / skill).astype(np.int64)
        queries = [f"{product}_{n}" for n, product in enumerate(products)]
        parts.append(pa.table({"direction": [way] * len(products), "query_id": queries, "product_id": products,
                               "rank": drawn}))  # fmt: skip
    return pa.concat_tables(parts)


def written(home, ablation, skill=lambda trial: ROWS[trial.variant], seed_of=lambda trial: 0):
    """The table of an ablation whose trials have these skills; a hundred steps an epoch."""
    plan = ABLATIONS[ablation]
    outcomes = []
    for trial in plan.plan(BASE):
        epochs = trial.training(BASE).epochs
        x = float(100 * epochs) if plan.against_steps else trial.x
        took = (epochs, 100 * epochs, trial.budget(BASE), 20.0 * epochs)
        outcomes.append(Outcome(trial, ranks(skill(trial), seed_of(trial)), *took, x))
    some = frozenset(f"p{n:04d}" for n in range(0, PRODUCTS, 7))
    subsets = {ALL: None} | ({SEVERAL_MEANINGS: some} if SEVERAL_MEANINGS in plan.subsets else {})
    lake = Lake(home)
    lake.write(results_table("shop", ablation, outcomes, subsets, resamples=300), "ablation_results", "shop", ablation)
    if ablation == "seed_study":
        source, summary = lake.path("ablation_results", "shop", ablation), lake.path("seed_study_summary", "shop")
        lake.query("evaluation/seed_study_summary", summary, {"ablation_results": [source]}, {})
    refresh_catalogue(lake)


def said(home, ablation):
    with connect(home) as connection:
        return verdict(connection, "shop", ablation)


def entities_skill(trial):
    worth = {"none": 0, "brand": 0.5, "season": 0.0, "all": 0.5}[trial.value]
    return 1 + worth * (0.15 if trial.variant == "clip_entities_text" else 1)


def budget_skill(left):
    """Row 5's lead falls to a share of what it is at the base budget."""

    def skill(trial):
        epochs = trial.training(BASE).epochs
        lead = {1: 0.4, 2: 0.5, 3: 0.6, 6: 0.6 * (1 + left) / 2, 12: 0.6 * left}[epochs]
        share = {"clip_entities_text": 0, "eiclip_equal": 0.9, "eiclip": 1}[trial.variant]
        return 0.8 + 0.06 * epochs**0.5 + lead * share

    return skill


def names_skill(closed):
    """Neutral names close a share of row 5's lead of 0.5."""

    def skill(trial):
        return 1 + 0.5 * (1 if trial.variant == "eiclip" else closed * trial.neutral)

    return skill


def plus_skill(trial):
    """Image levels are worth something to row 3 as well, noise and group batches are not."""
    return ROWS[trial.variant] + 0.3 * (trial.variant == "clip_entities_text" and trial.value == "image levels")


SKILLS = {
    "ablation_entities": entities_skill,
    "ablation_batch_size": lambda trial: 1 + (trial.variant == "eiclip") * 16 / trial.x,
    "ablation_losses": lambda trial: 1.6 - 0.4 * (trial.value == "without joint"),
    "ablation_prior": lambda trial: 1.6,
    "ablation_budget": budget_skill(0.3),
    "ablation_ambiguity": names_skill(0.4),
    "ablation_group_batches": lambda trial: (
        ROWS[trial.variant] + 0.3 * (trial.value == "brand") * (trial.variant == "eiclip")
    ),
    "ablation_plus": plus_skill,
    "seed_study": lambda trial: ROWS[trial.variant],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home in which every ablation has been run."""
    root = tmp_path_factory.mktemp("ablations")
    for ablation, skill in SKILLS.items():
        seeds = (lambda trial: trial.seed) if ablation == "seed_study" else (lambda trial: 0)
        written(root, ablation, skill, seeds)
    return root


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_ablation_has_a_plot_that_is_legible(home, ablation):
    with connect(home) as connection:
        assert_legible(PLOTS[ablation], connection, "shop")
        assert PLOTS[ablation](connection, "no such dataset") is None


def drawn_and_found(home, ablation, columns):
    """The plot of an ablation, and what its table holds."""
    with connect(home) as connection:
        rows = connection.execute(f"SELECT {columns} FROM ablation_results WHERE ablation = ?", [ablation]).fetchall()
        return PLOTS[ablation](connection, "shop"), rows


GAINS = ("ablation_entities", "ablation_losses", "ablation_prior", "ablation_group_batches", "ablation_plus")


@pytest.mark.parametrize("ablation", GAINS)
def test_every_gain_has_a_dot_an_interval_and_its_number(home, ablation):
    figure, rows = drawn_and_found(home, ablation, "sum_r_gain, gain_low, gain_high")
    gains = sorted(row for row in rows if row[0] is not None)
    assert gains
    (axes,) = figure.axes
    assert sorted(x for x, _ in dots(axes)) == [gain for gain, _, _ in gains]
    assert sorted(intervals(axes).values()) == sorted((low, high) for _, low, high in gains)
    assert {f"{gain:+.1f}".replace("-", "−") for gain, _, _ in gains if abs(gain) >= 0.05} <= set(words(figure))


@pytest.mark.parametrize("ablation", ["ablation_batch_size", "ablation_budget"])
def test_sums_and_leads_are_lines_over_steps_with_bands(home, ablation):
    figure, rows = drawn_and_found(home, ablation, "x, variant, sum_r, sum_r_gain")
    sums, leads = figure.axes
    points = {place for line in sums.lines for place in zip(*line.get_data(), strict=True)}
    assert points == {(x, value) for x, _, value, _ in rows}
    lines = {place for line in leads.lines[:-1] for place in zip(*line.get_data(), strict=True)}
    assert lines == {(x, gain) for x, variant, _, gain in rows if variant != "clip_entities_text"}
    assert len(sums.collections) == len({variant for _, variant, _, _ in rows})
    assert {f"{x:,.0f}" for x, *_ in rows} | {"3 as text", "5 EI-CLIP"} <= set(words(figure))


def test_neutral_names_are_hollow_and_each_sum_is_told(home):
    figure, rows = drawn_and_found(home, "ablation_ambiguity", "value, sum_r, budget")
    assert len(figure.axes) == len({budget for _, _, budget in rows})
    for hollow, name in ((True, "neutral"), (False, "real")):
        places = [x for axes in figure.axes for x, _ in dots(axes, hollow=hollow)]
        assert sorted(places) == sorted(value for kind, value, _ in rows if kind == name)
    assert {f"{value:.1f}" for _, value, _ in rows} <= set(words(figure))


def test_every_seed_has_a_dot_and_every_row_its_mean(home):
    figure, rows = drawn_and_found(home, "seed_study", "variant, sum_r")
    assert sorted(y for _, y in dots(figure.axes[0], hollow=False)) == sorted(value for _, value in rows)
    means = {f"{np.mean([value for name, value in rows if name == variant]):.1f}" for variant, _ in rows}
    assert means <= set(words(figure))


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_ablation_has_a_table_with_a_line_a_trial(home, ablation):
    with connect(home) as connection:
        head, *rows = reading.cells(connection, "shop", "ablations.trials", ablation)
        assert reading.cells(connection, "no such dataset", "ablations.trials", ablation) == []
        [(sum_r, low, high)] = connection.execute(
            "SELECT sum_r, sum_r_low, sum_r_high FROM ablation_results WHERE ablation = ? LIMIT 1", [ablation]
        ).fetchall()
    subsets = 2 if ablation == "ablation_prior" else 1
    assert len(rows) == subsets * len(ABLATIONS[ablation].plan(BASE))
    assert head[-2:] == ["SumR", "Gain"]
    assert rows[0][-1] == "–", "the first trial is what others are compared with"
    assert rows[0][-2] == f"{sum_r:.1f} [{low:.1f}, {high:.1f}]"


def test_the_seed_table_is_the_mean_and_spread_of_the_results(home):
    with connect(home) as connection:
        _, *rows = reading.cells(connection, "shop", "ablations.seeds")
        values = connection.execute(
            "SELECT sum_r FROM ablation_results WHERE ablation = 'seed_study' AND variant = 'eiclip'"
        ).fetchall()
        assert reading.cells(connection, "no such dataset", "ablations.seeds") == []
    numbers = [value for (value,) in values]
    assert [row[:3:2] for row in rows] == [["2", "3"], ["3", "3"], ["4", "3"], ["5", "3"], ["6", "3"]]
    assert rows[3][-1] == f"{np.mean(numbers):.1f} ± {np.std(numbers, ddof=1):.1f}"


def test_nothing_is_said_of_what_was_not_run(tmp_path):
    written(tmp_path, "ablation_losses")
    assert all(said(tmp_path, ablation) is None for ablation in set(ABLATIONS) - {"ablation_losses"})
    with connect(tmp_path) as connection:
        assert all(PLOTS[name](connection, "shop") is None for name in set(ABLATIONS) - {"ablation_losses"})


def test_every_ablation_has_a_verdict():
    assert set(VERDICTS) == set(PLOTS) == set(ABLATIONS)


def test_a_single_training_is_called_one_and_the_seeds_are_named_once_known(home, tmp_path):
    written(tmp_path, "ablation_losses", SKILLS["ablation_losses"])
    with connect(tmp_path) as connection:
        assert "not for another seed" in reading.said(connection, "shop", "ablations.verdict", "ablation_losses")
        assert reading.said(connection, "shop", "ablations.verdict", "ablation_plus") == ""
    with connect(home) as connection:
        told = {name: reading.said(connection, "shop", "ablations.verdict", name) for name in ABLATIONS}
    assert all(told[name].startswith(said(home, name)) for name in ABLATIONS)
    single = {name for name in ABLATIONS if "between seeds alone row 5’s SumR spreads by" in told[name]}
    assert single == set(ABLATIONS) - {"seed_study"}


def test_groups_that_help_and_groups_that_do_not(home):
    sentence = said(home, "ablation_entities")
    text, entity = sentence.split("As entities of their own,")
    assert "brand (+" in text
    assert "brand (+" in entity.split("raises SumR")[0]
    assert "no change is shown for season (±0.0 [±0.0, ±0.0])" in entity


def test_the_lead_by_batch_size(home, tmp_path):
    assert "it is larger at 16" in said(home, "ablation_batch_size")
    written(tmp_path, "ablation_batch_size")
    assert "overlap: that the lead depends on the batch size is not shown" in said(tmp_path, "ablation_batch_size")


def test_only_the_term_that_matters_is_said_to(home):
    sentence = said(home, "ablation_losses")
    assert sentence.startswith("In row 5, leaving out the joint term (−")
    assert "no change is shown for leaving out the description’s term" in sentence


@pytest.mark.parametrize(("worse", "end"), [(0, "not shown here."), (0.5, "excludes zero over all 400 test products")])
def test_what_the_mixture_does(tmp_path, worse, end):
    written(tmp_path, "ablation_prior", lambda trial: 1.6 - worse * (trial.value != "mixture"))
    sentence = said(tmp_path, "ablation_prior")
    assert "over the 58 test products that carry such an entity" in sentence
    assert end in sentence


@pytest.mark.parametrize(
    ("left", "what"),
    [
        (1.0, "That training longer closes the lead is not shown"),
        (0.5, "part of the lead is speed; the rest was not caught up within these budgets"),
        (0.0, "it was speed, as far as can be told"),
        (-0.4, "it was speed, as far as can be told"),
    ],
)
def test_speed_or_ceiling(tmp_path, left, what):
    written(tmp_path, "ablation_budget", budget_skill(left))
    sentence = said(tmp_path, "ablation_budget")
    assert "after 300 steps and by" in sentence
    assert "after 1,200" in sentence
    assert what in sentence


def test_the_share_that_is_left_lies_between_what_the_intervals_allow(home):
    with connect(home) as connection:
        rows = {
            steps: gains
            for steps, *gains in connection.execute(
                "SELECT steps, sum_r_gain, gain_low, gain_high FROM ablation_results "
                "WHERE ablation = 'ablation_budget' AND variant = 'eiclip' AND steps IN (300, 1200)"
            ).fetchall()
        }
    (base, low, high), (left, left_low, left_high) = rows[300], rows[1200]
    share = f"{100 * left / base:.0f} % (between {100 * left_low / high:.0f} and {100 * left_high / low:.0f} %) of it"
    assert share in said(home, "ablation_budget")


def test_without_a_lead_there_is_none_to_explain(tmp_path):
    written(tmp_path, "ablation_budget", lambda trial: 1.0)
    assert "there is no sure lead to explain" in said(tmp_path, "ablation_budget")


@pytest.mark.parametrize(
    ("closed", "what"), [(0.5, "(between"), (0.0, "they close nothing of row 5’s lead"), (-0.5, "they close nothing")]
)
def test_what_neutral_names_close(tmp_path, closed, what):
    written(tmp_path, "ablation_ambiguity", names_skill(closed))
    sentence = said(tmp_path, "ablation_ambiguity")
    assert sentence.count("neutral brand names change row 3’s SumR by") == 2, "at both budgets"
    assert what in sentence
    assert "Row 5, the control, cannot be told from unmoved" in sentence


def test_a_control_that_moves_is_said_to(tmp_path):
    written(tmp_path, "ablation_ambiguity", lambda trial: names_skill(0)(trial) + 0.4 * trial.neutral)
    assert "moves too" in said(tmp_path, "ablation_ambiguity")


def test_what_row_6_is_beside_rows_with_less_and_with_as_much(home):
    added, beside = said(home, "ablation_plus").split("Beside it stand ")
    assert added.startswith("Added to row 6: no change is shown for noise (±0.0 [±0.0, ±0.0]) and group batches (±0.0")
    assert beside.startswith("row 5 (−")
    assert "row 3 (−" in beside
    assert "row 3 with image levels (−" in beside


def test_seeds_that_disagree_are_counted(tmp_path):
    written(tmp_path, "seed_study", lambda trial: 1 + (trial.variant == "eiclip") * (0.3 if trial.seed else -0.2))
    sentence = said(tmp_path, "seed_study")
    assert "ahead of row 3 with 2 of 3 training seeds: SumR −" in sentence
    assert "neither is ahead at every seed" in sentence
