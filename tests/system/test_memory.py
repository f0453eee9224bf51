"""Freed memory: what is kept is not cleared again by the kernel, what is returned is gone from the process."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"x") * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""
"""Pages that taking 64 MiB a second time touches first."""
LEFT = """
from pathlib import Path
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
del (large := [bytearray(b"x") * 2**24])[:]
before = held()
pieces = [bytearray(b"x") * 2**20 for _ in range(100)]
del pieces[::2]
print((held() - before) >> 20)
"""
"""MiB in use when every other one of 100 pieces of 1 MiB is freed."""


def measured(script, setting=None):
    if setting:
        script = f"import eiclip.system.memory as memory\nif not memory.{setting}():\n    raise SystemExit(3)\n{script}"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if found.returncode == 3:
        pytest.skip("no glibc")
    assert found.returncode == 0, found.stderr
    return int(found.stdout)


def test_pages_of_kept_memory_are_touched_once():
    assert measured(FAULTS, "keep_freed_memory") < 100
    assert measured(FAULTS) > 1000


def test_every_other_piece_leaves_half_of_the_returned_memory():
    assert measured(LEFT, "return_freed_memory") < 60
    assert measured(LEFT) > 80
