"""`algos.training.heap`: in a process of its own, since it changes the process."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from algos.training.heap import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def touch():
    held = [torch.ones(1 << 18) for _ in range(8)]  # 1 MiB each, as many as a small network's pass holds
    del held

touch()
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(mode: str) -> int:
    """Page faults of allocating, filling and freeing 8 MiB 20 times.

    The threshold above which blocks are given back starts at 128 KiB and rises by itself or not, by chance; here it
    stays there.
    """
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 17)}
    command = [sys.executable, "-c", FAULTS, mode]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=".", env=env)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_kept_memory_is_used_again_without_page_faults():
    pages = 20 * 8 * 256  # if each pass were to touch new pages
    given_back = _faults("give back")
    assert given_back > pages / 4, f"glibc gave nothing back ({given_back} faults): the module is not needed any more"
    assert _faults("keep") < given_back / 10
