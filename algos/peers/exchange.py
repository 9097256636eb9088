"""Parameters that move from one learner to another, with all that belongs to them.

A learner is a row of everything that has an axis of parameter sets: networks, the moments of their optimisers, target
networks, the units of values, and the statistics of observations. Critics learn in the units of their learner, so that
they move together.

Axes: P learners, K numbers of each.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from ..nets.sharing import Numbers

Moments = Literal["copy", "keep", "reset"]
"""What becomes of the optimiser of a learner that takes parameters: it takes the other's moments, too; it keeps its
own; or it starts from zero."""


class Learning(Protocol):
    """An algorithm of several learners."""

    learners: int

    def parameters_of_learners(self) -> list[Numbers]:
        """Returns networks, targets, units of values and statistics of observations: what a learner is."""
        ...

    def moments_of_learners(self) -> list[Numbers]:
        """Returns the moments of optimisers."""
        ...


class Copy(NamedTuple):
    """A learner as it was at some time."""

    parameters: list[Tensor]
    moments: list[Tensor]


def copy_of(algo: Learning, learner: int) -> Copy:
    """Returns a copy of a learner."""
    every = algo.parameters_of_learners(), algo.moments_of_learners()
    return Copy(*([_part(numbers, learner).clone() for numbers in some] for some in every))


@torch.no_grad()
def move(algo: Learning, learner: int, other: Copy, *, tau: float = 1.0, moments: Moments = "copy") -> float:
    """Moves a learner towards another: theta_j <- (1 - tau) theta_j + tau theta_i.

    Args:
        algo: The algorithm.
        learner: j, the learner that moves.
        other: i, the learner that it moves towards.
        tau: How far it moves, above 0 and up to 1, where it becomes the other.
        moments: What becomes of its optimiser.

    Returns:
        How far its networks have moved: the root of the mean square of changes.
    """
    squares, count = 0.0, 0
    for numbers, theirs in zip(algo.parameters_of_learners(), other.parameters, strict=True):
        before = _part(numbers, learner)
        after = torch.lerp(before, theirs, tau)
        _put(numbers, learner, after)
        if numbers.own is not None:  # a network, and not its units
            squares += float((after - before).square().sum())
            count += before.numel()
    if moments != "keep":
        for numbers, theirs in zip(algo.moments_of_learners(), other.moments, strict=True):
            goal = theirs if moments == "copy" else torch.zeros_like(theirs)
            _put(numbers, learner, torch.lerp(_part(numbers, learner), goal, tau))
    return (squares / max(count, 1)) ** 0.5


def _part(numbers: Numbers, learner: int) -> Tensor:
    return numbers.values[learner if numbers.own is None else numbers.own[learner]]


def _put(numbers: Numbers, learner: int, part: Tensor) -> None:
    numbers.values[learner if numbers.own is None else numbers.own[learner]] = part
