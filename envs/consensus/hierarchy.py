"""Hierarchical consensus: clusters gather at leaders, leaders agree among themselves, and tell their clusters.

Axes: B worlds, N nodes, D link slots of a node, V values of a node, R rounds among leaders.

Leaders are elected from who is alive and which links work, so a new election replaces a leader that fails. Each live
node is a leader or has one as its neighbour. Leaders whose clusters touch, which are at most 3 hops apart, exchange
over one path of the fewest hops, the bridge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .lists import NOBODY, back_of


class Clusters(NamedTuple):
    """Who leads whom, and over which links clusters are connected."""

    leader: np.ndarray
    """(B, N) int32, leader of each node: itself for a leader, `NOBODY` for a node that is not alive."""
    bridge: np.ndarray
    """(B, N, D) bool, marks for each two clusters that touch one link between them, at both of its ends."""


class Agreed(NamedTuple):
    """What a hierarchical agreement came to, and what it cost."""

    value: np.ndarray
    """(B, N, V)."""
    hops: np.ndarray
    """(B,) int32, duration in rounds of gossip, a hop each: 1 to gather, as many as the longest bridge has for each
    round among leaders, and 1 to broadcast."""
    messages: np.ndarray
    """(B,) int32, messages, one for each hop."""


@kernel
def fill_leaders(neighbor, active, alive, leader):
    """Fills in the leader of each node, (B, N), as `elect` says."""
    n_worlds, n_nodes, n_slots = neighbor.shape
    degree = np.empty(n_nodes, np.int32)
    for b in range(n_worlds):
        for i in range(n_nodes):
            leader[b, i] = NOBODY
            degree[i] = _live_degree(neighbor, active, alive, b, i) if alive[b, i] else -1
        for asked in range(n_slots, -1, -1):
            for i in range(n_nodes):
                if degree[i] == asked and leader[b, i] == NOBODY:
                    _lead(neighbor, active, alive, leader, b, i)


@kernel
def _lead(neighbor, active, alive, leader, b, i):
    """Makes a node the leader of itself and of those of its neighbours that have none."""
    leader[b, i] = i
    for d in range(neighbor.shape[2]):
        j = neighbor[b, i, d]
        if j >= 0 and active[b, i, d] and alive[b, j] and leader[b, j] == NOBODY:
            leader[b, j] = i


@kernel
def _live_degree(neighbor, active, alive, b, i):
    """Counts the live nodes to which a node's links work."""
    count = 0
    for d in range(neighbor.shape[2]):
        j = neighbor[b, i, d]
        if j >= 0 and active[b, i, d] and alive[b, j]:
            count += 1
    return count


@kernel
def fill_bridges(neighbor, back, active, leader, bridge):
    """Fills in the bridges between clusters, (B, N, D), as `Clusters` says.

    Of the links between two clusters that with the fewest hops from leader to leader is taken, then that of the lowest
    node of the cluster whose leader is lower, then that of its lowest slot.
    """
    n_worlds, n_nodes, n_slots = neighbor.shape
    best = np.empty(n_nodes, np.int64)
    for b in range(n_worlds):
        for i in range(n_nodes):
            for d in range(n_slots):
                bridge[b, i, d] = False
        for c in range(n_nodes):
            if leader[b, c] == c:
                _find_best(neighbor, active, leader, (b, c), best)
                _build_best(neighbor, back, bridge, b, best)


@kernel
def _find_best(neighbor, active, leader, cluster, best):
    """Fills in the best link from a cluster to each one of a higher leader, (N,): hops, node and slot; -1 if none."""
    b, c = cluster
    n_nodes, n_slots = neighbor.shape[1:]
    for e in range(n_nodes):
        best[e] = -1
    for i in range(n_nodes):
        if leader[b, i] != c:
            continue
        for d in range(n_slots):
            j = neighbor[b, i, d]
            if j < 0 or not active[b, i, d] or leader[b, j] <= c:
                continue
            hops = 1 + (i != c) + (leader[b, j] != j)
            found, known = (hops * n_nodes + i) * n_slots + d, best[leader[b, j]]
            best[leader[b, j]] = found if known < 0 else min(known, found)


