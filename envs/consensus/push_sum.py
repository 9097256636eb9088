"""Push-sum with running sums: the mean over links that are one-way, and that lose and delay messages.

Axes: B worlds, N nodes, D link slots of a node, V values of a node. The last of V + 1 columns is the weight.

A node holds a sum and a weight, the first of which begin as its value and 1, and gives equal shares of both to itself
and to the nodes that hear it. Its estimate is sum / weight. A message does not hold the share of a round, but all that
has been given over the link so far, so the next message that arrives makes up for those that were lost, and of delayed
ones the newest is enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .lists import back_of


class PushSum(NamedTuple):
    """What nodes hold, what they have given, and what they have taken so far."""

    held: np.ndarray
    """(B, N, V + 1): sum and weight."""
    given: np.ndarray
    """(B, N, V + 1): all that has been given to each one that hears the node, which is what its message says."""
    taken: np.ndarray
    """(B, N, D, V + 1): all that has been taken from each neighbour."""


def first_push_sum(neighbor: np.ndarray, value: np.ndarray) -> PushSum:
    """Returns the state from which nodes begin to agree on the mean of `value`, (B, N, V)."""
    held = np.concatenate([value, np.ones((*value.shape[:2], 1), value.dtype)], axis=2)  # (B, N, V + 1)
    return PushSum(held, np.zeros_like(held), np.zeros((*neighbor.shape, held.shape[2]), held.dtype))


def estimate(state: PushSum) -> np.ndarray:
    """Returns each node's estimate of the mean, (B, N, V)."""
    return state.held[..., :-1] / state.held[..., -1:]


@kernel
def push(neighbor, back, hears, held, given):
    """Changes `held` and `given` as `pushed` says."""
    for b in range(neighbor.shape[0]):
        for i in range(neighbor.shape[1]):
            n_hearers = 0
            for d in range(neighbor.shape[2]):
                j = neighbor[b, i, d]
                if j >= 0 and hears[b, j, back[b, i, d]]:
                    n_hearers += 1
            for v in range(held.shape[2]):
                share = held[b, i, v] / (1 + n_hearers)
                held[b, i, v] = share
                given[b, i, v] += share if n_hearers else 0.0


@kernel
def take(arrived, heard, held, taken):
    """Changes `held` and `taken` as `received` says."""
    for b in range(arrived.shape[0]):
        for i in range(arrived.shape[1]):
            for d in range(arrived.shape[2]):
                if not arrived[b, i, d]:
                    continue
                for v in range(held.shape[2]):
                    held[b, i, v] += heard[b, i, d, v] - taken[b, i, d, v]
                    taken[b, i, d, v] = heard[b, i, d, v]


def pushed(neighbor: np.ndarray, hears: np.ndarray, state: PushSum) -> PushSum:
    """Returns the state after each node has given shares of what it holds; `given` is the message of this round.

        held_i  <- held_i / (1 + o_i),   given_i <- given_i + held_i / (1 + o_i),   o_i = number of nodes that hear i

    A node must know how many hear it, which need not be those that it hears, and they must stay the same over all
    rounds: one that hears a node only from some round on would take what others were given before.

    Source: Kempe, Dobra and Gehrke 2003, "Gossip-based computation of aggregate information"; the running sums by
    Hadjicostis, Vaidya and Dominguez-Garcia 2016, "Robust distributed average consensus via exchange of running sums".

    Args:
        neighbor: (B, N, D), see `lists_of`.
        hears: (B, N, D) bool, whether a node hears its neighbour; links may be one-way.
        state: Of the round before.
    """
    held, given = state.held.copy(), state.given.copy()
    push(neighbor, back_of(neighbor), hears & (neighbor >= 0), held, given)
    return PushSum(held, given, state.taken)


def received(arrived: np.ndarray, heard: np.ndarray, state: PushSum) -> PushSum:
    """Returns the state after messages have arrived.

        held_i <- held_i + (heard_ij - taken_ij),   taken_ij <- heard_ij

    All that nodes hold and that is on its way, sum_i held_i + sum_ij (given_j - taken_ij), stays the same. Of late
    messages only the newest may be passed on: older ones would take back what has been taken.

    Args:
        arrived: (B, N, D) bool, whether a message of the neighbour, which the node hears, has arrived.
        heard: (B, N, D, V + 1), `given` of the neighbour when it sent the message.
        state: See `pushed`.
    """
    held, taken = state.held.copy(), state.taken.copy()
    take(arrived, heard, held, taken)
    return PushSum(held, state.given, taken)
