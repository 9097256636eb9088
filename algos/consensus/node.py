"""A node: a session that somebody else drives, in this process or in one of its own.

    node = Node(make_session)                        # here
    node = Process(make_session)                     # in a process, where `make_session` is called
    node.begin("advance", 20_000)                    # begins to train; several processes train at a time
    steps, finished = node.end()

Both answer the calls that `Member` has. What goes between processes are numpy arrays and plain data.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..training.evaluation import Evaluation
from ..training.session import Outcome, Session
from .parameters import Parts, bytes_of, parts_of, put_parts

MakeSession = Callable[[], Session]


class NodeError(RuntimeError):
    """A node has failed, or its process has ended; the message holds what it said."""


class Shape(NamedTuple):
    """What two nodes must have in common to share a policy."""

    algorithm: str
    learners: int
    obs_dim: int
    action_space: str


class Member:
    """Drives one session."""

    def __init__(self, session: Session) -> None:
        """Takes over a session, and closes it in the end."""
        self._session = session
        self._algo: Any = session.algo

    def shape(self) -> Shape:
        """Returns what others must have in common with it."""
        spec, algo = self._algo.spec, self._algo
        return Shape(type(algo).__name__, algo.learners, spec.obs_dim, repr(spec.action_space))

    def progress(self) -> tuple[int, bool]:
        """Returns the environment steps made so far, and whether all of its schedule are made."""
        return self._session.steps, self._session.finished

    def advance(self, goal: int) -> tuple[int, bool]:
        """Trains until `goal` environment steps are made in all, and on to where no experience is held half learned.

        On-policy algorithms must not learn from what other parameters have met, so they end with an update.

        Returns:
            See `progress`.
        """
        session, made = self._session, 1
        if session.steps < goal:
            made = session.advance(goal - session.steps)
        while made and not session.finished and self._holds_experience():
            made = session.advance(1)
        return self.progress()

    def _holds_experience(self) -> bool:
        rollout = getattr(self._algo, "rollout", None)
        return rollout is not None and rollout.t > 0

    def parts(self) -> Parts:
        """Returns a copy of what its learners are, see `parameters.parts_of`."""
        return parts_of(self._algo)

    def put(self, parts: Parts) -> None:
        """Makes its learners what `parts` says."""
        put_parts(self._algo, parts)

    def message_bytes(self, names: tuple[str, ...]) -> int:
        """Returns the size of a message with the named parts of one learner."""
        return bytes_of(self._algo, names)

    def save(self) -> bool:
        """Writes a checkpoint; returns whether it could be written."""
        return self._session.save()

    def evaluate(self, n_episodes: int) -> Evaluation:
        """Plays episodes with the greedy policy, see `Session.evaluate`."""
        return self._session.evaluate(n_episodes)

    def finish(self) -> Outcome:
        """Ends the session, see `Session.finish`."""
        return self._session.finish()

    def close(self) -> None:
        """Ends the session without saving."""
        self._session.close()


class Driven(Protocol):
    """A node, wherever it computes."""

    def begin(self, what: str, *arguments: Any) -> None:
        """Begins a call of a method of `Member`."""
        ...

    def end(self) -> Any:
        """Waits for the end of the call; returns its answer, or raises what it raised."""
        ...

    def close(self) -> None:
        """Ends the session without saving, and its process; again does nothing."""
        ...


class Node:
    """A node in this process: a call is made when its answer is asked for."""

    def __init__(self, make: MakeSession) -> None:
        """Makes the session."""
        self._member = Member(make())
        self._call: tuple[str, tuple[Any, ...]] | None = None

    def begin(self, what: str, *arguments: Any) -> None:
        """See `Driven.begin`."""
        self._call = what, arguments

    def end(self) -> Any:
        """See `Driven.end`."""
        assert self._call is not None, "end() without begin()"
        (what, arguments), self._call = self._call, None
        return getattr(self._member, what)(*arguments)

    def close(self) -> None:
        """See `Driven.close`."""
        self._member.close()


class Process:
    """A node in a process of its own."""

    def __init__(self, make: MakeSession) -> None:
        """Starts the process, and makes the session there.

        Args:
            make: Makes it; it goes to the process by pickling, so it is a function of a module, or a
                `functools.partial` of one.
        """
        context = multiprocessing.get_context("spawn")
        self._connection, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, make), daemon=False)
        self._process.start()
        there.close()
        self._waiting = False

    def begin(self, what: str, *arguments: Any) -> None:
        """See `Driven.begin`."""
        with contextlib.suppress(OSError):  # it has ended; `end` says so
            self._connection.send((what, [_plain(one) for one in arguments]))
        self._waiting = True

    def end(self) -> Any:
        """See `Driven.end`.

        Raises:
            NodeError: The call has failed there, or the process has ended.
        """
        assert self._waiting, "end() without begin()"
        self._waiting = False
        try:
            worked, answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise NodeError(f"the process of a node has ended with exit code {self._process.exitcode}") from None
        if not worked:
            raise NodeError(answer)
        return _tensors(answer)

    def close(self) -> None:
        """See `Driven.close`; a call that has not ended is broken off."""
        if self._waiting:
            self._process.terminate()
        with contextlib.suppress(OSError):
            self._connection.send(("close", []))
        self._connection.close()
        self._process.join()


def _serve(connection: Connection, make: MakeSession) -> None:
    """Answers calls until it is told to close, or whoever asks has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes: who asks decides
    member: Member | None = None
    while True:
        try:
            what, arguments = connection.recv()
        except (EOFError, OSError):
            what, arguments = "close", []
        if what == "close":
            if member is not None:
                member.close()
            return
        try:
            if member is None:
                member = Member(make())
            answer = True, _plain(getattr(member, what)(*[_tensors(one) for one in arguments]))
        except Exception as error:
            said = str(error) if isinstance(error, ValueError) else "".join(traceback.format_exception(error))
            answer = False, said
        connection.send(answer)


def _plain(value: Any) -> Any:
    """Returns `value` with arrays in the place of tensors, which would travel as files in shared memory."""
    if isinstance(value, Tensor):
        return ("tensor", value.numpy())
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _tensors(value: Any) -> Any:
    """Undoes `_plain`."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and value[0] == "tensor":
        return torch.from_numpy(value[1])
    if isinstance(value, dict):
        return {name: _tensors(one) for name, one in value.items()}
    return value