@kernel
def _build_best(neighbor, back, bridge, b, best):
    """Marks the links that `_find_best` found, at both ends."""
    n_nodes, n_slots = neighbor.shape[1:]
    for e in range(n_nodes):
        if best[e] >= 0:
            link = best[e] % (n_nodes * n_slots)
            i, d = link // n_slots, link % n_slots
            bridge[b, i, d] = True
            bridge[b, neighbor[b, i, d], back[b, i, d]] = True


def elect(neighbor: np.ndarray, active: np.ndarray, alive: np.ndarray) -> Clusters:
    """Returns the clusters that a network falls into.

    Nodes are asked in the order of their degree, the highest first and of equal ones that with the lowest index: a
    node becomes a leader if none of its neighbours is one. So leaders are no neighbours of each other, and each other
    node has at least one leader as its neighbour, of which it follows the first elected. Isolated nodes lead
    themselves. Neighbours can elect without a centre: a node decides as soon as all its neighbours of a higher degree
    have decided.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        active: (B, N, D) bool, whether a link works; the same at both ends.
        alive: (B, N) bool.
    """
    leader = np.empty(alive.shape, np.int32)
    bridge = np.empty(neighbor.shape, np.bool_)
    works = active & (neighbor >= 0)
    fill_leaders(neighbor, works, alive, leader)
    fill_bridges(neighbor, back_of(neighbor), works, leader, bridge)
    return Clusters(leader, bridge)


@kernel
def gather(leader, joins, said, value, mean, size):
    """Fills in each cluster's mean and size at its leader, of the leader's own value and what its members say to it.

    Args:
        leader: (B, N), see `Clusters`.
        joins: (B, N) bool, whether a node exchanges with its leader.
        said: (B, N, V), what each node says to its leader.
        value: (B, N, V).
        mean: (B, N, V), written; nodes that lead nobody keep their own value.
        size: (B, N) float64, written: number of nodes that the mean is taken of; 0 for nodes that lead nobody.
    """
    n_worlds, n_nodes, n_values = value.shape
    for b in range(n_worlds):
        for i in range(n_nodes):
            for v in range(n_values):
                mean[b, i, v] = value[b, i, v]
            size[b, i] = 1.0 if leader[b, i] == i else 0.0
        for i in range(n_nodes):
            c = leader[b, i]
            if c < 0 or c == i or not joins[b, i]:
                continue
            size[b, c] += 1.0
            for v in range(n_values):
                mean[b, c, v] += (said[b, i, v] - mean[b, c, v]) / size[b, c]


@kernel
def leader_round(neighbor, leader, active, size, said, mean, out):
    """Fills in the means of clusters after an exchange over the bridges that are active.

        y_c <- y_c + 1 / n_c sum_d a_cd (said_d - y_c),    a_cd = min(n_c, n_d) / (1 + max(d_c, d_d))

    n_c is the size of cluster c, and d_c the number of its active bridges. a is symmetric and sum_d a_cd < n_c, so
    sum_c n_c y_c, the sum over all nodes, is kept where leaders say their means, and no mean leaves the range.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        leader: (B, N), see `Clusters`.
        active: (B, N, D) bool, bridges over which leaders exchange.
        size: (B, N), see `gather`.
        said: (B, N, V), what each leader says to others.
        mean: (B, N, V), see `gather`.
        out: (B, N, V), written; nodes that lead nobody keep their own value.
    """
    n_worlds, n_nodes, n_slots = neighbor.shape
    degree = np.empty(n_nodes, np.int32)
    for b in range(n_worlds):
        for i in range(n_nodes):
            degree[i] = 0
            for v in range(mean.shape[2]):
                out[b, i, v] = mean[b, i, v]
        for i in range(n_nodes):
            for d in range(n_slots):
                if active[b, i, d]:
                    degree[leader[b, i]] += 1
        for i in range(n_nodes):
            for d in range(n_slots):
                if active[b, i, d]:
                    c, e = leader[b, i], leader[b, neighbor[b, i, d]]
                    share = min(size[b, c], size[b, e]) / (1 + max(degree[c], degree[e])) / size[b, c]
                    _move(out, mean, said, (b, c, e), share)


