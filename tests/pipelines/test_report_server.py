"""The report beside Dagster's UI: served to this machine, alone, and no longer than the UI runs."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from starlette.testclient import TestClient

from eiclip.storage.home import Paths
from pipelines.report_server import create_app

ROOT = Path(__file__).resolve().parents[2]
DAGSTER = f"""#!{sys.executable}
import os, pathlib, time
print(os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path):
    page = Paths(tmp_path / "home").report
    page.parent.mkdir(parents=True)
    page.write_text("<h1>Report</h1>")
    (page.parent / "eiclip.duckdb").write_text("private")
    return page.parent


def client(home, host="127.0.0.1:3001"):
    return TestClient(create_app(home), base_url=f"http://{host}")


def test_the_report_is_served_and_also_where_only_the_server_is_named(home):
    for place in ("/report.html", "/"):
        found = client(home).get(place)
        assert (found.status_code, found.text) == (200, "<h1>Report</h1>")
        assert found.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "place", ["/eiclip.duckdb", "/report.json", "/..%2fhome/report.html/", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"]
)
def test_no_other_file_is(home, place):
    assert client(home).get(place).status_code == 404


def test_a_name_that_was_made_to_point_to_this_machine_is_refused(home):
    assert client(home, "evil.example:3001").get("/report.html").status_code == 400
    assert client(home, "localhost:3001").get("/report.html").status_code == 200


def test_without_a_report_it_says_what_writes_one(tmp_path):
    found = client(tmp_path).get("/report.html")
    assert (found.status_code, found.text) == (404, "no report.html yet: `make full_eval` writes it")


@pytest.fixture
def start(tmp_path, home):
    """Return a function that starts `pipelines.ui` with a Dagster that only waits, and the report's port."""
    dagster = tmp_path / "dagster"
    dagster.write_text(DAGSTER)
    dagster.chmod(0o755)
    started = []

    def run(port):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "EICLIP_HOME": str(home)}
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.ui"], cwd=ROOT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=os.environ | environment | {"EICLIP_REPORT_PORT": str(port)},
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_refused(port):
    try:
        httpx.get(f"http://127.0.0.1:{port}/")
    except httpx.TransportError:
        return True
    return False


def test_it_is_there_while_the_ui_is_and_ends_with_it_however_that_ends(start):
    port = free_port()
    process = start(port)
    assert process.stdout.readline().strip() == str(process.pid), "Dagster is this process, and hears its signals"
    found = httpx.get(f"http://127.0.0.1:{port}/report.html", timeout=60)  # it listens before it can answer
    assert found.text == "<h1>Report</h1>"
    process.kill()
    until(lambda: is_refused(port))


def test_a_port_that_is_taken_is_said_in_a_line(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = start(port)
        out, told = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert told.startswith(f"error: the report cannot be served at 127.0.0.1:{port} (Address already in use)")
    assert told.count("\n") == 1
    assert "EICLIP_REPORT_PORT" in told


def test_it_can_be_left_out(start):
    process = start(0)
    assert process.stdout.readline().strip() == str(process.pid)
    assert psutil.Process(process.pid).children() == []
