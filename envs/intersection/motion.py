"""Kernels that move cars along their routes: announcements, integration, collisions, messages.

A car is a point on its route with a speed. It accelerates as asked, within the limits of SUMO's default passenger car,
never rolls back, and keeps to the speed limit of its route by itself: curves are taken with at most 3 m/s^2 sideways.
Two cars whose boxes overlap at one of the substeps have crashed and are removed; no other car is.

Axes: B worlds, V vehicles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import inlined, kernel
from ..roads.cars import CAR_LENGTH, CAR_WIDTH
from ..roads.crossing import CLEAR
from .config import ACCELERATION, Config
from .network import END, LIMIT, LINE
from .spots import pose_at, profile_at, reach_time
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


class Track(NamedTuple):
    """The cars of one world during a control step, and arrays to find that out in."""

    pose: Array  # (SUBSTEPS, V, 4) x, y [m], cosine and sine of the headings; only of cars on the road
    speed: Array  # (V,) before the step [m/s]
    crashes: Array  # (V,) bool, all False outside `_leave_road`


@kernel
def new_track(n):
    """Returns a `Track` of V cars to write into."""
    return Track(np.empty((SUBSTEPS, n, 4)), np.empty(n), np.zeros(n, np.bool_))


@kernel
def drive(net, state, accel):
    """Moves all cars on the road by one control step.

    Args:
        net: The `Network`.
        state: The new `State`, written, except for `step`, which is still that before the step.
        accel: (B, V) acceleration that each car asks for [m/s^2].
    """
    track = new_track(accel.shape[1])
    for b in range(accel.shape[0]):
        drive_world(net, state, accel, b, track)


@inlined
def drive_world(net, state, accel, b, track):
    """Moves the cars of world b by one control step, as `drive`; writes their `Track`, too."""
    segment, profile, car, status, route = net.segment, net.profile, state.car, state.status, state.route
    clock, n, pose, before = state.step[b] * CONTROL_STEP, status.shape[1], track.pose, track.speed
    for i in range(n):
        before[i] = car[b, i, SPEED]
    for sub in range(SUBSTEPS):
        for i in range(n):
            if status[b, i] != DRIVING:
                continue
            p = route[b, i]
            s, w = roll(profile, p, car[b, i, POSITION], car[b, i, SPEED], accel[b, i])
            car[b, i, POSITION], car[b, i, SPEED] = s, w
            pose[sub, i, 0], pose[sub, i, 1], pose[sub, i, 2], pose[sub, i, 3] = pose_at(segment, p, s)
        _leave_road(net.length, car, status, route, b, clock + (sub + 1) * DT, pose, sub, track.crashes)
    for i in range(n):
        if status[b, i] != PENDING:
            take_stock(net, state, b, i, before[i])
        elif car[b, i, DUE] <= clock:
            car[b, i, STOOD] += CONTROL_STEP


@inlined
def roll(profile, p, s, v, accel):
    """Returns position and speed on route p after a substep from position s [m] at speed v [m/s]."""
    w = min(v + DT * accel, profile_at(profile, p, s + DT * v, LIMIT))
    if w > 0.0:
        return s + 0.5 * DT * (v + w), w
    # It comes to a halt within the substep.
    return s + (0.5 * v * v / max(-accel, v / DT) if v > 0.0 else 0.0), 0.0


@inlined
def take_stock(net, state, b, i, speed_before):
    """Notes how a car that was on the road or has been there has driven in a step, and whether its leg is over."""
    leg, car, status, legs = net.leg, state.car, state.status, state.leg
    car[b, i, ACCELERATED] = (car[b, i, SPEED] - speed_before) / CONTROL_STEP
    if status[b, i] == DRIVING:
        car[b, i, STOOD] = car[b, i, STOOD] + CONTROL_STEP if car[b, i, SPEED] < SLOW else 0.0
        p, q = state.route[b, i], legs[b, i]
        if q + 1 < net.n_legs[p] and car[b, i, POSITION] >= leg[p, q, END] + CLEAR:
            legs[b, i] = q + 1
            car[b, i, QUEUED], car[b, i, BID] = NEVER, 0.0
            car[b, i, OPENS], car[b, i, CLOSES], car[b, i, ANNOUNCED] = NEVER, NEVER, NEVER


@kernel
def _leave_road(length, car, status, route, b, clock, pose, sub, crashes):
    """Removes the cars of world b that overlap after a substep, and those that have reached their exits."""
    n, crashed = status.shape[1], False
    for i in range(n):
        if status[b, i] != DRIVING:
            continue
        for j in range(i):
            if status[b, j] == DRIVING and touch(
                pose[sub, i, 0],
                pose[sub, i, 1],
                pose[sub, i, 2],
                pose[sub, i, 3],
                pose[sub, j, 0],
                pose[sub, j, 1],
                pose[sub, j, 2],
                pose[sub, j, 3],
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
def move(traffic, net, state, orders):
    """Makes one control step of all cars, but for entries: writes into the new state, `step` included."""
    if traffic.declared:
        announce(net, state, orders.later, orders.bid)
    drive(net, state, orders.accel)
    step = state.step
    for b in range(len(step)):
        step[b] += 1
