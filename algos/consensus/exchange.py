"""Push-sum through a medium that loses, delays and cuts: the channel that agents talk through (`comm.medium`).

Axes: B worlds, N nodes, V values of a node, [i, j] for i hears j.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..comm.config import ChannelConfig
from ..comm.medium import Medium
from ..core import NOTHING, Memory
from .push_sum import PushSum, first_push_sum, newer, pushed, received

_ALLOWED = ("loss", "burst", "delay", "delay_most", "partition")


class Running(NamedTuple):
    """An agreement that goes on from round to round."""

    sums: PushSum
    """What nodes hold; `push_sum.estimate` reads it."""
    memory: Memory
    """What the medium remembers; a round of the agreement is a step of it."""


class Exchange:
    """Lets nodes agree on a mean through a medium.

    What is lost is made up by the next message that arrives, so the mean is kept whatever the medium does, and after a
    partition both sides come to the joint mean. What a cut keeps back is given later, too.
    """

    def __init__(self, config: ChannelConfig, n_nodes: int, *, seed: int) -> None:
        """Makes the medium.

        Args:
            config: Losses, spells of them, delays and partitions; its steps are rounds.
            n_nodes: N.
            seed: Seed of all chance.

        Raises:
            ValueError: An option is set which means nothing here, or a partition names a node that there is not.
        """
        default = ChannelConfig()
        for one in fields(config):
            value = getattr(config, one.name)
            if one.name not in _ALLOWED and value != getattr(default, one.name):
                raise ValueError(f"{one.name} is {value!r}; a consensus takes {', '.join(_ALLOWED)} alone: leave it")
        config = replace(config, memory=0)  # all that arrived is in the sums
        self._medium = Medium(config, n_nodes, rounds=1, packet=1, seed=seed)

    def begin(self, value: Tensor) -> Running:
        """Returns the state from which nodes begin to agree on the mean of `value`, (B, N, V)."""
        sums, memory = first_push_sum(value), self._medium.first_memory(len(value))
        if "said" in memory:  # messages of the last K rounds, (B, N, K, 1, V + 1)
            n_worlds, n_nodes, history = memory["said"].shape[:3]
            memory["said"] = value.new_zeros(n_worlds, n_nodes, history, 1, value.shape[-1] + 1)
        return Running(sums, memory)

    def round(self, state: Running, hears: Tensor) -> Running:
        """Returns the state after a round.

        Args:
            state: Of the round before.
            hears: (B, N, N) bool, whether i hears j; links may be one-way, and must be the same in all rounds, see
                `push_sum.pushed`: what does not arrive is the medium's affair.
        """
        medium, memory = self._medium, state.memory
        alive = torch.ones(hears.shape[:-1], dtype=torch.bool, device=hears.device)
        sums = pushed(hears, state.sums)
        memory = medium.carry(memory, hears, alive, started=~alive[:, 0])
        age = medium.arrivals(memory)  # (B, N, N) uint8
        memory = medium.remember(memory, sums.given.unsqueeze(2), None)
        given = sums.given.unsqueeze(2)  # (B, N, 1, V + 1), or those of the last rounds, the newest last
        if "said" in memory:
            given = torch.cat([state.memory["said"].squeeze(3), given], 2)
        arrived = age != NOTHING
        place = given.shape[2] - 1 - torch.where(arrived, age, 0).long()  # (B, N, N)
        by_sender = given.unsqueeze(1).expand(-1, hears.shape[-1], -1, -1, -1)  # (B, N, N, K + 1, V + 1)
        index = place.unsqueeze(-1).unsqueeze(-1).expand(*place.shape, 1, given.shape[-1])
        heard = by_sender.gather(3, index).squeeze(3)  # (B, N, N, V + 1)
        return Running(received(newer(arrived, heard, sums), heard, sums), memory)
