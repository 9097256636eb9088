"""Messages between the training process and a worker. Rows are not among them: they are in the board.

An empty message to the worker means "step", and an empty answer "done, no news": these two are sent thousands of times
a second. All others are pickled: (command, argument) to the worker, and (good, result, news) as the answer.
"""

from __future__ import annotations

import pickle
import traceback
from multiprocessing.connection import Connection
from typing import Any

from .blame import explain
from .news import News
from .refusals import RefusedError

STEP = "step"


class GoneError(Exception):
    """The process at the other end of the pipe is gone."""


def send(connection: Connection, message: bytes) -> None:
    """Sends bytes.

    Raises:
        GoneError: The other process is gone.
    """
    try:
        connection.send_bytes(message)
    except OSError:
        raise GoneError from None


def receive(connection: Connection) -> bytes:
    """Waits for bytes and returns them.

    Raises:
        GoneError: The other process is gone.
    """
    try:
        return connection.recv_bytes()
    except (EOFError, OSError):
        raise GoneError from None


def order(command: str, argument: Any = None) -> bytes:
    """Returns a command as bytes."""
    return b"" if command == STEP else pickle.dumps((command, argument))


def ordered(message: bytes) -> tuple[str, Any]:
    """Returns the command and its argument, from bytes."""
    return pickle.loads(message) if message else (STEP, None)


def answer(good: bool, result: Any = None, news: News | None = None) -> bytes:
    """Returns an answer as bytes; `result` is (place, reason, traceback) if it is not `good`."""
    return b"" if good and result is None and news is None else pickle.dumps((good, result, news))


def answered(message: bytes) -> tuple[bool, Any, News | None]:
    """Returns the answer, from bytes."""
    return pickle.loads(message) if message else (True, None, None)


def reason_of(error: Exception) -> tuple[str, str]:
    """Returns the reason as one line, and the traceback; "" for a value that was refused, which needs none."""
    if isinstance(error, RefusedError):
        return str(error), ""
    return explain(error), traceback.format_exc()
