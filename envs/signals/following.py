"""Car following: the Intelligent Driver Model.

Treiber, Hennecke and Helbing 2000, Phys. Rev. E 62, 1805, equations 2 and 3. In steps of a second it is stiff: behind a
standing vehicle da/dv is -2 a T / s0 = -2.2 / s, so an explicit step overshoots; vehicles brake too hard, roll on and
stop again. So steps are linearly implicit (Hairer and Wanner 1996, Solving Ordinary Differential Equations II, chapter
IV.7): the acceleration is the one at the gap that present speeds lead to after a share `THETA` of the step, and is
divided by 1 + `THETA` * step * (-da/dv). Delays, queues and stops under `fixed` and `max-pressure` on `single` are
within 3 % of those in explicit steps of 0.25 s; in explicit steps of a second delays are up to 12 %, stops 60 % higher.

Everything is float32, constants included: one float64 among them would make all arithmetic float64.

Axes: V vehicles.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
from ..roads.cars import CAR_LENGTH
from .config import SUBSTEP

CAR = np.float32(CAR_LENGTH)
"""Length of a vehicle [m]."""
ACCELERATION, DECELERATION = np.float32(1.8), np.float32(2.0)
"""The model's a and b: comfortable acceleration and deceleration [m/s^2]."""
HEADWAY, JAM_GAP = np.float32(1.2), np.float32(2.0)
"""The model's T [s] and s0 [m]."""
HARDEST = np.float32(6.0)
"""Hardest braking [m/s^2]."""
SLOW = np.float32(1.4)
"""Below this speed a vehicle stands in a queue: 5 km/h [m/s]."""
THETA = 0.25
"""Weight of the end of a step. With 0 vehicles stop too often; with 1/2 they stop too near to each other."""
_APPROACHING = np.float32(0.5 / math.sqrt(ACCELERATION * DECELERATION))
_STEP, _HALF_STEP, _PER_SUBSTEP = np.float32(SUBSTEP), np.float32(0.5 * SUBSTEP), np.float32(1.0 / SUBSTEP)
_IMPLICIT = np.float32(THETA * SUBSTEP)
_ZERO, _HALF, _ONE, _TWO = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
_NEAREST, _GENTLEST = np.float32(0.1), np.float32(-1e-6)


@kernel
def idm(share, speed, gap, closing):
    """Returns the acceleration of the Intelligent Driver Model [m/s^2].

    Args:
        share: Speed over the highest speed allowed.
        speed: [m/s].
        gap: To the vehicle ahead [m].
        closing: Own speed less that of the vehicle ahead [m/s].
    """
    share *= share
    wanted = JAM_GAP + max(speed * (HEADWAY + closing * _APPROACHING), _ZERO)
    near = wanted / max(gap, _NEAREST)
    return max(ACCELERATION * (_ONE - share * share - near * near), -HARDEST)


@kernel
def damping(share, slowness, speed, gap, closing):
    """Returns -da/dv, how much the acceleration falls as the speed rises [1/s]; the bound on braking is left out."""
    interaction = speed * (HEADWAY + closing * _APPROACHING)
    slope = max(HEADWAY + (speed + closing) * _APPROACHING, _ZERO) if interaction > _ZERO else _ZERO
    nearest = max(gap, _NEAREST)
    near = (JAM_GAP + max(interaction, _ZERO)) / nearest
    return _TWO * ACCELERATION * (_TWO * share * share * share * slowness + near * slope / nearest)


@kernel
def move(position, speed, acceleration, bound):
    """Returns position and speed after a substep, not beyond a bound: a red light, or the vehicle ahead."""
    after = speed + _STEP * acceleration
    halted = position - _HALF * speed * speed / min(acceleration, _GENTLEST)
    there = position + _HALF_STEP * (speed + after) if after > _ZERO else halted
    after = max(after, _ZERO)
    nearest = max(bound, position)
    after = min(after, (nearest - position) * _PER_SUBSTEP) if there > bound else after
    return min(there, nearest), after


@kernel
def follow(n, position, speed, rear, ahead, slowness, free, lost):
    """Moves the first n vehicles by one substep, without branches, so that LLVM vectorises it.

    Args:
        n: Number of vehicles.
        position: (V,) front bumpers [m], written.
        speed: (V,) [m/s], written.
        rear: (V,) position of the rear bumper or the line ahead, which must not be passed [m].
        ahead: (V,) speed of the vehicle ahead [m/s]; overwritten with the vehicle's own speed before the substep.
        slowness: (V,) reciprocal of the highest speed allowed [s/m].
        free: (V,) reciprocal of the speed below which time is lost [s/m].
        lost: (V,) time lost by each vehicle [substeps], written.
    """
    for i in range(n):
        s, v = position[i], speed[i]
        share, closing = v * slowness[i], v - ahead[i]
        gap = rear[i] - s - _IMPLICIT * closing
        change = idm(share, v, gap, closing) / (_ONE + _IMPLICIT * damping(share, slowness[i], v, gap, closing))
        there, after = move(s, v, change, rear[i])
        position[i], speed[i], ahead[i] = there, after, v
        lost[i] += _ONE - min(after * free[i], _ONE)


@kernel
def count_stops(n, speed, before):
    """Returns how many of the first n vehicles stand, and how many have just come to a stop."""
    standing, stops = 0, 0
    for i in range(n):
        slow = speed[i] < SLOW
        standing += slow
        stops += slow and before[i] >= SLOW
    return standing, stops
