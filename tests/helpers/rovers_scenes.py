"""Episodes of rovers, and the objective computed anew from whole ways: numpy alone, nothing of the environment's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import envs


def field(**options: Any) -> Any:
    return envs.make("rovers", **options)


def play(env: Any, seeds: Sequence[int], seed: int = 0, policy: Any = None) -> tuple[list[Any], list[Any], list[Any]]:
    """Plays whole episodes, random where no policy is given; returns states (one more), actions and steps."""
    rng, (state, step) = np.random.default_rng(seed), env.reset(seeds)
    states, actions, steps = [state], [], []
    while not step.truncated.any():
        actions.append(chosen(env, rng, len(seeds)) if policy is None else policy(state))
        state, step = env.step(state, actions[-1])
        states.append(state)
        steps.append(step)
    return states, actions, steps


def chosen(env: Any, rng: np.random.Generator, worlds: int) -> Any:
    n = len(env.agents)
    if env.config.continuous:
        return rng.uniform(-1.0, 1.0, (worlds, n, 2)).astype(np.float32)
    return rng.integers(5, size=(worlds, n))


def scene(env: Any, rovers: Any, pois: Any) -> Any:
    """One world at its start, with rovers at these places [m] and points of interest at these, with values."""
    state, _ = env.reset([0])
    return state._replace(position=np.array([rovers], float), poi=np.array([pois], float))


def objective(config: Any, ways: Any, poi: Any) -> float:
    """G of whole ways.

    Args:
        config: The environment's.
        ways: (T, rovers, 2) places after each step [m], of the rovers that there are.
        poi: (P, 3) x, y and value.
    """
    total = 0.0
    for x, y, value in poi:
        least = np.inf
        for places in ways:
            away = sorted(float(np.hypot(px - x, py - y)) for px, py in places)
            if len(away) >= config.coupling and away[config.coupling - 1] <= config.radius:
                counted = [max(length, config.min_distance) for length in away[: config.coupling]]
                least = min(least, sum(counted) / config.coupling)
        total += value * config.min_distance / least
    return total


def own_finds(config: Any, ways: Any, poi: Any, i: int) -> float:
    """What rover i finds together with the `coupling` - 1 others that are nearest in the same step."""
    total = 0.0
    for x, y, value in poi:
        least = np.inf
        for places in ways:
            away = [float(np.hypot(px - x, py - y)) for px, py in places]
            team = [away[i], *sorted(away[:i] + away[i + 1 :])[: config.coupling - 1]]
            if len(team) == config.coupling and max(team) <= config.radius:
                least = min(least, sum(max(length, config.min_distance) for length in team) / config.coupling)
        total += value * config.min_distance / least
    return total
