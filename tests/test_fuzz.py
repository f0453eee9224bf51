"""A few cases of every class of bad input; `make fuzz` runs hundreds."""

import pytest

from benchmarks.fuzz.__main__ import Hosts
from benchmarks.fuzz.case import Case
from benchmarks.fuzz.classes import CLASSES
from benchmarks.fuzz.datasets import FLAVOURS, good_lines, make_folders, write_lines
from benchmarks.fuzz.host import Host
from benchmarks.fuzz.judge import faults


@pytest.fixture(scope="module")
def hosts():
    found = Hosts(2)
    yield found
    found.close()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.name)
def test_bad_input_ends_in_a_refusal_or_in_quarantine(kind, hosts, tmp_path):
    verdicts = hosts.run(kind, kind.draw(2, 0), tmp_path)
    assert len(verdicts) == 2
    assert [(verdict.plan, verdict.faults) for verdict in verdicts if verdict.faults] == []


def test_the_same_seed_draws_the_same_cases():
    kind = CLASSES[0]
    assert kind.draw(5, 1) == kind.draw(5, 1)
    assert kind.draw(5, 1) != kind.draw(5, 2)


@pytest.fixture
def host():
    found = Host()
    yield found
    found.close()


def test_the_judge_sees_a_lost_row_a_wrong_id_and_a_leak(host, tmp_path):
    make_folders(tmp_path / "case")
    case = write_lines(tmp_path / "case", FLAVOURS[1], good_lines(FLAVOURS[1]))
    outcome = host.run(tmp_path / "case", case.dataset)
    assert faults(tmp_path / "case", case, outcome) == []
    wrong = Case(case.dataset, case.rows + 1, case.untouched | {("meta.json", 1): "B9"})
    assert len(faults(tmp_path / "case", wrong, outcome)) == 2
    leaking = write_lines(tmp_path / "case", FLAVOURS[1], good_lines(FLAVOURS[1]))
    folder = tmp_path / "case" / "raw" / "images"
    (folder / "B1.jpg").unlink()
    (folder / "B1.jpg").hardlink_to(tmp_path / "case" / "outside" / "secret.jpg")
    found = faults(tmp_path / "case", leaking, host.run(tmp_path / "case", leaking.dataset))
    assert "the photo of a file outside is in a table" in found
