"""Gossip: nodes move towards what their neighbours say, so that all end at the mean of their first values.

Axes: B worlds, N nodes, D link slots of a node, V values of a node.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import inlined, kernel
from .weights import fill_degrees, fill_metropolis


@kernel
def gossip_round(neighbor, active, heard, own_said, value, out):
    """Fills `out` as `averaged` says, with the Metropolis weights of the exchanges that are active."""
    n_worlds, n_nodes, n_slots = neighbor.shape
    degree = np.empty((n_worlds, n_nodes), np.int32)
    fill_degrees(neighbor, active, degree)
    n_values = value.shape[2]
    for b in range(n_worlds):
        for i in range(n_nodes):
            for v in range(n_values):
                out[b, i, v] = value[b, i, v]
            for d in range(n_slots):
                j = neighbor[b, i, d]
                if j < 0 or not active[b, i, d]:
                    continue
                weight = 1.0 / (1 + max(degree[b, i], degree[b, j]))
                for v in range(n_values):
                    out[b, i, v] += weight * (heard[b, i, d, v] - own_said[b, i, v])


@kernel
def plain_round(neighbor, weight, value, out):
    """Fills `out` with a round in which everybody says its present value and every exchange of positive weight works.

    It is `gossip_round` with heard_ij = x_j and own_said_i = x_i, without arrays of what was heard.
    """
    for b in range(neighbor.shape[0]):
        for i in range(neighbor.shape[1]):
            for v in range(value.shape[2]):
                out[b, i, v] = value[b, i, v] + _gained(neighbor, weight, value, b, i, v)


@inlined
def _gained(neighbor, weight, value, b, i, v):
    """Returns sum_j w_ij (x_j - x_i) for one value; a sum in a register takes half the time of one in an array."""
    own, gained = value[b, i, v], 0.0
    for d in range(neighbor.shape[2]):
        j = neighbor[b, i, d]
        if j < 0:
            break
        gained += weight[b, i, d] * (value[b, j, v] - own)
    return gained


@kernel
def held_round(neighbor, back, weight, heard, value, out):
    """Fills `out` with a round on what the two ends of each link hold of each other, however old it is.

        x_i <- x_i + sum_j w_ij (heard_ij - heard_ji)

    The flow i -> j is minus the flow j -> i whatever is held, so the mean is kept exactly where messages are lost or
    not sent. Node i has to know heard_ji, what j holds of it: messages are acknowledged.
    """
    n_worlds, n_nodes, n_slots = neighbor.shape
    n_values = value.shape[2]
    for b in range(n_worlds):
        for i in range(n_nodes):
            for v in range(n_values):
                out[b, i, v] = value[b, i, v]
            for d in range(n_slots):
                j, e = neighbor[b, i, d], back[b, i, d]
                if j < 0:
                    break
                for v in range(n_values):
                    out[b, i, v] += weight[b, i, d] * (heard[b, i, d, v] - heard[b, j, e, v])


def averaged(
    neighbor: np.ndarray, active: np.ndarray, heard: np.ndarray, own_said: np.ndarray, value: np.ndarray
) -> np.ndarray:
    """Returns the values after a round of gossip, (B, N, V).

        x_i <- x_i + sum_j w_ij (heard_ij - own_said_i)

    The weights are those of `metropolis`. Where everybody hears what was said (heard_ij = own_said_j), what i gains
    by j is what j loses by i, so the mean of all nodes is kept exactly, also where what is said is old.

    Source: Xiao and Boyd 2004 for own_said_i = x_i; Seyboth, Dimarogonas and Johansson 2013, "Event-based broadcasting
    for multi-agent average consensus", equation 8, for what was said earlier.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        active: (B, N, D) bool, whether the exchange over a slot takes place; the same at both ends.
        heard: (B, N, D, V), what each node holds as said by its neighbour.
        own_said: (B, N, V), what each node itself said last.
        value: (B, N, V).
    """
    out = np.empty_like(value)
    gossip_round(neighbor, active, heard, own_said, value, out)
    return out


def agree(neighbor: np.ndarray, active: np.ndarray, value: np.ndarray, n_rounds: int = 1) -> np.ndarray:
    """Returns the values after rounds of gossip over the same exchanges, without delay, loss or lies, (B, N, V).

    Args:
        neighbor: (B, N, D), see `lists_of`.
        active: (B, N, D) bool, whether the exchange over a slot takes place; the same at both ends.
        value: (B, N, V).
        n_rounds: Number of rounds.
    """
    weight = np.empty(neighbor.shape)
    fill_metropolis(neighbor, active, weight)
    now, out = value.copy(), np.empty_like(value)
    for _ in range(n_rounds):
        plain_round(neighbor, weight, now, out)
        now, out = out, now
    return now
