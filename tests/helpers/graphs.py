"""Graphs on which rules of agreement are tried: adjacency matrices (N, N) bool without a diagonal."""

from __future__ import annotations

import numpy as np


def ring(n: int) -> np.ndarray:
    """Node i is a neighbour of i - 1 and i + 1."""
    return np.array([[(i - j) % n in (1, n - 1) for j in range(n)] for i in range(n)])


def path(n: int) -> np.ndarray:
    return np.array([[abs(i - j) == 1 for j in range(n)] for i in range(n)])


def full(n: int) -> np.ndarray:
    return ~np.eye(n, dtype=np.bool_)


def star(n: int) -> np.ndarray:
    """Node 0 is the neighbour of all others."""
    return np.array([[(i == 0) != (j == 0) for j in range(n)] for i in range(n)])


def grid(side: int) -> np.ndarray:
    places = np.stack(np.divmod(np.arange(side * side), side), axis=1)
    return np.abs(places[:, None] - places[None]).sum(axis=2) == 1


def random_connected(rng: np.random.Generator, n: int, density: float = 0.2) -> np.ndarray:
    """A random tree, and each further link with a probability of `density`."""
    linked = rng.random((n, n)) < density
    for i in range(1, n):
        linked[i, rng.integers(i)] = True
    linked |= linked.T
    np.fill_diagonal(linked, False)
    return linked
