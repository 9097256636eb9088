"""Weights with which neighbours are averaged so that the mean of all nodes is kept, and how fast they agree.

Axes: B worlds, N nodes, D link slots of a node.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import kernel
from .lists import dense_of


@kernel
def fill_degrees(neighbor, active, degree):
    """Fills in how many exchanges of each node take place, (B, N) int32."""
    for b in range(neighbor.shape[0]):
        for i in range(neighbor.shape[1]):
            count = 0
            for d in range(neighbor.shape[2]):
                if neighbor[b, i, d] < 0:
                    break
                if active[b, i, d]:
                    count += 1
            degree[b, i] = count


@kernel
def fill_metropolis(neighbor, active, weight):
    """Fills `weight` as `metropolis` says."""
    n_worlds, n_nodes, n_slots = neighbor.shape
    degree = np.empty((n_worlds, n_nodes), np.int32)
    fill_degrees(neighbor, active, degree)
    for b in range(n_worlds):
        for i in range(n_nodes):
            for d in range(n_slots):
                weight[b, i, d] = 0.0
                j = neighbor[b, i, d]
                if j >= 0 and active[b, i, d]:
                    weight[b, i, d] = 1.0 / (1 + max(degree[b, i], degree[b, j]))


def metropolis(neighbor: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Returns the Metropolis weights of the exchanges that take place, (B, N, D); 0 for the others.

        w_ij = 1 / (1 + max(d_i, d_j)),    d_i = number of exchanges of node i

    They are symmetric and each row's sum is below 1, so with w_ii = 1 - sum_j w_ij the mean is kept and no value
    leaves the range of the others.

    Source: Xiao and Boyd 2004, "Fast linear iterations for distributed averaging"; the degrees are those of the
    exchanges that take place in the round, of which each node has to know those of its partners.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        active: (B, N, D) bool, whether the exchange over a slot takes place; the same at both ends.
    """
    weight = np.empty(neighbor.shape)
    fill_metropolis(neighbor, active, weight)
    return weight


def contraction(neighbor: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns by what the distance from the mean shrinks in a round at least, (B,) in [0, 1].

    It is the second largest modulus of an eigenvalue of W = I - diag(sum_j w_ij) + (w_ij): the norm of the deviations
    from the mean is at most this many times what it was. 1 means that the nodes are not connected. One minus it is
    the spectral gap.

    Source: Xiao and Boyd 2004, equation 9, for symmetric weights.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        weight: (B, N, D), symmetric.
    """
    dense = dense_of(neighbor, weight)  # (B, N, N)
    n_nodes = dense.shape[1]
    dense[:, np.arange(n_nodes), np.arange(n_nodes)] = 1.0 - dense.sum(axis=2)
    without_mean = dense - 1.0 / n_nodes  # the mean's own eigenvalue, 1, becomes 0
    return np.abs(np.linalg.eigvalsh(without_mean)).max(axis=1)
