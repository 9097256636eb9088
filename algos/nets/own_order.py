"""The order in which a centralised critic reads all agents: each agent's own.

So a weight that reads, say, the next agent of the group means the same for all agents that share it.
"""

from __future__ import annotations

from collections.abc import Sequence


def seen_from(groups: Sequence[Sequence[int]], n_agents: int) -> list[list[int]]:
    """Returns all agents in the order in which each agent gets them, (N, N).

    An agent comes first itself, then the rest of its group in a ring, from the next agent round to the one before it,
    then the other groups, each in its given order. So all agents of a group have the members of their own group and of
    the other groups in corresponding places. Agents without a group form one.
    """
    of_none = [agent for agent in range(n_agents) if not any(agent in group for group in groups)]
    groups, order = [*groups, of_none], {}
    for mine, group in enumerate(groups):
        rest = [agent for other, agents in enumerate(groups) if other != mine for agent in agents]
        for place, agent in enumerate(group):
            order[agent] = [*group[place:], *group[:place], *rest]
    return [order[agent] for agent in range(n_agents)]
