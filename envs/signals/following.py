"""How vehicles follow the ones ahead: the Intelligent Driver Model.

Treiber, Hennecke and Helbing 2000, Phys. Rev. E 62, 1805, equations 2 and 3; ballistic steps of `SUBSTEP`.

Axes: V places, those in use first.
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
SLOW = 1.4
"""Below this speed a vehicle stands in a queue: 5 km/h [m/s]."""
_APPROACHING = 0.5 / math.sqrt(ACCELERATION * DECELERATION)
_HALF_STEP, _PER_SUBSTEP = 0.5 * SUBSTEP, 1.0 / SUBSTEP


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
    """Position and speed after a substep, not beyond a bound: for red lights, and for who was put down too near."""
    after = speed + SUBSTEP * acceleration
    halted = position - 0.5 * speed * speed / min(acceleration, -1e-9)
    there = position + _HALF_STEP * (speed + after) if after > 0.0 else halted
    after = max(after, 0.0)
    nearest = max(bound, position)
    after = min(after, (nearest - position) * _PER_SUBSTEP) if there > bound else after
    return min(there, nearest), after


@kernel
def follow(n, position, speed, rear, ahead, slowness, free, lost):
    """A substep of the first n vehicles.

    Without branches, over neighbours in memory, so that LLVM computes eight vehicles at a time.

    Args:
        n: How many.
        position: (V,) front bumpers [m], written.
        speed: (V,) [m/s], written.
        rear: (V,) where the rear bumper or the line ahead is, not to be passed [m].
        ahead: (V,) speed there [m/s].
        slowness: (V,) one over the highest speed allowed [s/m].
        free: (V,) one over the speed without which time is lost [s/m].
        lost: (V,) time that each has lost [substeps], written.

    Returns:
        How many stand, and how many have just come to stand.
    """
    standing, stops = 0, 0
    for i in range(n):
        s, v = position[i], speed[i]
        there, after = move(s, v, idm(v * slowness[i], v, rear[i] - s, v - ahead[i]), rear[i])
        position[i], speed[i] = there, after
        lost[i] += 1.0 - min(after * free[i], 1.0)
        slow = after < SLOW
        standing += slow
        stops += slow and v >= SLOW
    return standing, stops
