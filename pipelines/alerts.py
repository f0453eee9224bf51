"""Failed runs and failed checks, told to a webhook or by e-mail: sensors that are there where `alert` is set."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.common import Project
from eiclip.report.about import without_secrets
from eiclip.system.alerts import send

SECONDS = 15
LONGEST = 500
"""Characters of an error that are told: the rest is in the UI."""


def alert_sensors(project: Project) -> list[dg.SensorDefinition]:
    """A sensor of failed runs, and one of failed checks in runs that succeeded; none where nobody is to be told."""
    alert = project.settings.alert
    if alert.webhook is None and alert.smtp is None:
        return []
    always: dict[str, Any] = {"minimum_interval_seconds": SECONDS, "default_status": dg.DefaultSensorStatus.RUNNING}

    @dg.run_failure_sensor(name="alert_of_failed_runs", description="Tells of every failed run.", **always)
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        send(alert, message(project, context, _errors(context)))

    @dg.run_status_sensor(
        dg.DagsterRunStatus.SUCCESS,
        name="alert_of_failed_checks",
        description="Tells of every run that succeeded, and in which a check failed.",
        **always,
    )
    def failed_checks(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        told = message(project, context, [])
        if not told["failed_checks"]:
            return dg.SkipReason("every check passed")
        send(alert, told)
        return None

    return [failed_runs, failed_checks]


def message(project: Project, context: dg.RunStatusSensorContext, errors: Sequence[str]) -> dict[str, Any]:
    """What is told of a run: a `text` for people, whose first line says it all, and its parts for programs."""
    run, checks = context.dagster_run, _failed_checks(context)
    happened = "failed" if run.status == dg.DagsterRunStatus.FAILURE else f"{len(checks)} failed checks"
    lines = [f"eiclip: {run.job_name}: {happened}", f"run {run.run_id}, home {project.paths.root}", *errors, *checks]
    return {
        "text": "\n".join(lines),
        "job": run.job_name,
        "run_id": run.run_id,
        "status": run.status.value,
        "home": str(project.paths.root),
        "errors": list(errors),
        "failed_checks": checks,
    }


def _errors(context: dg.RunFailureSensorContext) -> list[str]:
    """What each failed step says, in a few words; of a run that failed without a step: what Dagster says."""
    told = []
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error and error.cause:
            error = error.cause
        told.append(_short(f"{event.step_key}: {error.message if error else event.message}"))
    return told or [_short(context.failure_event.message or "it ended without an error")]


def _failed_checks(context: dg.RunStatusSensorContext) -> list[str]:
    log = context.instance.event_log_storage
    events = log.get_logs_for_run(context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [event.get_dagster_event().asset_check_evaluation_data for event in events]
    return [
        _short(f"{one.asset_key.to_user_string()}, {one.check_name}: {one.description or 'failed'}")
        for one in found
        if not one.passed
    ]


def _short(text: str) -> str:
    return without_secrets(" ".join(text.split()))[:LONGEST]
