"""Lessons: distributions over actions that learners should come closer to, on what they observe themselves.

A learner that is taught by several teachers pays the weighted sum of the divergences from all of them. Its gradient is
that of the divergence from one distribution: the mixture of discrete ones, and for Gaussians the one with the mean and
the variance of the mixture, so that a lesson is one distribution for each observation.

Axes: K teachers, N agents, A actions; `...` any leading axes.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Lesson(NamedTuple):
    """What learners are taught on their own observations."""

    target: Tensor  # (..., N, A) probabilities, or means in units of half the Box
    spread: Tensor | None  # (..., N, A) variances of Gaussians; None for discrete actions
    weight: Tensor  # (..., N) of the divergence in the loss, 0 where nothing is taught


class Tried(NamedTuple):
    """What learners have done, and what came of it."""

    action: Tensor  # (..., N) int64 or (..., N, A), see `Actor.log_prob`
    log_prob: Tensor  # (..., N)
    advantage: Tensor  # (..., N) of mean 0 for each learner


LESSON = tuple(f"lesson_{name}" for name in Lesson._fields)
"""Names of its fields beside those of a rollout."""


class Teaching(Protocol):
    """Says what learners are to be taught, see `peers.tutor`."""

    def lesson(
        self,
        obs: Tensor,
        alive: Tensor,
        action_mask: Tensor | None,
        *,
        state: Tensor | None = None,
        value: Tensor | None = None,
        target: Tensor | None = None,
        tried: Tried | None = None,
    ) -> Lesson | None:
        """Returns what teachers would do on observations of the learners; None where nothing is taught."""
        ...


def mixture(chances: Tensor, shares: Tensor) -> Tensor:
    """Returns the mixture of discrete distributions, (..., N, A).

    Args:
        chances: (K, ..., N, A) probabilities of each teacher.
        shares: (K, N) of each teacher for each agent, summing to 1.
    """
    return (chances * _along(shares, chances)).sum(0)


def moments(mean: Tensor, variance: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and variance of a mixture of diagonal Gaussians, (..., N, A) each.

    Args:
        mean: (K, ..., N, A) of each teacher.
        variance: (K, ..., N, A), or of fewer axes.
        shares: (K, N), see `mixture`.
    """
    weights = _along(shares, mean)
    middle = (mean * weights).sum(0)
    return middle, ((variance + (mean - middle).square()) * weights).sum(0)


def divergence_of_discrete(target: Tensor, log_p: Tensor) -> Tensor:
    """Returns KL(target || p), (..., N) [nats], of probabilities and log-probabilities (..., N, A)."""
    return (torch.special.xlogy(target, target) - target * log_p).sum(-1)


def divergence_of_gaussians(mean: Tensor, variance: Tensor, of_mean: Tensor, log_std: Tensor) -> Tensor:
    """Returns KL(N(mean, variance) || N(of_mean, exp(log_std)^2)), (..., N) [nats], summed over A."""
    precision = torch.exp(-2.0 * log_std)
    squares = (variance + (mean - of_mean).square()) * precision
    return 0.5 * (squares - 1.0 + 2.0 * log_std - variance.log()).sum(-1)


def _along(shares: Tensor, of: Tensor) -> Tensor:
    """Returns shares (K, N) in the axes of (K, ..., N, A)."""
    return shares.view(len(shares), *(1,) * (of.dim() - 3), shares.shape[1], 1)
