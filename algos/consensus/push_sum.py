"""Push-sum with running sums: the mean over links that are one-way, and that lose and delay messages.

Axes: B worlds, N nodes, V values of a node, [i, j] for i hears j. The last of V + 1 columns is the weight.

A node holds a sum and a weight, the first of which begin as its value and 1, and gives equal shares of both to itself
and to the nodes that hear it. Its estimate is sum / weight. A message does not hold the share of a round, but all that
has been given over the link so far, so the next message that arrives makes up for those that were lost, and of delayed
ones the newest is enough.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .weights import apart


class PushSum(NamedTuple):
    """What nodes hold, what they have given, and what they have taken so far."""

    held: Tensor
    """(B, N, V + 1): sum and weight."""
    given: Tensor
    """(B, N, V + 1): all that has been given to each one that hears the node, which is what its message says."""
    taken: Tensor
    """(B, N, N, V + 1): all that has been taken from each other node."""


def first_push_sum(value: Tensor) -> PushSum:
    """Returns the state from which nodes begin to agree on the mean of `value`, (B, N, V)."""
    held = torch.cat([value, torch.ones_like(value[..., :1])], -1)  # (B, N, V + 1)
    n_nodes = value.shape[-2]
    taken = held.new_zeros(*held.shape[:-1], n_nodes, held.shape[-1])  # (B, N, N, V + 1)
    return PushSum(held, torch.zeros_like(held), taken)


def estimate(state: PushSum) -> Tensor:
    """Returns each node's estimate of the mean, (B, N, V)."""
    return state.held[..., :-1] / state.held[..., -1:]


def pushed(hears: Tensor, state: PushSum) -> PushSum:
    """Returns the state after each node has given shares of what it holds; `given` is the message of this round.

        held_i  <- held_i / (1 + o_i),   given_i <- given_i + held_i / (1 + o_i),   o_i = number of nodes that hear i

    A node must know how many hear it, which need not be those that it hears, and they must stay the same over all
    rounds: one that hears a node only from some round on would take what others were given before.

    Source: Kempe, Dobra and Gehrke 2003, "Gossip-based computation of aggregate information"; the running sums by
    Hadjicostis, Vaidya and Dominguez-Garcia 2016, "Robust distributed average consensus via exchange of running sums".

    Args:
        hears: (B, N, N) bool, whether i hears j; links may be one-way. The diagonal is not read.
        state: Of the round before.
    """
    n_hearers = apart(hears).sum(-2).unsqueeze(-1)  # (B, N, 1)
    share = state.held / (1 + n_hearers)
    return PushSum(share, state.given + share * (n_hearers > 0), state.taken)


def received(arrived: Tensor, heard: Tensor, state: PushSum) -> PushSum:
    """Returns the state after messages have arrived.

        held_i <- held_i + (heard_ij - taken_ij),   taken_ij <- heard_ij

    All that nodes hold and that is on its way, sum_i held_i + sum_ij (given_j - taken_ij), stays the same. Of late
    messages only the newest may be passed on, see `newer`: older ones would take back what has been taken.

    Args:
        arrived: (B, N, N) bool, whether a message of j, which i hears, has arrived at i.
        heard: (B, N, N, V + 1), `given` of j when it sent the message.
        state: See `pushed`.
    """
    taken = torch.where(apart(arrived).unsqueeze(-1), heard, state.taken)
    return PushSum(state.held + (taken - state.taken).sum(-2), state.given, taken)


def newer(arrived: Tensor, heard: Tensor, state: PushSum) -> Tensor:
    """Returns which messages were sent after those that have been taken, (B, N, N) bool; see `received`.

    The weight that a node has given grows with each round, so it says which of two messages is the newer one.
    """
    return arrived & (heard[..., -1] > state.taken[..., -1])
