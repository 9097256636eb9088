"""Checks of other people's environments, before they are trained on through `envs.adapters`.

    check_foreign("my_project.worlds:Maze", size=9)      or    python -m coterie.envs.conformance my_project.worlds:Maze

Each takes what `adapters.prepare` returns, plays random actions, and raises `AssertionError` with a line that says what
is wrong.

Axes: B worlds, N agents.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import adapters
from ..adapters import Foreign, ForeignError, ForeignVector
from ..core import Step
from .compare import assert_same
from .play import random_actions

STEPS = 300
"""Steps of every world in each check."""
PATIENCE = 10.0
"""Time that processes are given to end [s]."""


def check_foreign(name: str | Callable[..., Any], **options: Any) -> None:
    """Runs `FOREIGN_CHECKS`; see `adapters.prepare` for the arguments."""
    foreign = adapters.prepare(name, **options)
    for check in FOREIGN_CHECKS:
        check(foreign)


def check_returns(foreign: Foreign) -> None:
    """Checks that agents which acted get finite rewards, and agents which go on finite observations, by known names."""
    view: Any = _view(foreign, 0)
    try:
        for _ in _play(view):
            pass
    except ForeignError as error:
        raise AssertionError(str(error)) from error
    finally:
        view.close()


def check_metrics(foreign: Foreign) -> None:
    """Checks that metrics have their names from the first steps on, because a late one is NaN in episodes before."""
    said: list[str] = []
    view = _view(foreign, 0, said)
    for _ in _play(view):
        late = [line for line in said if "appeared late" in line]
        assert not late, late[0]
    view.close()


def check_workers(foreign: Foreign) -> None:
    """Checks that worlds in other processes show the same bytes as here: all chance comes from the seed of `reset`."""
    alone, view = _view(foreign, 0), _view(foreign, 2)
    for (one, two), (same, other) in zip(_play(alone), _play(view), strict=True):
        assert_same(one, same, "worlds stepped by two workers, and in this process")
        assert_same(two, other, "worlds stepped by two workers, and in this process")
    alone.close()
    view.close()


def check_leaves_nothing(foreign: Foreign) -> None:
    """Checks that processes which the environment starts end with it, closed or killed (Linux only)."""
    if not Path("/proc/self/stat").exists():
        return
    for killed in (False, True):
        view: Any = _view(foreign, 1)
        step = view.reset(0)
        view.step(random_actions(view, step, np.random.default_rng(0)))
        (worker,) = view.processes
        started = descendants(worker)
        if killed:
            os.kill(worker, signal.SIGKILL)
        view.close()
        deadline = time.monotonic() + PATIENCE
        while (left := [pid for pid in started if _is_there(pid)]) and time.monotonic() < deadline:
            time.sleep(0.02)
        how = "a worker that was killed; start it in the process group of its parent" if killed else "close()"
        assert not left, f"process {left[0]} ({started[left[0]]}), which the environment started, outlives {how}"


FOREIGN_CHECKS: tuple[Callable[[Foreign], None], ...] = (
    check_returns,
    check_metrics,
    check_workers,
    check_leaves_nothing,
)


def _view(foreign: Foreign, n_workers: int, said: list[str] | None = None) -> ForeignVector:
    options = dataclasses.replace(foreign.recipe.options, n_workers=n_workers)
    there = dataclasses.replace(foreign, recipe=dataclasses.replace(foreign.recipe, options=options))
    return there.vector(2, notify=[].append if said is None else said.append)


def _play(view: Any) -> Iterator[tuple[Step, Step]]:
    rng = np.random.default_rng(0)
    step = view.reset(0)
    for _ in range(STEPS):
        final, step = view.step(random_actions(view, step, rng))
        yield final, step


def descendants(pid: int) -> dict[int, str]:
    """Returns the processes that a process started, and those that these started, by number, with their names."""
    children: dict[int, list[tuple[int, str]]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = path.read_text().rpartition(")")
        except OSError:  # it has ended
            continue
        number, _, name = before.partition(" (")
        children.setdefault(int(after.split()[1]), []).append((int(number), name))
    found: dict[int, str] = {}
    parents = [pid]
    while parents:
        for child, name in children.get(parents.pop(), ()):
            found[child] = name
            parents.append(child)
    return found


def _is_there(pid: int) -> bool:
    """Returns whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
