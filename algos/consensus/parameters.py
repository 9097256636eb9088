"""What learners share: networks, and the statistics that belong to them, as vectors that can be averaged.

A mean of running statistics is a mean of sums: `summed` turns the count n, the mean m and the variance v of each
statistic into n, n m and n (v + m^2), of which any weighted mean is that of some samples; `unsummed` turns them back.

Axes: P learners, K numbers of a network, D statistics of 3 numbers each (count, mean, variance), X = K + 3 D numbers of
all that a learner shares; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor

from ..nets.sharing import Numbers

OF_CRITICS = ("critic", "target critic", "values", "state")
"""What goes along with critics: a critic learns in the units of its values, and reads states in those of its own."""
Parts = dict[str, Tensor]
"""What learners share by name, float64 on the CPU: (P, K) of a network, (P, D, 3) of statistics."""


class Statistics(Protocol):
    """Running statistics."""

    def moments(self) -> Tensor:
        """Returns count, mean and variance, (..., D, 3)."""
        ...

    def take_moments(self, moments: Tensor) -> None:
        """Sets them."""
        ...


def parts_of(algo: Any) -> Parts:
    """Returns a copy of all that the learners of an algorithm are, by name.

    What all learners of one session have in common, such as a team's critic, is not among it where there are several.

    Args:
        algo: An algorithm, see `core.Algorithm`, with `parameters_of_learners`.
    """
    found = {one.name: one.values[one.own] for one in _networks(algo)}
    found |= {name: one.moments().reshape(algo.learners, -1, 3) for name, one in _statistics(algo).items()}
    return {name: part.to("cpu", torch.float64, copy=True) for name, part in found.items()}


def put_parts(algo: Any, parts: Parts) -> None:
    """Makes the learners of an algorithm what `parts_of` has returned; what `parts` does not name stays as it is."""
    for one in _networks(algo):
        if one.name in parts:
            one.values[one.own] = parts[one.name].to(one.values)
    for name, statistics in _statistics(algo).items():
        if name in parts:
            now = statistics.moments()
            statistics.take_moments(parts[name].reshape(now.shape).to(now))


def bytes_of(algo: Any, names: Iterable[str]) -> int:
    """Returns the size of a message with the named parts of one learner."""
    names, size = set(names), 0
    for one in _networks(algo):
        assert one.own is not None
        size += one.own.shape[1] * one.values.element_size() * (one.name in names)
    for name, one in _statistics(algo).items():
        moments = one.moments()
        size += moments.numel() // algo.learners * moments.element_size() * (name in names)
    return size


def _networks(algo: Any) -> list[Numbers]:
    return [one for one in algo.parameters_of_learners() if one.own is not None]


def _statistics(algo: Any) -> dict[str, Statistics]:
    found = {"values": algo.value_norm, "obs": algo.policy.obs_norm, "state": algo.input_norm.state_norm}
    return {name: one for name, one in found.items() if one is not None and algo.learners in (1, len(one.moments()))}


def packed(parts: Parts) -> tuple[Tensor, int]:
    """Returns all parts as one matrix, (P, X), networks first, and how many numbers of a learner are of networks, K."""
    networks = [part for part in parts.values() if part.dim() == 2]
    statistics = [part.flatten(1) for part in parts.values() if part.dim() == 3]
    return torch.cat([*networks, *statistics], -1), sum(part.shape[1] for part in networks)


def unpacked(value: Tensor, like: Parts) -> Parts:
    """Undoes `packed`, for parts of the same names and shapes."""
    names = sorted(like, key=lambda name: like[name].dim())  # stable: networks first, in their order
    pieces = value.split([like[name][0].numel() for name in names], -1)
    return {name: piece.reshape(like[name].shape) for name, piece in zip(names, pieces, strict=True)}


def plausible(value: Tensor, width: int) -> Tensor:
    """Returns what is heard, (..., X), with counts and variances below zero read as zero: only liars send such.

    Args:
        value: (..., X) see `packed`.
        width: K.
    """
    if value.shape[-1] == width:
        return value
    count, mean, variance = value[..., width:].unflatten(-1, (-1, 3)).unbind(-1)  # (..., D) each
    statistics = torch.stack([count.clamp(min=0.0), mean, variance.clamp(min=0.0)], -1).flatten(-2)
    return torch.cat([value[..., :width], statistics], -1)


def summed(value: Tensor, width: int) -> Tensor:
    """Returns values (..., X) with the sums n, n m, n (v + m^2) in the place of n, m, v; see `packed`."""
    if value.shape[-1] == width:
        return value
    count, mean, variance = value[..., width:].unflatten(-1, (-1, 3)).unbind(-1)  # (..., D) each
    sums = torch.stack([count, count * mean, count * (variance + mean.square())], -1).flatten(-2)
    return torch.cat([value[..., :width], sums], -1)


def unsummed(sums: Tensor, before: Tensor, width: int) -> Tensor:
    """Undoes `summed`; where the count is not above zero, mean and variance stay what they were `before`, (..., X)."""
    if sums.shape[-1] == width:
        return sums
    count, first, second = sums[..., width:].unflatten(-1, (-1, 3)).unbind(-1)  # (..., D) each
    _, old_mean, old_variance = before[..., width:].unflatten(-1, (-1, 3)).unbind(-1)
    counts = count > 0
    whole = torch.where(counts, count, 1.0)
    mean = first / whole
    variance = (second / whole - mean.square()).clamp(min=0.0)
    mean, variance = torch.where(counts, mean, old_mean), torch.where(counts, variance, old_variance)
    return torch.cat([sums[..., :width], torch.stack([count.clamp(min=0.0), mean, variance], -1).flatten(-2)], -1)
