"""Shapley values of the robots in a step, at the cost of the robots that may matter to each other in it.

A coalition earns the team's reward of a step in which all other robots stop. Robots matter to each other where they
touch, and where orders are given out, because an order that one takes is none for the others. So these are groups:
robots that hang together by touches, each as it acts or as it stops by itself; and robots that may be free while an
order waits for one. Only coalitions within groups are simulated, with all other robots as they were. A robot in no
group adds its own reward less that with the default.

Robots in a group may get to places that neither of their two motions has shown. The simulated motions show it: where a
group comes near to another robot, where a crowd forms (see `meetings`), and where another robot than those foreseen is
free when orders are given out, all robots of the world are taken for one group.

Axes: B worlds, N robots, S substeps; R copies of worlds, each for one coalition.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import take_worlds
from ..kit.kernels import inlined, kernel
from ..kit.shapley import EXACT, keys_of, shapley_in_groups
from .apart import apart_of
from .config import Config
from .layout import Layout
from .meetings import NOBODY, meet, touch
from .params import Params
from .physics import MARGIN, RADIUS, SUBSTEPS, physics_of
from .state import Array, State, copied
from .steps import Motion, Outcome, move, run_substeps, work_on
from .without import seek_order


class Scene(NamedTuple):
    """A step, and what is found of its coalitions."""

    state: State  # before the step
    motion: Motion  # as it was
    default: Motion  # of robots that stop, each by itself
    group: Array  # (B, N) the group of each robot, a number in [0, N)
    touches: Array  # (B, N) bool: it is in a group with a robot that it may touch
    seeks: Array  # (B, N) bool: it may be free while an order waits
    open: Array  # (B,) bool: an order waits when orders are given out
    low: Array  # (B, N, 2) least x and y of every robot after a substep, in all motions so far [m]
    high: Array  # (B, N, 2) greatest x and y likewise
    together: Array  # (B,) bool: all robots are one group


class Coalitions:
    """Computes Shapley values of single control steps."""

    def __init__(self, config: Config, params: Params, layout: Layout) -> None:
        """Prepares the Shapley values of an environment."""
        self._params, self._layout, self._orders = params, layout, config.orders
        self._physics, self._single = physics_of(config.layout, config.n_robots), apart_of(config.layout, 1)

    def values(self, state: State, target: Array, path: Array, motion: Motion, outcome: Outcome) -> NDArray[np.float64]:
        """Returns the Shapley value of every robot, (B, N).

        Args:
            state: The state before the step.
            target: (B, N, 2) target speed [m/s] and turn rate [rad/s] of every robot.
            path: (B, N, SUBSTEPS, 2) x, y of every robot after each substep of the step as it was [m].
            motion: The motion as it was.
            outcome: The outcome as it was.
        """
        default_path = np.empty_like(path)
        default = move(partial(self._single.advance_alone, path=default_path), state, np.zeros_like(target))
        alone = work_on(self._params, self._layout, copied(state), default)
        waiting = _orders_wait(state)
        seeks = (seek_order(state, outcome.state) | seek_order(state, alone.state)) & waiting[:, None]
        scene = Scene(
            state, motion, default, np.empty(seeks.shape, np.int64), np.empty_like(seeks), seeks, waiting,
            np.minimum(path, default_path).min(axis=2), np.maximum(path, default_path).max(axis=2),
            np.empty(len(seeks), bool),
        )  # fmt: skip
        _find_groups(self._layout.blocked, path, default_path, seeks, scene.group, scene.touches, scene.together)

        differs = (target != 0.0).any(axis=2)
        value = np.where(differs, outcome.reward - alone.reward, 0.0)
        chooses = differs & (scene.touches | seeks)
        size = (chooses[:, None] & (scene.group[:, None] == np.arange(seeks.shape[1])[:, None])).sum(axis=2)  # (B, N)
        scene.together[:] |= (size > EXACT).any(axis=1)
        key = keys_of(state.step, state.order_face)
        choose = partial(shapley_in_groups, key=key, orders=self._orders, whole=outcome.reward.sum(axis=1))
        chooses &= ~scene.together[:, None]
        in_groups = choose(partial(self._earned, scene), np.where(chooses, scene.group, NOBODY))
        value = np.where(chooses, in_groups, value)
        _find_near(scene.group, scene.touches, scene.low, scene.high, scene.together)
        if scene.together.any():
            chooses = differs & scene.together[:, None]
            in_groups = choose(partial(self._earned, scene), np.where(chooses, 0, NOBODY))
            value = np.where(scene.together[:, None], in_groups, value)
        return value

    def _earned(self, scene: Scene, world: Array, members: Array) -> NDArray[np.float64]:
        """Returns the team's reward in worlds (R,) in which only members (R, N) do not stop: (R,)."""
        start, end, drive_power, impulse = (
            np.where(members[(...,) + (None,) * (one.ndim - 2)], one[world], other[world])
            for one, other in zip(scene.motion, scene.default, strict=True)
        )
        mixed = Motion(start, end, drive_power, impulse)
        (again,) = np.nonzero((~members & scene.touches[world]).any(axis=1) | scene.together[world])
        if len(again):
            path = np.empty((len(again), members.shape[1], SUBSTEPS, 2))
            moved = run_substeps(partial(self._physics.advance, path=path), start[again], drive_power[again])
            mixed.end[again], mixed.impulse[again] = moved.end, moved.impulse
            _look_at(self._layout.blocked, path, world[again], scene.low, scene.high, scene.together)
        outcome = work_on(self._params, self._layout, copied(take_worlds(scene.state, world)), mixed)
        unforeseen = seek_order(take_worlds(scene.state, world), outcome.state) & ~scene.seeks[world]
        scene.together[world[unforeseen.any(axis=1) & scene.open[world]]] = True
        return outcome.reward.sum(axis=1)


