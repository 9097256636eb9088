"""Parameter sharing: which agent has which set of parameters."""

from __future__ import annotations

from typing import NamedTuple, get_args

from torch import Tensor

from ..core import Spec
from .config import Share


class Numbers(NamedTuple):
    """Learned numbers of which each learner has a part."""

    values: Tensor  # all parameters of a network as one vector; or, with an axis of learners first, (P, ...)
    own: Tensor | None = None  # (P, K) indices of each learner's part of the vector; None: the rows of `values`
    name: str = ""  # of the network


def learners_of(spec: Spec, share: Share) -> int:
    """Returns how many learners learn each by itself: the agents if none share parameters, otherwise one.

    Each has gradients, units of values and advantages of its own, so that agents that share nothing do not share the
    scale of what they learn either.
    """
    return spec.n_agents if share == "none" else 1


def parameter_sets(spec: Spec, share: Share) -> tuple[int, ...]:
    """Returns the parameter set of each agent, (N,).

    Args:
        spec: Agents and their groups.
        share: "all": set 0 for all agents; "group": the number of the agent's group; "none": 0 to N - 1.

    Raises:
        ValueError: `share` is unknown, or sharing by group is asked for and groups do not partition the agents.
    """
    if share == "all":
        return (0,) * spec.n_agents
    if share == "none":
        return tuple(range(spec.n_agents))
    if share != "group":
        raise ValueError(f"share is {share!r}; allowed are {', '.join(map(repr, get_args(Share)))}")
    group_of = {agent: group for group, agents in enumerate(spec.groups) for agent in agents}
    if sorted(group_of) != list(range(spec.n_agents)):
        raise ValueError(
            f"groups {spec.groups} do not partition agents 0..{spec.n_agents - 1}: "
            "name every agent in exactly one group, or use share='all' or 'none'"
        )
    return tuple(group_of[agent] for agent in range(spec.n_agents))
