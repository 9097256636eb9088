"""Aggregation trees: leaders of leaders up to one for each connected part, and the mean in one sweep up and down.

Axes: B worlds, N nodes, D link slots of a node, V values of a node.

The clusters of `hierarchy` are nodes of a smaller network, in which leaders are elected again, until no leader has
another one to speak to. Each sweep takes as many rounds as twice the longest way to the top has hops, which grows as
the diameter of the network does, and not, as rounds of gossip do, as the square of the diameter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .hierarchy import Agreed, fill_leaders
from .lists import NOBODY


class Tree(NamedTuple):
    """Whom each node reports to, and how far away that is."""

    parent: np.ndarray
    """(B, N) int32, leader of the highest level at which the node itself is none; itself at the top, `NOBODY` for a
    node that is not alive."""
    level: np.ndarray
    """(B, N) int32, levels at which the node leads: 0 for one that leads nobody; -1 for a node that is not alive."""
    hops: np.ndarray
    """(B, N) int32, hops to the parent; 0 at the top."""


class _Level(NamedTuple):
    """The network of one level, of n nodes with at most d links."""

    node: np.ndarray
    """(n,) int64, number of each in the whole network."""
    neighbor: np.ndarray
    """(n, d) int32, numbers within the level; `NOBODY` in empty slots."""
    length: np.ndarray
    """(n, d) int64, hops of each link."""


def grow(neighbor: np.ndarray, active: np.ndarray, alive: np.ndarray) -> Tree:
    """Returns the tree over the leaders of all levels, elected as `elect` does at each of them.

    Links between leaders run over the clusters of the level below, on the way of the fewest hops; the degree that
    decides at a level is the number of clusters that touch. It takes a Python loop over worlds and levels, and is meant
    for when nodes fail or join, not for each round.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        active: (B, N, D) bool, whether a link works; the same at both ends.
        alive: (B, N) bool.
    """
    parent = np.full(alive.shape, NOBODY, np.int32)
    depth, hops = np.full(alive.shape, -1, np.int32), np.zeros(alive.shape, np.int32)
    for b in range(len(neighbor)):
        there = alive[b, :, None] & active[b] & (neighbor[b] >= 0) & alive[b][np.maximum(neighbor[b], 0)]
        links = np.where(there, neighbor[b], NOBODY).astype(np.int32)
        network = _Level(np.arange(alive.shape[1]), links, np.ones(links.shape, np.int64))
        lives, height = alive[b], 0
        while len(network.node):
            leader, far = _leaders(network, lives)
            depth[b, network.node[lives]] = height
            parent[b, network.node[lives]] = network.node[leader[lives]]
            hops[b, network.node[lives]] = far[lives]
            if not (network.neighbor >= 0).any():
                break
            network, height = _above(network, leader, far), height + 1
            lives = np.ones(len(network.node), np.bool_)
    return Tree(parent, depth, hops)


def _leaders(network: _Level, lives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each node's leader, (n,), `NOBODY` for dead ones, and the hops to it, (n,)."""
    leader = np.empty((1, len(lives)), np.int32)
    fill_leaders(network.neighbor[None], network.neighbor[None] >= 0, lives[None], leader)
    to_leader = (network.neighbor == leader[0][:, None]) & (network.neighbor >= 0)
    return leader[0], np.where(to_leader, network.length, 0).sum(axis=1)


def _above(network: _Level, leader: np.ndarray, far: np.ndarray) -> _Level:
    """Returns the network of the leaders, with the shortest link between each two whose clusters touch."""
    heads = np.nonzero(leader == np.arange(len(leader)))[0]
    place = np.zeros(len(leader), np.int64)
    place[heads] = np.arange(len(heads))
    i, d = np.nonzero(network.neighbor >= 0)
    j = network.neighbor[i, d]
    here, there = place[leader[i]], place[leader[j]]
    length = far[i] + network.length[i, d] + far[j]
    order = np.lexsort((length, there, here))
    here, there, length = here[order], there[order], length[order]
    first = np.ones(len(here), np.bool_)
    first[1:] = (here[1:] != here[:-1]) | (there[1:] != there[:-1])
    first &= here != there
    here, there, length = here[first], there[first], length[first]
    count = np.bincount(here, minlength=len(heads))
    slot = np.arange(len(here)) - np.repeat(np.cumsum(count) - count, count)
    neighbor = np.full((len(heads), max(int(count.max(initial=0)), 1)), NOBODY, np.int32)
    lengths = np.zeros(neighbor.shape, np.int64)
    neighbor[here, slot], lengths[here, slot] = there, length
    return _Level(network.node[heads], neighbor, lengths)


@kernel
def sweep(parent, order, value, out, count):
    """Fills `out` with the mean over each tree, (B, N, V); `count` is room for sizes, (B, N).

    `order`, (B, N), holds the nodes so that each comes before its parent.
    """
    n_worlds, n_nodes, n_values = value.shape
    for b in range(n_worlds):
        for i in range(n_nodes):
            count[b, i] = 1.0
            for v in range(n_values):
                out[b, i, v] = value[b, i, v]
        for at in range(n_nodes):
            i = order[b, at]
            p = parent[b, i]
            if p != NOBODY and p != i:
                count[b, p] += count[b, i]
                for v in range(n_values):
                    out[b, p, v] += out[b, i, v]
        for at in range(n_nodes - 1, -1, -1):
            i = order[b, at]
            p = parent[b, i]
            leads_all = p < 0 or p == i
            for v in range(n_values):
                out[b, i, v] = out[b, i, v] / count[b, i] if leads_all else out[b, p, v]


def swept(tree: Tree, value: np.ndarray) -> Agreed:
    """Returns the mean over each connected part of the network, which all of its nodes hold after one sweep.

    Each node adds the sums of those that report to it to its own, tells its parent the sum and how many it counts, and
    is told the mean in the end. Rounds are twice the longest way to the top; messages, twice the hops of all ways.

    Source: Madden, Franklin, Hellerstein and Hong 2002, "TAG: a tiny aggregation service for ad-hoc sensor networks",
    over a tree of elected leaders.

    Args:
        tree: See `grow`.
        value: (B, N, V); nodes that are not alive keep theirs.
    """
    order = np.argsort(tree.level, axis=1, kind="stable").astype(np.int32)
    out, count = np.empty_like(value), np.empty(value.shape[:2])
    sweep(tree.parent, order, value, out, count)
    height = to_top(tree, tree.hops).max(axis=1, initial=0)
    return Agreed(out, (2 * height).astype(np.int32), (2 * tree.hops.sum(axis=1)).astype(np.int32))


def to_top(tree: Tree, spent: np.ndarray) -> np.ndarray:
    """Returns what each whole way to the top takes, (B, N), from what those to parents take, `spent`, (B, N)."""
    total, at = spent.copy(), tree.parent.astype(np.int64)
    for _ in range(int(tree.level.max(initial=0)) + 1):
        moved = (at >= 0) & (np.take_along_axis(tree.parent, np.maximum(at, 0), axis=1) != at)
        total += np.where(moved, np.take_along_axis(spent, np.maximum(at, 0), axis=1), 0)
        at = np.where(moved, np.take_along_axis(tree.parent, np.maximum(at, 0), axis=1), at)
    return total
