"""Runs whose process has gone, and the pool slots they hold: `python -m pipelines.slots` lists, `--free` frees.

Run monitoring does the same while the daemon runs (`make ui`), within a minute; this is for when it does not. A run is
taken for dead only when its process has ended on this machine.
"""

import argparse

import dagster as dg

from pipelines.workers import has_lost_its_worker, worker_of

UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def dead_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Runs shown as under way whose process has ended."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))
    return [run for run in runs if has_lost_its_worker(instance, run)]


def stale_holders(instance: dg.DagsterInstance) -> list[str]:
    """Ids of runs that hold pool slots, or queue for them, and have ended, are dead or were deleted."""
    dead = {run.run_id for run in dead_runs(instance)}
    holders = sorted(instance.event_log_storage.get_concurrency_run_ids())
    runs = {run_id: instance.get_run_by_id(run_id) for run_id in holders}
    return [run_id for run_id, run in runs.items() if run is None or run.is_finished or run_id in dead]


def free(instance: dg.DagsterInstance) -> tuple[list[str], list[str]]:
    """Mark dead runs as failed and free the slots of runs that are over; returns the ids of both."""
    stale, dead = stale_holders(instance), dead_runs(instance)
    for run in dead:
        canceling = run.status == dg.DagsterRunStatus.CANCELING
        report = instance.report_run_canceled if canceling else instance.report_run_failed
        report(run, "Its process has ended without reporting an end (pipelines.slots --free).")
    for run_id in stale:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [run.run_id for run in dead], stale


def describe(instance: dg.DagsterInstance) -> list[str]:
    """A line for each run under way, and one for each slot that is taken."""
    lines, stale = [], stale_holders(instance)
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
        worker = worker_of(instance, run.run_id)
        state = "has ended" if has_lost_its_worker(instance, run) else "is there"
        process = f"process {worker.pid} {state}" if worker else "no process noted yet"
        lines.append(f"run {run.run_id} ({run.job_name}), {run.status.value}: {process}")
    for pool in sorted(instance.event_log_storage.get_concurrency_keys()):
        info = instance.event_log_storage.get_concurrency_info(pool)
        lines.append(f"pool {pool}: {len(info.claimed_slots)} of {info.slot_count} slots taken")
        for slot in info.claimed_slots:
            note = " (run is over: --free frees it)" if slot.run_id in stale else ""
            lines.append(f"  {slot.step_key} of run {slot.run_id}{note}")
    return lines or ["no run is under way, no pool has been used"]


def main() -> None:
    """List, or free."""
    parser = argparse.ArgumentParser("python -m pipelines.slots", description=__doc__)
    parser.add_argument("--free", action="store_true", help="mark dead runs as failed and free their slots")
    arguments = parser.parse_args()
    with dg.DagsterInstance.get() as instance:
        if arguments.free:
            dead, freed = (", ".join(ids) or "none" for ids in free(instance))
            lines = [f"runs marked as failed: {dead}", f"runs whose slots were freed: {freed}"]
        else:
            lines = describe(instance)
    print("\n".join(lines))  # noqa: T201 - what was asked for


if __name__ == "__main__":
    main()
