"""Settings that all tests share: no test needs a screen, and small tensors need one thread.

Tests run in several processes at once (`pytest -n 0`: in one). Kernels are compiled into the folders that numba caches
them in, once for all processes; see `shared_kernels`.
"""

import os
import tempfile

import pytest

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ["OMP_NUM_THREADS"] = (
    "1"  # more threads would wait for each other; holds for the commands that tests start too
)

MOST_WORKERS = 8  # every worker collects all tests and imports torch, which costs more than a ninth worker saves
LOCKS = "COTERIE_TEST_LOCKS"  # environment variable: the folder in which workers lock kernels


@pytest.hookimpl(optionalhook=True)  # pytest-xdist may be missing or switched off
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many workers as this process may use cores; none for tests that are named one by one."""
    if any("::" in argument for argument in config.args):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS) if cores > 1 else 0


def pytest_configure(config: pytest.Config) -> None:
    """Lets workers compile a kernel once for all of them."""
    if hasattr(config, "workerinput"):
        from shared_kernels import compile_once

        compile_once(os.environ[LOCKS])
    else:
        folder = tempfile.TemporaryDirectory(prefix="coterie-locks-")
        config.add_cleanup(folder.cleanup)
        os.environ[LOCKS] = folder.name  # workers inherit it
