"""Shapley values of the agents in a step, at the cost of the cars that may matter to each other in it.

A coalition earns the team's reward of a step in which all other agents brake as hard as they can. Each car drives as
it is asked to or brakes, whatever the others do, until it crashes. So two cars may matter to each other if they touch
after some substep, each with one of its two ways to drive; or if both may decide whether a waiting vehicle can enter.
Cars that hang together like this are a group. Only steps of coalitions within groups are made; an agent in none adds
its difference reward.

Axes: B worlds, V vehicles: the N agents, then the scripted ones; R copies of worlds, each for one coalition.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import Array
from ..kit.kernels import inlined, kernel
from ..kit.shapley import keys_of, shapley_in_groups
from .config import DECELERATION
from .counterfactual import one_waits, team_reward_without_each
from .entries import enter_world, is_in_way
from .judge import Weights, reward_vehicle, reward_world
from .motion import SUBSTEPS, Traffic, drive_world, new_track, roll, take_stock, touch
from .network import Network
from .spots import AT_CROSSING, N_SPOT, locate, locate_one, pose_at
from .state import ARRIVED, CONTROL_STEP, DRIVING, DUE, N_CAR, PENDING, POSITION, SPEED, State, copied

IN_NONE = -1
"""Stands in place of the group of an agent that matters to no other."""


class Ways(NamedTuple):
    """The two ways in which the cars of one world may drive: as they are asked to (0), or braking (1)."""

    pose: Array  # (2, SUBSTEPS, V, 4) as in `motion.Track`; cars off the road are at infinity
    left: Array  # (2, V) bool: it reaches its exit
    blocks: Array  # (2, V, V) bool; [k, w, j]: waiting car w cannot enter, because car j is in its way
    touches: Array  # (V,) bool: with one of its ways it touches a car
    group: Array  # (V,) the group of each car


def shapley_values(
    traffic: Traffic, weights: Weights, net: Network, before: State, accel: Array, orders: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the team's reward of the step that begins, (B,), and the Shapley value of every agent, (B, N).

    Args:
        traffic: The `motion.Traffic`.
        weights: The `judge.Weights`.
        net: The `Network`.
        before: The `State` before the step.
        accel: (B, V) acceleration that each car asks for [m/s^2].
        orders: Orders of arrival, see `kit.shapley`.
    """
    shape, draft = (len(accel), traffic.n_agents), copied(before)
    without, group = np.empty(shape), np.empty(shape, np.int64)
    team_reward_without_each(traffic, weights, net, before, draft, accel, False, without)
    _find_groups(traffic, net, before, draft, accel, group)
    worth = partial(_earned, traffic, weights, net, before, draft, accel)
    whole = worth(np.arange(shape[0]), np.ones(shape, bool))
    known = partial(_known_or_earned, worth, without)
    key = keys_of(before.step, before.route)
    in_groups = shapley_in_groups(known, group, key, orders=orders, whole=whole)
    return whole, np.where(group == IN_NONE, whole[:, None] - without, in_groups)


def _earned(
    traffic: Traffic,
    weights: Weights,
    net: Network,
    before: State,
    draft: State,
    accel: Array,
    world: Array,
    members: Array,
) -> NDArray[np.float64]:
    """Returns the team's reward in worlds (R,) in which only members (R, N) do not brake: (R,)."""
    team_reward = np.empty(len(world))
    _make_steps(traffic, weights, net, before, draft, accel, world, np.ascontiguousarray(members), team_reward)
    return team_reward


def _known_or_earned(
    worth: partial[NDArray[np.float64]], without: Array, world: Array, members: Array
) -> NDArray[np.float64]:
    """Returns what `worth` does, but takes the team's reward without one agent from `without` (B, N)."""
    known = members.sum(axis=1) == members.shape[1] - 1
    team_reward = without[world, members.argmin(axis=1)]
    if not known.all():
        team_reward[~known] = worth(world[~known], members[~known])
    return team_reward


