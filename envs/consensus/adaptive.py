"""Adaptive speaking: a node says its value only when it has moved, and more often where values change much.

Axes: B worlds, N nodes, V values of a node.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel

ALPHA = 0.1
"""Weight of the newest change in the moving average of changes."""


class Speaking(NamedTuple):
    """What decides when each node speaks."""

    said: np.ndarray
    """(B, N, V), what was said last."""
    before: np.ndarray
    """(B, N, V), the value in the round before."""
    since: np.ndarray
    """(B, N) int32, rounds since the node spoke last."""
    change: np.ndarray
    """(B, N), moving average of the largest change of a value in a round, the volatility."""


def first_speaking(value: np.ndarray) -> Speaking:
    """Returns the state in which all have just said `value`, (B, N, V)."""
    return Speaking(value, value, np.zeros(value.shape[:2], np.int32), np.zeros(value.shape[:2], value.dtype))


def speaks(
    state: Speaking, value: np.ndarray, *, tolerance: float, least: int = 1, longest: int = 100
) -> tuple[np.ndarray, Speaking]:
    """Returns who speaks in this round, (B, N) bool, and the state after it.

        change   <- (1 - alpha) change + alpha max_v |x_v(t) - x_v(t - 1)|,   alpha = 0.1
        interval  = tolerance / change, not below `least` and not above `longest` [rounds]

    A node speaks when as many rounds have passed since it last did as the interval says, and what it said is then off
    by more than half the tolerance, or at once when it is off by more than the tolerance; never before `least` rounds,
    and in any case after `longest`. So in a calm network nodes are nearly silent, and what others hold of a node is
    never off by more than the tolerance and what the value moves within `least` rounds.

    With `averaged` on what was said last the mean is kept exactly, however rarely nodes speak. Let only those exchanges
    take place whose ends have said what differs, see `differing`: else nodes that all but agree move each other to and
    fro by about the tolerance, and speak every few rounds for ever.

    Source: the trigger on |x - said| of Seyboth, Dimarogonas and Johansson 2013, "Event-based broadcasting for
    multi-agent average consensus", equation 9, with a constant threshold. The interval that follows volatility is ours.

    Args:
        state: Of the round before.
        value: (B, N, V).
        tolerance: How far what was said may be off, in the unit of the values; above 0.
        least: Fewest rounds between two messages of a node.
        longest: Most rounds between two messages of a node.

    Raises:
        ValueError: if `tolerance` is not above 0, or not 1 <= `least` <= `longest`.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance: {tolerance} is not above 0; give how far what was said may be off")
    if not 1 <= least <= longest:
        raise ValueError(f"least, longest: {least} and {longest} are not 1 <= least <= longest; mend either")
    moved = np.abs(value - state.before).max(axis=2)
    off = np.abs(value - state.said).max(axis=2)
    change = (1 - ALPHA) * state.change + ALPHA * moved  # (B, N)
    since = state.since + 1
    with np.errstate(divide="ignore"):
        interval = np.clip(tolerance / change, least, longest)
    due = (off > tolerance) | ((since >= interval) & (off > tolerance / 2)) | (since >= longest)
    now = due & (since >= least)
    said = np.where(now[..., None], value, state.said)
    return now, Speaking(said, value, np.where(now, 0, since).astype(np.int32), change)


@kernel
def fill_differing(neighbor, back, heard, tolerance, differs):
    """Fills `differs` as `differing` says."""
    for b in range(neighbor.shape[0]):
        for i in range(neighbor.shape[1]):
            for d in range(neighbor.shape[2]):
                j, e = neighbor[b, i, d], back[b, i, d]
                differs[b, i, d] = False
                for v in range(heard.shape[3] if j >= 0 else 0):
                    differs[b, i, d] |= abs(heard[b, i, d, v] - heard[b, j, e, v]) > tolerance


def differing(neighbor: np.ndarray, back: np.ndarray, heard: np.ndarray, tolerance: float) -> np.ndarray:
    """Returns the links whose two ends have said what differs by more than the tolerance, (B, N, D) bool.

    Both ends know it, so the mask is the same at both. Links that are left out rest: once all do, nobody moves or
    speaks until something changes, and neighbours are at most three times the tolerance apart.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        back: (B, N, D), see `back_of`.
        heard: (B, N, D, V), what each node holds as said by its neighbour.
        tolerance: In the unit of the values, see `speaks`.
    """
    differs = np.empty(neighbor.shape, np.bool_)
    fill_differing(neighbor, back, heard, tolerance, differs)
    return differs
