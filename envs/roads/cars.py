"""The size of a car, and whether two cars overlap."""

from __future__ import annotations

import numpy as np

from ..core import Array

CAR_LENGTH, CAR_WIDTH = 4.8, 1.9
"""Size of a car [m]."""


def overlap(ax: Array, ay: Array, aa: Array, bx: Array, by: Array, ba: Array) -> Array:
    """Returns whether cars at these poses overlap, by the separating axis theorem.

    Args:
        ax: x of the first car's centre [m]; all six arrays broadcast.
        ay: y of the first car's centre [m].
        aa: Heading of the first car [rad].
        bx: x of the second car's centre [m].
        by: y of the second car's centre [m].
        ba: Heading of the second car [rad].

    Returns:
        Booleans of the common shape.
    """
    dx, dy = bx - ax, by - ay
    c, s = np.abs(np.cos(ba - aa)), np.abs(np.sin(ba - aa))
    along = 0.5 * (CAR_LENGTH + CAR_LENGTH * c + CAR_WIDTH * s)
    across = 0.5 * (CAR_WIDTH + CAR_LENGTH * s + CAR_WIDTH * c)
    found = np.ones(np.broadcast_shapes(dx.shape, c.shape), dtype=bool)
    for angle in (aa, ba):
        found &= np.abs(dx * np.cos(angle) + dy * np.sin(angle)) < along
        found &= np.abs(dy * np.cos(angle) - dx * np.sin(angle)) < across
    return found
