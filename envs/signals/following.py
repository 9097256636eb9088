"""How a vehicle follows the one ahead: the Intelligent Driver Model.

Treiber, Hennecke and Helbing 2000, Phys. Rev. E 62, 1805, equations 2 and 3; ballistic steps of `SUBSTEP`.
"""

from __future__ import annotations

import math

from ..kernels import kernel
from .config import SUBSTEP

CAR = 4.8
"""Length of a vehicle [m]."""
ACCELERATION, DECELERATION = 1.8, 2.0
"""The model's a and b, comfortable ones [m/s^2]."""
HEADWAY, JAM_GAP = 1.2, 2.0
"""Its T [s] and s0 [m]."""
HARDEST = 6.0
"""No vehicle brakes harder [m/s^2]."""
FAR = 1e9
"""The gap to nobody [m]."""
_APPROACHING = 0.5 / math.sqrt(ACCELERATION * DECELERATION)


@kernel
def idm(share, speed, gap, closing):
    """Acceleration of the Intelligent Driver Model [m/s^2].

    Args:
        share: Speed over the highest allowed.
        speed: [m/s].
        gap: To the vehicle ahead [m].
        closing: One's own speed less that of the vehicle ahead [m/s].
    """
    share *= share
    wanted = JAM_GAP + max(speed * (HEADWAY + closing * _APPROACHING), 0.0)
    near = wanted / max(gap, 0.1)
    return max(ACCELERATION * (1.0 - share * share - near * near), -HARDEST)


@kernel
def move(position, speed, acceleration, bound):
    """Position and speed after a substep, not beyond a bound: for who comes off another path, and for red lights."""
    after = speed + SUBSTEP * acceleration
    if after > 0.0:
        there = position + 0.5 * SUBSTEP * (speed + after)
    else:
        after, there = 0.0, position - 0.5 * speed * speed / min(acceleration, -1e-9)
    if there > bound:
        there = max(bound, position)
        after = min(after, (there - position) / SUBSTEP)
    return there, after
