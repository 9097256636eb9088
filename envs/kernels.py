"""How kernels are compiled: scalar loops over arrays, by numba, cached on disk.

A loop that reads `state.field[b, i]` may count references to `field`, atomically, at every read: bind the arrays of a
named tuple to names before the loop wherever a profile shows it. It has made loops ten times as fast. Bind them once
for all worlds, not in each: a kernel that takes one world's rows counts them again for every world, which was half of
the time of the edge market's slot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.njit(cache=True)` with a cache of its own for `envs` and for `coterie.envs`, dividing as numpy does.

    Python's check for a zero divisor at every division would keep LLVM from optimising what surrounds it.

    A cache entry names the types of the arguments, among them our named tuples, by module. A clone that is also
    installed (`pip install -e .`) is imported by both spellings from the same files, and either would find entries
    that only the other can read. numba names its cache files after `__qualname__`, so the module goes in there.
    """
    function.__qualname__ = f"{function.__module__}.{function.__qualname__}"
    return njit(cache=True, error_model="numpy")(function)
