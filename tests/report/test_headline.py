"""The sentence at the top is arithmetic on intervals: row 5 winning, losing, tying, beside row 4; then row 6."""

import pytest

from eiclip.report.headline import comparison, headline
from eiclip.storage.catalogue import connect

NAMES = {"row3": "clip_entities_text", "row4": "eiclip_equal", "row5": "eiclip", "row6": "eiclip_plus"}


def told(fake, dataset="toys", width=3.0, **firsts):
    recalls = {NAMES[row]: first for row, first in firsts.items()}
    fake.results(dataset, recalls)
    if width:
        fake.sure(dataset, recalls, width)
    with connect(fake.refresh()) as connection:
        return headline(connection, dataset)


def test_row_5_wins(fake):
    found = told(fake, row3=20.0, row4=10.0, row5=25.0)
    assert found.outcome == "wins"
    assert found.verdict == "EI-CLIP (row 5) beats CLIP with the entities as text (row 3)"
    # R@1, R@5 and R@10 are 25, 59 and 75.5 or, times 0.98, 24.5, 57.9 and 74.15 ...
    assert found.sentence == (
        "EI-CLIP (row 5) beats CLIP with the entities as text (row 3). "
        "Recall@1 from photo to text 25.0 against 20.0, +25.0 % (95 % interval +10.0 to +40.0 %, p < 0.001); "
        "recall@1 from text to photo 24.5 against 19.6, +25.0 % (95 % interval +9.7 to +40.3 %, p < 0.001); "
        "SumR 316.1 against 257.6, +22.7 % (95 % interval +21.5 to +23.8 %, p < 0.001)."
    )
    assert [figure.state for figure in found.figures] == ["ahead"] * 3
    assert found.figures[0].paper == "", "the paper printed nothing of this dataset"
    equal, basis = found.remarks
    assert equal.startswith("EI-CLIP with learned gates (row 5) beats EI-CLIP with equal gates (row 4). Recall@1")
    assert "25.0 against 10.0, +150.0 %" in equal
    assert basis.startswith("All 400 test products are candidates. Intervals: 2,000 bootstrap draws of products")


@pytest.mark.parametrize(
    ("row6", "width", "said"),
    [
        # R@1, R@5 and R@10 are 30, 70 and 89 or, times 0.98, 29.4, 68.7 and 87.4.
        (
            30.0,
            3.0,
            "beats EI-CLIP (row 5). SumR 374.5 against 316.1, +18.5 % (95 % interval +17.5 to +19.4 %, p < 0.001).",
        ),
        (20.0, 3.0, "does worse than EI-CLIP (row 5). SumR 257.6 against 316.1, −18.5 %"),
        (25.2, 20.0, "and EI-CLIP (row 5) cannot be told apart: every interval has zero in it. SumR"),
    ],
)
def test_row_6_has_a_sentence_of_its_own_and_changes_nothing_else(fake, row6, width, said):
    found = told(fake, row3=20.0, row4=10.0, row5=25.0, row6=row6, width=width)
    assert found.own.startswith(f"EI-CLIP+ (row 6), our own and not in the paper, {said}")
    without = told(fake, row3=20.0, row4=10.0, row5=25.0, width=width)
    assert without.own == ""
    assert (found.outcome, found.sentence, found.figures) == (without.outcome, without.sentence, without.figures)


def test_row_6_has_no_sentence_where_it_has_not_learned(fake):
    fake.outcomes("toys", eiclip_plus="at chance")
    assert told(fake, row3=20.0, row5=25.0, row6=30.0).own == ""
    fake.outcomes("toys", eiclip_plus="still rising")
    assert "This compares undertrained rows: row 6 still rose" in told(fake, row3=20.0, row5=25.0, row6=30.0).own


def test_the_paper_stands_beside_its_own_dataset(fake):
    found = told(fake, "fashiongen", row3=20.0, row5=25.0)
    assert [figure.paper for figure in found.figures] == ["+10.3 %", "+10.5 %", "+6.0 %"]


