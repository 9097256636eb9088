"""The processes that step the worlds: they are started, sent commands, restarted once, and ended.

They are not `multiprocessing.Process`es. `fork` copies the locks of torch's threads; `spawn` and `forkserver` import
the main script again, and with it torch, which takes 1.5 s and 200 MB for each worker, and a script without
`if __name__ == "__main__"` would start itself. A worker is a plain interpreter that imports this package only. The
function that builds its environments is sent by cloudpickle, so classes defined in a script or a notebook work. Rows
are in shared memory; the pipe carries only commands.

Each worker has a block of worlds. A step takes one message to each worker and one back, for any number of worlds.
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
from .news import News
from .orphans import PATIENCE, end_group
from .protocol import STEP, GoneError, answered, order, reason_of, receive, send

_BOOT = (
    "import sys; count = int(sys.argv[4]); sys.path[:] = sys.argv[5:5 + count]; package = sys.argv[5 + count]; "
    "import importlib; importlib.import_module('.worker', package).main()"
)


class ForeignError(RuntimeError):
    """A foreign environment cannot go on; the message is one line."""


class PictureError(ForeignError, NotImplementedError):
    """An environment could not be drawn."""


class WorkerError(ForeignError):
    """An environment raised, or its process died.

    Attributes:
        traceback: The environment's traceback as text; empty if there is none.
    """

    def __init__(self, name: str, place: str, reason: str, traceback: str = "") -> None:
        super().__init__(" ".join(f"{name} died {place}: {reason}".split()))
        self.traceback = traceback


class InProcess:
    """Steps the worlds in this process: for tests, debugging and fast environments. Any exception ends it.

    Args:
        build: Makes one environment.
        layout: The shapes of what the worlds show.
        board: The rows of all worlds.
        on_news: Called with the rows of all worlds and their news.

    Raises:
        WorkerError: An environment could not be built.
    """

    def __init__(
        self, build: Callable[[], Any], layout: Layout, board: Board, on_news: Callable[[Sequence[int], News], None]
    ) -> None:
        self._rows, self._on_news = range(len(board.episode)), on_news
        try:
            self._block = Block(build, layout, board, self._rows)
        except Exception as error:
            raise WorkerError("the environment", "when it was built", *reason_of(error)) from error
        self._worlds = self._block.worlds  # to look into when debugging

    def reset(self, seed: int) -> None:
        """Starts the episodes whose indices are in the board."""
        self._do(lambda: self._block.reset(seed))

    def step(self) -> list[int]:
        """Steps all worlds; returns [], because no world is ever lost here."""
        self._do(self._block.step)
        return []

    def render(self, row: int) -> Any:
        """Returns the picture of a world, or an error as text."""
        return self._block.render(row)

    @property
    def processes(self) -> tuple[int, ...]:
        """Ids of worker processes: there are none."""
        return ()

    def close(self) -> None:
        """Closes the environments. A second call does nothing."""
        self._block.close()

    def _do(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            raise WorkerError("the environment", self._block.where(), *reason_of(error)) from error
        if news := self._block.news():
            self._on_news(self._rows, news)


class _Worker:
    """One worker process.

    Args:
        number: Index of the worker.
        rows: Rows of its worlds.
        task: The first message to it, see `worker`.
        memory: Descriptor of the board's memory; None if there is none.
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
        """Waits for a message or the end of the process, whose children may hold its end of the pipe open."""
        try:
            if not any(descriptor != self._life for descriptor, _ in self._poll.poll()):
                raise GoneError
            return receive(self.connection)
        except GoneError:
            raise self._died() from None

    def end(self, patience: float = PATIENCE) -> None:
        """Waits for the process to end, kills it if it does not, and kills what is left of its process group."""
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
        """Returns its name for messages."""
        rows = self.rows
        worlds = f"world {rows[0]}" if len(rows) == 1 else f"worlds {rows[0]} to {rows[-1]}"
        return f"worker {self.number} ({worlds}, process {self.process.pid})"

    def _died(self) -> WorkerError:
        return WorkerError(str(self), "without a traceback", _how_it_ended(self.process))


class Workers:
    """Steps the worlds in worker processes.

    Args:
        build: Makes one environment; it is sent to the workers by cloudpickle.
        layout: The shapes of what the worlds show.
        board: The rows of all worlds.
        memory: Descriptor of the memory behind the board.
        n_workers: Number of processes, at most one for each world.
        notify: Called with a line when a worker died and was started again.
        on_news: Called with the rows and the news of a worker; with None in place of news when it was started again.

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
        on_news: Callable[[Sequence[int], News | None], None],
    ) -> None:
        self._on_news = on_news
        self._task = build, layout, len(board.episode)
        self._board, self._memory, self._notify = board, memory, notify
        self._seed = 0
        self._owner = os.getpid()
        blocks = [block.tolist() for block in np.array_split(np.arange(len(board.episode)), n_workers)]
        self._workers: list[_Worker] = []
        try:
            for number, rows in enumerate(blocks):
                self._workers.append(_Worker(number, rows, (*self._task, rows), memory))
            for worker in self._workers:  # by now all of them are starting
                self._receive(worker)
        except BaseException:
            self.close()
            raise

    def reset(self, seed: int) -> None:
        """Starts the episodes whose indices are in the board."""
        self._seed = seed
        self._all(order("reset", seed))

    def step(self) -> list[int]:
        """Steps all worlds.

        Returns:
            Rows of worlds that were lost and have started another episode: their `next` is valid, their `final` is not.

        Raises:
            WorkerError: A worker died for the second time.
        """
        return self._all(order(STEP))

    def render(self, row: int) -> Any:
        """Returns the picture of a world, or an error as text."""
        worker = next(worker for worker in self._workers if row in worker.rows)
        worker.send(order("render", row))
        return self._receive(worker)

    @property
    def processes(self) -> tuple[int, ...]:
        """Ids of the worker processes."""
        return tuple(worker.process.pid for worker in self._workers)

    def close(self) -> None:
        """Ends all processes. A second call does nothing."""
        if os.getpid() != self._owner:
            return  # this is a fork of the process that started them
        workers, self._workers = self._workers, []
        for worker in workers:
            with contextlib.suppress(WorkerError):
                worker.send(order("close"))
        for worker in workers:
            worker.end()

    def _all(self, message: bytes) -> list[int]:
        """Sends a message to all workers, waits for all answers, and starts again the workers that died."""
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
        """Starts a worker again; its worlds start their next episodes."""
        worker.end()
        worker.deaths += 1
        if worker.deaths > 1:
            raise error
        self._notify(f"{error}; it was started again, and its worlds start new episodes\n{error.traceback}".rstrip())
        self._on_news(worker.rows, None)
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
            self._on_news(worker.rows, news)
        return result


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a process of its own, so that foreign code cannot print into or break this one.

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
        stdin=subprocess.PIPE,  # its end tells the worker that this process is gone
        stdout=2,  # environments' output must not get into the standard output
        pass_fds=passed,
        process_group=0,  # so that the terminal's Ctrl-C does not reach it
        env={
            "SDL_VIDEODRIVER": "dummy",  # no window
            "PYGAME_HIDE_SUPPORT_PROMPT": "1",
            **os.environ,
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),  # a core each
        },
    )
    theirs.close()
    with contextlib.suppress(OSError):  # it died at once, which `receive` will report
        ours.send_bytes(packed)
    return process, ours


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """Returns how a process ended that sent no error."""
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
    """Returns how many processes can run at once; 0 where worker processes are not possible (Windows)."""
    if os.name != "posix":
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
