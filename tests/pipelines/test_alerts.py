"""Sensors of failed runs and checks, on real runs, and a real server that is told of them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from assets.common import Project
from eiclip.errors import RawDataError
from eiclip.settings.load import load_settings
from eiclip.storage.home import Paths
from pipelines.alerts import alert_sensors


@dg.asset(check_specs=[dg.AssetCheckSpec("has_rows", asset="table")])
def table():
    found = dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="there is none")
    return dg.MaterializeResult(check_results=[found])


@dg.asset
def raw():
    raise RawDataError("s3://key:secret@bucket/a.csv: nothing there")


@pytest.fixture
def hook():
    """An address of a real server, and the messages it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()


def sensors(home, **alert):
    return {s.name: s for s in alert_sensors(Project(load_settings(home=home, alert=alert), Paths(home)))}


def test_there_are_none_unless_somebody_is_to_be_told(tmp_path):
    assert sensors(tmp_path) == {}
    found = sensors(tmp_path, webhook="https://hooks.example/secret")
    assert set(found) == {"alert_of_failed_runs", "alert_of_failed_checks"}
    assert {sensor.default_status for sensor in found.values()} == {dg.DefaultSensorStatus.RUNNING}


def test_a_failed_run_is_told_with_its_error(tmp_path, hook):
    place, got = hook
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([raw], instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            "alert_of_failed_runs", result.get_run_failure_event(), instance, result.dagster_run
        )
        sensors(tmp_path, webhook=place)["alert_of_failed_runs"](context.for_run_failure())
    [told] = got
    assert told["errors"] == ["raw: eiclip.errors.RawDataError: s3://bucket/a.csv: nothing there"]
    assert told["status"] == "FAILURE"
    assert told["run_id"] == result.run_id
    assert told["text"].splitlines()[0].endswith(": failed")
    assert told["errors"][0] in told["text"]


@pytest.mark.parametrize("failing", [True, False])
def test_a_failed_check_is_told_where_the_run_succeeded(tmp_path, hook, failing):
    place, got = hook

    @dg.asset
    def other():
        pass

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([table if failing else other], instance=instance)
        context = dg.build_run_status_sensor_context(
            "alert_of_failed_checks", result.get_run_success_event(), instance, result.dagster_run
        )
        sensors(tmp_path, webhook=place)["alert_of_failed_checks"](context)
    assert [told["failed_checks"] for told in got] == [["table, has_rows: there is none"]] * failing
