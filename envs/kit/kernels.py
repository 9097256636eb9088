"""How kernels are compiled: scalar loops over arrays, by numba, cached on disk.

A loop that reads `state.field[b, i]` may count references to `field`, atomically, at every read: bind the arrays of a
named tuple to names before the loop wherever a profile shows it. It has made loops ten times as fast. Bind them once
for all worlds, not in each: a kernel that takes one world's rows counts them again for every world, which was half of
the time of the edge market's slot.

Compiled code is kept where numba keeps it: in `NUMBA_CACHE_DIR` if that is set, else beside the sources, else in the
user's cache folder. Where none of these can be written, it is kept in a folder of the user's own in the temporary
directory, and where even that fails, nowhere: every process then compiles for itself.
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
    """`numba.njit(cache=True)` with a cache of its own for `envs` and for `coterie.envs`, dividing as numpy does.

    Python's check for a zero divisor at every division would keep LLVM from optimising what surrounds it.

    numba names its cache files after `__qualname__`. The module goes in there: a cache entry names the types of the
    arguments, among them our named tuples, by module, and a clone that is also installed (`pip install -e .`) is
    imported by both spellings from the same files, so either would find entries that only the other can read. The
    sources go in there, too: numba looks at the file of a kernel only, not at those of the kernels that it calls.
    """
    return _compiled(function)


def borrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` for functions that make no arrays: references are not counted, so nothing need be bound before loops.

    numba refuses to compile what needs its reference counting (`_nrt`, which it does not document) without it.
    """
    return _compiled(function, _nrt=False)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """`borrowing` for parts of a kernel that are called once per agent or task: LLVM always inlines them.

    So a kernel can be cut into functions that take whole named tuples, at the speed of one long loop. The slot of 64
    edge markets of 8 nodes, cut so, takes 0.98 times as long as the long loops that it was, 1.26 times with `borrowing`
    and 1.53 times with `kernel`.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    function.__qualname__ = f"{function.__module__}.{function.__qualname__}.{_sources()}"
    options["error_model"] = "numpy"
    told = _settings.CACHE_DIR
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError as error:  # numba looks for a place now, not at the first call
        if "cannot cache" not in str(error):
            raise
    try:
        _settings.CACHE_DIR = str(own_folder() or told)
        return njit(cache=True, **options)(function)
    except RuntimeError:
        return njit(**options)(function)
    finally:
        _settings.CACHE_DIR = told  # others' functions are cached where they were


@functools.cache
def own_folder() -> Path | None:
    """A folder in the temporary directory that nobody else can write to; None where there is none.

    Whoever can write to a cache can run code as whoever reads it, and the temporary directory is everybody's: a folder
    of this name that others have made or may change is not used.
    """
    try:
        user = str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
        folder = Path(tempfile.gettempdir()) / f"coterie-numba-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except (OSError, KeyError, ImportError):  # the last two: nobody knows this user's name
        return None
    if hasattr(os, "getuid"):
        mine = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    else:
        mine = True  # Windows: the temporary directory is the user's own
    return folder if mine and stat.S_ISDIR(found.st_mode) else None


@functools.cache
def _sources() -> str:
    """A digest of all modules of `envs`."""
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
