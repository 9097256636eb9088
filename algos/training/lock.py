"""One process a run folder: a lock that the system drops with the process that held it, however that ended.

The lock is one of the system's, on an open file (`flock`; on Windows `msvcrt.locking`), not the file's existence: what
`kill -9` leaves behind is a file that nobody holds. Reading a run, `--evaluate` say, needs no lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import weakref
from pathlib import Path
from types import TracebackType
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from .runfolder import RunFolderError

LOCK = "run.lock"
"""The file in a run folder. What it holds is for people to read: the process that had it last."""
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


class RunLock:
    """Held from its making to `release`, or as a context; a second one on the same folder is refused."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock.

        Args:
            folder: The run folder.

        Raises:
            RunFolderError: Another process, or another run in this one, trains in it.
            OSError: The folder cannot be written to.
        """
        self._file: IO[bytes] | None = (folder / LOCK).open("a+b")
        try:
            _lock(self._file)
        except OSError as error:
            if error.errno in _TAKEN:
                self._file.seek(0)
                who = "".join(filter(str.isdigit, self._file.read(20).decode("ascii", "ignore")))
                self._file.close()
                raise RunFolderError(
                    f"{folder} is being trained by another process{f' ({who})' if who else ''}; "
                    "wait for it, or end it first (--evaluate works meanwhile)"
                ) from None
            # A file system without locks: the run goes on as it did before there were any.
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
            self._file.flush()
        _held.add(self)

    def release(self) -> None:
        """Lets go; again does nothing."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def _lock(file: IO[bytes]) -> None:
    """Takes the lock without waiting; raises OSError."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    windows: Any = msvcrt
    file.seek(1 << 20)  # beyond what is read: locked bytes are locked for reading too
    windows.locking(file.fileno(), windows.LK_NBLCK, 1)
    file.seek(0)


def _forget() -> None:
    # A forked child has a copy of the descriptor, and would hold the lock after its parent was killed.
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
