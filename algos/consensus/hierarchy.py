"""Hierarchical consensus: clusters gather at leaders, leaders agree among themselves, and tell their clusters.

Axes: B worlds, N nodes, V values of a node, R rounds among leaders, [i, j] for a link of i and j, [c, e] for a link of
the clusters that c and e lead.

Leaders are elected from who is alive and which links work, so a new election replaces a leader that fails. Each live
node is a leader or has one as its neighbour. Leaders whose clusters touch, which are at most 3 hops apart, exchange
over one path of the fewest hops, the bridge.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .weights import apart

NOBODY = -1
"""Leader of a node that is not alive."""


class Clusters(NamedTuple):
    """Who leads whom, and over which links clusters are connected."""

    leader: Tensor
    """(B, N) int64, leader of each node: itself for a leader, `NOBODY` for a node that is not alive."""
    bridge: Tensor
    """(B, N, N) bool, symmetric, marks one link between each two clusters that touch."""


class Agreed(NamedTuple):
    """What a hierarchical agreement came to, and what it cost."""

    value: Tensor
    """(B, N, V)."""
    hops: Tensor
    """(B,) int64, duration in rounds of gossip, a hop each: 1 to gather, as many as the longest bridge has for each
    round among leaders, and 1 to broadcast."""
    messages: Tensor
    """(B,) int64, messages, one for each hop."""


def elect(active: Tensor, alive: Tensor) -> Clusters:
    """Returns the clusters that a network falls into.

    Nodes are asked in the order of their degree, the highest first and of equal ones that with the lowest index: a
    node becomes a leader if none of its neighbours is one. So leaders are no neighbours of each other, and each other
    node has at least one leader as its neighbour, of which it follows the first elected. Isolated nodes lead
    themselves. Neighbours can elect without a centre: a node decides as soon as all its neighbours of a higher degree
    have decided, which is how it is computed here.

    Args:
        active: (B, N, N) bool, symmetric: whether a link works. The diagonal is not read.
        alive: (B, N) bool.
    """
    n_nodes, index = alive.shape[-1], torch.arange(alive.shape[-1], device=alive.device)
    linked = apart(active) & alive.unsqueeze(-1) & alive.unsqueeze(-2)  # (B, N, N)
    rank = index - n_nodes * linked.sum(-1)  # (B, N), the lowest is asked first
    last = n_nodes + 1
    leads, undecided = torch.zeros_like(alive), alive
    while undecided.any():
        asked = rank.masked_fill(~undecided, last)  # (B, N)
        first = asked.unsqueeze(-2).masked_fill(~linked, last).amin(-1)  # (B, N) of undecided neighbours
        elected = undecided & (rank < first)
        leads = leads | elected
        undecided = undecided & ~elected & ~(linked & elected.unsqueeze(-2)).any(-1)
    choice = rank.unsqueeze(-2).masked_fill(~(linked & leads.unsqueeze(-2)), last).argmin(-1)  # (B, N)
    leader = torch.where(leads, index, choice).masked_fill(~alive, NOBODY)
    return Clusters(leader, _bridges(linked, leader))


def _bridges(linked: Tensor, leader: Tensor) -> Tensor:
    """Returns the bridges between clusters, (B, N, N) bool.

    Of the links between two clusters that with the fewest hops from leader to leader is taken, then that of the lowest
    node in the cluster whose leader has the lower index, then that of its lowest neighbour.
    """
    n_nodes = leader.shape[-1]
    index = torch.arange(n_nodes, device=leader.device)
    lower, upper = leader.unsqueeze(-1), leader.unsqueeze(-2)
    crosses = linked & (lower < upper)  # (B, N, N), one direction of each link
    hops = (leader != index).long()
    order = (hops.unsqueeze(-1) + hops.unsqueeze(-2)) * n_nodes**2 + index.unsqueeze(-1) * n_nodes + index
    order = order.masked_fill(~crosses, 3 * n_nodes**2).flatten(1)  # (B, N * N)
    pair = (lower * n_nodes + upper).clamp(min=0).flatten(1)  # (B, N * N), the two clusters of each link
    first = torch.full_like(order, 3 * n_nodes**2).scatter_reduce_(1, pair, order, "amin")
    bridge = crosses & (order == first.gather(1, pair)).unflatten(1, (n_nodes, n_nodes))
    return bridge | bridge.mT


def hierarchical(
    clusters: Clusters,
    value: Tensor,
    n_rounds: int,
    *,
    said: Tensor | None = None,
    joins: Tensor | None = None,
    works: Tensor | None = None,
) -> Agreed:
    """Returns what nodes hold after one agreement: gather, rounds among leaders, broadcast.

        y_c <- y_c + 1 / n_c sum_e a_ce (y_e - y_c),    a_ce = min(n_c, n_e) / (1 + max(d_c, d_e))

    y_c is the mean of cluster c, n_c its size, and d_c the number of its active bridges. a is symmetric and
    sum_e a_ce < n_c, so sum_c n_c y_c, the sum over all nodes, is kept where nobody lies, and no mean leaves the range.

    Source: the weights among clusters are the Metropolis weights of Xiao and Boyd 2004, times the smaller cluster's
    size over one's own, so that the mean over nodes and not that over clusters is kept.

    Args:
        clusters: See `elect`.
        value: (B, N, V).
        n_rounds: R.
        said: (B, N, V), what liars say instead of what they hold, to their leader, to other leaders and to their
            members; NaN where a node is honest. By default nobody lies.
        joins: (B, N) bool, whether a node's exchange with its leader takes place; others keep their value. By default
            all do.
        works: (R, B, N, N) bool, symmetric: whether the exchange over a bridge takes place in a round. By default all
            do.
    """
    leader, bridge = clusters
    index = torch.arange(value.shape[-2], device=value.device)  # (N,)
    leads = leader == index  # (B, N)
    follows = (leader >= 0) & ~leads
    joined = follows if joins is None else follows & joins
    centre = leader.clamp(min=0)

    def voiced(held: Tensor) -> Tensor:
        return held if said is None else torch.where(said.isnan(), held, said)

    # Gather: the mean of a leader's own value and of what its members say.
    counted = (joined.unsqueeze(-2) & (centre.unsqueeze(-2) == index.unsqueeze(-1))).to(value.dtype)  # (B, N, N) [c, i]
    size = leads + counted.sum(-1) * leads  # (B, N), 0 for nodes that lead nobody
    gathered = (value + counted @ voiced(value)) / size.clamp(min=1.0).unsqueeze(-1)
    mean = torch.where(leads.unsqueeze(-1), gathered, value)  # (B, N, V)

    # Rounds among leaders.
    for number in range(n_rounds):
        world, i, j = (bridge if works is None else bridge & works[number]).nonzero(as_tuple=True)
        touches = torch.zeros_like(counted)  # (B, N, N) [c, e]
        touches[world, leader[world, i], leader[world, j]] = 1.0
        degree = touches.sum(-1)  # (B, N)
        smaller = torch.minimum(size.unsqueeze(-1), size.unsqueeze(-2))
        share = touches * smaller / (1.0 + torch.maximum(degree.unsqueeze(-1), degree.unsqueeze(-2)))
        share = share / size.clamp(min=1.0).unsqueeze(-1)  # (B, N, N)
        mean = mean + share @ voiced(mean) - share.sum(-1, keepdim=True) * mean

    # Broadcast: members hold what their leader says.
    told = voiced(mean).gather(1, centre.unsqueeze(-1).expand_as(mean))  # (B, N, V)
    agreed = torch.where(joined.unsqueeze(-1), told, mean)
    length = 1 + follows.long().unsqueeze(-1) + follows.long().unsqueeze(-2)  # (B, N, N) hops of a bridge
    length = length * bridge
    members = joined.sum(-1)  # (B,)
    hops = 2 * (members > 0) + n_rounds * length.flatten(1).amax(-1)
    return Agreed(agreed, hops, 2 * members + n_rounds * length.sum((-2, -1)))
