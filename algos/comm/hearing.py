"""Messages that agents have heard: the age of the one on every link, and those of earlier steps.

Axes: T time, B worlds, N agents, K steps of history, H steps in which something is heard, R rounds, P numbers of a
packet, E links; `...` any leading axes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..core import NOTHING


class Hearing(NamedTuple):
    """The messages that a network hears, as the medium brings them."""

    age: Tensor
    """(..., N, N) uint8, [i, j]: steps since j said what i hears of it, or `NOTHING`."""
    before: Tensor | None = None
    """(B, N, K, R, P) packets of the K steps before the sequence, the newest last. The axes of `age` are then
    (T, B, N, N). None: steps need not be in sequence, and without `said_in` nothing is remembered: all ages are 0."""
    said_in: Tensor | None = None
    """(H, N, N) int64 index of the step, among all steps that are computed together, in which j said what i hears of
    it. The axes of `age` are then (H, N, N); any steps after these H only speak."""


class Links(NamedTuple):
    """The pairs of agents that hear each other in some steps, as a list."""

    receiver: Tensor  # (E,) agent that hears, as a row of (... * N)
    sender: Tensor  # (E,) agent that is heard, as a row of (... * N), or of the history and the sequence
    which: Tensor  # (E,) index of the sender among the N agents
    age: Tensor  # (E,) float32 steps since it was said


def links_of(hearing: Hearing) -> Links:
    """Lists who hears whom.

    A sender is a row of the packets that `table` lays out.
    """
    age = hearing.age
    n = age.shape[-1]
    if hearing.before is None:
        row, receiver, which = (age.flatten(0, -3) != NOTHING).nonzero(as_tuple=True)  # (E,) each
        if hearing.said_in is None:
            return Links(row * n + receiver, row * n + which, which, age.new_zeros(len(row), dtype=torch.float32))
        said, old = hearing.said_in[row, receiver, which], age[row, receiver, which]
        return Links(row * n + receiver, said * n + which, which, old.float())
    n_worlds, history = age.shape[1], hearing.before.shape[2]
    step, world, receiver, which = (age != NOTHING).nonzero(as_tuple=True)
    old = age[step, world, receiver, which].long()
    said = step + history - old  # row of the sequence with its history before it
    return Links((step * n_worlds + world) * n + receiver, (said * n_worlds + world) * n + which, which, old.float())


def table(packet: Tensor, hearing: Hearing, number: int) -> Tensor:
    """Lays packets of one round out in the rows that `Links.sender` counts.

    Args:
        packet: (..., N, P) said in the sequence.
        hearing: What is heard; its history comes before the sequence.
        number: Index of the round.

    Returns:
        (rows, P).
    """
    if hearing.before is None:
        return packet.flatten(0, -2)
    before = hearing.before[:, :, :, number].permute(2, 0, 1, 3)  # (K, B, N, P)
    return torch.cat([before, packet]).flatten(0, -2)