@kernel
def _make_steps(traffic, weights, net, before, draft, accel, world, members, out):
    """Makes the steps of coalitions.

    Args:
        traffic: The `motion.Traffic`.
        weights: The `judge.Weights`.
        net: The `Network`.
        before: The `State` before the step.
        draft: A copy of it to work in; only its cars need not be those of `before`.
        accel: (B, V) acceleration that each car asks for [m/s^2].
        world: (R,) the world of each coalition.
        members: (R, N) bool: the agents that do not brake.
        out: (R,), written: the team's reward.
    """
    leg, stretch, step = net.leg, net.stretch, before.step
    car, status, legs, route = draft.car, draft.status, draft.leg, draft.route
    n, reward, asked = accel.shape[1], np.empty(accel.shape), accel.copy()
    spot, index, track = np.empty((n, N_SPOT)), np.empty(n, np.int64), new_track(n)
    for r in range(len(world)):
        b = world[r]
        clock = (step[b] + 1) * CONTROL_STEP
        for i in range(n):
            status[b, i], legs[b, i] = before.status[b, i], before.leg[b, i]
            asked[b, i] = -DECELERATION if i < members.shape[1] and not members[r, i] else accel[b, i]
            for column in range(N_CAR):
                car[b, i, column] = before.car[b, i, column]
        drive_world(net, draft, asked, b, track)
        for i in range(n):
            reward[b, i] = reward_vehicle(weights, net.length, before, draft, b, i)
        if one_waits(traffic, draft, b, clock):
            locate(leg, stretch, car, status, legs, route, b, spot, index)
            enter_world(traffic, net, draft, b, clock, spot)
        out[r] = reward_world(weights, draft, reward, b, clock)


@kernel
def _find_groups(traffic, net, before, draft, accel, group):
    """Numbers the agents (B, N) that may matter to each other, by one of them; IN_NONE for the others.

    Args:
        traffic: The `motion.Traffic`.
        net: The `Network`.
        before: The `State` before the step.
        draft: A copy of it to work in.
        accel: (B, V) acceleration that each car asks for [m/s^2].
        group: (B, N), written.
    """
    n, status, step = accel.shape[1], before.status, before.step
    ways = Ways(
        np.empty((2, SUBSTEPS, n, 4)), np.zeros((2, n), np.bool_), np.zeros((2, n, n), np.bool_),
        np.zeros(n, np.bool_), np.zeros(n, np.int64),
    )  # fmt: skip
    spot, index = np.empty((n, N_SPOT)), np.empty(n, np.int64)
    for b in range(accel.shape[0]):
        clock = (step[b] + 1) * CONTROL_STEP
        waits = one_waits(traffic, draft, b, clock)
        for way in range(2):
            for i in range(n):
                if status[b, i] == DRIVING:
                    asked = accel[b, i] if way == 0 or i >= traffic.n_agents else -DECELERATION
                    _drive_alone(net, before, draft, asked, ways, way, b, i)
            if waits:
                locate(net.leg, net.stretch, draft.car, draft.status, draft.leg, draft.route, b, spot, index)
                _find_blocking(traffic, net, draft, clock, spot, ways.blocks, way, b)
        _group_touching(status, ways, b)
        if waits:
            _group_blocking(traffic, before, draft, clock, ways, b)
        _number(status, accel, ways.group, group, b)


@inlined
def _drive_alone(net, before, draft, accel, ways, way, b, i):
    """Drives car i of world b through a step in one of its ways, and writes where that leads into the draft."""
    p, s, v, pose = draft.route[b, i], before.car[b, i, POSITION], before.car[b, i, SPEED], ways.pose
    draft.status[b, i], draft.leg[b, i], ways.left[way, i] = DRIVING, before.leg[b, i], False
    for sub in range(SUBSTEPS):
        if ways.left[way, i]:
            pose[way, sub, i, 0] = math.inf
            continue
        s, v = roll(net.profile, p, s, v, accel)
        x, y, c, n = pose_at(net.segment, p, s)
        pose[way, sub, i, 0], pose[way, sub, i, 1], pose[way, sub, i, 2], pose[way, sub, i, 3] = x, y, c, n
        ways.left[way, i] = s >= net.length[p]
    if ways.left[way, i]:
        draft.status[b, i] = ARRIVED
    draft.car[b, i, POSITION], draft.car[b, i, SPEED] = s, v
    take_stock(net, draft, b, i, before.car[b, i, SPEED])


