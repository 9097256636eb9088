"""How kernels are compiled: scalar loops over arrays, by numba, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.njit(cache=True)` with a cache of its own for `envs` and for `coterie.envs`.

    A cache entry names the types of the arguments, among them our named tuples, by module. A clone that is also
    installed (`pip install -e .`) is imported by both spellings from the same files, and either would find entries
    that only the other can read. numba names its cache files after `__qualname__`, so the module goes in there.
    """
    function.__qualname__ = f"{function.__module__}.{function.__qualname__}"
    return njit(cache=True)(function)
