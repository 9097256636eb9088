"""Graphs to agree on, and what is measured of an agreement."""

from __future__ import annotations

import torch
from torch import Tensor


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ring(n: int) -> Tensor:
    """Returns (1, N, N) bool."""
    index = torch.arange(n)
    away = (index.unsqueeze(0) - index.unsqueeze(1)) % n
    return ((away == 1) | (away == n - 1)).unsqueeze(0)


def grid(rows: int, columns: int) -> Tensor:
    """Returns (1, N, N) bool."""
    row, column = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    away = (row.unsqueeze(0) - row.unsqueeze(1)).abs() + (column.unsqueeze(0) - column.unsqueeze(1)).abs()
    return (away == 1).unsqueeze(0)


def full(n: int) -> Tensor:
    """Returns (1, N, N) bool."""
    return ~torch.eye(n, dtype=torch.bool).unsqueeze(0)


def random_graph(n: int, chance: float, seed: int, *, connected: bool = True) -> Tensor:
    """Returns (1, N, N) bool, symmetric; a path through all nodes in random order makes it connected."""
    drawn = generator(seed)
    linked = (torch.rand(n, n, generator=drawn) < chance).triu(1)
    if connected:
        order = torch.randperm(n, generator=drawn)
        linked[order[:-1], order[1:]] = True
    return ((linked | linked.T) & ~torch.eye(n, dtype=torch.bool)).unsqueeze(0)


def values(n: int, seed: int, *, worlds: int = 1, width: int = 3) -> Tensor:
    """Returns (B, N, V) float64."""
    return torch.randn(worlds, n, width, generator=generator(seed), dtype=torch.float64)


def spread(value: Tensor) -> float:
    """Returns the norm of all deviations from the mean over nodes."""
    return float((value - value.mean(-2, keepdim=True)).norm())
