"""The options that every network of every algorithm has, each written once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ..comm.config import CommConfig
from ..maths.ranges import LAYER, Range

Activation = Literal["tanh", "relu", "elu", "gelu", "silu"]
Share = Literal["all", "group", "none"]


@dataclass(frozen=True)
class NetConfig(CommConfig):
    """Options of networks. The options of an algorithm inherit them, and networks are built from them."""

    hidden: Annotated[tuple[int, ...], LAYER] = (64, 64)
    """Sizes of the hidden layers of every network."""
    activation: Activation = "silu"
    """Activation function between layers; relu is the fastest on a CPU, elu the slowest."""
    gru: Annotated[int, Range(0, 4096)] = 0
    """Size of a recurrent layer on top of the hidden ones; 0: none."""
    share: Share = "all"
    """Which agents share parameters: all agents, the agents of a group, or none."""
    agent_id: bool = False
    """Append the agent's index, one-hot, to its observation."""
