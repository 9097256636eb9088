"""Exploration of deterministic policies: schedules, correlated noise, and discrete choices that have a gradient.

Axes: B worlds, N agents, A actions; `...` any leading axes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def linear(first: float, last: float, progress: float) -> float:
    """Returns the value of a linear schedule, `first` at `progress` 0 and `last` at 1; constant outside."""
    return first + (last - first) * min(max(progress, 0.0), 1.0)


def ornstein_uhlenbeck(noise: Tensor, *, theta: float, std: float, generator: torch.Generator) -> Tensor:
    """Makes one step of Ornstein-Uhlenbeck noise, which is correlated over about 1 / theta steps.

    x' = (1 - theta) x + std sqrt(1 - (1 - theta)^2) eps, eps ~ N(0, 1)

    Its stationary deviation is `std` for every `theta`, as that of independent noise; Lillicrap et al.
    2016 give the deviation of a single step instead.

    Args:
        noise: (B, N, A) before the step.
        theta: Share of the noise that is forgotten, above 0 and at most 1.
        std: Stationary deviation.
        generator: Source of chance.

    Returns:
        (B, N, A) after the step.
    """
    kept = 1.0 - theta
    drawn = torch.empty_like(noise).normal_(generator=generator)
    return kept * noise + std * (1.0 - kept * kept) ** 0.5 * drawn


def gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draws standard Gumbel noise of the shape of `like`: the argmax of log p + noise is a draw from p.

    It is always finite: infinite noise, from an exponential draw of exactly 0, would choose a forbidden action.
    """
    return torch.empty_like(like).exponential_(generator=generator).clamp_(min=2.0**-60).log_().neg_()


def straight_through(log_p: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Returns a one-hot choice with the gradient of a soft one.

    Forward one_hot(argmax(log p + g)); backward the gradient of y = softmax((log p + g) / temperature).

    Args:
        log_p: (..., A) log-probabilities; forbidden actions have the smallest float.
        noise: (..., A) g, from `gumbel`.
        temperature: A low one makes the soft choice close to the hard one, and its gradient noisy.

    Returns:
        (..., A), exactly one-hot.

    Source: Jang et al. 2017, "Categorical reparameterization with Gumbel-softmax", section 2.2.
    """
    clocks = (log_p + noise).movedim(-1, 0)  # (A, ...): over a short last axis torch's softmax is several times slower
    soft = (clocks / temperature).softmax(0)
    hard = torch.zeros_like(soft).scatter_(0, clocks.argmax(0, keepdim=True), 1.0)
    return (hard + (soft - soft.detach())).movedim(0, -1)
