"""Kernels that move cars along their routes: announcements, integration, collisions, entries, messages.

A car is a point on its route with a speed. It accelerates as asked, within the limits of SUMO's default passenger car,
never rolls back, and keeps to the speed limit of its route by itself: curves are taken with at most 3 m/s^2 sideways.
Two cars whose boxes overlap at one of the substeps have crashed and are removed; no other car is.

Axes: B worlds, V vehicles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import kernel
from ..roads.cars import CAR_LENGTH, CAR_WIDTH
from ..roads.crossing import CLEAR
from .config import ACCELERATION, DECELERATION, Config
from .network import ABSENT, END, LIMIT, LINE, SECTION
from .spots import AT_CROSSING, N_SPOT, ahead, locate, locate_one, pose_at, profile_at, reach_time
from .state import (
    ACCELERATED,
    ANNOUNCED,
    ARRIVED,
    BID,
    CLOSES,
    CONTROL_STEP,
    CRASHED,
    DRIVING,
    DUE,
    FINISHED,
    NEVER,
    OPENS,
    PENDING,
    POSITION,
    QUEUED,
    SENT,
    SENT_ACCELERATION,
    SENT_POSITION,
    SENT_SPEED,
    SPEED,
    STOOD,
)

SUBSTEPS = 5
"""Integration steps in a control step."""
DT = CONTROL_STEP / SUBSTEPS
"""Duration of a substep [s]."""
TOUCH_SQUARED = CAR_LENGTH * CAR_LENGTH + CAR_WIDTH * CAR_WIDTH
"""Squared distance of centres beyond which no two cars touch [m^2]."""
MARGIN = 1.0
"""Smallest gap to the car ahead that an entering car must be able to keep [m]."""
QUEUE_DISTANCE = 30.0
"""A car has come up to a stop line when it is this near to it [m]."""
SLOW = 0.5
"""Below this speed a car stands [m/s]."""
WINDOW = 3.0
"""Length of an announced window [s]."""
HOLD = 3.0
"""Time for which an announcement stands before it may be changed [s]."""


class Traffic(NamedTuple):
    """The parameters of the motion, from a `Config`."""

    n_agents: int
    entry_speed: float
    intent_period: int
    declared: bool


def traffic_of(config: Config) -> Traffic:
    """Returns the parameters of a configuration."""
    return Traffic(
        n_agents=config.n_vehicles,
        entry_speed=float(config.entry_speed),
        intent_period=int(config.intent_period),
        declared=config.intent == "declared",
    )


class Orders(NamedTuple):
    """The orders that actions stand for, for all cars; rows of cars that are not on the road have no meaning."""

    accel: Array  # (B, V) acceleration [m/s^2]
    later: Array  # (B, V) how much later than possible the car announces to pass its line [s]
    bid: Array  # (B, V) in [0, 1]


@kernel
def touch(ax, ay, ac, an, bx, by, bc, bn):
    """Returns whether two cars overlap, by the separating axis theorem; c and n are cosine and sine of the headings."""
    dx, dy = bx - ax, by - ay
    if dx * dx + dy * dy >= TOUCH_SQUARED:
        return False
    c, n = abs(ac * bc + an * bn), abs(ac * bn - an * bc)
    along = 0.5 * (CAR_LENGTH + CAR_LENGTH * c + CAR_WIDTH * n)
    across = 0.5 * (CAR_WIDTH + CAR_LENGTH * n + CAR_WIDTH * c)
    return (
        abs(dx * ac + dy * an) < along
        and abs(dy * ac - dx * an) < across
        and abs(dx * bc + dy * bn) < along
        and abs(dy * bc - dx * bn) < across
    )


@kernel
def drive(net, state, accel):
    """Moves all cars on the road by one control step.

    Args:
        net: The `Network`.
        state: The new `State`, written, except for `step`, which is still that before the step.
        accel: (B, V) acceleration that each car asks for [m/s^2].
    """
    segment, length, n_legs, leg, profile = net.segment, net.length, net.n_legs, net.leg, net.profile
    car, status, legs, route, step = state.car, state.status, state.leg, state.route, state.step
    n = status.shape[1]
    pose, crashes, before = np.empty((n, 4)), np.zeros(n, np.bool_), np.empty(n)
    for b in range(status.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(n):
            before[i] = car[b, i, SPEED]
        for sub in range(SUBSTEPS):
            for i in range(n):
                if status[b, i] != DRIVING:
                    continue
                p = route[b, i]
                s, v = car[b, i, POSITION], car[b, i, SPEED]
                w = min(v + DT * accel[b, i], profile_at(profile, p, s + DT * v, LIMIT))
                if w > 0.0:
                    s += 0.5 * DT * (v + w)
                else:  # it comes to a halt within the substep
                    w = 0.0
                    s += 0.5 * v * v / max(-accel[b, i], v / DT) if v > 0.0 else 0.0
                car[b, i, POSITION], car[b, i, SPEED] = s, w
                pose[i, 0], pose[i, 1], pose[i, 2], pose[i, 3] = pose_at(segment, p, s)
            _leave_road(length, car, status, route, b, clock + (sub + 1) * DT, pose, crashes)
        for i in range(n):
            if status[b, i] == PENDING:
                if car[b, i, DUE] <= clock:
                    car[b, i, STOOD] += CONTROL_STEP
                continue
            car[b, i, ACCELERATED] = (car[b, i, SPEED] - before[i]) / CONTROL_STEP
            if status[b, i] == DRIVING:
                car[b, i, STOOD] = car[b, i, STOOD] + CONTROL_STEP if car[b, i, SPEED] < SLOW else 0.0
                p, q = route[b, i], legs[b, i]
                if q + 1 < n_legs[p] and car[b, i, POSITION] >= leg[p, q, END] + CLEAR:
                    legs[b, i] = q + 1
                    car[b, i, QUEUED], car[b, i, BID] = NEVER, 0.0
                    car[b, i, OPENS], car[b, i, CLOSES], car[b, i, ANNOUNCED] = NEVER, NEVER, NEVER


@kernel
def _leave_road(length, car, status, route, b, clock, pose, crashes):
    """Removes the cars of world b that overlap after a substep, and those that have reached their exits."""
    n, crashed = status.shape[1], False
    for i in range(n):
        if status[b, i] != DRIVING:
            continue
        for j in range(i):
            if status[b, j] == DRIVING and touch(
                pose[i, 0], pose[i, 1], pose[i, 2], pose[i, 3], pose[j, 0], pose[j, 1], pose[j, 2], pose[j, 3]
            ):
                crashes[i], crashes[j], crashed = True, True, True
    for i in range(n):
        if status[b, i] == DRIVING:
            if crashed and crashes[i]:
                status[b, i], crashes[i] = CRASHED, False
                car[b, i, FINISHED] = clock
            elif car[b, i, POSITION] >= length[route[b, i]]:
                status[b, i] = ARRIVED
                car[b, i, FINISHED] = clock


@kernel
def _is_in_way(section_start, zone, car, p, b, i, j, entry_speed, spot):
    """Returns whether car i, at the beginning of route p, could not stay behind car j if j braked as hard as it can."""
    far = ahead(section_start, zone, spot, p, -1e-3, i, j) if j != i else ABSENT
    if far == ABSENT:
        return False
    v = car[b, j, SPEED]
    stopping = (entry_speed * entry_speed - v * v) / (2.0 * DECELERATION) + CONTROL_STEP * entry_speed
    return far < CAR_LENGTH + MARGIN + max(stopping, 0.0)


@kernel
def _has_room(net, car, route, b, i, entry_speed, spot):
    """Returns whether the entry is free: no car is in the way of car i."""
    p = route[b, i]
    locate_one(net.leg, net.stretch, p, 0, -1e-3, spot, i)
    free = True
    for j in range(len(spot)):
        free &= not _is_in_way(net.section_start, net.zone, car, p, b, i, j, entry_speed, spot)
    spot[i, AT_CROSSING] = -1.0  # not on the road yet
    return free


@kernel
def _put_on_road(net, state, b, i, entry_speed, spot):
    """Lets car i enter."""
    car, p = state.car, state.route[b, i]
    state.status[b, i], state.leg[b, i] = DRIVING, 0
    car[b, i, POSITION], car[b, i, SPEED], car[b, i, ACCELERATED], car[b, i, STOOD] = 0.0, entry_speed, 0.0, 0.0
    locate_one(net.leg, net.stretch, p, 0, 0.0, spot, i)


@kernel
def enter(traffic, net, state):
    """Lets vehicles in that are due and have room. With no agent on the road, the next one comes at once.

    An episode is over when no agent is alive, so there must be no step without one while others are still to come. The
    vehicle that has waited longest at an entry goes first; of several that came at the same time, the one of lowest
    index.
    """
    leg, stretch, section_start, zone = net.leg, net.stretch, net.section_start, net.zone
    car, status, legs, route, step = state.car, state.status, state.leg, state.route, state.step
    n, n_agents, entry_speed = status.shape[1], traffic.n_agents, traffic.entry_speed
    spot, index = np.empty((n, N_SPOT)), np.empty(n, np.int64)
    for b in range(status.shape[0]):
        clock, waiting, driving = step[b] * CONTROL_STEP, False, False
        for i in range(n):
            waiting |= status[b, i] == PENDING
            driving |= i < n_agents and status[b, i] == DRIVING
        if not waiting:
            continue
        locate(leg, stretch, car, status, legs, route, b, spot, index)
        for i in range(n):
            if status[b, i] != PENDING or car[b, i, DUE] > clock:
                continue
            lane, is_next = stretch[route[b, i], 0, SECTION], True
            for j in range(n):
                if status[b, j] == PENDING and stretch[route[b, j], 0, SECTION] == lane:
                    is_next &= car[b, j, DUE] > car[b, i, DUE] or (car[b, j, DUE] == car[b, i, DUE] and j >= i)
            if is_next and _has_room(net, car, route, b, i, entry_speed, spot):
                _put_on_road(net, state, b, i, entry_speed, spot)
                driving |= i < n_agents
        if driving:
            continue
        best = -1
        for i in range(n_agents):
            if status[b, i] == PENDING and (best < 0 or car[b, i, DUE] < car[b, best, DUE]):
                best = i
        if best >= 0:
            p = route[b, best]
            locate_one(leg, stretch, p, 0, -1e-3, spot, best)
            for j in range(n_agents, n):  # only scripted cars can be in its way; those that are turn off
                if status[b, j] == DRIVING and _is_in_way(section_start, zone, car, p, b, best, j, entry_speed, spot):
                    status[b, j], spot[j, AT_CROSSING] = ARRIVED, -1.0
                    car[b, j, FINISHED] = clock
            car[b, best, DUE] = min(car[b, best, DUE], clock)
            _put_on_road(net, state, b, best, entry_speed, spot)


@kernel
def report(traffic, net, state):
    """Enters cars that have come up to a stop line into its queue, and sends the messages that are due."""
    leg, car, status, legs, route, step = net.leg, state.car, state.status, state.leg, state.route, state.step
    for b in range(status.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(status.shape[1]):
            if status[b, i] != DRIVING:
                continue
            near = leg[route[b, i], legs[b, i], LINE] - car[b, i, POSITION] < QUEUE_DISTANCE
            if near and car[b, i, QUEUED] == NEVER:
                car[b, i, QUEUED] = clock
            if clock - car[b, i, SENT] > (traffic.intent_period - 0.5) * CONTROL_STEP:
                car[b, i, SENT] = clock
                car[b, i, SENT_POSITION] = car[b, i, POSITION]
                car[b, i, SENT_SPEED] = car[b, i, SPEED]
                car[b, i, SENT_ACCELERATION] = car[b, i, ACCELERATED]


@kernel
def announce(net, state, later, bid):
    """Takes new announcements of cars that are before their stop line and whose last one has stood for `HOLD`.

    Args:
        net: The `Network`.
        state: The new `State`, written; its `step` is still that before the step.
        later: (B, V) how much later than possible each car announces to pass its line [s].
        bid: (B, V) in [0, 1].
    """
    leg, profile = net.leg, net.profile
    car, status, legs, route, step = state.car, state.status, state.leg, state.route, state.step
    for b in range(status.shape[0]):
        now = step[b] * CONTROL_STEP
        for i in range(status.shape[1]):
            if status[b, i] != DRIVING or now - car[b, i, ANNOUNCED] < HOLD:
                continue
            p = route[b, i]
            room = leg[p, legs[b, i], LINE] - 0.5 * CAR_LENGTH - car[b, i, POSITION]
            if room <= 0.0:
                continue
            soonest = reach_time(room, car[b, i, SPEED], ACCELERATION, profile[p, 0, LIMIT])
            car[b, i, OPENS] = now + soonest + later[b, i]
            car[b, i, CLOSES] = car[b, i, OPENS] + WINDOW
            car[b, i, ANNOUNCED] = now
            car[b, i, BID] = bid[b, i]


@kernel
def admit(traffic, net, state):
    """Makes entries and sends messages: at the beginning of a world, and after every step once it has been judged."""
    enter(traffic, net, state)
    report(traffic, net, state)


@kernel
def move(traffic, net, state, orders):
    """Makes one control step of all cars, but for entries: writes into the new state, `step` included."""
    if traffic.declared:
        announce(net, state, orders.later, orders.bid)
    drive(net, state, orders.accel)
    step = state.step
    for b in range(len(step)):
        step[b] += 1