def _orders_wait(before: State) -> NDArray[np.bool_]:
    """Returns whether there will be an order to give out at the end of a step, (B,) bool."""
    world, n_orders = np.arange(len(before.step)), before.order_release.shape[1]
    first = np.minimum(before.head, n_orders - 1)
    return (before.head < n_orders) & (before.order_release[world, first] <= before.step + 1)


@kernel
def _find_groups(blocked, path, default_path, seeks, group, touches, together):
    """Finds the groups of robots.

    Args:
        blocked: (height, width), 1 where a wall or rack stands.
        path: (B, N, S, 2) x, y of every robot after each substep [m].
        default_path: (B, N, S, 2) the same for every robot by itself, had it stopped.
        seeks: (B, N) bool: the robot may be free while an order waits.
        group: (B, N), written, see `Scene`.
        touches: (B, N), written, likewise.
        together: (B,), written: there is a crowd.
    """
    n = path.shape[1]
    met = np.empty(n, np.int64)
    for b in range(path.shape[0]):
        together[b] = meet(blocked, path[b], met)
        first = -1
        for i in range(n):
            group[b, i], touches[b, i] = i, False
        for i in range(n):
            for j in range(i):
                one, other, stopped, other_stopped = path[b, i], path[b, j], default_path[b, i], default_path[b, j]
                if met[i] == j or touch(stopped, other) or touch(one, other_stopped) or touch(stopped, other_stopped):
                    touches[b, i] = touches[b, j] = True
                    _join(group, b, i, j)
            if seeks[b, i]:
                first = i if first < 0 else first
                _join(group, b, first, i)


@inlined
def _join(group, b, i, j):
    """Makes one group of those of robots i and j of world b."""
    low, high = min(group[b, i], group[b, j]), max(group[b, i], group[b, j])
    for k in range(group.shape[1]):
        if group[b, k] == high:
            group[b, k] = low


@kernel
def _look_at(blocked, path, world, low, high, together):
    """Notes where robots get to in copies (R,) of worlds, and in which of them there is a crowd.

    Args:
        blocked: (height, width), 1 where a wall or rack stands.
        path: (R, N, S, 2) x, y of every robot after each substep [m].
        world: (R,) the world of each copy.
        low: (B, N, 2) least x and y so far, written.
        high: (B, N, 2) greatest x and y so far, written.
        together: (B,) bool, set where there is a crowd.
    """
    met = np.empty(path.shape[1], np.int64)
    for r in range(len(world)):
        b = world[r]
        together[b] |= meet(blocked, path[r], met)
        for i in range(path.shape[1]):
            for s in range(SUBSTEPS):
                for axis in range(2):
                    low[b, i, axis] = min(low[b, i, axis], path[r, i, s, axis])
                    high[b, i, axis] = max(high[b, i, axis], path[r, i, s, axis])


@kernel
def _find_near(group, touches, low, high, together):
    """Sets together (B,) in worlds in which a robot that may touch others gets near to one of another group.

    The arguments are those of the `Scene`.
    """
    apart = 2.0 * RADIUS + MARGIN
    for b in range(len(together)):
        for i in range(group.shape[1]):
            for j in range(i):
                if group[b, i] == group[b, j] or not (touches[b, i] or touches[b, j]):
                    continue
                square = 0.0
                for axis in range(2):
                    gap = max(low[b, i, axis] - high[b, j, axis], low[b, j, axis] - high[b, i, axis], 0.0)
                    square += gap * gap
                together[b] |= not square > apart * apart
