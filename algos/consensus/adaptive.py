"""Adaptive speaking: a node says its value only when it has moved, and more often where values change much.

Axes: B worlds, N nodes, V values of a node.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

ALPHA = 0.1
"""Weight of the newest change in the moving average of changes."""


class Speaking(NamedTuple):
    """What decides when each node speaks."""

    said: Tensor
    """(B, N, V), what was said last."""
    before: Tensor
    """(B, N, V), the value in the round before."""
    since: Tensor
    """(B, N) int32, rounds since the node spoke last."""
    change: Tensor
    """(B, N), moving average of the largest change of a value in a round, the volatility."""


def first_speaking(value: Tensor) -> Speaking:
    """Returns the state in which all have just said `value`, (B, N, V)."""
    since = torch.zeros(value.shape[:-1], dtype=torch.int32, device=value.device)
    return Speaking(value, value, since, torch.zeros_like(value[..., 0]))


def speaks(
    state: Speaking, value: Tensor, *, tolerance: float, least: int = 1, longest: int = 100
) -> tuple[Tensor, Speaking]:
    """Returns who speaks in this round, (B, N) bool, and the state after it.

        change   <- (1 - alpha) change + alpha max_v |x_v(t) - x_v(t - 1)|,   alpha = 0.1
        interval  = tolerance / change, not below `least` and not above `longest` [rounds]

    A node speaks when as many rounds have passed since it last did as the interval says, and what it said is then off
    by more than half the tolerance, or at once when it is off by more than the tolerance; never before `least` rounds,
    and in any case after `longest`. So in a calm network nodes are nearly silent, and what others hold of a node is
    never off by more than the tolerance and what the value moves within `least` rounds.

    With `gossip.averaged` on what was said last the mean is kept exactly, however rarely nodes speak. Let only those
    exchanges take place whose ends have said what differs, see `differing`: else nodes that all but agree move each
    other to and fro by about the tolerance, and speak every few rounds for ever.

    Source: the trigger on |x - said| of Seyboth, Dimarogonas and Johansson 2013, "Event-based broadcasting for
    multi-agent average consensus", equation 9, with a constant threshold. The interval that follows volatility is ours.

    Args:
        state: Of the round before.
        value: (B, N, V).
        tolerance: How far what was said may be off, in the unit of the values; above 0.
        least: Fewest rounds between two messages of a node.
        longest: Most rounds between two messages of a node.

    Raises:
        ValueError: `tolerance` is not above 0, or not 1 <= `least` <= `longest`.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance: {tolerance} is not above 0; give how far what was said may be off")
    if not 1 <= least <= longest:
        raise ValueError(f"least, longest: {least} and {longest} are not 1 <= least <= longest; mend either")
    moved = (value - state.before).abs().amax(-1)  # (B, N)
    off = (value - state.said).abs().amax(-1)
    change = (1 - ALPHA) * state.change + ALPHA * moved
    since = state.since + 1
    interval = (tolerance / change).clamp(least, longest)  # tolerance / 0 is infinite
    due = (off > tolerance) | ((since >= interval) & (off > tolerance / 2)) | (since >= longest)
    now = due & (since >= least)
    said = torch.where(now.unsqueeze(-1), value, state.said)
    return now, Speaking(said, value, torch.where(now, 0, since), change)


def differing(heard: Tensor, tolerance: float) -> Tensor:
    """Returns the links whose two ends have said what differs by more than the tolerance, (B, N, N) bool.

    Both ends know it, so the mask is symmetric. Links that are left out rest: once all do, nobody moves or speaks until
    something changes, and neighbours are at most three times the tolerance apart.

    Args:
        heard: (B, N, N, V), what each node holds as said by each other; or (B, N, V), what each node says to all.
        tolerance: In the unit of the values, see `speaks`.
    """
    if heard.dim() == 3:
        heard = heard.unsqueeze(-3)  # (B, 1, N, V)
    return ((heard - heard.transpose(1, 2)).abs() > tolerance).any(-1)
