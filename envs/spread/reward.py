"""Reward, cost and the sums behind the metrics, all from the places of agents and landmarks.

Axes: B worlds, N agents, L landmarks.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
from .motion import RADIUS

CAPTURE = 0.1
"""An agent whose centre is nearer than this covers a landmark."""


@kernel
def score(position, landmark, local_ratio):
    """Scores one moment of every world.

    Args:
        position: (B, N, 2) of the agents.
        landmark: (B, L, 2).
        local_ratio: Weight of an agent's own collisions in its reward.

    Returns:
        Reward (B, N), team reward (B,), cost (B, N), and (B, 3): pairs of overlapping agents, mean distance from a
        landmark to the nearest agent, share of landmarks covered in [0, 1].
    """
    n_worlds, n_agents, _ = position.shape
    n_landmarks = landmark.shape[1]
    reward, cost = np.empty((n_worlds, n_agents)), np.zeros((n_worlds, n_agents))
    team_reward, now = np.zeros(n_worlds), np.zeros((n_worlds, 3))
    for b in range(n_worlds):
        away = 0.0
        for k in range(n_landmarks):
            nearest = math.inf
            for i in range(n_agents):
                dx, dy = position[b, i, 0] - landmark[b, k, 0], position[b, i, 1] - landmark[b, k, 1]
                nearest = min(nearest, dx * dx + dy * dy)
            nearest = math.sqrt(nearest)
            away += nearest
            now[b, 2] += (nearest < CAPTURE) / n_landmarks
        now[b, 1] = away / n_landmarks
        for i in range(n_agents):
            for j in range(i):
                dx, dy = position[b, i, 0] - position[b, j, 0], position[b, i, 1] - position[b, j, 1]
                if math.sqrt(dx * dx + dy * dy) < 2 * RADIUS:
                    cost[b, i] += 1.0
                    cost[b, j] += 1.0
                    now[b, 0] += 1.0
        for i in range(n_agents):
            reward[b, i] = -(1 - local_ratio) * away - local_ratio * cost[b, i]
            team_reward[b] += reward[b, i]
    return reward, team_reward, cost, now
