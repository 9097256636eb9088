"""A lock for each run folder, which the operating system releases with the process that holds it, however that ends.

The lock is on an open file (`flock`; on Windows `msvcrt.locking`) and not the existence of the file: `kill -9` leaves a
file behind, but no lock. Reading a run, for instance with `--evaluate`, needs no lock.
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
"""Name of the file in a run folder. Its content, the last process that held the lock, is for people to read."""
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


class RunLock:
    """A lock that is held from its construction to `release`, or in a `with` block; a second one is refused."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock.

        Args:
            folder: The run folder.

        Raises:
            RunFolderError: Another process, or another session of this one, trains in the folder.
            OSError: The folder cannot be written to.
        """
        self._file: IO[bytes] | None = (folder / LOCK).open("a+b")
        try:
            _lock(self._file)
        except OSError as error:
            if error.errno in _TAKEN:
                self._file.seek(0)
                process = "".join(filter(str.isdigit, self._file.read(20).decode("ascii", "ignore")))
                self._file.close()
                if process == str(os.getpid()):
                    raise RunFolderError(
                        f"{folder} is being trained by another session of this process; close that one first"
                    ) from None
                raise RunFolderError(
                    f"{folder} is being trained by another process{f' ({process})' if process else ''}; "
                    "wait for it, or end it first (--evaluate works meanwhile)"
                ) from None
            # A file system without locks: the run goes on unprotected.
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
            self._file.flush()
        _held.add(self)

    def release(self) -> None:
        """Releases the lock; does nothing if that was done."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def _lock(file: IO[bytes]) -> None:
    """Takes the lock without waiting, or raises `OSError`."""
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
