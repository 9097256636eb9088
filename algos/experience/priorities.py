"""Prioritised replay: transitions are drawn in proportion to their temporal-difference errors.

A sum tree in one tensor, read and written for whole batches at once: a loop over its levels, none over its leaves.

Axes: R drawn transitions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Priorities:
    """P(i) = p_i / sum_j p_j with p_i = (|delta_i| + eps)^alpha, and the weights that correct the bias.

    w_i = (L P(i))^-beta / max_j w_j over the batch, with L the number of stored transitions

    New transitions have the highest priority given so far.

    Source: Schaul et al. 2016, "Prioritized experience replay", section 3.3, proportional variant, drawn by strata.
    """

    EPS = 1e-3
    """Added to every absolute error: keeps priorities above zero, so that every transition is drawn again some time."""

    def __init__(self, size: int, *, alpha: float, device: torch.device | str = "cpu") -> None:
        """Starts empty.

        Args:
            size: Largest L.
            alpha: 0 draws uniformly, 1 in proportion to the absolute error.
            device: Where the tree lies.
        """
        self.alpha = alpha
        self.leaves = 1 << max(size - 1, 1).bit_length()  # a power of two
        self.levels = self.leaves.bit_length() - 1
        # Node k has children 2 k and 2 k + 1, the root is 1. float64: a leaf is found by differences of large sums.
        self.tree = torch.zeros(2 * self.leaves, dtype=torch.float64, device=device)
        self.highest = torch.ones((), dtype=torch.float64, device=device)

    def add(self, index: Tensor) -> None:
        """Gives new transitions, (R,) indices, the highest priority so far."""
        self._set(index, self.highest.expand(index.shape))

    def update(self, index: Tensor, td_error: Tensor) -> None:
        """Sets the priorities of transitions, (R,) indices, from their absolute temporal-difference errors, (R,)."""
        priority = (td_error.double() + self.EPS) ** self.alpha
        self.highest = torch.maximum(self.highest, priority.max())
        self._set(index, priority)

    def _set(self, index: Tensor, priority: Tensor) -> None:
        node = index + self.leaves
        self.tree.index_fill_(0, node, 0.0)
        self.tree.scatter_reduce_(0, node, priority, "amax")  # a transition that was drawn twice gets the larger error
        for _ in range(self.levels):
            node = node >> 1
            self.tree[node] = self.tree[2 * node] + self.tree[2 * node + 1]  # duplicates write the same sum

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws (R,) indices, one from each of `count` equal parts of the sum of priorities."""
        device = self.tree.device
        within = torch.rand(count, generator=generator, dtype=torch.float32, device=device)
        place = torch.arange(count, device=device) + within.double()
        place = place / count * self.tree[1]  # (R,)
        node = torch.ones(count, dtype=torch.int64, device=device)
        for _ in range(self.levels):
            left, right = self.tree[2 * node], self.tree[2 * node + 1]
            goes_right = (place >= left) & (right > 0)  # rounding must not lead to an empty leaf
            place = torch.where(goes_right, place - left, place)
            node = 2 * node + goes_right
        return node - self.leaves

    def weights(self, index: Tensor, count: int, beta: float) -> Tensor:
        """Returns the importance-sampling weights of drawn transitions, (R,) float32, at most 1.

        Args:
            index: (R,) indices of the drawn transitions.
            count: L.
            beta: 0 corrects nothing, 1 all of the bias.
        """
        chance = self.tree[index + self.leaves] / self.tree[1]
        weight = (count * chance) ** -beta
        return (weight / weight.max()).float()

    def state_dict(self) -> dict[str, Any]:
        """Returns the leaves and the highest priority, copied."""
        return {"leaves": self.tree[self.leaves :].clone(), "highest": self.highest.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the `state_dict` of priorities of the same size."""
        self.highest.copy_(state["highest"])
        self._set(torch.arange(self.leaves, device=self.tree.device), state["leaves"].to(self.tree.device))
