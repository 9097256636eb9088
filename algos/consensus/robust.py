"""Resilient consensus by trimming: agreement within the honest values although some of those heard lie.

Axes: B worlds, N nodes, V values of a node, [i, j] for i hears j.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .weights import apart

BLOCK = 2**22
"""Numbers that are sorted at a time, so that parameters of many learners need no more memory than this."""


def most_liars(n_heard: int) -> int:
    """Returns how many liars a node can stand among those it hears: f such that it hears at least 3 f + 1."""
    return max(n_heard - 1, 0) // 3


def check_tolerance(n_heard: int, tolerance: int) -> None:
    """Refuses a tolerance that does not hold where nodes hear so few.

    Args:
        n_heard: How many others each node hears in a round, at least.
        tolerance: f, number of liars among those that a node hears.

    Raises:
        ValueError: It is below 0, or does not hold; says the bound.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance: {tolerance} is below 0; give the number of liars that a node may hear")
    if tolerance > most_liars(n_heard):
        raise ValueError(
            f"tolerance: {tolerance} liars need {3 * tolerance + 1} heard by each node (3 f + 1), and {n_heard} are "
            f"heard, which stand {most_liars(n_heard)}; let nodes hear more, or tolerate fewer"
        )


def trimmed(active: Tensor, heard: Tensor, value: Tensor, tolerance: int) -> Tensor:
    """Returns the values after a round of resilient consensus, (B, N, V).

    For each value alone: of what was heard that is above one's own value the f highest are dropped (all where there
    are fewer), and likewise the f lowest below it. The new value is the mean of one's own and of the rest. Whatever is
    not finite counts as not heard.

    With at most f liars among those that a node hears, its new value lies between the least and the greatest of the
    honest ones, whatever liars say, and to whom. Honest nodes come to agree if the graph is (2 f + 1)-robust; where
    each hears all others, 3 f + 1 heard are enough. The mean is not kept: what is trimmed is lost to it.

    Source: LeBlanc, Zhang, Koutsoukos and Sundaram 2013, "Resilient asymptotic consensus in robust networks", the
    algorithm W-MSR with equal weights.

    Args:
        active: (B, N, N) bool, whether i heard j. The diagonal is not read.
        heard: (B, N, N, V), what each node holds as said by each other; or (B, N, V), what each node says to all.
        value: (B, N, V).
        tolerance: f, see `check_tolerance`.
    """
    active, n_nodes = apart(active), value.shape[-2]
    if heard.dim() == 3:
        heard = heard.unsqueeze(-3).expand(-1, n_nodes, -1, -1)  # (B, N, N, V)
    width = max(BLOCK // max(active.numel(), 1), 1)
    parts = zip(heard.split(width, -1), value.split(width, -1), strict=True)
    return torch.cat([_trimmed(active, some, own, tolerance) for some, own in parts], -1)


def _trimmed(active: Tensor, heard: Tensor, value: Tensor, tolerance: int) -> Tensor:
    counts = active.unsqueeze(-1) & heard.isfinite()  # (B, N, N, V)
    ordered = heard.masked_fill(~counts, torch.inf).sort(-2).values
    n_heard = counts.sum(-2, keepdim=True)  # (B, N, 1, V)
    rank = torch.arange(ordered.shape[-2], device=value.device).view(-1, 1)  # (N, 1)
    own = value.unsqueeze(-2)  # (B, N, 1, V)
    lowest = (rank < tolerance) & (ordered < own)
    highest = (rank >= n_heard - tolerance) & (ordered > own)
    kept = (rank < n_heard) & ~lowest & ~highest
    total = ordered.masked_fill(~kept, 0.0).sum(-2) + value  # (B, N, V)
    return total / (1 + kept.sum(-2))