@inlined
def _find_blocking(traffic, net, draft, clock, spot, blocks, way, b):
    """Writes which cars, where the draft has them, are in the way of which waiting cars: blocks[way] (V, V)."""
    car, status = draft.car, draft.status
    for w in range(len(spot)):
        if status[b, w] != PENDING or car[b, w, DUE] > clock:
            continue
        p = draft.route[b, w]
        locate_one(net.leg, net.stretch, p, 0, -1e-3, spot, w)
        for j in range(len(spot)):
            blocks[way, w, j] = is_in_way(net.section_start, net.zone, car, p, b, w, j, traffic.entry_speed, spot)
        spot[w, AT_CROSSING] = -1.0  # not on the road yet


@inlined
def _group_touching(status, ways, b):
    """Makes groups of the cars that touch each other, each with one of its ways."""
    touches, group = ways.touches, ways.group
    for i in range(len(group)):
        group[i], touches[i] = i, False
    for i in range(len(group)):
        for j in range(i):
            if status[b, i] == DRIVING and status[b, j] == DRIVING and _may_touch(ways.pose, i, j):
                touches[i] = touches[j] = True
                _join(group, i, j)


@inlined
def _may_touch(pose, i, j):
    """Returns whether cars i and j touch, each with one of its ways."""
    found = False
    for sub in range(pose.shape[1]):
        for way in range(4):
            own, other = way // 2, way % 2
            found |= touch(
                pose[own, sub, i, 0], pose[own, sub, i, 1], pose[own, sub, i, 2], pose[own, sub, i, 3],
                pose[other, sub, j, 0], pose[other, sub, j, 1], pose[other, sub, j, 2], pose[other, sub, j, 3],
            )  # fmt: skip
    return found


@inlined
def _group_blocking(traffic, before, draft, clock, ways, b):
    """Makes groups of the cars that decide together whether a waiting car of world b can enter.

    They are those that are in its way with one of their ways, and with the other or after a crash are not. If no agent
    may be left on the road, they all decide together, because then the next one enters at once.
    """
    status, blocks, group = draft.status, ways.blocks, ways.group
    for w in range(len(group)):
        if status[b, w] != PENDING or draft.car[b, w, DUE] > clock:
            continue
        first = -1
        for j in range(len(group)):
            if before.status[b, j] != DRIVING:
                continue
            one, other = blocks[0, w, j], blocks[1, w, j]
            if one != other or (one and ways.touches[j]):
                first = j if first < 0 else first
                _join(group, first, j)
    first, stays = -1, False
    for i in range(traffic.n_agents):
        if before.status[b, i] == DRIVING:
            stays |= not (ways.left[0, i] or ways.left[1, i] or ways.touches[i])
            first = i if first < 0 else first
    for i in range(traffic.n_agents):
        if not stays and before.status[b, i] == DRIVING:
            _join(group, first, i)


@inlined
def _join(group, i, j):
    """Makes one group of those of cars i and j."""
    low, high = min(group[i], group[j]), max(group[i], group[j])
    for k in range(len(group)):
        if group[k] == high:
            group[k] = low


@inlined
def _number(status, accel, of_cars, group, b):
    """Writes the groups of the agents of world b that have a choice, if there are two or more of them in it."""
    for i in range(group.shape[1]):
        group[b, i] = IN_NONE
    for i in range(group.shape[1]):
        if status[b, i] != DRIVING or accel[b, i] == -DECELERATION:
            continue
        for j in range(group.shape[1]):
            chooses = j != i and status[b, j] == DRIVING and accel[b, j] != -DECELERATION
            if chooses and of_cars[j] == of_cars[i]:
                group[b, i] = min(i, j) if group[b, i] == IN_NONE else min(group[b, i], j)
