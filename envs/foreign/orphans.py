"""Nothing is left behind: a worker ends with whoever started it, and what its environments started ends with it.

An environment may start processes of its own, a simulator for instance, and end them in `close()`. So a worker closes
its worlds before it ends, however that comes about: told to, by an exception, by SIGTERM, or because the process that
started it is gone, `kill -9` included. What is left in its process group after that, or after a worker that was
killed, is killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from typing import Any

PATIENCE = 5.0
"""Time a worker has to close its environments before it is killed [s]."""
_orphaned = threading.Event()
"""Whether the parent is gone. Its pipes close before its children get another parent, so `getppid` may lag behind."""
_GLANCE = 1000
"""Between two looks at whose child we are, for a stdin that somebody else holds open [ms]."""


def end_group(leader: int) -> None:
    """Kills all that is left of a process group; nothing is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the second of zombies
        os.killpg(leader, signal.SIGKILL)


def end_with(parent: int) -> None:
    """Lets this process, a leader of its group, end when its parent does: SIGTERM first, SIGKILL after `PATIENCE`.

    Args:
        parent: Its process id; our stdin is a pipe that it holds open and never writes to.
    """
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def stay_until_closed() -> None:
    """From here on SIGTERM does nothing: this process is ending already."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_as(orphan: bool, number: int | None = None) -> None:
    """Ends this process after its worlds were closed: an orphan with its group, others by the signal that came."""
    if orphan or _orphaned.is_set():
        end_group(os.getpid())
    if number is not None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class Told(SystemExit):
    """SIGTERM came."""


def _leave(number: int, frame: Any) -> None:  # noqa: ARG001 - a signal handler's signature
    raise Told(128 + number)


def _watch(parent: int) -> None:
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while os.getppid() == parent:
        for _, event in poll.poll(_GLANCE):
            if event & select.POLLNVAL:  # an environment closed it
                poll.unregister(0)
            elif not os.read(0, 1):
                break
        else:
            continue
        break
    _orphaned.set()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    end_group(os.getpid())
