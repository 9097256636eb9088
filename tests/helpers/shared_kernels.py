"""Compiles every kernel in one of the processes that test beside each other; the others load it from disk.

numba writes its cache atomically, but two processes that add different signatures of one function at the same moment
may give both the same data file. Locks prevent that, and the same work being done twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numba.core import dispatcher
from numba.core.compiler_lock import global_compiler_lock

_held: set[Path] = set()


def compile_once(folder: str) -> None:
    """Makes this process wait while another one that uses the same folder of locks compiles the same function."""
    compiles: Callable[..., Any] = dispatcher.Dispatcher.compile

    @functools.wraps(compiles)
    def locked(self: Any, sig: Any) -> Any:
        name: str = self.py_func.__qualname__
        if not name.startswith("envs."):  # numba's own functions are not kept on disk, and their names are not unique
            return compiles(self, sig)
        # numba's own lock comes first, so that no thread waits for it while it holds one of ours. Kernels do not call
        # each other in circles, so no two processes wait for each other either.
        with global_compiler_lock, _lock(Path(folder) / name):
            return compiles(self, sig)

    dispatcher.Dispatcher.compile = locked


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds a lock file, unless this process holds it already."""
    if path in _held:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)
