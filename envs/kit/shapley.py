"""Shapley values: what each agent's presence is worth, on average over the coalitions that it may join.

    phi_i = sum over coalitions S without i of  |S|! (N - |S| - 1)! / N!  (G(S + i) - G(S))

They are the only division of what the team earns that is efficient (the phi_i sum to G(all) - G(nobody)), symmetric
(agents that add the same to every coalition get the same), gives nothing to an agent that never adds anything, and is
additive (Shapley 1953, "A value for n-person games"). Up to `EXACT` agents it is summed over all coalitions. Above, it
is the mean over random orders in which agents arrive, each order together with its reverse, so that an agent that
comes late in one comes early in the other (antithetic sampling; Mitchell et al. 2022, "Sampling permutations for
Shapley value estimation"); the estimates are efficient, too.

Axes: B worlds, N agents, C coalitions, M orders.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np
from numpy.typing import NDArray

from ..core import Array

EXACT = 8
"""Agents up to which all coalitions are counted."""

Worth = Callable[[Array], Array]
"""Maps coalitions (B, C, N) bool, True for members, to what each earns: (B, C)."""


def check_orders(orders: int) -> None:
    """Raises `ValueError` for a number of orders that is not even."""
    if orders % 2:
        raise ValueError(f"orders is {orders}; each order comes with its reverse: give an even number")


def shapley(worth: Worth, key: Array, n_agents: int, *, orders: int) -> NDArray[np.float64]:
    """Returns the Shapley value of every agent, (B, N).

    Args:
        worth: What coalitions earn.
        key: (B,) non-negative integers; the orders of a world are drawn from its own.
        n_agents: N.
        orders: M, an even number; not used where all coalitions are counted.
    """
    if n_agents <= EXACT:
        members = np.array(np.unravel_index(np.arange(2**n_agents), (2,) * n_agents)).T.astype(bool)  # (C, N)
        earned = worth(np.broadcast_to(members, (len(key), *members.shape)))  # (B, C)
        return earned @ _weights(members)
    arrival = _arrivals(key, n_agents, orders)  # (B, M, N)
    # Coalition k of an order: those that arrive among the first k.
    members = arrival[:, :, None, :] < np.arange(n_agents + 1)[:, None]  # (B, M, N + 1, N)
    earned = worth(members.reshape(len(key), -1, n_agents)).reshape(members.shape[:3])  # (B, M, N + 1)
    added = np.diff(earned, axis=2)  # (B, M, N) by the agent that arrives
    return np.take_along_axis(added, arrival, axis=2).mean(axis=1)


def _weights(members: Array) -> NDArray[np.float64]:
    """Returns by how much each coalition (C, N) counts for each agent: (C, N)."""
    n_agents = members.shape[1]
    of_size = [factorial(size) * factorial(n_agents - size - 1) / factorial(n_agents) for size in range(n_agents)]
    size = members.sum(axis=1, keepdims=True)  # (C, 1)
    others = np.where(members, size - 1, np.minimum(size, n_agents - 1))
    return np.where(members, 1.0, -1.0) * np.array(of_size)[others]


def _arrivals(key: Array, n_agents: int, orders: int) -> NDArray[np.int64]:
    """Returns the place of each agent in each order, (B, M, N); the second half of the orders reverses the first."""
    half = np.empty((len(key), orders // 2, n_agents), np.int64)
    for world, of_world in enumerate(key):
        generator = np.random.default_rng(int(of_world))
        half[world] = generator.permuted(np.tile(np.arange(n_agents), (orders // 2, 1)), axis=1)
    return np.concatenate([half, n_agents - 1 - half], axis=1)
