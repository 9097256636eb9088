"""The processes that step the worlds: started, told what to do, restarted once, ended.

Why not `multiprocessing.Process`: `fork` copies the locks of torch's threads; `spawn` and `forkserver` import the main
script again, which here means torch, 1.5 s and 200 MB a worker, and a script without `if __name__ == "__main__"` would
start itself. A worker is a plain interpreter that imports this package only; what it is to build comes by cloudpickle
(so classes defined in a script or a notebook work). Rows go through shared memory, the pipe carries commands alone.

Worlds are dealt out in blocks. A step is one message each way for every worker, whatever the number of worlds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import numpy as np

from .blame import told
from .board import Board
from .layout import Layout
from .world import World

PATIENCE = 5.0
"""Time a worker has to close its environments before it is killed [s]."""
_BOOT = (
    "import sys; count = int(sys.argv[3]); sys.path[:] = sys.argv[4:4 + count]; package = sys.argv[4 + count]; "
    "import importlib; importlib.import_module('.worker', package).main()"
)


class ForeignError(RuntimeError):
    """An environment of others cannot go on; the message is one line."""


class PictureError(ForeignError, NotImplementedError):
    """An environment could not be drawn."""


class WorkerError(ForeignError):
    """An environment raised, or its process died.

    Attributes:
        traceback: Of the environment, as text; empty where there is none.
    """

    def __init__(self, who: str, place: str, reason: str, traceback: str = "") -> None:
        super().__init__(" ".join(f"{who} died {place}: {reason}".split()))
        self.traceback = traceback


class Here:
    """The worlds in this process: for tests, debugging and tiny cases. What an environment raises ends it.

    Args:
        build: Makes one environment.
        layout: What they show.
        board: Where their rows are.

    Raises:
        WorkerError: One of them could not be built.
    """

    def __init__(self, build: Callable[[], Any], layout: Layout, board: Board) -> None:
        self._worlds: list[World] = []
        try:
            for row in range(len(board.episode)):
                self._worlds.append(World(build(), layout, board, row))
        except Exception as error:
            self.close()
            raise WorkerError("the environment", "when it was built", told(error), traceback.format_exc()) from error

    def reset(self, seed: int) -> None:
        """Begins the episodes that the board names."""
        self._each(lambda world: world.reset(seed))

    def step(self) -> list[int]:
        """Steps all worlds; none is ever lost."""
        self._each(World.step)
        return []

    def render(self, row: int) -> Any:
        """The picture, or what went wrong as text."""
        try:
            return self._worlds[row].render()
        except Exception as error:
            return told(error)

    def close(self) -> None:
        """Closes the environments; again does nothing."""
        worlds, self._worlds = self._worlds, []
        for world in worlds:
            world.close()

    def _each(self, act: Callable[[World], None]) -> None:
        for world in self._worlds:
            try:
                act(world)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise WorkerError("the environment", f"in {world.where()}", reason, traceback.format_exc()) from error


@dataclass
class _Worker:
    """One process."""

    number: int
    rows: list[int]
    process: subprocess.Popen[bytes]
    connection: Connection
    deaths: int = 0


class Workers:
    """The worlds in processes of their own.

    Args:
        build: Makes one environment; sent to the workers by cloudpickle.
        layout: What they show.
        board: Where their rows are.
        memory: Descriptor of the memory behind the board.
        n_workers: How many processes, at most one a world.
        notify: Told in words when a worker died and was started again.

    Raises:
        WorkerError: A worker could not be started.
    """

    def __init__(
        self,
        build: Callable[[], Any],
        layout: Layout,
        board: Board,
        memory: int,
        n_workers: int,
        notify: Callable[[str], None],
    ) -> None:
        self._task = build, layout, len(board.episode)
        self._board, self._memory, self._notify = board, memory, notify
        self._seed = 0
        self._owner = os.getpid()
        blocks = [block.tolist() for block in np.array_split(np.arange(len(board.episode)), n_workers)]
        self._workers = [_Worker(number, rows, *self._launch(rows)) for number, rows in enumerate(blocks)]
        try:
            for worker in self._workers:  # all are starting by now
                self._receive(worker)
        except WorkerError:
            self.close()
            raise

    def reset(self, seed: int) -> None:
        """Begins the episodes that the board names."""
        self._seed = seed
        self._all("reset", seed)

    def step(self) -> list[int]:
        """Steps all worlds.

        Returns:
            Rows of worlds that were lost and have begun another episode: their `next` is right, their `final` is not.

        Raises:
            WorkerError: A worker died for the second time.
        """
        return self._all("step", None)

    def render(self, row: int) -> Any:
        """The picture of a world, or what went wrong as text."""
        worker = next(worker for worker in self._workers if row in worker.rows)
        self._send(worker, "render", row)
        return self._receive(worker)

    def close(self) -> None:
        """Ends all processes; again does nothing."""
        if os.getpid() != self._owner:
            return  # a fork of the process that has them
        workers, self._workers = self._workers, []
        for worker in workers:
            with contextlib.suppress(WorkerError):
                self._send(worker, "close", None)
        for worker in workers:
            _end(worker)

    def _all(self, command: str, argument: Any) -> list[int]:
        """Lets all do it at the same time, and starts those again that died."""
        errors: dict[int, WorkerError] = {}
        for worker in self._workers:
            try:
                self._send(worker, command, argument)
            except WorkerError as error:
                errors[worker.number] = error
        for worker in self._workers:
            if worker.number in errors:
                continue
            try:
                self._receive(worker)
            except WorkerError as error:
                errors[worker.number] = error
        lost: list[int] = []
        for number, error in errors.items():
            self._revive(self._workers[number], error)
            lost += self._workers[number].rows
        return lost

    def _revive(self, worker: _Worker, error: WorkerError) -> None:
        """Starts a worker again; its worlds begin their next episodes."""
        _end(worker, patience=0.0)
        worker.deaths += 1
        if worker.deaths > 1:
            raise error
        self._notify(f"{error}; it was started again, its worlds begin new episodes\n{error.traceback}".rstrip())
        worker.process, worker.connection = self._launch(worker.rows)
        self._receive(worker)
        self._board.episode[worker.rows] += 1
        self._board.stagger[worker.rows] = 0
        self._send(worker, "reset", self._seed)
        self._receive(worker)

    def _launch(self, rows: Sequence[int]) -> tuple[subprocess.Popen[bytes], Connection]:
        return _start((*self._task, rows), self._memory)

    def _send(self, worker: _Worker, command: str, argument: Any) -> None:
        try:
            worker.connection.send((command, argument))
        except OSError:
            raise WorkerError(_name(worker), "without a traceback", _how_it_ended(worker.process)) from None

    def _receive(self, worker: _Worker) -> Any:
        try:
            good, result = worker.connection.recv()
        except (EOFError, OSError):
            raise WorkerError(_name(worker), "without a traceback", _how_it_ended(worker.process)) from None
        if not good:
            place, reason, trace = result
            raise WorkerError(_name(worker), place if place.startswith("when") else f"in {place}", reason, trace)
        return result


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a process of its own, where what foreign code prints, changes or breaks harms nobody.

    Raises:
        ValueError: The function raised it.
        ForeignError: It raised something else, or its process died.
    """
    process, connection = _start((function, arguments), None)
    worker = _Worker(0, [], process, connection)
    try:
        good, result = cloudpickle.loads(connection.recv_bytes())
    except (EOFError, OSError):
        raise ForeignError(f"its process died: {_how_it_ended(process)}") from None
    finally:
        _end(worker)
    if good:
        return result
    message, by_us = result
    raise ValueError(message) if by_us else ForeignError(message)


