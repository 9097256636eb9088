"""Threads of torch on a CPU: one for acting, one for each network in learning.

**Acting** has one thread. Its products are small, and after each of them torch's other threads busy-wait for some
milliseconds for the next one: they would take cores from the worker processes of the environment.

**Learning** has one thread for each network where two networks, such as an actor and a critic, learn from the same
batch independently of each other. A product of a few thousand rows does not divide well among threads, which would wait
for each other at every operation; two networks on one thread each wait once. The result is the same to the bit as on
one thread.
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
    """Lets torch compute on one thread inside the block, and on as many as before after it."""
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
        first: Called in this thread.
        second: Called in a thread of its own. It must not draw from a generator or change a tensor that `first` uses.
        device: Where both compute; on a GPU, which one network keeps busy, they take turns.

    Returns:
        The results of both.

    Raises:
        Exception: The error of `first`, else that of `second`, when both have ended.
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
    # One for each process: a fork inherits the executor of its parent, but not the thread in it.
    return ThreadPoolExecutor(1, thread_name_prefix=f"side-by-side-{process}")


def _call_on(threads: int, function: Callable[[], Second]) -> Second:
    torch.set_num_threads(threads)  # for this thread
    return function()
