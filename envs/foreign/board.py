"""The rows of all worlds, in memory that the processes share.

Axes: B worlds, N agents, O observation, S global state, A actions, M metrics.

The memory is a file without a name. Workers get its descriptor, and the system frees it when the last process that has
it ends, however that happens. There is nothing to unlink, so nothing can be left behind.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box

from ..core import Array
from .layout import Layout
from .news import SPARE

ALIGNMENT = 64  # bytes: a cache line, so that no two arrays share one


class Frame(NamedTuple):
    """All worlds at one point in time."""

    obs: Array  # (B, N, O) float32, zeros for agents that are not shown
    state: Array  # (B, S) float32
    alive: Array  # (B, N) bool
    hears: Array  # (B, N, N) bool, [b, i, j]: i hears j; (B, 0, 0) where infos do not say
    mask: Array  # (B, N, A) bool; (B, 0, 0) where there are no masks
    metrics: Array  # (B, M + SPARE) float64, NaN where absent; the spare columns are for late metrics


class Board(NamedTuple):
    """All arrays that the trainer and the workers exchange; a row belongs to the process that steps its world."""

    action: Array  # (B, N) int64 or (B, N, A) float32: actions of the next step
    stagger: Array  # (B,) int64, steps after which the first episode is cut short; 0: never
    episode: Array  # (B,) int64, index of the running episode
    reward: Array  # (B, N) float32
    team_reward: Array  # (B,) float32
    cost: Array  # (B, N) float32
    terminated: Array  # (B, N) bool
    truncated: Array  # (B,) bool
    ended: Array  # (B,) bool: the world ended, and `next` shows the start of its next episode
    whole: Array  # (B,) bool: an episode ended, and `stagger` did not cut it short
    final: Frame  # what the actions led to
    next: Frame  # where the world ended: what to act on


def fields(layout: Layout, n_worlds: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Returns shape and type of every array, by name; arrays of frames are named `final.obs` and so on."""
    b, n = n_worlds, len(layout.keys)
    space = layout.actions.space
    if isinstance(space, Box):
        action, choices = ((b, n, *space.shape), np.float32), 0
    else:
        action, choices = ((b, n), np.int64), int(space.n)
    length = int(np.prod(layout.observations.space.shape))
    found: dict[str, tuple[tuple[int, ...], Any]] = {
        "action": action,
        "stagger": ((b,), np.int64),
        "episode": ((b,), np.int64),
        "reward": ((b, n), np.float32),
        "team_reward": ((b,), np.float32),
        "cost": ((b, n), np.float32),
        "terminated": ((b, n), np.bool_),
        "truncated": ((b,), np.bool_),
        "ended": ((b,), np.bool_),
        "whole": ((b,), np.bool_),
    }
    for frame in ("final", "next"):
        found |= {
            f"{frame}.obs": ((b, n, length), np.float32),
            f"{frame}.state": ((b, layout.state_dim), np.float32),
            f"{frame}.alive": ((b, n), np.bool_),
            f"{frame}.hears": ((b, n, n) if layout.neighbors else (b, 0, 0), np.bool_),
            f"{frame}.mask": ((b, n, choices) if layout.masks else (b, 0, 0), np.bool_),
            f"{frame}.metrics": ((b, len(layout.metrics) + SPARE), np.float64),
        }
    return found


def size_of(layout: Layout, n_worlds: int) -> int:
    """Returns the size of a board [bytes]."""
    return sum(_padded(shape, kind) for shape, kind in fields(layout, n_worlds).values())


def board_in(memory: Any, layout: Layout, n_worlds: int) -> Board:
    """Returns the board in a piece of memory of at least `size_of` bytes."""
    arrays: dict[str, Array] = {}
    offset = 0
    for name, (shape, kind) in fields(layout, n_worlds).items():
        arrays[name] = np.ndarray(shape, kind, memory, offset)
        offset += _padded(shape, kind)
    final, following = (
        Frame(**{field: arrays.pop(f"{frame}.{field}") for field in Frame._fields}) for frame in ("final", "next")
    )
    return Board(**arrays, final=final, next=following)


def nameless_file(size: int) -> int:
    """Returns the descriptor of a new file of zeros that has no name in any folder."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("coterie-worlds")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def mapped(descriptor: int, size: int) -> mmap.mmap:
    """Returns the memory behind a descriptor, shared with all processes that map it."""
    return mmap.mmap(descriptor, size)


def _padded(shape: tuple[int, ...], kind: Any) -> int:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return -(-size // ALIGNMENT) * ALIGNMENT
