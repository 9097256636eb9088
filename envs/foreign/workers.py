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
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import numpy as np

from .block import Block
from .board import Board
from .layout import Layout
from .orphans import PATIENCE, end_group
from .protocol import STEP, GoneError, answered, order, receive, send, told_of
from .tellings import News

_BOOT = (
    "import sys; count = int(sys.argv[4]); sys.path[:] = sys.argv[5:5 + count]; package = sys.argv[5 + count]; "
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
    """The worlds in this process: for tests, debugging and cheap cases. What an environment raises ends it.

    Args:
        build: Makes one environment.
        layout: What they show.
        board: Where their rows are.
        hear: Told the rows and the news of a process in which there are any.

    Raises:
        WorkerError: One of them could not be built.
    """

    def __init__(
        self, build: Callable[[], Any], layout: Layout, board: Board, hear: Callable[[Sequence[int], News], None]
    ) -> None:
        self._rows, self._hear = range(len(board.episode)), hear
        try:
            self._block = Block(build, layout, board, self._rows)
        except Exception as error:
            raise WorkerError("the environment", "when it was built", *told_of(error)) from error
        self._worlds = self._block.worlds  # to look into when debugging

    def reset(self, seed: int) -> None:
        """Begins the episodes that the board names."""
        self._do(lambda: self._block.reset(seed))

    def step(self) -> list[int]:
        """Steps all worlds; none is ever lost."""
        self._do(self._block.step)
        return []

    def render(self, row: int) -> Any:
        """The picture, or what went wrong as text."""
        return self._block.render(row)

    @property
    def processes(self) -> tuple[int, ...]:
        """None but this one."""
        return ()

    def close(self) -> None:
        """Closes the environments; again does nothing."""
        self._block.close()

    def _do(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            raise WorkerError("the environment", self._block.where(), *told_of(error)) from error
        if news := self._block.news():
            self._hear(self._rows, news)


class _Worker:
    """One process.

    Args:
        number: Of it among the workers.
        rows: Of its worlds.
        task: What it is to do, see `worker`.
        memory: Descriptor of the board's memory; None where there is none.
    """

    def __init__(self, number: int, rows: list[int], task: Any, memory: int | None) -> None:
        self.number, self.rows, self.deaths = number, rows, 0
        self.start(task, memory)

    def start(self, task: Any, memory: int | None) -> None:
        """Starts the process, the first time or again."""
        self.process, self.connection = _start(task, memory)
        self._ended = False
        self._poll = select.poll()
        self._poll.register(self.connection.fileno(), select.POLLIN)
        self._life = -1
        with contextlib.suppress(AttributeError, OSError):  # not on all systems
            self._life = os.pidfd_open(self.process.pid)
            self._poll.register(self._life, select.POLLIN)

    def send(self, message: bytes) -> None:
        """Sends a message, see `protocol`."""
        try:
            send(self.connection, message)
        except GoneError:
            raise self._died() from None

    def receive(self) -> bytes:
        """Waits for a message, or for the end of the process: its children may hold its end of the pipe open."""
        try:
            if not any(descriptor != self._life for descriptor, _ in self._poll.poll()):
                raise GoneError
            return receive(self.connection)
        except GoneError:
            raise self._died() from None

    def end(self, patience: float = PATIENCE) -> None:
        """Waits for the process to end, kills it if it does not, and leaves nothing of it and its children behind."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        end_group(self.process.pid)
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.connection.close()
        if self._life >= 0:
            os.close(self._life)

    def __str__(self) -> str:
        """Its name in messages."""
        rows = self.rows
        worlds = f"world {rows[0]}" if len(rows) == 1 else f"worlds {rows[0]} to {rows[-1]}"
        return f"worker {self.number} ({worlds}, process {self.process.pid})"

    def _died(self) -> WorkerError:
        return WorkerError(str(self), "without a traceback", _how_it_ended(self.process))


class Workers:
    """The worlds in processes of their own.

    Args:
        build: Makes one environment; sent to the workers by cloudpickle.
        layout: What they show.
        board: Where their rows are.
        memory: Descriptor of the memory behind the board.
        n_workers: How many processes, at most one a world.
        notify: Told in words when a worker died and was started again.
        hear: Told the rows and the news of a process in which there are any; None as news where it began anew.

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
        hear: Callable[[Sequence[int], News | None], None],
    ) -> None:
        self._hear = hear
        self._task = build, layout, len(board.episode)
        self._board, self._memory, self._notify = board, memory, notify
        self._seed = 0
        self._owner = os.getpid()
        blocks = [block.tolist() for block in np.array_split(np.arange(len(board.episode)), n_workers)]
        self._workers: list[_Worker] = []
        try:
            for number, rows in enumerate(blocks):
                self._workers.append(_Worker(number, rows, (*self._task, rows), memory))
            for worker in self._workers:  # all are starting by now
                self._receive(worker)
        except BaseException:
            self.close()
            raise

    def reset(self, seed: int) -> None:
        """Begins the episodes that the board names."""
        self._seed = seed
        self._all(order("reset", seed))

    def step(self) -> list[int]:
        """Steps all worlds.

        Returns:
            Rows of worlds that were lost and have begun another episode: their `next` is right, their `final` is not.

        Raises:
            WorkerError: A worker died for the second time.
        """
        return self._all(order(STEP))

    def render(self, row: int) -> Any:
        """The picture of a world, or what went wrong as text."""
        worker = next(worker for worker in self._workers if row in worker.rows)
        worker.send(order("render", row))
        return self._receive(worker)

    @property
    def processes(self) -> tuple[int, ...]:
        """Their ids."""
        return tuple(worker.process.pid for worker in self._workers)

    def close(self) -> None:
        """Ends all processes; again does nothing."""
        if os.getpid() != self._owner:
            return  # a fork of the process that has them
        workers, self._workers = self._workers, []
        for worker in workers:
            with contextlib.suppress(WorkerError):
                worker.send(order("close"))
        for worker in workers:
            worker.end()

    def _all(self, message: bytes) -> list[int]:
        """Lets all do it at the same time, and starts those again that died."""
        errors: dict[int, WorkerError] = {}
        for worker in self._workers:
            try:
                worker.send(message)
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
        worker.end()
        worker.deaths += 1
        if worker.deaths > 1:
            raise error
        self._notify(f"{error}; it was started again, its worlds begin new episodes\n{error.traceback}".rstrip())
        self._hear(worker.rows, None)
        worker.start((*self._task, worker.rows), self._memory)
        self._receive(worker)
        self._board.episode[worker.rows] += 1
        self._board.stagger[worker.rows] = 0
        worker.send(order("reset", self._seed))
        self._receive(worker)

    def _receive(self, worker: _Worker) -> Any:
        good, result, news = answered(worker.receive())
        if not good:
            raise WorkerError(str(worker), *result)
        if news is not None:
            self._hear(worker.rows, news)
        return result


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a process of its own, where what foreign code prints, changes or breaks harms nobody.

    Raises:
        ValueError: The function raised it.
        ForeignError: It raised something else, or its process died.
    """
    worker = _Worker(0, [0], (function, arguments), None)
    try:
        good, result = cloudpickle.loads(worker.receive())
    except WorkerError:
        raise ForeignError(f"its process died: {_how_it_ended(worker.process)}") from None
    finally:
        worker.end()
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
            *(str(os.getpid()), str(len(sys.path)), *sys.path, package),
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
    """Says how a process ended that ended without a word."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    code = process.returncode
    if code is None:
        return "it closed its connection"
    if code < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"killed by {known.get(-code, f'signal {-code}')}"
    return f"it exited with code {code}"


def usable_cores() -> int:
    """How many processes can run at once; 0 where worker processes are not possible (Windows)."""
    if os.name != "posix":
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
