"""Kernels: scalar loops over arrays, compiled by numba and cached on disk.

A kernel that reads `state.field[b, i]` in a loop may count references to `field`, atomically, at every read. Bind the
arrays of a named tuple to names before the loop; where a profile showed it, that made loops ten times as fast. Bind
them once for all worlds, not once for each: a kernel that is called world by world counts its arguments every time,
which was half of the time of the edge market's slot.

Compiled code is kept where numba keeps it: in `NUMBA_CACHE_DIR` if that is set, else beside the sources, else in the
user's cache folder. Where none of these can be written, it is kept in a folder of the user's own in the temporary
directory. Where even that fails, it is not kept, and every process compiles for itself.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config as numba_config

_settings: Any = numba_config


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function as `numba.njit(cache=True)` does, with numpy's rules for division, and cached more carefully.

    Python's check for a zero divisor at every division would keep LLVM from optimising the code around it.

    numba names its cache files after `__qualname__`. The module's name is added there: a cache entry refers to the
    types of arguments, our named tuples among them, by module, and a clone that is also installed (`pip install -e .`)
    is imported as `envs` and as `coterie.envs` from the same files, so each would find entries that only the other can
    read. A digest of all sources is added, too: numba notices changes in a kernel's own file only, not in those of the
    kernels that it calls.
    """
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a part of a kernel that makes no arrays: LLVM always inlines it, and no references are counted.

    So a kernel can be cut into functions that take whole named tuples, at the speed of one long loop. A slot of 64 edge
    markets of 8 nodes takes 0.98 times as long as it took before it was cut, and would take 1.53 times as long with
    `kernel` in place of this. A step of 64 worlds of signals (`grid-4x4`) takes 1.00 times as long, and 1.10 times with
    `kernel`. In training less of this is seen: counting references made a step of signals 5 % longer, and training
    0.5 % (median of 8 alternating pairs). The option `_nrt=False` switches reference counting off. numba does not
    document it, and refuses to compile a function with it that needs reference counting.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    function.__qualname__ = f"{function.__module__}.{function.__qualname__}.{_sources()}"
    compiled = functools.partial(njit, error_model="numpy", **options)
    configured = _settings.CACHE_DIR
    try:
        return compiled(cache=True)(function)
    except RuntimeError as error:  # numba looks for a place now, not at the first call
        if "cannot cache" not in str(error):
            raise
    try:
        _settings.CACHE_DIR = str(own_folder() or configured)
        return compiled(cache=True)(function)
    except RuntimeError:
        return compiled()(function)
    finally:
        _settings.CACHE_DIR = configured  # functions of other packages are cached where they were


@functools.cache
def own_folder() -> Path | None:
    """Returns a folder in the temporary directory that only this user can write to; None where there is none.

    Code in a cache is run by the processes that read it, and all users can write to the temporary directory. So a
    folder of this name that other users have made or may change is not used.
    """
    try:
        user = str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
        folder = Path(tempfile.gettempdir()) / f"coterie-numba-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except (OSError, KeyError, ImportError):  # the last two: this user has no name
        return None
    if hasattr(os, "getuid"):
        mine = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    else:
        mine = True  # Windows: the temporary directory is the user's own
    return folder if mine and stat.S_ISDIR(found.st_mode) else None


@functools.cache
def _sources() -> str:
    """Returns a digest of all modules of `envs`."""
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