def test_row_5_loses(fake):
    found = told(fake, row3=25.0, row5=20.0)
    assert found.outcome == "loses"
    assert found.verdict == "EI-CLIP (row 5) does worse than CLIP with the entities as text (row 3)"
    assert "−20.0 % (95 % interval −32.0 to −8.0 %, p < 0.001)" in found.sentence


@pytest.mark.parametrize("row5", [19.5, 20.0, 20.5])
def test_intervals_with_zero_in_them_are_no_verdict(fake, row5):
    found = told(fake, row3=20.0, row5=row5, width=20.0)
    assert found.outcome == "close"
    assert found.verdict.endswith("cannot be told apart: every interval has zero in it")
    assert "p = 0.42" in found.sentence


def test_ahead_in_some_measures_only(fake):
    found = told(fake, row3=20.0, row5=21.0)
    # one point of R@1 either way is less than the interval's three; eleven of SumR are more
    assert found.outcome == "mixed"
    assert found.verdict == (
        "EI-CLIP (row 5) beats CLIP with the entities as text (row 3) in SumR; in recall@1 from photo to text and "
        "recall@1 from text to photo the interval has zero in it"
    )
    behind = told(fake, row3=21.0, row5=20.0)
    assert behind.outcome == "loses"
    assert behind.verdict.startswith("EI-CLIP (row 5) does worse than CLIP with the entities as text (row 3) in SumR;")


def compared(fake, changes):
    """Comparisons of rows 5 and 3 with these differences in points, all within one point."""
    rows = [
        {"protocol": "full", "direction": way, "measure": name, "variant": "eiclip", "baseline": "clip_entities_text",
         "value": 20.0 + change, "baseline_value": base, "difference": change, "low": change - 1, "high": change + 1,
         "p_value": 0.012, "queries": 9, "products": 9, "resamples": 9}
        | {f"relative{end}": None if base == 0 else 100 * (change + shift) / base
           for end, shift in (("", 0), ("_low", -1), ("_high", 1))}
        for (way, name, base), change in zip((("i2t", "r1", 20.0), ("t2i", "r1", 0.0), ("both", "sum_r", 20.0)),
                                             changes, strict=True)
    ]  # fmt: skip
    fake.table("row_comparisons", "toys", rows)
    with connect(fake.refresh()) as connection:
        return headline(connection, "toys")


def test_ahead_in_one_and_behind_in_another(fake):
    found = compared(fake, (5.0, -5.0, 0.5))
    assert found.outcome == "mixed"
    assert (
        "beats CLIP with the entities as text (row 3) in recall@1 from photo to text and does worse in recall@1 "
        in (found.verdict)
    )
    assert found.verdict.endswith("; in SumR the interval has zero in it")


def test_no_percents_of_nothing(fake):
    found = compared(fake, (5.0, 5.0, 5.0))
    assert found.figures[1].change == "+5.0 points"
    assert found.figures[1].interval == "95 % interval +4.0 to +6.0 points"


@pytest.mark.parametrize(("row4", "close"), [(25.2, True), (20.0, False)])
def test_rows_4_and_5(fake, row4, close):
    found = told(fake, row3=10.0, row4=row4, row5=25.0)
    assert found.remarks[0].startswith("This run cannot tell learned gates (row 5) from equal ones (row 4)") == close


def test_any_two_rows_in_a_sentence(fake):
    told(fake, row3=20.0, row4=25.0, row5=25.0)
    with connect(fake.root) as connection:
        said = comparison(connection, "toys", "eiclip_equal", "clip_entities_text")
        assert comparison(connection, "toys", "clip_entities_text", "eiclip") is None
    assert said.startswith(
        "EI-CLIP, every gate equal (row 4) beats CLIP fine-tuned, entities as text (row 3). Recall@1"
    )


def test_no_verdict_without_both_rows(fake):
    assert told(fake, row5=25.0) is None


def test_before_there_are_intervals_there_is_no_verdict(fake):
    assert told(fake, width=0, row3=20.0, row5=25.0) is None
