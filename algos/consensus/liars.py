"""What liars say, to try how well a rule of agreement stands them.

Axes: B worlds, N nodes, V values of a node, [i, j] for i hears j.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Lie = Literal["constant", "random", "growing", "split"]
LIES = get_args(Lie)
"""Kinds of lies.

    constant    size, always
    random      size (2 u - 1), with u uniform in [0, 1), drawn anew for each message
    growing     size (1 + round)
    split       size (2 i / (N - 1) - 1) to hearer i: another thing to each
"""


def overheard(kind: str, heard: Tensor, liar: Tensor, size: float, counter: int, numbers: Tensor) -> Tensor:
    """Returns what is heard where some lie, (B, N, N, V): lies from liars, and what was said from others.

    Args:
        kind: One of `LIES`.
        heard: (B, N, N, V), what nodes hear where nobody lies; or (B, N, V), what each node says to all.
        liar: (B, N) bool.
        size: How large lies are, in the unit of the values.
        counter: Number of the round, from 0.
        numbers: (B, N, N) uniform in [0, 1), read where `kind` is "random".

    Raises:
        ValueError: `kind` is unknown.
    """
    n_nodes = liar.shape[-1]
    if heard.dim() == 3:
        heard = heard.unsqueeze(-3).expand(-1, n_nodes, -1, -1)  # (B, N, N, V)
    if kind == "constant":
        lie = heard.new_full((1, 1, 1, 1), size)
    elif kind == "random":
        lie = (size * (2 * numbers - 1)).unsqueeze(-1)  # (B, N, N, 1)
    elif kind == "growing":
        lie = heard.new_full((1, 1, 1, 1), size * (1.0 + counter))
    elif kind == "split":
        index = torch.arange(n_nodes, dtype=torch.float64, device=heard.device)
        hearer = 2 * index / max(n_nodes - 1, 1) - 1  # (N,)
        lie = (size * hearer).view(-1, 1, 1)  # (N, 1, 1)
    else:
        raise ValueError(f"kind of lie: {kind!r} is none of {', '.join(LIES)}; give one of these")
    return torch.where(liar.unsqueeze(-2).unsqueeze(-1), lie.to(heard.dtype), heard)
