"""Who gets torch's threads on a CPU.

**Acting** has one. Its products are small, and a thread that has had its part of one goes on spinning for some
milliseconds in wait of the next, on the core that the processes of the environment need by then.

**Learning**: the actor and the critic of an actor-critic method learn from the same batch without a word between them.
A product of a few thousand rows is too small to be shared out well among threads, which wait for each other at every
operation; two networks on a thread each wait once. The result is the same to the bit as on one thread.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

First = TypeVar("First")
Second = TypeVar("Second")


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread here, and on as many as before afterwards."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(
    first: Callable[[], First], second: Callable[[], Second], *, device: torch.device
) -> tuple[First, Second]:
    """Calls both, at once where torch has two threads or more on a CPU, else one after the other.

    Args:
        first: Called here.
        second: Called in a thread of its own. It must not draw from a generator or change a tensor that `first` uses.
        device: Where both compute; on a GPU, which fills itself, they take turns.

    Returns:
        What they return.

    Raises:
        Whatever one of them raises, when both have ended; `first` comes first.
    """
    threads = torch.get_num_threads()
    if threads < 2 or device.type != "cpu":
        return first(), second()
    each = threads // 2
    torch.set_num_threads(each)
    try:
        other = _thread(os.getpid()).submit(_call_on, each, second)
        try:
            result = first()
        finally:
            wait([other])
        return result, other.result()
    finally:
        torch.set_num_threads(threads)


@functools.cache
def _thread(process: int) -> ThreadPoolExecutor:
    # by process: a fork has the executor of its parent, but not the thread in it
    return ThreadPoolExecutor(1, thread_name_prefix=f"side-by-side-{process}")


def _call_on(threads: int, function: Callable[[], Second]) -> Second:
    torch.set_num_threads(threads)  # counts for this thread
    return function()
