"""Gossip: nodes move towards what their neighbours say, so that all end at the mean of their first values.

Axes: B worlds, N nodes, V values of a node, [i, j] for i hears j.
"""

from __future__ import annotations

from torch import Tensor

from .weights import metropolis


def averaged(heard: Tensor, own_said: Tensor, value: Tensor, weight: Tensor) -> Tensor:
    """Returns the values after a round of gossip, (B, N, V).

        x_i <- x_i + sum_j w_ij (heard_ij - own_said_i)

    Where everybody hears what was said (heard_ij = own_said_j) and weights are symmetric, what i gains by j is what j
    loses by i, so the mean of all nodes is kept exactly, also where what is said is old.

    Source: Xiao and Boyd 2004 for own_said_i = x_i; Seyboth, Dimarogonas and Johansson 2013, "Event-based broadcasting
    for multi-agent average consensus", equation 8, for what was said earlier.

    Args:
        heard: (B, N, N, V), what each node holds as said by each other; or (B, N, V), what each node says to all.
        own_said: (B, N, V), what each node itself said last.
        value: (B, N, V).
        weight: (B, N, N), see `weights.metropolis`; what is heard counts only where it is above 0, so it may be NaN
            elsewhere.
    """
    gained = weighted(weight, heard)  # (B, N, V)
    return value + gained - weight.sum(-1, keepdim=True) * own_said


def weighted(weight: Tensor, heard: Tensor) -> Tensor:
    """Returns sum_j w_ij heard_ij, (B, N, V), for what each node hears, (B, N, N, V), or all say, (B, N, V).

    What has no weight is left out, whatever it is.
    """
    if heard.dim() == 3:
        silent = (weight == 0).all(-2).unsqueeze(-1)  # (B, N, 1) nobody hears the node
        return weight @ heard.masked_fill(silent, 0.0)
    counted = heard.masked_fill((weight == 0).unsqueeze(-1), 0.0)  # (B, N, N, V)
    return (weight.unsqueeze(-2) @ counted).squeeze(-2)


def agree(value: Tensor, active: Tensor, n_rounds: int = 1) -> Tensor:
    """Returns the values after rounds of gossip over the same exchanges, without delay, loss or lies, (B, N, V).

    Args:
        value: (B, N, V).
        active: (B, N, N) bool, symmetric: whether the exchange of i and j takes place.
        n_rounds: Number of rounds.
    """
    weight = metropolis(active, value.dtype)
    for _ in range(n_rounds):
        value = averaged(value, value, value, weight)
    return value
