"""Shapley values: what each agent's presence is worth, on average over the coalitions that it may join.

    phi_i = sum over coalitions S without i of  |S|! (N - |S| - 1)! / N!  (G(S + i) - G(S))

They are the only division of what the team earns that is efficient (the phi_i sum to G(all) - G(nobody)), symmetric
(agents that add the same to every coalition get the same), gives nothing to an agent that never adds anything, and is
additive (Shapley 1953, "A value for n-person games"). Up to `EXACT` agents it is summed over all coalitions. Above, it
is the mean over random orders in which agents arrive, each order together with its reverse, so that an agent that
comes late in one comes early in the other (antithetic sampling; Mitchell et al. 2022, "Sampling permutations for
Shapley value estimation"); the estimates are efficient, too.

What a team earns in a step is often a sum over groups of agents that cannot influence each other in that step. Then so
are the Shapley values, and `shapley_in_groups` looks at the coalitions within groups only.

Axes: B worlds, N agents, C coalitions, M orders, R copies of worlds; G groups of the same size m.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import factorial
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..core import Array
from .kernels import kernel

EXACT = 8
"""Agents up to which all coalitions are counted."""

Worth = Callable[[Array], Array]
"""Maps coalitions (B, C, N) bool, True for members, to what each earns: (B, C)."""
WorthOfCopies = Callable[[Array, Array], Array]
"""Maps worlds (R,) int and their members (R, N) bool to what their teams earn, the others doing their default: (R,)."""
MOST_COPIES = 1024
"""Most copies of worlds that are made at once."""


def check_orders(orders: int) -> None:
    """Raises `ValueError` for a number of orders that is not even."""
    if orders % 2:
        raise ValueError(f"orders is {orders}; each order comes with its reverse: give an even number")


def keys_of(step: Array, drawn: Array) -> NDArray[np.int64]:
    """Returns what the orders of arrival are drawn from, (B,): other numbers in each world and each step.

    Args:
        step: (B,) steps since the start.
        drawn: (B, ...) of the schedule that was drawn for each world at reset.
    """
    return np.array(
        [
            crc32(int(now).to_bytes(8, "little"), crc32(of_world.tobytes()))
            for now, of_world in zip(step, drawn, strict=True)
        ]
    )


def check_horizon(counterfactual: str, horizon: int) -> None:
    """Raises `ValueError` for Shapley values over more than one step."""
    if counterfactual == "shapley" and horizon != 1:
        raise ValueError(f"horizon is {horizon}; counterfactual='shapley' divides the reward of one step: give 1")


def shapley(worth: Worth, key: Array, n_agents: int, *, orders: int) -> NDArray[np.float64]:
    """Returns the Shapley value of every agent, (B, N).

    Args:
        worth: What coalitions earn.
        key: (B,) from `keys_of`; the orders of a world are drawn from its own.
        n_agents: N.
        orders: M, an even number; not used where all coalitions are counted.
    """
    if n_agents <= EXACT:
        members = np.array(np.unravel_index(np.arange(2**n_agents), (2,) * n_agents)).T.astype(bool)  # (C, N)
        earned = worth(np.broadcast_to(members, (len(key), *members.shape)))  # (B, C)
        return _weighed(np.ascontiguousarray(earned, np.float64), _weights(members))
    arrival = _arrivals(key, n_agents, orders)  # (B, M, N)
    # Coalition k of an order: those that arrive among the first k.
    members = arrival[:, :, None, :] < np.arange(n_agents + 1)[:, None]  # (B, M, N + 1, N)
    earned = worth(members.reshape(len(key), -1, n_agents)).reshape(members.shape[:3])  # (B, M, N + 1)
    added = np.diff(earned, axis=2)  # (B, M, N) by the agent that arrives
    return np.take_along_axis(added, arrival, axis=2).mean(axis=1)


def shapley_in_groups(
    worth: WorthOfCopies, group: Array, key: Array, *, orders: int, whole: Array | None = None
) -> NDArray[np.float64]:
    """Returns the Shapley values of agents in groups that cannot influence each other: (B, N), 0 for those in none.

    All coalitions of a group of up to `EXACT` agents are counted, with all agents outside the group as members.

    Args:
        worth: What teams earn in copies of worlds. It may leave out what does not depend on the members.
        group: (B, N) integers: agents of a world with the same number in [0, N) are a group; those below 0 are in none.
        key: (B,) as for `shapley`.
        orders: M, as for `shapley`.
        whole: (B,) what teams earn whose agents all are members, if known; it saves a copy a group.
    """
    n_agents, value = group.shape[1], np.zeros(group.shape)
    inside = group[:, None, :] == np.arange(n_agents)[:, None]  # (B, N groups, N)
    size = inside.sum(axis=2)  # (B, N)
    for m in np.unique(size[size > 0]).tolist():
        world, number = np.nonzero(size == m)  # (G,)
        who = np.nonzero(inside[world, number])[1].reshape(-1, m)  # (G m,) -> (G, m)
        of_groups = partial(_earned_in_copies, worth, world, who, n_agents, whole)
        value[world[:, None], who] = shapley(of_groups, key[world], m, orders=orders)
    return value


def _earned_in_copies(
    worth: WorthOfCopies, world: Array, who: Array, n_agents: int, whole: Array | None, members: Array
) -> NDArray[np.float64]:
    """Returns what coalitions (G, C, m) of groups `who` (G, m) of worlds (G,) earn: (G, C)."""
    n_groups, n_coalitions, _ = members.shape
    copy = np.repeat(world, n_coalitions)  # (G C,)
    all_members = np.ones((n_groups, n_coalitions, n_agents), bool)
    np.put_along_axis(all_members, np.broadcast_to(who[:, None], members.shape), members, axis=2)
    all_members = all_members.reshape(-1, n_agents)  # (G, C, N) -> (G C, N)
    if whole is None:
        rows, earned = np.arange(len(copy)), np.empty(len(copy))
    else:
        rows, earned = np.flatnonzero(~all_members.all(axis=1)), whole[copy].astype(np.float64)
    for first in range(0, len(rows), MOST_COPIES):
        some = rows[first : first + MOST_COPIES]
        earned[some] = worth(copy[some], all_members[some])
    return earned.reshape(n_groups, n_coalitions)  # (G C,) -> (G, C)


def _weights(members: Array) -> NDArray[np.float64]:
    """Returns by how much each coalition (C, N) counts for each agent: (C, N)."""
    n_agents = members.shape[1]
    of_size = [factorial(size) * factorial(n_agents - size - 1) / factorial(n_agents) for size in range(n_agents)]
    size = members.sum(axis=1, keepdims=True)  # (C, 1)
    others = np.where(members, size - 1, np.minimum(size, n_agents - 1))
    return np.where(members, 1.0, -1.0) * np.array(of_size)[others]


@kernel
def _weighed(earned, weights):
    """Returns earned (B, C) times weights (C, N), each row summed in the same order for every B: (B, N)."""
    value = np.zeros((earned.shape[0], weights.shape[1]))
    for b in range(earned.shape[0]):
        for c in range(earned.shape[1]):
            for i in range(weights.shape[1]):
                value[b, i] += earned[b, c] * weights[c, i]
    return value


def _arrivals(key: Array, n_agents: int, orders: int) -> NDArray[np.int64]:
    """Returns the place of each agent in each order, (B, M, N); the second half of the orders reverses the first."""
    half = np.empty((len(key), orders // 2, n_agents), np.int64)
    for world, of_world in enumerate(key):
        generator = np.random.default_rng(int(of_world))
        half[world] = generator.permuted(np.tile(np.arange(n_agents), (orders // 2, 1)), axis=1)
    return np.concatenate([half, n_agents - 1 - half], axis=1)
