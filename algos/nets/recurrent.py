"""Recurrence: a GRU over sequences in which episodes begin and agents are born and die.

Axes: T time, B worlds, N agents, D features, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .layers import Dense


class Recurrence(NamedTuple):
    """The state that a recurrent network begins a sequence with, and the steps at which it forgets."""

    hidden: Tensor  # (B, N, H) before the first step of the sequence
    started: Tensor  # (T, B) bool, an episode begins at this step: it begins with zeros
    alive: Tensor  # (T, B, N) bool; the state of agents that are not alive is zero (N may be 1)


class Gru(nn.Module):
    """A gated recurrent unit per agent, over sequences in which episodes begin and agents are born and die.

    r, z = sigmoid(x W_rz + h U_rz), n = tanh(x W_n + b_n + r * (h U_n + c_n)), h' = (1 - z) * n + z * h

    Source: Cho et al. 2014, equations 5-8, with the reset gate after the product as in cuDNN and `torch.nn.GRU`.
    """

    def __init__(self, inputs: int, hidden: int, sets: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.size = hidden  # H
        self.input = Dense([inputs], 3 * hidden, sets, gain=1.0, generator=generator)
        self.recurrent = Dense([hidden], 3 * hidden, sets, gain=1.0, generator=generator)

    def forward(self, x: Tensor, recurrence: Recurrence) -> Tensor:
        """Maps (T, B, N, D) to states (T, B, N, H), zero for the dead; the last is the next sequence's `hidden`."""
        size = self.size
        gates = self.input(x)  # (T, B, N, 3 H)
        started = recurrence.started[:, :, None, None]  # (T, B, 1, 1)
        alive = recurrence.alive.unsqueeze(-1)  # (T, B, N, 1)
        # Nothing carries over from before a start, nor from a step at which the agent was not alive: (T, B, N, 1)
        keep = torch.cat([~started[:1].expand_as(alive[:1]), alive[:-1] & ~started[1:]]).to(x.dtype)
        hidden, steps = recurrence.hidden, []
        # unbind instead of an index: the gradient of T indices would fill T tensors of T steps each
        x_rz, x_n = (part.unbind(0) for part in gates.split([2 * size, size], -1))  # T of (B, N, 2 H), (B, N, H)
        for t, keep_t in enumerate(keep.unbind(0)):
            hidden = hidden * keep_t
            h_rz, h_n = self.recurrent(hidden).split([2 * size, size], -1)
            r, z = torch.sigmoid(x_rz[t] + h_rz).chunk(2, -1)
            hidden = torch.lerp(torch.tanh(torch.addcmul(x_n[t], r, h_n)), hidden, z)  # (B, N, H)
            steps.append(hidden)
        return torch.stack(steps).masked_fill(~alive, 0.0)  # no product: observations of the dead may be NaN
