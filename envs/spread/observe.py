"""The kernel for the observations of agents.

Axes: B worlds, N agents, L landmarks, O observation.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import kernel


def obs_names(n_agents: int) -> tuple[str, ...]:
    """Returns the names of the entries of an observation, (O,), see `envs.core.BatchEnv`."""
    names = ["velocity_x", "velocity_y", "x", "y"]
    names += [f"landmark_{k}_{axis}" for k in range(n_agents) for axis in "xy"]
    names += [f"other_{k}_{axis}" for k in range(n_agents - 1) for axis in "xy"]
    return (*names, *(f"zero_{k}" for k in range(2 * (n_agents - 1))))


@kernel
def observe(position, velocity, landmark):
    """Returns the observations, (B, N, O) float32, laid out as the package's docstring says."""
    n_worlds, n_agents, _ = position.shape
    n_landmarks = landmark.shape[1]
    obs = np.zeros((n_worlds, n_agents, 4 * n_agents + 2 * n_landmarks), np.float32)
    for b in range(n_worlds):
        for i in range(n_agents):
            x, y = position[b, i, 0], position[b, i, 1]
            obs[b, i, 0], obs[b, i, 1] = velocity[b, i, 0], velocity[b, i, 1]
            obs[b, i, 2], obs[b, i, 3] = x, y
            at = 4
            for k in range(n_landmarks):
                obs[b, i, at], obs[b, i, at + 1] = landmark[b, k, 0] - x, landmark[b, k, 1] - y
                at += 2
            for j in range(n_agents):
                if j != i:
                    obs[b, i, at], obs[b, i, at + 1] = position[b, j, 0] - x, position[b, j, 1] - y
                    at += 2
    return obs
