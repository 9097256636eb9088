"""Ends workers with the process that started them, and with the workers the processes that their environments started.

An environment may start processes of its own, such as a simulator, and end them in `close()`. So a worker closes its
worlds before it ends, whatever the reason: a command, an exception, SIGTERM, or the end of the process that started
it, also by `kill -9`. After that, or after a worker was killed, the processes left in its process group are killed.
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
"""Set when the parent is gone. Its pipes close before its children get another parent, so `getppid` may lag behind."""
_GLANCE = 1000
"""Interval at which the parent's id is checked, in case another process holds stdin open [ms]."""


def end_group(leader: int) -> None:
    """Kills all processes that are left in a process group; there may be none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS raises the second for zombies
        os.killpg(leader, signal.SIGKILL)


def end_with(parent: int) -> None:
    """Makes this process, the leader of its group, end with its parent: by SIGTERM, and by SIGKILL after `PATIENCE`.

    Args:
        parent: The parent's process id. The parent holds the other end of this process's stdin open and never writes.
    """
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def stay_until_closed() -> None:
    """Ignores SIGTERM from now on, because this process is already ending."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_as(orphan: bool, number: int | None = None) -> None:
    """Ends this process after its worlds were closed: an orphan with its whole group, others by the signal received."""
    if orphan or _orphaned.is_set():
        end_group(os.getpid())
    if number is not None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class Terminated(SystemExit):
    """Raised when SIGTERM is received."""


def _leave(number: int, frame: Any) -> None:  # noqa: ARG001 - a signal handler's signature
    raise Terminated(128 + number)


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
