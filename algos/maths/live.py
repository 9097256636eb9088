"""Rows without the agents that are absent: where agents come and go, most of the work is saved.

Axes: R rows (worlds and steps), N agents, L agents at most alive in a row at once; `...` any further axes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def live_first(alive: Tensor) -> Tensor:
    """Returns the indices of live agents in their order, (R, L); rows with fewer are filled with absent agents.

    Args:
        alive: (R, N) bool.
    """
    most = max(int(alive.sum(-1).max()), 1) if alive.numel() else 1
    # Equal keys keep their order.
    return (~alive).to(torch.uint8).sort(dim=-1, stable=True).indices[:, :most]


def of_agents(field: Tensor, index: Tensor) -> Tensor:
    """Returns the rows of agents `index` (R, L) of a field (R, N, ...): (R, L, ...)."""
    return field.gather(1, index.view(*index.shape, *(1,) * (field.dim() - 2)).expand(-1, -1, *field.shape[2:]))


def between_agents(field: Tensor, index: Tensor) -> Tensor:
    """Returns the rows and columns of agents `index` (R, L) of a field (R, N, N): (R, L, L)."""
    return of_agents(of_agents(field, index).transpose(1, 2), index).transpose(1, 2)


def back_to_agents(field: Tensor, index: Tensor, n_agents: int) -> Tensor:
    """Undoes `of_agents`: (R, L, ...) to (R, N, ...), zeros for the agents that were left out."""
    whole = field.new_zeros(len(field), n_agents, *field.shape[2:])
    return whole.scatter(1, index.view(*index.shape, *(1,) * (field.dim() - 2)).expand_as(field), field)
