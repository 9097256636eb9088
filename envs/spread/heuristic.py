"""The policy to beat, written by hand.

Axes: B worlds, N agents, L landmarks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium.spaces import Discrete

from ..core import Array
from .env import Spread
from .state import State


def heuristic(env: Spread) -> Callable[[State], Array]:
    """Makes the policy to beat: every agent drives to the landmark of the best assignment. Nothing is learned.

    The assignment is the one with the least sum of squared distances: the distances are short in all, and none is much
    longer than the others. It is made anew in every step, from where the agents are about to be, which damps the drive
    as well. Agents do not evade each other.

    Returns:
        A function from the state of B worlds to actions: (B, N) int64, or (B, N, 5) float32 if continuous.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and only needed here

    look_ahead, deadband, ramp = 0.25, 0.03, 0.15  # [s], and distances; each the best of a coarse grid
    discrete = isinstance(env.action_space, Discrete)

    def act(state: State) -> Array:
        ahead = state.position + look_ahead * state.velocity
        away = state.landmark[:, None] - ahead[:, :, None]  # (B, N, L, 2)
        goal = np.array([linear_sum_assignment(cost)[1] for cost in (away**2).sum(axis=3)])
        error = np.take_along_axis(away, goal[:, :, None, None], axis=2)[:, :, 0]  # (B, N, 2)
        if discrete:
            axis = np.abs(error).argmax(axis=2)
            error = np.take_along_axis(error, axis[:, :, None], axis=2)[:, :, 0]  # (B, N)
            return np.where(np.abs(error) < deadband, 0, 1 + 2 * axis + (error > 0))
        share = np.clip(error / ramp, -1.0, 1.0)
        action = np.zeros((*goal.shape, 5), np.float32)
        action[:, :, 1::2], action[:, :, 2::2] = np.maximum(-share, 0.0), np.maximum(share, 0.0)
        return action

    return act
