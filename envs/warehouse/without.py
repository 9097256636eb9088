"""Counterfactuals at the cost of what they change: the team's reward had one robot stopped, or not been there.

`kit.counterfactual.without_each` simulates every world once for each robot. This gives the same bytes for less, because
a robot mostly changes nothing but its own reward:

1. A robot that touches no other, neither as it acts nor with its default, changes no other's motion. So one batch of B
   worlds in which every robot does its default, alone on the map, moves the robots of most counterfactuals.
2. A robot's reward depends on its own motion and its own order. Robots without an order are coupled, because an order
   that one takes is none for the others. So the same batch gives the rewards of all robots that are not free when
   orders are given out, with their default or without.
3. The other robots, which are few, get a copy of their world each, where orders are given out again. Robots that touch
   one other are simulated with it alone, and only those in a crowd with all robots of their world.

Axes: B worlds, N robots, K copies of worlds, each for one robot.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..core import take_worlds
from ..kit.kernels import kernel
from .apart import apart_of
from .config import Config
from .layout import Layout
from .meetings import CROWD, NOBODY, find_partners, keep_apart
from .params import Params
from .physics import RADIUS, X, Y, physics_of
from .state import IDLE, Array, State, copied
from .steps import Motion, Outcome, move, run_substeps, work_on
from .work import total


class Without:
    """Computes the counterfactuals of single control steps."""

    def __init__(self, config: Config, params: Params, layout: Layout) -> None:
        """Prepares the counterfactuals of an environment; the default is to stop unless `counterfactual="absent"`."""
        self._params, self._layout, self._absent = params, layout, config.counterfactual == "absent"
        self._physics = physics_of(config.layout, config.n_robots)
        self._single, self._double = apart_of(config.layout, 1), apart_of(config.layout, 2)

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
        default_path, partner = np.empty_like(path), np.empty(state.alive.shape, dtype=np.int64)
        seeks = seek_order(state, outcome.state)
        if self._absent:
            away = np.broadcast_to(gone(state.alive.shape[1]), motion.start.shape)
            still = np.zeros(state.alive.shape)
            default = Motion(away, away, still, still)
            default_path[:] = away[:, :, None, X : Y + 1]
            own = np.zeros(state.alive.shape)
            differs = np.ones(state.alive.shape, dtype=bool)
        else:
            differs = (target[:, :, 0] != 0.0) | (target[:, :, 1] != 0.0)
            default = move(
                partial(self._single.advance_alone, path=default_path, needed=differs), state, np.zeros_like(target)
            )
            alone = work_on(self._params, self._layout, copied(state), default)
            seeks |= seek_order(state, alone.state)
            own = alone.reward
        find_partners(self._layout.blocked, path, default_path, partner)
        without = np.empty(state.alive.shape, dtype=np.float32)
        _total_with(outcome.reward, np.where(differs, own, outcome.reward), without)
        world, robot = np.nonzero(((partner != NOBODY) | seeks) & differs)
        if len(world):
            copies, mixed = take_worlds(state, world), take_worlds(motion, world)
            copies.alive[np.arange(len(world)), robot] &= not self._absent
            self._move_again(mixed, default, path, world, robot, partner[world, robot])
            without[world, robot] = total(work_on(self._params, self._layout, copies, mixed).reward)
        return without

    def _move_again(
        self, mixed: Motion, default: Motion, path: Array, world: Array, robot: Array, partner: Array
    ) -> None:
        """Writes the motion in which robot `robot[k]` does its default into the copies `mixed` of worlds `world[k]`."""
        copy = np.arange(len(world))
        for values, instead in zip(mixed, default, strict=True):
            values[copy, robot] = instead[world, robot]
        crowd = partner == CROWD
        (two,) = np.nonzero(partner >= 0)
        if len(two):
            pair, copy = np.stack([robot[two], partner[two]], axis=1), two[:, None]  # (M, 2), (M, 1)
            pair_path, apart = np.empty((len(two), 2, *path.shape[2:])), np.empty(len(two), dtype=bool)
            advance = partial(self._double.advance, path=pair_path)
            again = run_substeps(advance, mixed.start[copy, pair], mixed.drive_power[copy, pair])
            mixed.end[copy, pair], mixed.impulse[copy, pair] = again.end, again.impulse
            keep_apart(self._layout.blocked, path, world[two], pair, pair_path, apart)
            crowd[two] = ~apart
        if crowd.any():
            again = run_substeps(self._physics.advance, mixed.start[crowd], mixed.drive_power[crowd])
            mixed.end[crowd], mixed.impulse[crowd] = again.end, again.impulse


@kernel
def _total_with(reward, own, out):
    """Writes the sum of the team's rewards with robot i's replaced by own[b, i], in the sequence of `work.total`."""
    for b in range(reward.shape[0]):
        for i in range(reward.shape[1]):
            value = 0.0
            for j in range(reward.shape[1]):
                value += own[b, j] if j == i else reward[b, j]
            out[b, i] = value


def seek_order(before: State, after: State) -> Array:
    """Returns which robots were free when orders were given out in a step, (B, N) bool."""
    return after.alive & ((before.phase == IDLE) | (after.free_since == after.step[:, None]))


def gone(n_robots: int) -> Array:
    """Returns bodies (N, 6) that are not there: at rest, far outside the walls, each in its own place."""
    body = np.zeros((n_robots, 6))
    body[:, X] = -100.0 - 10.0 * RADIUS * np.arange(n_robots)
    return body