@kernel
def _move(out, mean, said, clusters, share):
    """Moves a cluster's mean towards what another leader said."""
    b, c, e = clusters
    for v in range(out.shape[2]):
        out[b, c, v] += share * (said[b, e, v] - mean[b, c, v])


@kernel
def broadcast(leader, joins, said, mean, out):
    """Fills in what nodes hold in the end: leaders their mean, members what their leader said, others their own value.

    Args:
        leader: (B, N), see `Clusters`.
        joins: (B, N) bool, whether a node exchanges with its leader.
        said: (B, N, V), what each leader says to its members.
        mean: (B, N, V), after the rounds among leaders; of nodes that lead nobody, their own value.
        out: (B, N, V), written.
    """
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            c = leader[b, i]
            follows = c >= 0 and c != i and joins[b, i]
            for v in range(out.shape[2]):
                out[b, i, v] = said[b, c, v] if follows else mean[b, i, v]


@kernel
def fill_costs(neighbor, clusters, joins, n_rounds, hops, messages):
    """Fills in the costs of an agreement, (B,) each, as `Agreed` says; a lost message costs as much as another."""
    leader, bridge = clusters.leader, clusters.bridge
    for b in range(neighbor.shape[0]):
        members, longest, in_bridges = 0, 0, 0
        for i in range(neighbor.shape[1]):
            members += leader[b, i] >= 0 and leader[b, i] != i and joins[b, i]
            for d in range(neighbor.shape[2]):
                if bridge[b, i, d]:
                    j = neighbor[b, i, d]
                    length = 1 + (leader[b, i] != i) + (leader[b, j] != j)
                    longest, in_bridges = max(longest, length), in_bridges + length
        hops[b] = 2 * (members > 0) + n_rounds * longest
        messages[b] = 2 * members + n_rounds * in_bridges


def hierarchical(
    neighbor: np.ndarray,
    clusters: Clusters,
    value: np.ndarray,
    n_rounds: int,
    *,
    said: np.ndarray | None = None,
    joins: np.ndarray | None = None,
    works: np.ndarray | None = None,
) -> Agreed:
    """Returns what nodes hold after one agreement: gather, rounds among leaders, broadcast.

    The mean of all nodes is kept where nobody lies. With `said` NaN everywhere or None, everybody says what it holds.

    Source: the weights among clusters are the Metropolis weights of Xiao and Boyd 2004, times the smaller cluster's
    size over one's own, so that the mean over nodes and not that over clusters is kept.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        clusters: See `elect`.
        value: (B, N, V).
        n_rounds: R.
        said: (B, N, V), what liars say instead of what they hold, to their leader, to other leaders and to their
            members; NaN where a node is honest. By default nobody lies.
        joins: (B, N) bool, whether a node's exchange with its leader takes place; others keep their value. By default
            all do.
        works: (R, B, N, D) bool, whether the exchange over a bridge takes place in a round; the same at both ends. By
            default all do.
    """
    n_worlds, n_nodes, _ = value.shape
    joined = np.ones((n_worlds, n_nodes), np.bool_) if joins is None else joins
    honest = np.True_ if said is None else np.isnan(said)
    lie = value if said is None else said
    mean, size = np.empty_like(value), np.empty((n_worlds, n_nodes))
    gather(clusters.leader, joined, np.where(honest, value, lie), value, mean, size)
    for r in range(n_rounds):
        active = clusters.bridge if works is None else clusters.bridge & works[r]
        out = np.empty_like(mean)
        leader_round(neighbor, clusters.leader, active, size, np.where(honest, mean, lie), mean, out)
        mean = out
    agreed = np.empty_like(value)
    broadcast(clusters.leader, joined, np.where(honest, mean, lie), mean, agreed)
    hops, messages = np.empty(n_worlds, np.int32), np.empty(n_worlds, np.int32)
    fill_costs(neighbor, clusters, joined, n_rounds, hops, messages)
    return Agreed(agreed, hops, messages)
