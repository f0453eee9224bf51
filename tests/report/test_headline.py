"""The sentence at the top is arithmetic: row 5 winning, losing, tying, and lying beside row 4."""

import pytest

from eiclip.lake import connect
from eiclip.report.headline import headline


def told(fake, **firsts):
    names = {"row3": "clip_entities_text", "row4": "eiclip_equal", "row5": "eiclip"}
    fake.results("toys", {names[row]: first for row, first in firsts.items()})
    with connect(fake.refresh()) as connection:
        return headline(connection, "toys")


def test_row_5_wins(fake):
    found = told(fake, row3=20.0, row4=10.0, row5=25.0)
    assert found.outcome == "wins"
    assert "recall@1 25.0 against 20.0 (+25.0 %) from photo to text" in found.sentence
    # R@1, R@5 and R@10 are 25, 59 and 75.5 or, times 0.98, 24.5, 57.9 and 74.15 ...
    assert "SumR 316.1 against 257.6 (+22.7 %)" in found.sentence
    assert found.remarks == (
        "Row 5 (learned gates) is ahead of row 4 (equal gates): recall@1 of rows 4 and 5 is 10.0 and 25.0 from photo "
        "to text; 9.8 and 24.5 from text to photo.",
    )


def test_row_5_loses(fake):
    found = told(fake, row3=25.0, row5=20.0)
    assert found.outcome == "loses"
    assert found.sentence.startswith("EI-CLIP (row 5) does not beat CLIP")
    assert "(−20.0 %) from photo to text" in found.sentence
    assert found.remarks == ()


def test_equal_rows_are_no_win(fake):
    assert told(fake, row3=25.0, row5=25.0).outcome == "loses"


def test_ahead_by_less_than_a_standard_error_is_too_close(fake):
    found = told(fake, row3=25.0, row5=26.0)
    assert found.outcome == "close"
    assert "too close to call" in found.sentence
    assert "read that as a tie" in found.remarks[0]


@pytest.mark.parametrize(("row4", "close"), [(25.5, True), (24.0, True), (20.0, False)])
def test_rows_4_and_5(fake, row4, close):
    found = told(fake, row3=10.0, row4=row4, row5=25.0)
    # one standard error: sqrt(0.25 * 0.75 / 800) = 1.5 points
    assert ("cannot tell learned gates from equal ones" in found.remarks[-1]) == close


def test_mixed(fake):
    fake.table("leaderboard", "toys", [
        {"protocol": "full", "paper_row": 3, "variant": "clip_entities_text", **recall(20.0, 30.0)},
        {"protocol": "full", "paper_row": 5, "variant": "eiclip", **recall(25.0, 20.0)},
    ])  # fmt: skip
    with connect(fake.refresh()) as connection:
        found = headline(connection, "toys")
    assert found.outcome == "mixed"
    assert "on some measures only" in found.sentence


def recall(i2t, t2i):
    others = dict.fromkeys(("i2t_r5", "i2t_r10", "t2i_r5", "t2i_r10"), 50.0)
    return {"i2t_r1": i2t, "t2i_r1": t2i, "sum_r": 200.0 + i2t + t2i} | others


def test_no_verdict_without_both_rows(fake):
    assert told(fake, row5=25.0) is None


def test_sign_test_counts_first_places_of_one_row_only(fake):
    fake.ranks("toys", {"eiclip": [1] * 12 + [3] * 2 + [1] * 6, "clip_entities_text": [2] * 12 + [1] * 2 + [1] * 6})
    found = told(fake, row3=40.0, row5=90.0)
    assert found.remarks[0] == (
        "Of 20 texts, row 5 alone puts a right photo first for 12, row 3 alone for 2: a difference larger than chance "
        "explains (exact sign test, p = 0.013)."
    )


def test_sign_test_admits_chance(fake):
    fake.ranks("toys", {"eiclip": [1, 1, 3, 1], "clip_entities_text": [2, 2, 1, 1]})
    assert (
        "chance alone could explain the difference (exact sign test, p = 1.00)" in told(fake, row3=1, row5=9).remarks[0]
    )
