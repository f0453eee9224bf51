"""Freed memory: what is kept is not cleared again by the kernel, what is returned is gone from the process."""

import subprocess
import sys

import pytest

COUNT = """
import resource
from eiclip.system.memory import keep_freed_memory
kept = keep_freed_memory() if {keep} else False
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"x") * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(kept, faults())
"""


def counted(keep):
    found = subprocess.run([sys.executable, "-c", COUNT.format(keep=keep)], capture_output=True, text=True, check=True)
    kept, faults = found.stdout.split()
    return kept == "True", int(faults)


def test_pages_are_touched_once():
    kept, faults = counted(keep=True)
    if not kept:
        pytest.skip("no glibc")
    assert faults < 100
    assert counted(keep=False)[1] > 1000


LEFT = """
from pathlib import Path
from eiclip.system.memory import return_freed_memory
returned = return_freed_memory() if {asked} else False
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
del (large := [bytearray(b"x") * 2**24])[:]
before = held()
pieces = [bytearray(b"x") * 2**20 for _ in range(100)]
del pieces[::2]
print(returned, (held() - before) >> 20)
"""


def left(asked):
    found = subprocess.run([sys.executable, "-c", LEFT.format(asked=asked)], capture_output=True, text=True, check=True)
    returned, pieces = found.stdout.split()
    return returned == "True", int(pieces)


def test_every_other_piece_leaves_half_of_the_memory():
    returned, pieces = left(asked=True)
    if not returned:
        pytest.skip("no glibc")
    assert pieces < 60
    assert left(asked=False)[1] > 80
