"""Settings that all tests share: no test needs a screen, small tensors need one thread, and all cores are used."""

import os
import tempfile

import pytest

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ["OMP_NUM_THREADS"] = "1"  # more threads would wait for each other, also in the commands that tests start

MOST_WORKERS = 8
"""Every worker imports torch and collects all tests, which costs more than a ninth would save."""
LOCKS = "COTERIE_TEST_LOCKS"
"""Environment variable with the folder in which workers lock kernels, see `shared_kernels`."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads its options
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Spreads tests over the cores, unless `-n` is given, single tests are named or pytest-xdist is not there.

    As options in pyproject.toml, these would be errors without pytest-xdist. A worker that runs out of tests takes over
    half of what another one has left, from its end, so tests of one file mostly run in one process.
    """
    option = config.option
    if hasattr(config, "workerinput") or getattr(option, "numprocesses", 0) is not None:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores > 1 and not (option.usepdb or option.collectonly or any("::" in path for path in config.args)):
        option.numprocesses = min(cores, MOST_WORKERS)
        option.dist = "worksteal" if option.dist == "no" else option.dist


def pytest_configure(config: pytest.Config) -> None:
    """Lets the workers compile each kernel once for all of them."""
    if hasattr(config, "workerinput"):
        from shared_kernels import compile_once

        compile_once(os.environ[LOCKS])
    else:
        folder = tempfile.TemporaryDirectory(prefix="coterie-locks-")
        config.add_cleanup(folder.cleanup)
        os.environ[LOCKS] = folder.name  # workers inherit it