def _start(task: Any, memory: int | None) -> tuple[subprocess.Popen[bytes], Connection]:
    """Starts a process that runs `worker.main`, and hands it its task."""
    packed = cloudpickle.dumps(task)
    ours, theirs = Pipe()
    package = __name__.rpartition(".")[0]
    passed = (theirs.fileno(),) if memory is None else (theirs.fileno(), memory)
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _BOOT, str(theirs.fileno()), str(-1 if memory is None else memory)),
            *(str(len(sys.path)), *sys.path, package),
        ],
        stdin=subprocess.PIPE,  # whose end tells the worker that we are gone
        stdout=2,  # what environments print must not get into what we print
        pass_fds=passed,
        process_group=0,  # the terminal's Ctrl-C does not reach it
        env={
            "SDL_VIDEODRIVER": "dummy",  # no window
            "PYGAME_HIDE_SUPPORT_PROMPT": "1",
            **os.environ,
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),  # cores are taken
        },
    )
    theirs.close()
    with contextlib.suppress(OSError):  # it died at once: receiving will say so
        ours.send_bytes(packed)
    return process, ours


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """What is known of a process that ended without a word."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    code = process.returncode
    if code is None:
        return "it closed its connection"
    if code < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"killed by {known.get(-code, f'signal {-code}')}"
    return f"it exited with code {code}"


def _name(worker: _Worker) -> str:
    rows = worker.rows
    worlds = f"world {rows[0]}" if len(rows) == 1 else f"worlds {rows[0]} to {rows[-1]}"
    return f"worker {worker.number} ({worlds}, process {worker.process.pid})"


def _end(worker: _Worker, patience: float = PATIENCE) -> None:
    """Waits for a process to end, kills it if it does not, and leaves nothing of it behind."""
    try:
        worker.process.wait(patience)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    worker.connection.close()


def usable_cores() -> int:
    """How many processes can run at once; 0 where worker processes are not possible (Windows)."""
    if os.name != "posix":
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
