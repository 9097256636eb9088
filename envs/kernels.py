"""How kernels are compiled: scalar loops over arrays, by numba, cached on disk.

A loop that reads `state.field[b, i]` may count references to `field`, atomically, at every read: bind the arrays of a
named tuple to names before the loop wherever a profile shows it. It has made loops ten times as fast. Bind them once
for all worlds, not in each: a kernel that takes one world's rows counts them again for every world, which was half of
the time of the edge market's slot.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.njit(cache=True)` with a cache of its own for `envs` and for `coterie.envs`, dividing as numpy does.

    Python's check for a zero divisor at every division would keep LLVM from optimising what surrounds it.

    numba names its cache files after `__qualname__`. The module goes in there: a cache entry names the types of the
    arguments, among them our named tuples, by module, and a clone that is also installed (`pip install -e .`) is
    imported by both spellings from the same files, so either would find entries that only the other can read. The
    sources go in there, too: numba looks at the file of a kernel only, not at those of the kernels that it calls.
    """
    return njit(cache=True, error_model="numpy")(_named(function))


def borrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` for functions that make no arrays: references are not counted, so nothing need be bound before loops.

    numba refuses to compile what needs its reference counting (`_nrt`, which it does not document) without it.
    """
    options: dict[str, Any] = {"_nrt": False}
    return njit(cache=True, error_model="numpy", **options)(_named(function))


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    function.__qualname__ = f"{function.__module__}.{function.__qualname__}.{_sources()}"
    return function


@functools.cache
def _sources() -> str:
    """A digest of all modules of `envs`."""
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
