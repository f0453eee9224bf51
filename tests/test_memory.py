"""Freed memory that is kept is not cleared again by the kernel: counted in page faults."""

import subprocess
import sys

import pytest

COUNT = """
import resource
from eiclip.memory import keep_freed_memory
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
