"""Who exchanges with whom in a round, from random numbers that are passed in.

Axes: B worlds, N nodes, [i, j] for i exchanges with j. The masks are symmetric.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .weights import apart


def calls(available: Tensor, numbers: Tensor, k: int = 3) -> Tensor:
    """Returns the exchanges of a round in which each node calls up to k random neighbours, (B, N, N) bool.

    An exchange goes both ways, whoever called, so a node has at least k exchanges where it can, and usually more.

    Args:
        available: (B, N, N) bool, symmetric: whether an exchange of i and j is possible.
        numbers: (B, N, N) uniform in [0, 1), one for each direction; a node calls those with the smallest.
        k: Most calls of a node.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k: {k} is below 1; each node must call at least one neighbour")
    available = apart(available)
    order = numbers.masked_fill(~available, torch.inf).argsort(dim=-1, stable=True)  # ties go to the lower index
    called = torch.zeros_like(available).scatter_(-1, order[..., :k], True) & available
    return called | called.mT


def pairs(available: Tensor, numbers: Tensor) -> Tensor:
    """Returns exchanges in random pairs, (B, N, N) bool: each node takes part in at most one.

    Two neighbours pair up if the number of their link is the smallest one of all available links of both. A link of
    nodes with d_i and d_j links is chosen with probability 1 / (d_i + d_j - 1).

    Source: Boyd, Ghosh, Prabhakar and Shah 2006, "Randomized gossip algorithms", section VI (synchronous model). How
    pairs are chosen there is left open; here it is one round of the random matching by Luby 1986.

    Args:
        available: (B, N, N) bool, symmetric: whether an exchange of i and j is possible.
        numbers: (B, N, N) uniform in [0, 1), symmetric, see `both_ways`.
    """
    available = apart(available)
    best = numbers.masked_fill(~available, torch.inf).argmin(-1, keepdim=True)  # (B, N, 1)
    asked = torch.zeros_like(available).scatter_(-1, best, True) & available
    return asked & asked.mT


def both_ways(numbers: Tensor) -> Tensor:
    """Returns numbers of links, (..., N, N), that are the same both ways: those of the lower index to the higher."""
    upper = numbers.triu(1)
    return upper + upper.mT


def drawn(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Returns uniform numbers in [0, 1), float64, one for each link and direction, on the generator's device."""
    return torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
