"""Which nodes hear each other when they average what they hold.

`full`        all
`ring`        the one before and the one after
`grid`        those beside, above and below in rows of a square, of which the last may be shorter
`random-K`    in each round every node calls up to K random ones, and both hear each other
`adjacency`   those that hear each other in any of the worlds when the average is made (agents of one environment)

Axes: N nodes.
"""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor

FIXED = ("full", "ring", "grid")


def topology_of(text: str) -> tuple[str, int]:
    """Reads the name of a topology.

    Returns:
        Its kind, and K of "random-K", else 0.

    Raises:
        ValueError: It is none.
    """
    if text in (*FIXED, "adjacency"):
        return text, 0
    if (match := re.fullmatch(r"random-([1-9]\d{0,3})", text)) is not None:
        return "random", int(match[1])
    raise ValueError(f"topology is {text!r}; allowed are {', '.join(FIXED)}, adjacency and random-K, such as random-3")


def links_of(kind: str, n_nodes: int) -> Tensor:
    """Returns who could ever hear whom, (N, N) bool, symmetric, nobody itself.

    Args:
        kind: From `topology_of`.
        n_nodes: N.
    """
    index = torch.arange(n_nodes)
    apart = (index - index.unsqueeze(1)).abs()  # (N, N)
    if kind == "ring":
        return (apart == 1) | (apart == n_nodes - 1) & (apart > 0)
    if kind == "grid":
        columns = math.isqrt(n_nodes - 1) + 1  # the root, rounded up
        row, column = index // columns, index % columns
        return (row - row.unsqueeze(1)).abs() + (column - column.unsqueeze(1)).abs() == 1
    return apart > 0


def least_heard(kind: str, k: int, links: Tensor) -> int:
    """Returns how many others the node that hears fewest hears in a round at least.

    Args:
        kind: From `topology_of`.
        k: Likewise.
        links: (N, N) bool, who can hear whom.
    """
    fewest = int(links.sum(-1).min())
    return min(k, fewest) if kind == "random" else fewest
