"""The policy to beat, written by hand.

Axes: B worlds, N rovers, P points of interest, K places that rovers are wanted at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium.spaces import Discrete

from ..core import Array
from .env import Rovers
from .state import VALUE, State, X, Y


def heuristic(env: Rovers) -> Callable[[State], Array]:
    """Makes the policy to beat: rovers share the points of interest among them. Nothing is learned.

    Every point that is not yet found (approached to `min_distance`) wants `coupling` rovers. The best assignment is
    the one with the least sum of squared distances, so that the longest ways are short, made anew in every step. Where
    more rovers are wanted than there are, the points with the least distance to their nearest `coupling` rovers over
    their value come first. A rover that is not wanted stays.

    Returns:
        A function from the state of B worlds to actions: (B, N) int64, or (B, N, 2) float32 if continuous.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and only needed here

    config, discrete = env.config, isinstance(env.action_space, Discrete)
    n, k = config.n_rovers, config.coupling

    def way(position: Array, poi: Array, best: Array) -> Array:
        """Returns the way to each rover's goal in one world, (N, 2) [m]; zeros where it has none."""
        wanted = np.flatnonzero(best < 1.0)
        away = np.linalg.norm(poi[wanted, None, : Y + 1] - position, axis=2)  # (P, N)
        if len(wanted) * k > n:
            effort = np.sort(away, axis=1)[:, :k].mean(axis=1) / poi[wanted, VALUE]
            chosen = np.argsort(effort, kind="stable")[: n // k]
            wanted, away = wanted[chosen], away[chosen]
        place, rover = linear_sum_assignment(np.repeat(away, k, axis=0) ** 2)  # (K, N), K at most N
        goal = position.copy()
        goal[rover] = poi[np.repeat(wanted, k)[place], X : Y + 1]
        return goal - position

    def act(state: State) -> Array:
        error = np.array([way(*world) for world in zip(state.position, state.poi, state.best, strict=True)])
        if not discrete:
            length = np.linalg.norm(error, axis=2, keepdims=True)  # (B, N, 1)
            return (error / np.maximum(length, config.speed)).astype(np.float32)
        axis = np.abs(error).argmax(axis=2)
        along = np.take_along_axis(error, axis[:, :, None], axis=2)[:, :, 0]  # (B, N)
        return np.where(np.abs(along) < 0.5 * config.speed, 0, 1 + 2 * axis + (along > 0))

    return act
