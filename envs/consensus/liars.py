"""What liars say, to try how well a rule of agreement stands them.

Axes: B worlds, N nodes, D link slots of a node, V values of a node.
"""

from __future__ import annotations

import numpy as np

LIES = ("constant", "random", "growing", "split")
"""Kinds of lies.

    constant    size, always
    random      size (2 u - 1), with u uniform in [0, 1), drawn anew for each message
    growing     size (1 + round)
    split       size (2 i / (N - 1) - 1) to hearer i: another thing to each
"""


def overheard(
    kind: str, heard: np.ndarray, neighbor: np.ndarray, liar: np.ndarray, size: float, counter: int, numbers: np.ndarray
) -> np.ndarray:
    """Returns what is heard where some lie, (B, N, D, V): lies from liars, and what was said from others.

    Args:
        kind: One of `LIES`.
        heard: (B, N, D, V), what nodes hear where nobody lies.
        neighbor: (B, N, D), see `lists_of`.
        liar: (B, N) bool.
        size: How large lies are, in the unit of the values.
        counter: Number of the round, from 0.
        numbers: (B, N, D) uniform in [0, 1), read where `kind` is "random".

    Raises:
        ValueError: if `kind` is unknown.
    """
    n_nodes = neighbor.shape[1]
    if kind == "constant":
        lie = np.full(neighbor.shape, size)
    elif kind == "random":
        lie = size * (2 * numbers - 1)
    elif kind == "growing":
        lie = np.full(neighbor.shape, size * (1.0 + counter))
    elif kind == "split":
        hearer = 2 * np.arange(n_nodes) / max(n_nodes - 1, 1) - 1
        lie = np.broadcast_to(size * hearer[:, None], neighbor.shape)
    else:
        raise ValueError(f"kind of lie: {kind!r} is none of {', '.join(LIES)}; give one of these")
    lies = liar[np.arange(len(neighbor))[:, None, None], np.maximum(neighbor, 0)] & (neighbor >= 0)  # (B, N, D)
    return np.where(lies[..., None], lie[..., None], heard)
