"""Returns and advantages: pure functions of a rollout.

Axes: T time, B worlds, V values (N agents, or 1 where one value stands for the whole team); R sampled transitions, each
the first of K steps.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gae(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    ended: Tensor,
    *,
    gamma: float | Tensor,
    gae_lambda: float,
    cut: Tensor | None = None,
) -> Tensor:
    """Returns generalised advantage estimates.

    delta_t = r_t + gamma (1 - terminated_t) V'_t - V_t
    A_t = delta_t + gamma lambda (1 - terminated_t) (1 - ended_t) A_{t+1}

    V'_t is the value of the observation that the action led to, *before* any reset. So a time limit (`ended`, not
    `terminated`) stops the sum of deltas but still bootstraps, and a death (`terminated`) stops both. A time limit may
    be that of the world or of one agent alone. The value target of the critic is A_t + V_t, the lambda return.

    Args:
        reward: (T, B, V).
        value: (T, B, V), V(s_t).
        next_value: (T, B, V), V(s_{t+1}) before any reset; ignored where `terminated`.
        terminated: (T, B, V) bool.
        ended: (T, B, V), or (T, B, 1) where it is the same for all, bool: row t + 1 does not continue row t, because
            the world was reset in between or the agent has left.
        gamma: Discount, in [0, 1]; () or (V,).
        gae_lambda: 0 gives one-step temporal differences, 1 gives Monte-Carlo returns.
        cut: (T, B, V) importance weights from 0 to 1 of actions of another policy: the trace from t to t + 1 is
            multiplied by that of t + 1, so that A_t is v_{t+1} gamma + r_t - V_t with the targets v of V-trace
            (Espeholt et al. 2018, "IMPALA", equation 1). None: 1 everywhere.

    Returns:
        (T, B, V) advantages.

    Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation",
    equations 11, 12 and 16; for time limits Pardo et al. 2018, "Time limits in reinforcement learning", equation 6.
    """
    # A fill instead of a product: the value after a death may be anything, NaN included.
    delta = reward + gamma * next_value.masked_fill(terminated, 0.0) - value  # (T, B, V)
    trace = gamma * gae_lambda * (~(terminated | ended)).to(delta.dtype)  # (T, B, V)
    if cut is not None:
        trace = trace * torch.cat([cut[1:], cut[-1:]])  # nothing follows the last step
    advantage = torch.empty_like(delta)  # (T, B, V)
    following = torch.zeros_like(delta[0])  # (B, V)
    for t in range(len(delta) - 1, -1, -1):
        following = torch.addcmul(delta[t], trace[t], following, out=advantage[t])
    return advantage


def n_step(reward: Tensor, terminated: Tensor, stop: Tensor, *, gamma: float | Tensor) -> tuple[Tensor, Tensor]:
    """Returns sums of rewards over up to K steps, and the discount of the value that follows them.

    G = sum_{j<k} gamma^j r_j, D = gamma^k, k = the first step that stops, or K; the target is G + D V'_k

    V'_k is the value of the observation that step k - 1 led to, before any reset. A death (`terminated`) at step m ends
    the sum after r_m and makes D 0; a time limit (`stop`) ends the sum and still bootstraps.

    Args:
        reward: (R, K, V) of a transition's own step and those after it; ignored after the first stop or death.
        terminated: (R, K, V) bool; ignored after the first stop.
        stop: (R, K) bool: the step that follows this one belongs to another episode or is not stored.
        gamma: Discount, in [0, 1]; () or (V,).

    Returns:
        G and D, (R, V) each.

    Source: Sutton & Barto 2018, "Reinforcement learning", equation 7.1; in replay Hessel et al. 2018, "Rainbow".
    """
    steps = torch.arange(reward.shape[1], device=reward.device)  # (K,)
    reached = ~_earlier(stop).unsqueeze(-1)  # (R, K, 1): the sum gets as far as this step
    counts = reached & ~_earlier(terminated)  # (R, K, V)
    discounts = gamma ** steps.to(reward.dtype).unsqueeze(-1)  # (K, 1), or (K, V)
    total = (discounts * reward.masked_fill(~counts, 0.0)).sum(1)  # (R, V); a fill, because there may be NaN
    survives = ~(terminated & reached).any(1)  # (R, V)
    return total, gamma ** reached.sum(1).to(reward.dtype) * survives


def _earlier(flag: Tensor) -> Tensor:
    """Returns whether any earlier step was flagged: (R, K, ...) bool -> (R, K, ...) bool."""
    before = flag.cumsum(1) - flag.to(torch.int64)
    return before > 0


def constant_value(
    reward: Tensor, terminated: Tensor, weight: Tensor, *, gamma: float | Tensor, each: bool = False
) -> Tensor:
    """Returns the constant value of all states that fits a batch of steps best: a start for values not learned yet.

    b = sum_t w_t r_t / sum_t w_t (1 - gamma (1 - terminated_t))

    It is the fixed point of temporal differences with a single feature that is 1 everywhere. If every reward is c and
    nothing terminates, b = c / (1 - gamma), which is exact, so a constant in all rewards drops out of the advantages
    from the first update on. Time limits bootstrap and do not count as `terminated`.

    Args:
        reward: (T, B, V).
        terminated: (T, B, V) bool.
        weight: (T, B, V), 0 for entries to leave out.
        gamma: Discount, in [0, 1]; () or (V,).
        each: Fit a constant for each of the V values.

    Returns:
        () float64, or (V,) for each value; 0 if no weight is positive. A horizon of more than 1,000 steps, as with
        gamma = 1, is taken as 1,000.

    Source: Bradtke & Barto 1996, "Linear least-squares algorithms for temporal difference learning" (LSTD), for one
    constant feature.
    """
    weight = weight.double()
    shrinks = (1.0 - gamma * (~terminated).double()).clamp(min=1e-3)  # (b - gamma b') / b in a step
    earned, over = reward.double() * weight, shrinks * weight
    return _sum(earned, each=each) / _sum(over, each=each).clamp(min=1e-8)


def explained_variance(value: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Returns 1 - Var[target - value] / Var[target]: 1 is a perfect prediction, 0 no better than a constant.

    Args:
        value: Predictions, any shape.
        target: Targets, the same shape.
        weight: The same shape, 0 for entries to leave out.

    Returns:
        () scalar; 0 if the target does not vary.
    """
    total = masked_var(target, weight)
    return torch.where(total > 1e-12, 1.0 - masked_var(target - value, weight) / total.clamp(min=1e-12), 0.0)


def masked_mean(x: Tensor, weight: Tensor, *, each: bool = False) -> Tensor:
    """Returns the mean of `x` under weights of the same shape; 0 if all weights are 0.

    Args:
        x: (..., V).
        weight: (..., V).
        each: Take a mean for each entry of the last axis, (V,), instead of one over all entries, ().
    """
    return _sum(x * weight, each=each) / _sum(weight, each=each).clamp(min=1e-8)


def masked_var(x: Tensor, weight: Tensor, *, each: bool = False) -> Tensor:
    """Returns the variance of `x` about its `masked_mean` under the same weights, () or (V,)."""
    return masked_mean((x - masked_mean(x, weight, each=each)).square(), weight, each=each)


def shares(weight: Tensor, *, each: bool = False) -> Tensor:
    """Returns weights of a mean: `weight` (..., V) over its sum, or over that of each entry of the last axis."""
    return weight / _sum(weight, each=each).clamp(min=1e-8)


def _sum(x: Tensor, *, each: bool) -> Tensor:
    return x.flatten(0, -2).sum(0) if each else x.sum()
