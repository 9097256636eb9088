"""The two halves of a control step: how robots move, then what work they have done.

Axes: B worlds, N robots.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .layout import Layout
from .params import Params
from .physics import drive, settle
from .state import TO_STATION, Array, State
from .work import work


class Motion(NamedTuple):
    """A control step of the robots' bodies."""

    start: Array  # (B, N, 6) as `drive` wrote it: poses before the step, velocities to begin the substeps with
    end: Array  # (B, N, 6) body after the step
    drive_power: Array  # (B, N) mechanical power of the motors [W]
    impulse: Array  # (B, N) contact impulse [N s]


class Outcome(NamedTuple):
    """The outcome of a control step."""

    state: State
    reward: Array  # (B, N) float64
    cost: Array  # (B, N) float64
    terminated: Array  # (B, N) bool


def move(advance: Callable[[Array], Array], state: State, target: Array) -> Motion:
    """Moves all robots by a control step.

    Args:
        advance: Runs bodies (B, N, 6) through the substeps, as `Physics.advance` does.
        state: The state before.
        target: (B, N, 2) target speed [m/s] and turn rate [rad/s].
    """
    start, drive_power = np.empty_like(state.body), np.zeros(state.alive.shape)
    drive(state.body, target, state.phase == TO_STATION, start, drive_power)
    return run_substeps(advance, start, drive_power)


def run_substeps(advance: Callable[[Array], Array], start: Array, drive_power: Array) -> Motion:
    """Moves robots that have their velocities already: `start` and `drive_power` are those of a `Motion`."""
    end, impulse = advance(start), np.zeros(drive_power.shape)
    settle(start, end, impulse)
    return Motion(start, end, drive_power, impulse)


def work_on(params: Params, layout: Layout, after: State, motion: Motion) -> Outcome:
    """Does the work of a step whose motion is known; `after` is a copy of the state before, and is written."""
    after = after._replace(body=motion.end)
    reward, cost = np.zeros(after.alive.shape), np.zeros(after.alive.shape)
    terminated = np.zeros(after.alive.shape, dtype=bool)
    work(params, layout, after, motion.impulse, motion.drive_power, reward, cost, terminated)
    return Outcome(after, reward, cost, terminated)
