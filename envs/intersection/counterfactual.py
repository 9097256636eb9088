"""The team's reward of a step, had an agent done its default action: for each agent, at the cost of what that changes.

Cars do not react to each other within a step. They matter to each other by crashes, and by the room that they leave at
the entries when the step ends. So where no car crashes, neither with the agent's own action nor with the default one,
the agent's own reward is the only one that differs; where one does, the agent's world is simulated again. Where an
agent waits at an entry, entries are made again.

The parts of a step are those of `motion`, `judge` and `entries`, and sums are made in the same order. So results equal
those of whole steps to the bit; the tests compare them.

Axes: B worlds, V vehicles: the N agents, then the scripted ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import inlined, kernel
from .config import DECELERATION
from .entries import enter_world
from .judge import reward_vehicle, reward_world
from .motion import SUBSTEPS, Track, drive_world, new_track, roll, take_stock, touch
from .spots import N_SPOT, locate, pose_at
from .state import ARRIVED, CONTROL_STEP, CRASHED, DRIVING, DUE, N_CAR, PENDING, POSITION, SPEED


class Moved(NamedTuple):
    """One world after its cars have moved as they were asked to, before entries."""

    car: Array  # (V, N_CAR), see `State`
    status: Array  # (V,)
    leg: Array  # (V,)
    reward: Array  # (V,)
    track: Track  # cars off the road are at infinity


@kernel
def team_reward_without_each(traffic, weights, net, before, draft, accel, absent, out):
    """Finds the team's reward had agent i braked as hard as it can, or been absent, for every i.

    For an agent that is not on the road it is the team's reward.

    Args:
        traffic: The `motion.Traffic`.
        weights: The `judge.Weights`.
        net: The `Network`.
        before: The `State` before the step.
        draft: A copy of it to work in.
        accel: (B, V) acceleration that each car asks for [m/s^2]; it is written into, and left as it was.
        absent: Whether agents are absent; otherwise they brake.
        out: (B, N), written.
    """
    leg, stretch, step, status_before = net.leg, net.stretch, before.step, before.status
    car, status, legs, route = draft.car, draft.status, draft.leg, draft.route
    n, reward = accel.shape[1], np.empty(accel.shape)
    spot, index, again = np.empty((n, N_SPOT)), np.empty(n, np.int64), new_track(n)
    moved = Moved(np.empty((n, N_CAR)), np.empty(n, np.int8), np.empty(n, np.int32), np.empty(n), new_track(n))
    for b in range(accel.shape[0]):
        clock = (step[b] + 1) * CONTROL_STEP
        crashes = _move(weights, net, before, draft, accel, reward, moved, b)
        waits, actual = one_waits(traffic, draft, b, clock), 0.0
        for i in range(-1, out.shape[1]):  # -1: all do what they do
            if i >= 0 and status_before[b, i] != DRIVING:
                out[b, i] = actual
                continue
            simulated = i >= 0 and (
                crashes or not _do_default(weights, net, before, draft, absent, reward, moved.track, b, i)
            )
            if simulated:
                _move_again(weights, net, before, draft, accel, absent, reward, again, b, i)
            if waits:
                locate(leg, stretch, car, status, legs, route, b, spot, index)
                enter_world(traffic, net, draft, b, clock, spot)
            whole = reward_world(weights, draft, reward, b, clock)
            if i < 0:
                actual = whole
            else:
                out[b, i] = whole
            _take_back(draft, reward, moved, b, i, simulated)


@inlined
def _move(weights, net, before, draft, accel, reward, moved, b):
    """Moves all cars of world b, pays them, and writes that down in `moved`. Returns whether any of them crashes."""
    for sub in range(SUBSTEPS):
        for i in range(reward.shape[1]):
            moved.track.pose[sub, i, 0] = math.inf
    drive_world(net, draft, accel, b, moved.track)
    crashes = False
    for i in range(reward.shape[1]):
        reward[b, i] = moved.reward[i] = reward_vehicle(weights, net.length, before, draft, b, i)
        moved.status[i], moved.leg[i] = draft.status[b, i], draft.leg[b, i]
        for column in range(N_CAR):
            moved.car[i, column] = draft.car[b, i, column]
        crashes |= before.status[b, i] == DRIVING and draft.status[b, i] == CRASHED
    return crashes


@inlined
def one_waits(traffic, draft, b, clock):
    """Returns whether an agent of world b waits to be let in at this time [s]: if none does, entries cost nothing."""
    waits = False
    for i in range(traffic.n_agents):
        waits |= draft.status[b, i] == PENDING and draft.car[b, i, DUE] <= clock
    return waits


@inlined
def _do_default(weights, net, before, draft, absent, reward, track, b, i):
    """Writes into the draft what agent i does by default, in a world without crashes.

    Returns:
        Whether that is all that differs: otherwise it crashes now, and nothing in the draft has a meaning.
    """
    if absent:
        draft.status[b, i], reward[b, i] = ARRIVED, 0.0
        return True
    p, s, v, pose = draft.route[b, i], before.car[b, i, POSITION], before.car[b, i, SPEED], track.pose
    draft.status[b, i], draft.leg[b, i] = DRIVING, before.leg[b, i]
    for sub in range(SUBSTEPS):
        if draft.status[b, i] == ARRIVED:
            continue
        s, v = roll(net.profile, p, s, v, -DECELERATION)
        x, y, c, n = pose_at(net.segment, p, s)
        for j in range(reward.shape[1]):
            if j != i and touch(x, y, c, n, pose[sub, j, 0], pose[sub, j, 1], pose[sub, j, 2], pose[sub, j, 3]):
                return False
        if s >= net.length[p]:
            draft.status[b, i] = ARRIVED
    draft.car[b, i, POSITION], draft.car[b, i, SPEED] = s, v
    take_stock(net, draft, b, i, before.car[b, i, SPEED])
    reward[b, i] = reward_vehicle(weights, net.length, before, draft, b, i)
    return True


@inlined
def _move_again(weights, net, before, draft, accel, absent, reward, track, b, i):
    """Moves all cars of world b from where they were before, while agent i does its default action, and pays them."""
    for j in range(reward.shape[1]):
        draft.status[b, j], draft.leg[b, j] = before.status[b, j], before.leg[b, j]
        for column in range(N_CAR):
            draft.car[b, j, column] = before.car[b, j, column]
    asked, accel[b, i] = accel[b, i], -DECELERATION
    if absent:
        draft.status[b, i] = ARRIVED
    drive_world(net, draft, accel, b, track)
    accel[b, i] = asked
    for j in range(reward.shape[1]):
        reward[b, j] = reward_vehicle(weights, net.length, before, draft, b, j)
    if absent:
        reward[b, i] = 0.0


@inlined
def _take_back(draft, reward, moved, b, i, all_of_them):
    """Puts agent i of the draft, or all cars, back to where they have moved; and those that were let in since."""
    for j in range(reward.shape[1]):
        if all_of_them or j == i or draft.status[b, j] != moved.status[j]:
            draft.status[b, j], draft.leg[b, j] = moved.status[j], moved.leg[j]
            reward[b, j] = moved.reward[j]
            for column in range(N_CAR):
                draft.car[b, j, column] = moved.car[j, column]
