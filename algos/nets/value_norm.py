"""Normalisation of value targets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .sharing import Numbers

LEAST_VARIANCE = 1e-4
"""Least variance of targets that they are divided by."""


class ValueNorm(nn.Module):
    """Running mean and standard deviation of value targets, so that the critic learns at about unit scale.

    Exponential moving averages of x and x^2, corrected for their start at zero (as in Adam). The newest batch has a
    weight of at least 1 - `decay`, the first one all of it. Before the first one, values are centred on the constant
    that was given to `begin_at`. The averages and everything computed with them are float64: in float32, rewards of
    10,000 plus a small number would lose the small number.

    Source: Yu et al. 2022, section 5.1, "value normalization"; no rescaling of the last layer (no PopArt).
    """

    mean_sum: Tensor
    square_sum: Tensor
    weight_sum: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, decay: float = 0.99, *, learners: int = 1) -> None:
        """Starts without statistics.

        Args:
            decay: Weight that the averages so far keep at an update.
            learners: V values with units of their own each, on the last axis; 1: all values have the same units.
        """
        super().__init__()
        self.decay = decay
        self._each = learners > 1
        shape = (learners,) if self._each else ()
        for name in ("mean_sum", "square_sum", "weight_sum", "mean"):  # () or (V,), float64: x^2 - mean^2 cancels
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("std", torch.ones(shape, dtype=torch.float64))

    @property
    def begun(self) -> bool:
        """Whether there are any targets in the averages."""
        return bool((self.weight_sum > 0).any())

    def begin_at(self, value: Tensor) -> None:
        """Sets what values are centred on until the first `update`, () or (V,); see `returns.constant_value`."""
        self.mean.copy_(value)

    def update(self, target: Tensor, weight: Tensor) -> None:
        """Adds targets of any shape to the averages; entries of weight 0 are left out."""
        target, weight = target.double(), weight.double()
        count = self._sum(weight)
        counts = count > 0  # () or (V,)
        if not counts.any():
            return
        for name, value in (
            ("mean_sum", self._sum(target * weight) / count),
            ("square_sum", self._sum(target.square() * weight) / count),
            ("weight_sum", torch.ones_like(count)),
        ):
            average = getattr(self, name)
            average.copy_(torch.where(counts, average * self.decay + (1.0 - self.decay) * value, average))
        mean = self.mean_sum / self.weight_sum
        std = (self.square_sum / self.weight_sum - mean.square()).clamp(min=LEAST_VARIANCE).sqrt()
        self.mean.copy_(torch.where(counts, mean, self.mean))
        self.std.copy_(torch.where(counts, std, self.std))

    def _sum(self, x: Tensor) -> Tensor:
        """Returns the sum of all entries, or of those of each value, (V,)."""
        return x.flatten(0, -2).sum(0) if self._each else x.sum()

    def of_learners(self) -> list[Numbers]:
        """Returns the units of all learners, where each has its own."""
        return [Numbers(buffer) for buffer in self.buffers()] if self._each else []

    def moments(self) -> Tensor:
        """Returns weight, mean and variance of the targets, (V, 1, 3); V is 1 where all have the same units.

        The variance is not bounded below, as it is in `std`.
        """
        weight = self.weight_sum.clamp(min=torch.finfo(torch.float64).tiny)
        mean = self.mean_sum / weight
        variance = (self.square_sum / weight - mean.square()).clamp(min=0.0)
        return torch.stack([self.weight_sum, mean, variance], -1).view(-1, 1, 3)

    def take_moments(self, moments: Tensor) -> None:
        """Sets weights, means and variances, see `moments`; learners of weight 0 keep what they are centred on."""
        weight, mean, variance = (part.view_as(self.mean) for part in moments.unbind(-1))  # () or (V,) each
        counts = weight > 0
        self.weight_sum.copy_(weight)
        self.mean_sum.copy_(weight * mean)
        self.square_sum.copy_(weight * (variance + mean.square()))
        self.mean.copy_(torch.where(counts, mean, self.mean))
        self.std.copy_(torch.where(counts, variance.clamp(min=LEAST_VARIANCE).sqrt(), self.std))

    def normalize(self, value: Tensor) -> Tensor:
        """Converts values of any shape from the reward's units to about unit scale, float32."""
        return ((value.double() - self.mean) / self.std).float()

    def denormalize(self, value: Tensor) -> Tensor:
        """Converts values of any shape from about unit scale to the reward's units, float64."""
        return value.double() * self.std + self.mean
