"""The section on trainings: what each took, in the order of the rows, and what is said of those that fell short."""

import pytest

from eiclip.model.variants import VARIANTS
from eiclip.report.sections import sections
from eiclip.report.source import Source
from eiclip.storage.catalogue import connect
from tests.report.reading import cells


@pytest.fixture
def trained(fake, monkeypatch):
    monkeypatch.setattr(Source, "picture", lambda *given: "")  # plots have tests of their own
    fake.learned("toys")
    fake.outcomes("toys", eiclip="still rising")
    return fake.refresh()


def test_trainings_stand_in_the_order_of_the_rows_with_their_outcomes(trained):
    with connect(trained) as connection:
        _, *rows = cells(connection, "toys", "training.trainings")
        [last] = connection.execute(
            "SELECT loss_joint FROM training_log WHERE variant = 'eiclip' ORDER BY step DESC LIMIT 1"
        ).fetchone()
    assert [row[0] for row in rows] == [variant.title for variant in list(VARIANTS.values())[1:]]
    told = {row[0]: row[1:] for row in rows}
    assert told["EI-CLIP"] == ["3", "391", f"{last:.3f}", "410", "1.0", "still rising"]
    assert told["EI-CLIP, every gate equal"][-1] == "learned"


def test_what_fell_short_is_said_and_what_learned_is_not(trained):
    with connect(trained) as connection:
        found = {section.question.key: section.html for section in sections(Source(connection, "toys", trained))}
    assert "EI-CLIP: what was found of eiclip." in found["training"]
    assert found["training"].count("what was found of") == 1


def test_without_outcomes_there_is_a_dash(fake):
    fake.learned("toys")
    with connect(fake.refresh()) as connection:
        assert {row[-1] for row in cells(connection, "toys", "training.trainings")[1:]} == {"–"}
