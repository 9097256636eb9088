"""Messages between a process that trains and a worker; rows go through the board.

An empty message is "step" on the way to the worker, and "done, with nothing to tell" on the way back: the two that
come thousands of times a second. All others are pickled: (command, argument), and (good, result, news).
"""

from __future__ import annotations

import pickle
import traceback
from multiprocessing.connection import Connection
from typing import Any

from .blame import told
from .refusals import RefusedError
from .tellings import News

STEP = "step"


class GoneError(Exception):
    """The process at the other end of the pipe is gone."""


def send(connection: Connection, message: bytes) -> None:
    """Sends bytes.

    Raises:
        GoneError: Nobody takes them.
    """
    try:
        connection.send_bytes(message)
    except OSError:
        raise GoneError from None


def receive(connection: Connection) -> bytes:
    """Waits for bytes.

    Raises:
        GoneError: Nobody sends them.
    """
    try:
        return connection.recv_bytes()
    except (EOFError, OSError):
        raise GoneError from None


def order(command: str, argument: Any = None) -> bytes:
    """A command as bytes."""
    return b"" if command == STEP else pickle.dumps((command, argument))


def ordered(message: bytes) -> tuple[str, Any]:
    """The command and its argument."""
    return pickle.loads(message) if message else (STEP, None)


def answer(good: bool, result: Any = None, news: News | None = None) -> bytes:
    """An answer as bytes: (True, result), or (False, (place, reason, traceback))."""
    return b"" if good and result is None and news is None else pickle.dumps((good, result, news))


def answered(message: bytes) -> tuple[bool, Any, News | None]:
    """The answer."""
    return pickle.loads(message) if message else (True, None, None)


def told_of(error: Exception) -> tuple[str, str]:
    """The reason in words, and the traceback where it helps: what was refused here needs none."""
    if isinstance(error, RefusedError):
        return str(error), ""
    return told(error), traceback.format_exc()
