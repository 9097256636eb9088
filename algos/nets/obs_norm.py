"""Running normalisation of observations, for environments whose numbers are not about one.

Axes: P parameter sets, N agents, D features; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CLIP = 10.0
"""Largest normalised number: a feature that hardly varied so far must not blow up when it first does."""


class RunningNorm(nn.Module):
    """Subtracts the mean of all that was seen so far and divides by its deviation, feature by feature.

    y = clip((x - mean) / sqrt(var + 1e-6), -10, 10)

    Agents that share parameters share statistics. The statistics are buffers, so they are saved with the network that
    they belong to; they change in `update` alone. Before the first update y = clip(x, -10, 10).

    Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", for merging means and squares.
    """

    mean: Tensor
    square: Tensor
    count: Tensor
    sets: Tensor

    def __init__(self, features: int, sets: Sequence[int]) -> None:
        """Starts without statistics.

        Args:
            features: D.
            sets: (N,) the parameter set of each agent, see `nets.parameter_sets`.
        """
        super().__init__()
        n_sets = max(sets) + 1
        self.register_buffer("mean", torch.zeros(n_sets, features, dtype=torch.float64))  # (P, D)
        self.register_buffer("square", torch.zeros(n_sets, features, dtype=torch.float64))  # (P, D) summed, about mean
        self.register_buffer("count", torch.zeros(n_sets, 1, dtype=torch.float64))  # (P, 1)
        self.register_buffer("sets", torch.tensor(sets), persistent=False)  # (N,)

    @property
    def begun(self) -> bool:
        """Whether there are statistics."""
        return bool(self.count.any())

    def forward(self, x: Tensor) -> Tensor:
        """(..., N, D) -> the same; an agent axis of length 1 is enough where all agents share parameters."""
        begun = self.count > 0  # (P, 1)
        std = torch.where(begun, (self.square / self.count.clamp(min=1.0) + 1e-6).sqrt(), 1.0)
        mean, std = self.mean.to(x.dtype), std.to(x.dtype)  # (P, D)
        if len(mean) > 1:
            mean, std = mean[self.sets], std[self.sets]  # (N, D)
        return ((x - mean) / std).clamp(-CLIP, CLIP)

    @torch.no_grad()
    def update(self, x: Tensor, weight: Tensor) -> None:
        """Takes in observations.

        Args:
            x: (..., N, D).
            weight: (..., N), 1 for observations that count, 0 for those of agents that are not there.
        """
        x, weight = x.flatten(0, -3).double(), weight.flatten(0, -2).double()  # (rows, N, D), (rows, N)
        for index in range(len(self.mean)):
            of_set = self.sets == index  # (N,)
            values, counts = x[:, of_set].flatten(0, 1), weight[:, of_set].reshape(-1, 1)  # (M, D), (M, 1)
            count = counts.sum()
            if count == 0:
                continue
            mean = (values * counts).sum(0) / count  # (D,)
            square = ((values - mean).square() * counts).sum(0)  # (D,)
            total = self.count[index] + count
            away = mean - self.mean[index]
            self.square[index] += square + away.square() * self.count[index] * count / total
            self.mean[index] += away * count / total
            self.count[index] = total
