"""The body of every network: hidden layers, an optional GRU, and a linear head.

Axes: N agents, T time, B worlds, D features, H hidden; `...` any leading axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .config import NetConfig
from .layers import ACTIVATIONS, Dense
from .recurrent import Gru, Recurrence

HEAD_GAIN = 0.01
"""Usual gain of the head's first weights: a first policy is near uniform, first values are near 0."""


class Trunk(nn.Module):
    """Hidden layers, an optional GRU on top of them, and a linear head."""

    ids: Tensor | None

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: int,
        sets: Sequence[int],
        net: NetConfig,
        *,
        generator: torch.Generator,
        head_gain: float = HEAD_GAIN,
    ) -> None:
        """Builds it.

        Args:
            inputs: D of each input, see `Dense`. The agent's one-hot index is added where `net.agent_id` asks for it.
            outputs: D of the head.
            sets: (N,) the parameter set of each agent, see `parameter_sets`.
            net: Hidden layers, activation, recurrence and agent ids; `sets` has settled how parameters are shared.
            generator: Source of the initial weights.
            head_gain: Gain of the head's first weights.
        """
        super().__init__()
        n = len(sets)
        ids = torch.eye(n, dtype=torch.float32) if net.agent_id else None
        self.register_buffer("ids", ids, persistent=False)  # (N, N)
        layers, d_in = [], [*inputs, n] if net.agent_id else list(inputs)
        for d_out in net.hidden:
            layers.append(Dense(d_in, d_out, sets, gain=math.sqrt(2.0), generator=generator))
            d_in = [d_out]
        self.layers = nn.ModuleList(layers)
        self.activation = ACTIVATIONS[net.activation]
        self.gru = Gru(d_in[0], net.gru, sets, generator) if net.gru else None
        self.features = net.gru or d_in[0]
        """D of what the head reads."""
        self.head = Dense([net.gru or d_in[0]], outputs, sets, gain=head_gain, generator=generator)

    @property
    def agent_blind(self) -> bool:
        """Whether it treats the rows of all agents the same, each by itself: parameters shared, no ids, no memory."""
        return self.gru is None and self.head.n_sets == 1 and self.ids is None

    def forward(
        self, inputs: Sequence[Tensor], recurrence: Recurrence | None, *, last_of: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Maps inputs (..., N, D) to the head's output (..., N, D_out) and hidden states (T, B, N, H) if recurrent.

        `last_of` says which row of the last input goes with each row of the others, see `Dense.forward`; only for
        networks that are `agent_blind`.
        """
        x, states = self.body(inputs, recurrence, last_of=last_of)
        return self.head(x), states

    def body(
        self, inputs: Sequence[Tensor], recurrence: Recurrence | None, *, last_of: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Maps inputs (..., N, D) to what the head reads, and hidden states if recurrent: the same numbers."""
        if self.ids is not None:
            ids = self.ids.view(*(1,) * (inputs[0].dim() - 2), *self.ids.shape)  # (1, ..., 1, N, N)
            inputs = [*inputs, ids]
        x = self.activation(self.layers[0](*inputs, last_of=last_of))
        for layer in self.layers[1:]:
            x = self.activation(layer(x))
        states = None
        if self.gru is not None:
            assert recurrence is not None, "a recurrent network needs the state that its sequence begins with"
            x = states = self.gru(x, recurrence)
        return x, states
