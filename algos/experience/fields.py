"""Optional fields of experience, which rollouts and replays keep only when asked to.

Axes: N agents, O observation, S global state, A actions.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from gymnasium.spaces import Box

from ..core import Array, Spec, Transition

Fields = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""By name, the shape of a field in one step of one world, and its type."""


def optional_fields(spec: Spec, keep: Collection[str]) -> Fields:
    """Returns the fields that are kept only when asked for: those that `keep` names.

    Raises:
        ValueError: `keep` names something that is not optional, or masks where actions are not discrete.
    """
    n = spec.n_agents
    fields: Fields = {
        "state": ((spec.state_dim,), torch.float32),
        "action_mask": ((n, spec.action_dim), torch.bool),
        "adjacency": ((n, n), torch.bool),
        "heard": ((n, n), torch.uint8),  # age of the message of j that i heard in this step
        "heard_bits": ((n, -(-n // 8)), torch.uint8),  # the same in bits, where all ages are 0
        "sent": ((n,), torch.bool),  # agent that spoke in this step
        "cost": ((n,), torch.float32),
        "counterfactual": ((n,), torch.float32),
    }
    if unknown := sorted(set(keep) - fields.keys()):
        raise ValueError(f"cannot keep {', '.join(unknown)}; what can be kept: {', '.join(fields)}")
    if "action_mask" in keep and isinstance(spec.action_space, Box):
        raise ValueError(f"cannot keep action_mask: actions of {spec.action_space} have no masks")
    return {name: field for name, field in fields.items() if name in keep}


def between(adjacency: Array, present: Array) -> Array:
    """Returns an adjacency (B, N, N) without the agents that are not `present` (B, N)."""
    return adjacency & present[:, :, None] & present[:, None, :]


def counterfactual_of(transition: Transition) -> Array:
    """Returns the counterfactual of a transition, (B, N).

    Raises:
        ValueError: The environment gives none.
    """
    if transition.counterfactual is None:
        raise ValueError("counterfactual is to be kept, but this environment gives none")
    return transition.counterfactual


def bytes_of(fields: Fields) -> int:
    """Returns the bytes of one step of one world."""
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in fields.values())
