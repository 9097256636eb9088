"""Small networks that talk, random media to hear through, and slow references in plain Python to check them with.

Axes: T time, B worlds, N agents, O observation, D features, K steps of history, R rounds, P numbers of a packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from algos.comm.config import ChannelConfig, CommConfig
from algos.comm.talk import Talk
from algos.core import NOTHING, Obs, Spec
from algos.nets.layers import Dense

METHODS = ("mean", "graph", "attention")
D = 6
"""Features of an agent."""


def spec_of(n_agents: int = 4, *, pose: tuple[int, ...] = (), box: bool = False, obs_dim: int = 5) -> Spec:
    """Returns shapes of agents that are in two groups."""
    space = Box(-1.0, 2.0, (2,), np.float32) if box else Discrete(3)
    groups = (tuple(range(0, n_agents, 2)), tuple(range(1, n_agents, 2)))
    return Spec(n_agents, obs_dim, 2, space, groups, pose=pose)


def talk_of(
    name: str,
    *,
    sets: Sequence[int] = (0, 0, 0, 0),
    channel: ChannelConfig | None = None,
    seed: int = 0,
    rounds: int = 1,
    heads: int = 1,
    top: int = 0,
    gate: bool = False,
    pose: int = 0,
) -> Talk:
    """Returns rounds of communication with weights large enough that everything matters."""
    generator = torch.Generator().manual_seed(seed)
    channel = channel or ChannelConfig(entries=8)

    def linear(inputs: Sequence[int], outputs: int, gain: float) -> Dense:
        return Dense(inputs, outputs, sets, gain=gain, generator=generator)

    config = CommConfig(name, rounds, heads, comm_top=top, comm_gate=gate, channel=channel)  # type: ignore[arg-type]
    talk = Talk(config, D, pose=pose, activation=torch.tanh, linear=linear, generator=generator)
    with torch.no_grad():
        for parameter in talk.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
        if talk.gate is not None:  # some are open and some are shut
            talk.gate.bias.fill_(-1.0)  # type: ignore[operator]
    return talk


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Returns normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def links(*shape: int, share: float = 0.5, seed: int = 0) -> Tensor:
    """Returns ages (..., N, N), 0 for a share of all pairs; nobody hears itself."""
    heard = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share
    heard &= ~torch.eye(shape[-1], dtype=torch.bool)
    return torch.where(heard, 0, NOTHING).to(torch.uint8)


def obs_of(spec: Spec, n_worlds: int, rng: np.random.Generator, **fields: Any) -> Obs:
    """Returns random observations of worlds in which everybody is alive and can hear everybody."""
    n = spec.n_agents
    shown: dict[str, Any] = {
        "obs": rng.standard_normal((n_worlds, n, spec.obs_dim), dtype=np.float32),
        "state": rng.standard_normal((n_worlds, spec.state_dim), dtype=np.float32),
        "adjacency": np.ones((n_worlds, n, n), bool),
        "alive": np.ones((n_worlds, n), bool),
        "action_mask": None,
        "started": np.zeros(n_worlds, bool),
    }
    return Obs(**{**shown, **fields})
