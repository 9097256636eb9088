"""Counterfactuals at the cost of what they change: the team's reward had one robot stopped, or not been there.

`kit.counterfactual.without_each` simulates every world once for each robot. This gives the same bytes for less, because
a robot mostly changes nothing but its own reward:

1. A robot that touches no other, neither as it acts nor with its default, changes no other's motion. So one batch of B
   worlds in which every robot does its default, alone on the map, moves all N robots of all counterfactuals.
2. A robot's reward depends on its own motion and its own order. Robots without an order are coupled, because an order
   that one takes is none for the others. So the same batch gives the rewards of all robots that are not free when
   orders are given out, with their default or without.
3. The other robots, which are few, get a copy of their world each, where orders are given out again. Only the copies
   of robots that touch others go through the physics.

Axes: B worlds, N robots, K copies of worlds, each for one robot.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..core import take_worlds
from ..kit.kernels import kernel
from .alone import Alone
from .layout import Layout
from .meetings import find_meetings
from .params import Params
from .physics import RADIUS, Physics, X, Y
from .state import IDLE, Array, State, copied
from .steps import Motion, Outcome, move, run_substeps, work_on
from .work import total


class Without:
    """Computes the counterfactuals of single control steps."""

    def __init__(self, params: Params, layout: Layout, physics: Physics, alone: Alone, absent: bool) -> None:
        """Takes the parts of the environment; `absent`: the default is not to be there, else to stop."""
        self._params, self._layout = params, layout
        self._physics, self._alone, self._absent = physics, alone, absent

    def each(self, state: State, target: Array, path: Array, motion: Motion, outcome: Outcome) -> NDArray[np.float32]:
        """Returns G had robot i done its default, for every robot i.

        Args:
            state: The state before the step.
            target: (B, N, 2) target speed [m/s] and turn rate [rad/s] of every robot.
            path: (B, N, SUBSTEPS, 2) x, y of every robot after each substep of the step as it was [m].
            motion: The motion as it was.
            outcome: The outcome as it was.

        Returns:
            (B, N) float32.
        """
        default_path, meets = np.empty_like(path), np.empty(state.alive.shape, dtype=bool)
        seeks = _seeks_order(state, outcome.state)
        if self._absent:
            away = np.broadcast_to(gone(state.alive.shape[1]), motion.start.shape)
            still = np.zeros(state.alive.shape)
            default = Motion(away, away, still, still)
            default_path[:] = away[:, :, None, X : Y + 1]
            own = np.zeros(state.alive.shape)
            differs = np.ones(state.alive.shape, dtype=bool)
        else:
            differs = (target[:, :, 0] != 0.0) | (target[:, :, 1] != 0.0)
            advance = partial(self._alone.advance, path=default_path, needed=differs)
            default = move(advance, state, np.zeros_like(target))
            alone = work_on(self._params, self._layout, copied(state), default)
            seeks |= _seeks_order(state, alone.state)
            own = alone.reward
        find_meetings(self._layout.blocked, path, default_path, meets)
        without = np.empty(state.alive.shape, dtype=np.float32)
        _total_with(outcome.reward, np.where(differs, own, outcome.reward), without)
        world, robot = np.nonzero((meets | seeks) & differs)
        if len(world):
            without[world, robot] = total(self._simulated(state, motion, default, meets, world, robot))
        return without

    def _simulated(
        self, state: State, motion: Motion, default: Motion, meets: Array, world: Array, robot: Array
    ) -> Array:
        """Returns the rewards (K, N) of all robots in world `world[k]`, where robot `robot[k]` does its default."""
        copies, copy = take_worlds(state, world), np.arange(len(world))
        if self._absent:
            copies.alive[copy, robot] = False
        mixed = take_worlds(motion, world)
        for values, instead in zip(mixed, default, strict=True):
            values[copy, robot] = instead[world, robot]
        again = np.flatnonzero(meets[world, robot])
        if len(again):
            simulated = run_substeps(self._physics.advance, mixed.start[again], mixed.drive_power[again])
            mixed.end[again], mixed.impulse[again] = simulated.end, simulated.impulse
        return work_on(self._params, self._layout, copies, mixed).reward


@kernel
def _total_with(reward, own, out):
    """Writes the sum of the team's rewards with robot i's replaced by own[b, i], in the sequence of `work.total`."""
    for b in range(reward.shape[0]):
        for i in range(reward.shape[1]):
            value = 0.0
            for j in range(reward.shape[1]):
                value += own[b, j] if j == i else reward[b, j]
            out[b, i] = value


def _seeks_order(before: State, after: State) -> Array:
    """Returns which robots were free when orders were given out in a step, (B, N) bool."""
    return after.alive & ((before.phase == IDLE) | (after.free_since == after.step[:, None]))


def gone(n_robots: int) -> Array:
    """Returns bodies (N, 6) that are not there: at rest, far outside the walls, each in its own place."""
    body = np.zeros((n_robots, 6))
    body[:, X] = -100.0 - 10.0 * RADIUS * np.arange(n_robots)
    return body
