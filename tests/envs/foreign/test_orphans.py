"""Processes that an environment started end with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_faults import Helped, Piped
from processes import are_gone, is_there

from envs import adapters
from envs.foreign import workers
from envs.foreign.block import Block

ROOT = Path(__file__).parents[3]


def helpers(where: Path) -> list[int]:
    return [int(line) for line in where.read_text().split()]


def processes(view: Any) -> list[int]:
    return list(view.processes)


def step(view: Any) -> Any:
    return view.step(np.zeros((view.n_worlds, 3), np.int64))


@pytest.mark.parametrize("close", ["ends", "raises", "forgets"])
def test_a_world_that_raises_leaves_nothing_of_its_worker_behind(tmp_path: Path, close: str) -> None:
    """Ends them by `close()` or, where that does nothing, by the process group."""
    where = tmp_path / "helpers"
    said: list[str] = []
    options = {"where": str(where), "breaks": True, "close": close}
    view = adapters.vector(Helped, 2, 1, notify=said.append, **options)
    looked, *first = helpers(where)
    assert are_gone([looked]) if close == "ends" else True
    view.reset(0)
    for _ in range(2):
        step(view)
    assert all(map(is_there, first))
    step(view)  # breaks, and is started again
    assert len(said) == 1
    assert are_gone([looked, *first], 10)
    second = helpers(where)[3:]
    assert all(map(is_there, second))
    view.close()
    assert are_gone(second, 10)


@pytest.mark.parametrize("forks", [False, True])
def test_a_worker_that_is_killed_takes_its_helpers_along(tmp_path: Path, forks: bool) -> None:
    """Also holds if a fork of the worker keeps the pipe open, so that no answer can ever come."""
    where = tmp_path / "helpers"
    view = adapters.vector(Helped, 1, 1, notify=lambda _: None, where=str(where), close="forgets", forks=forks)
    view.reset(0)
    os.kill(processes(view)[0], signal.SIGKILL)
    first = helpers(where)
    final, _ = step(view)
    assert final.truncated.all()
    assert are_gone(first, 10)
    view.close()
    assert are_gone(helpers(where), 10)


SCRIPT = """
    import sys, time
    import numpy as np
    from foreign_faults import Helped, Piped
    from envs import adapters

    view = adapters.vector(Helped, 2, 1, where=sys.argv[1], close=sys.argv[2])
    view.reset(0)
    print(*[worker.process.pid for worker in view._crew._workers], flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("close", ["ends", "forgets"])
def test_killing_the_training_process_leaves_nothing(tmp_path: Path, close: str) -> None:
    where = tmp_path / "helpers"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])
    script = "\n".join(line.strip() for line in SCRIPT.splitlines())
    with subprocess.Popen(
        [sys.executable, "-c", script, str(where), close],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        pids = list(map(int, started.stdout.readline().split()))
        assert all(map(is_there, [*pids, *helpers(where)[1:]]))
        started.kill()
    assert are_gone([*pids, *helpers(where)], 10)


def test_sigterm_closes_the_worlds_and_is_named(tmp_path: Path) -> None:
    where = tmp_path / "helpers"
    said: list[str] = []
    view = adapters.vector(Helped, 1, 1, notify=said.append, where=str(where))
    view.reset(0)
    first = helpers(where)
    os.kill(processes(view)[0], signal.SIGTERM)
    assert are_gone(first, 10)
    step(view)
    assert "killed by SIGTERM" in said[0]
    view.close()
    assert are_gone(helpers(where), 10)


def test_a_worker_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "helpers"
    view = adapters.vector(Helped, 1, 1, where=str(where), close="forgets")
    view.reset(0)
    pids = processes(view)
    os.kill(pids[0], signal.SIGSTOP)
    worker = view._crew._workers[0]  # pyright: ignore
    monkeypatch.setattr(view._crew, "_workers", [])
    begin = time.monotonic()
    worker.end(0.2)
    assert time.monotonic() - begin < workers.PATIENCE
    assert are_gone([*pids, *helpers(where)], 10)


def test_a_world_that_cannot_be_closed_or_built_keeps_no_other_from_being_closed(tmp_path: Path) -> None:
    closed: list[int] = []

    class Closing(Helped):
        number = 0

        def __init__(self) -> None:
            Closing.number += 1
            self.mine = Closing.number
            if self.mine == 5:
                raise OSError("too many")
            super().__init__(str(tmp_path / "helpers"))

        def close(self) -> None:
            super().close()
            closed.append(self.mine)
            if self.mine == 2:
                raise SystemExit(3)

    view = adapters.vector(Closing, 2, 0)
    assert closed == [1]
    view.reset(0)
    view.close()
    assert closed == [1, 2, 3]
    layout, board = view._layout, view._board
    with pytest.raises(OSError, match="too many"):
        Block(Closing, layout, board, [0, 1])
    assert closed == [1, 2, 3, 4]
    assert are_gone(helpers(tmp_path / "helpers"), 10)


def test_a_broken_pipe_of_the_environment_is_named(tmp_path: Path) -> None:
    """A simulator that has gone is an error of the environment and does not end the trainer."""
    said: list[str] = []
    view = adapters.vector(Piped, 1, 1, notify=said.append, where=str(tmp_path / "helpers"))
    view.reset(0)
    for _ in range(3):
        step(view)
    assert "step 2 of the episode" in said[0]
    assert "BrokenPipeError: the simulator is gone" in said[0]
    view.close()
