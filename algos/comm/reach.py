"""The agents that an agent can hear, before the medium loses anything.

Axes: B worlds, N agents, [i, j] for i hears j.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .config import Partition


def measures(graph: tuple[str, float], farthest: float) -> bool:
    """Returns whether it depends on distances who can hear whom; see `within_reach` for the arguments."""
    return graph[0] in ("knn", "radius") or farthest > 0


def within_reach(
    graph: tuple[str, float], adjacency: Tensor, alive: Tensor, pose: Tensor | None, farthest: float = 0.0
) -> Tensor:
    """Returns who could hear whom, (B, N, N) bool, nobody itself.

    Args:
        graph: From `config.graph_of`.
        adjacency: (B, N, N) bool, the environment's.
        alive: (B, N) bool.
        pose: (B, N, 2) positions; None where nothing depends on them.
        farthest: Distance beyond which nothing is heard; 0: unlimited.
    """
    kind, number = graph
    both = alive.unsqueeze(-1) & alive.unsqueeze(-2)
    both.diagonal(dim1=-2, dim2=-1).fill_(False)
    reach = adjacency & both if kind == "env" else both
    if not measures(graph, farthest):
        return reach
    assert pose is not None
    apart = (pose.unsqueeze(-2) - pose.unsqueeze(-3)).norm(dim=-1)  # (B, N, N)
    if kind == "radius":
        reach = reach & (apart <= number)
    if farthest:
        reach = reach & (apart <= farthest)
    if kind == "knn" and number < alive.shape[-1]:
        near = apart.masked_fill(~both, torch.inf).topk(int(number), dim=-1, largest=False).values[..., -1:]
        reach = reach & (apart <= near)
    return reach


def divided(partitions: tuple[Partition, ...], step: Tensor, n_agents: int) -> Tensor:
    """Returns the pairs of agents that a partition keeps apart, (B, N, N) bool.

    Args:
        partitions: Times and groups.
        step: (B,) steps since the start of the episode.
        n_agents: N.

    Raises:
        ValueError: A partition names an agent that there is not.
    """
    apart = torch.zeros(len(step), n_agents, n_agents, dtype=torch.bool, device=step.device)
    for one in partitions:
        now = (step >= one.start) & (step < one.end)  # (B,)
        apart |= now.view(-1, 1, 1) & groups_apart(one, n_agents).to(step.device)
    return apart


def groups_apart(partition: Partition, n_agents: int) -> Tensor:
    """Returns the pairs of agents that are in different groups, (N, N) bool; agents in none make one more group.

    Raises:
        ValueError: A group names an agent that there is not.
    """
    group = torch.full((n_agents,), -1)
    for number, agents in enumerate(partition.groups):
        for agent in agents:
            if agent >= n_agents:
                raise ValueError(f"channel.partition names agent {agent}; there are agents 0 to {n_agents - 1}")
            group[agent] = number
    return group.unsqueeze(0) != group.unsqueeze(1)
