"""The lock of an output, between real processes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from eiclip.errors import LockedError
from eiclip.storage.lock import held

HOLDER = """
import os, pathlib, sys, time
from eiclip.storage.lock import held
with held(pathlib.Path(sys.argv[1]), patience=0):
    if sys.argv[2] == "forks" and os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the lock of `tmp_path/model`; it (and its child) is killed in the end."""
    started = []

    def start(how="alone"):
        command = [sys.executable, "-c", HOLDER, str(tmp_path / "model"), how]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_a_second_one_is_told_who_holds_it(tmp_path, holder):
    process = holder()
    with pytest.raises(LockedError) as refused, held(tmp_path / "model", patience=0):
        pass
    for said in (str(tmp_path / "model"), f"process {process.pid} of {socket.gethostname()}", "since 20", "run this"):
        assert said in str(refused.value)


@pytest.mark.parametrize("how", ["alone", "forks"])
def test_the_kernel_frees_it_when_its_holder_is_killed(tmp_path, holder, how):
    holder(how).kill()  # its child, where it has forked one, lives on
    with held(tmp_path / "model", patience=5):
        assert json.loads((tmp_path / "model.lock").read_text())["process"] == os.getpid()


def test_it_is_waited_for(tmp_path, holder):
    process = holder()
    timer = threading.Timer(0.5, process.kill)
    timer.start()
    began = time.monotonic()
    with held(tmp_path / "model", patience=10):
        assert time.monotonic() - began > 0.4
    timer.join()


def test_nothing_is_left_of_it_and_it_can_be_had_again(tmp_path):
    for _ in range(2):
        with held(tmp_path / "model", patience=0):
            pass
    assert list(tmp_path.iterdir()) == []


def test_of_many_that_want_it_one_at_a_time_has_it(tmp_path):
    """Each adds one to a number in a file, slowly: none is lost, though the lock's file comes and goes."""
    counter = tmp_path / "count"
    counter.write_text("0")
    script = """
import pathlib, sys, time
from eiclip.storage.lock import held
counter = pathlib.Path(sys.argv[1])
for _ in range(5):
    with held(counter, patience=30):
        value = int(counter.read_text()); time.sleep(0.01); counter.write_text(str(value + 1))
"""
    processes = [subprocess.Popen([sys.executable, "-c", script, str(counter)]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert counter.read_text() == "20"
