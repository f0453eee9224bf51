"""What a run has otherwise than the one before it."""

import json

from eiclip.report.history import since_the_run_before
from eiclip.storage.catalogue import connect


def kept(fake, day, epochs, **given):
    settings = {"training": {"eiclip": {"epochs": epochs}}, "dataset": {"publish": "s3://key:secret@bucket/a"}}
    fake.kept_run("toys", f"run-{day}", day, settings=json.dumps(settings), **given)


def test_settings_data_and_results_of_two_runs(fake):
    kept(fake, 1, 3)
    with connect(fake.refresh()) as connection:
        assert since_the_run_before(connection, "toys") is None, "there is none before"
    kept(fake, 2, 5, data_fingerprint="0ther")
    with connect(fake.refresh()) as connection:
        told = since_the_run_before(connection, "toys")
    assert told.startswith("Since the run before (2026-01-02 00:00 UTC): training.eiclip.epochs 3 -> 5; data changed. ")
    assert told.endswith("SumR of row 3 197.5, before 197.5; SumR of row 5 343.8, before 343.8.")
    assert "seed" not in told


def test_runs_that_differ_in_nothing_are_said_to_be_the_same(fake):
    for day in (1, 2):
        kept(fake, day, 3)
    with connect(fake.refresh()) as connection:
        assert "settings, data and code are the same" in since_the_run_before(connection, "toys")
