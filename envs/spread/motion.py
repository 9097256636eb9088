"""The motion of agents: discs with thrust and damping that push each other apart where they overlap.

All numbers are mpe2's (`core.py`, `_mpe_utils`).

Axes: B worlds, N agents.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel

TIME_STEP = 0.1
"""Length of a step [s]."""
DAMPING = 0.25
"""Share of its velocity that an agent loses in a step."""
THRUST = 5.0
"""Force of an action along its axis."""
RADIUS = 0.15
"""Radius of an agent."""
STIFFNESS = 100.0
"""Contact force over the depth of the overlap."""
MARGIN = 1e-3
"""Length over which the onset of the contact force is smoothed."""
CONTACT_RANGE = 2 * RADIUS + 40 * MARGIN
"""Beyond this distance between centres, contact forces are below the rounding of float64 and not computed."""


@kernel
def move(position, velocity, force):
    """Moves the discs by one step.

    Args:
        position: (B, N, 2).
        velocity: (B, N, 2) [1/s].
        force: (B, N, 2) of the actions.

    Returns:
        The new position and velocity, (B, N, 2) each.
    """
    n_agents = position.shape[1]
    moved, velocity_after = np.empty_like(position), np.empty_like(velocity)
    push = np.empty((n_agents, 2))
    for b in range(len(position)):
        push[:] = force[b]
        for i in range(n_agents):
            for j in range(i + 1, n_agents):
                dx, dy = position[b, i, 0] - position[b, j, 0], position[b, i, 1] - position[b, j, 1]
                square = dx * dx + dy * dy
                if 0.0 < square < CONTACT_RANGE * CONTACT_RANGE:
                    distance = math.sqrt(square)
                    depth = MARGIN * np.logaddexp(0.0, (2 * RADIUS - distance) / MARGIN)
                    fx, fy = STIFFNESS * dx / distance * depth, STIFFNESS * dy / distance * depth
                    push[i, 0] += fx
                    push[i, 1] += fy
                    push[j, 0] -= fx
                    push[j, 1] -= fy
        for i in range(n_agents):
            for k in range(2):
                moved[b, i, k] = position[b, i, k] + TIME_STEP * velocity[b, i, k]
                velocity_after[b, i, k] = (1 - DAMPING) * velocity[b, i, k] + TIME_STEP * push[i, k]
    return moved, velocity_after
