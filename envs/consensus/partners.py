"""Who exchanges with whom in a round, from random numbers that are passed in.

Axes: B worlds, N nodes, D link slots of a node. The masks are the same at both ends of a link.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import inlined, kernel


@kernel
def fill_calls(neighbor, back, available, numbers, k, active):
    """Fills `active` as `calls` says."""
    n_worlds, n_nodes, n_slots = neighbor.shape
    for b in range(n_worlds):
        for i in range(n_nodes):
            for d in range(n_slots):
                active[b, i, d] = False
            for _ in range(k):
                d = _next_call(available, numbers, active, b, i)
                if d < 0:
                    break
                active[b, i, d] = True
        for i in range(n_nodes):
            for d in range(n_slots):
                if active[b, i, d]:
                    active[b, neighbor[b, i, d], back[b, i, d]] = True


@inlined
def _next_call(available, numbers, active, b, i):
    """Returns the available slot with the smallest number of those not yet called, or -1; ties go to the lower one."""
    found, least = -1, np.inf
    for d in range(available.shape[2]):
        if available[b, i, d] and not active[b, i, d] and numbers[b, i, d] < least:
            found, least = d, numbers[b, i, d]
    return found


def calls(neighbor: np.ndarray, back: np.ndarray, available: np.ndarray, numbers: np.ndarray, k: int = 3) -> np.ndarray:
    """Returns the exchanges of a round in which each node calls up to k random neighbours, (B, N, D) bool.

    An exchange goes both ways, whoever called, so a node has at least k exchanges where it can, and usually more.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        back: (B, N, D), see `back_of`.
        available: (B, N, D) bool, whether an exchange over a slot is possible; the same at both ends.
        numbers: (B, N, D) uniform in [0, 1), one for each direction; a node calls those with the smallest.
        k: Most calls of a node.

    Raises:
        ValueError: if k is below 1.
    """
    if k < 1:
        raise ValueError(f"k: {k} is below 1; each node must call at least one neighbour")
    active = np.empty(neighbor.shape, np.bool_)
    fill_calls(neighbor, back, available & (neighbor >= 0), numbers, k, active)
    return active


@kernel
def fill_pairs(neighbor, available, numbers, active):
    """Fills `active` as `pairs` says."""
    n_worlds, n_nodes, n_slots = neighbor.shape
    best = np.empty(n_nodes, np.int32)
    for b in range(n_worlds):
        for i in range(n_nodes):
            best[i], least = -1, np.inf
            for d in range(n_slots):
                if neighbor[b, i, d] >= 0 and available[b, i, d] and numbers[b, i, d] < least:
                    best[i], least = neighbor[b, i, d], numbers[b, i, d]
        for i in range(n_nodes):
            for d in range(n_slots):
                j = neighbor[b, i, d]
                active[b, i, d] = j >= 0 and best[i] == j and best[j] == i


def pairs(neighbor: np.ndarray, available: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Returns exchanges in random pairs, (B, N, D) bool: each node takes part in at most one.

    Two neighbours pair up if the number of their link is the smallest one of all available links of both. A link of
    nodes with d_i and d_j links is chosen with probability 1 / (d_i + d_j - 1).

    Source: Boyd, Ghosh, Prabhakar and Shah 2006, "Randomized gossip algorithms", section VI (synchronous model). How
    pairs are chosen there is left open; here it is one round of the random matching by Luby 1986.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        available: (B, N, D) bool, whether an exchange over a slot is possible; the same at both ends.
        numbers: (B, N, D) uniform in [0, 1), the same at both ends.
    """
    active = np.empty(neighbor.shape, np.bool_)
    fill_pairs(neighbor, available, numbers, active)
    return active
