"""Statistics of what is said and heard.

Axes: T time, B worlds, N agents; R rows, H heads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from ..core import NOTHING
from .quantise import whole

EXACT = 32
"""Bits of a number that is not rounded, and of each number of a position."""


def bits_of_message(entries: int, levels: float, *, rounds: int, pose: int) -> float:
    """Returns the bits that an agent sends in a step in which it speaks; a broadcast is counted once.

    Args:
        entries: Numbers in a message.
        levels: Levels that they are rounded to now, see `Medium.levels`; 0: they are not.
        rounds: Exchanges in a step.
        pose: Numbers of the position that comes with every message.
    """
    return rounds * (entries * (math.log2(whole(levels)) if levels else EXACT) + pose * EXACT)


def sent_statistics(sent: Tensor, alive: Tensor, bits: float) -> dict[str, Tensor]:
    """Returns the `messages` and `bits` that a live agent sends in a step, () each.

    Args:
        sent: (..., N) bool, agents that spoke.
        alive: (..., N) bool.
        bits: Of a message, see `bits_of_message`.
    """
    messages = (sent & alive).sum() / alive.sum().clamp(min=1)
    return {"messages": messages, "bits": messages * bits}


def heard_statistics(heard: Iterable[Tensor], alive: Tensor) -> dict[str, Tensor]:
    """Returns means over some steps, () each.

    Args:
        heard: (B, N, N) uint8 ages of messages, step by step.
        alive: (T, B, N) bool.

    Returns:
        `heard`: share of pairs of live agents in which one has something to hear of the other; `age` of that [steps].
    """
    count = alive.sum(-1)
    pairs = (count * (count - 1)).sum().clamp(min=1)
    number, age = count.new_zeros(()), count.new_zeros((), dtype=torch.float64)
    for ages, there in zip(heard, alive, strict=True):
        links = (ages != NOTHING) & there.unsqueeze(-2)  # not of the dead, whose last messages may still be heard
        number += links.sum()
        age += ages.masked_fill(~links, 0).sum(dtype=torch.float64)
    return {"heard": number / pairs, "age": age / number.clamp(min=1)}


def attention_entropy(weights: Tensor, alive: Tensor) -> Tensor:
    """Returns the mean entropy of weights (R, H, N, N) over agents alive (R, N) [nats], the empty message included."""
    empty = (1.0 - weights.sum(-1, keepdim=True)).clamp(min=0.0)
    shares = torch.cat([weights, empty], -1)
    entropy = torch.special.entr(shares).sum(-1)  # (R, H, N)
    counts = alive.unsqueeze(1).expand_as(entropy)
    return entropy[counts].mean() if bool(counts.any()) else entropy.new_zeros(())
