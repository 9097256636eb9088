"""Finds numbers that are not finite where they first appear, names them, and keeps them out of checkpoints.

Axes: B worlds, N agents, O observation, S global state.

The checks compute sums first: a sum is not finite if any entry is not, and only then are the entries searched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import Array, Savable, StepLike


class NonFiniteError(ArithmeticError):
    """NaN or infinity from an environment or in a loss, gradient or parameter; the message is one line."""


def check_learning(scalars: Mapping[str, float], policy: Savable, *, at: int | None = None) -> None:
    """Checks the statistics of an update, and the parameters of the policy.

    Args:
        scalars: The update's means of losses, norms of gradients and so on, by name.
        policy: The policy that has learned.
        at: Environment steps so far, for the message.

    Raises:
        NonFiniteError: Names the scalars or the parameter.
    """
    bad = [f"{name} is {value}" for name, value in scalars.items() if not math.isfinite(value)]
    parameters = {name: value for name, value in policy.state_dict().items() if value.is_floating_point()}
    if not math.isfinite(float(torch.stack([value.sum().double() for value in parameters.values()]).sum())):
        bad += [
            f"parameter {name} of the policy is not finite"
            for name, parameter in parameters.items()
            if not torch.isfinite(parameter).all()
        ][:1]
    if bad:
        when = "" if at is None else f" in the update at step {at:,}"
        raise NonFiniteError(f"learning has diverged: {', '.join(bad)}{when}")


def check_step(
    final: StepLike, following: StepLike, acted: Array, agents: Sequence[str], *, at: int | None = None
) -> None:
    """Checks the steps that an environment returned; entries of absent agents may be anything.

    Args:
        final: The step that the action led to, before any reset.
        following: The step to act on next; the same object if no world was reset.
        acted: (B, N) bool, the agents that were alive before the step.
        agents: (N,) names of the agents.
        at: Environment steps before this one, for the message.

    Raises:
        NonFiniteError: Names world, agent and field of the first number that is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if _sums_are_finite(final) and (following is final or _sums_are_finite(following)):
            return
    when = "" if at is None else f" at step {at:,}"
    seen = final.alive | (acted & ~final.terminated)  # (B, N) an agent that leaves has a last observation
    for step, alive in ((final, seen), (following, following.alive)):
        _refuse("observation", step.obs, alive, agents, when)
        _refuse("state", step.state, alive.any(axis=1), agents, when)
    for name in ("reward", "cost", "counterfactual"):
        value = getattr(final, name)
        if value is not None:
            _refuse(name, value, acted, agents, when)
    _refuse("team reward", final.team_reward, acted.any(axis=1), agents, when)


def check_start(step: StepLike, agents: Sequence[str]) -> None:
    """Checks the step after a reset; see `check_step`."""
    _refuse("observation", step.obs, step.alive, agents, " after reset")
    _refuse("state", step.state, step.alive.any(axis=1), agents, " after reset")


def check_saved(content: Any) -> None:
    """Checks all floating tensors of an algorithm's `state_dict` before it is saved.

    Raises:
        NonFiniteError: A tensor has an entry that is not finite; the message names it.
    """
    if name := first_not_finite(content):
        raise NonFiniteError(f"{name} is not finite; it is not saved")


def first_not_finite(content: Any) -> str:
    """Returns the path in nested data of the first floating tensor that is not finite; "" if all are."""
    for path, tensor in _tensors(content, ()):
        if not torch.isfinite(tensor).all():
            return ".".join(path)
    return ""


def _sums_are_finite(step: StepLike) -> bool:
    total = float(step.obs.sum()) + float(step.state.sum()) + float(step.reward.sum()) + float(step.cost.sum())
    total += float(step.team_reward.sum())
    if step.counterfactual is not None:
        total += float(step.counterfactual.sum())
    return math.isfinite(total)


def _refuse(field: str, value: Array, counts: Any, agents: Sequence[str], when: str) -> None:
    """Raises if `value`, (*counts.shape, ...), is not finite where `counts`, (B,) or (B, N), is True."""
    finite = np.isfinite(value)
    finite = finite.reshape(*counts.shape, -1).all(axis=-1)
    bad = np.argwhere(counts & ~finite)
    if len(bad):
        world, *agent = (int(index) for index in bad[0])
        whose = f" of {agents[agent[0]]}" if agent else ""
        entry = value[tuple(bad[0])]
        shown = np.asarray(entry)[~np.isfinite(entry)].flat[0]
        raise NonFiniteError(f"the environment gave {field} {shown}{whose} in world {world}{when}")


def _tensors(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield path, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _tensors(part, (*path, str(name)))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _tensors(part, (*path, str(index)))
