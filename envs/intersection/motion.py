"""Kernels that move cars along their routes: announcements, integration, collisions, entries, messages.

A car is a point on its route with a speed. It accelerates as asked, within the limits of SUMO's default passenger car,
never rolls back, and keeps to the speed limit of its route by itself: curves are taken with at most 3 m/s^2 sideways.
Two cars whose boxes overlap at one of the substeps have crashed and are gone, nobody else is.

Axes: B worlds, V vehicles. Arrays are those of `State` and `Roads`; `legs` is `State.leg`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .config import ACCELERATION, DECELERATION, LENGTH, WIDTH
from .roads import ABSENT, CLEAR, END, LIMIT, LINE, SECTION
from .spots import N_SPOT, ahead, locate, locate_one, pose_at, profile_at, reach_time
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
    NOTHING,
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
"""Of integration in a control step."""
DT = CONTROL_STEP / SUBSTEPS
REACH2 = LENGTH * LENGTH + WIDTH * WIDTH
"""Squared distance of centres beyond which no two cars touch [m^2]."""
MARGIN = 1.0
"""Kept to a car ahead at least [m]."""
QUEUE_REACH = 30.0
"""A car has come up to a stop line when it is this near [m]."""
SLOW = 0.5
"""Below this speed a car stands [m/s]."""
WINDOW = 3.0
"""Length of an announced window [s]."""
HOLD = 3.0
"""How long an announcement stands before it may be changed [s]."""


class Traffic(NamedTuple):
    """What the kernels need of a `Config`, as plain numbers."""

    n_agents: int
    entry_speed: float
    intent_period: int
    declared: bool


@kernel
def touch(ax, ay, ac, an, bx, by, bc, bn):
    """Whether two cars overlap, by separating axes; c and n are cos and sin of the headings."""
    dx, dy = bx - ax, by - ay
    if dx * dx + dy * dy >= REACH2:
        return False
    c, n = abs(ac * bc + an * bn), abs(ac * bn - an * bc)
    along, across = 0.5 * (LENGTH + LENGTH * c + WIDTH * n), 0.5 * (WIDTH + LENGTH * n + WIDTH * c)
    return (
        abs(dx * ac + dy * an) < along
        and abs(dy * ac - dx * an) < across
        and abs(dx * bc + dy * bn) < along
        and abs(dy * bc - dx * bn) < across
    )


@kernel
def drive(segment, length, n_legs, leg, profile, car, status, legs, route, step, accel):
    """One control step of all that are on the road: writes into `car`, `status` and `legs` of the new state.

    Args:
        segment: Of the roads, as are the next four.
        length: (P,).
        n_legs: (P,).
        leg: (P, Q, 4).
        profile: (P, D, 2).
        car: Of the new state, written, as are the next two.
        status: (B, V).
        legs: (B, V).
        route: (B, V).
        step: (B,) before this step.
        accel: (B, V) asked for [m/s^2].
    """
    n = status.shape[1]
    x, crashes, before = np.empty((n, 4)), np.zeros(n, np.bool_), np.empty(n)
    for b in range(status.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(n):
            before[i] = car[b, i, SPEED]
        for sub in range(SUBSTEPS):
            crashed = False
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
                    if v > 0.0:
                        s += 0.5 * v * v / max(-accel[b, i], v / DT)
                car[b, i, POSITION], car[b, i, SPEED] = s, w
                x[i, 0], x[i, 1], x[i, 2], x[i, 3] = pose_at(segment, p, s)
                for j in range(i):
                    if status[b, j] == DRIVING and touch(
                        x[i, 0], x[i, 1], x[i, 2], x[i, 3], x[j, 0], x[j, 1], x[j, 2], x[j, 3]
                    ):
                        crashes[i], crashes[j], crashed = True, True, True
            for i in range(n):
                if status[b, i] == DRIVING:
                    if crashed and crashes[i]:
                        status[b, i], crashes[i] = CRASHED, False
                        car[b, i, FINISHED] = clock + (sub + 1) * DT
                    elif car[b, i, POSITION] >= length[route[b, i]]:
                        status[b, i] = ARRIVED
                        car[b, i, FINISHED] = clock + (sub + 1) * DT
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
                    car[b, i, QUEUED], car[b, i, BID] = NOTHING, 0.0
                    car[b, i, OPENS], car[b, i, CLOSES], car[b, i, ANNOUNCED] = NOTHING, NOTHING, NOTHING


@kernel
def _is_in_way(where, zone, car, p, b, i, j, entry_speed, spot):
    """Whether i, at the beginning of route p, could not stay behind j if that braked as hard as it can."""
    far = ahead(where, zone, spot, p, -1e-3, i, j) if j != i else ABSENT
    if far == ABSENT:
        return False
    v = car[b, j, SPEED]
    stopping = (entry_speed * entry_speed - v * v) / (2.0 * DECELERATION) + CONTROL_STEP * entry_speed
    return far < LENGTH + MARGIN + max(stopping, 0.0)


@kernel
def _has_room(where, zone, leg, stretch, car, route, b, i, entry_speed, spot):
    """Whether the entry is free: no car is in the way of i."""
    p = route[b, i]
    locate_one(leg, stretch, p, 0, -1e-3, spot, i)
    free = True
    for j in range(len(spot)):
        free &= not _is_in_way(where, zone, car, p, b, i, j, entry_speed, spot)
    spot[i, 0] = -1.0  # not on the road yet
    return free


@kernel
def _put(leg, stretch, car, status, legs, route, b, i, entry_speed, spot):
    """Onto the road."""
    status[b, i], legs[b, i] = DRIVING, 0
    car[b, i, POSITION], car[b, i, SPEED], car[b, i, ACCELERATED], car[b, i, STOOD] = 0.0, entry_speed, 0.0, 0.0
    locate_one(leg, stretch, route[b, i], 0, 0.0, spot, i)


@kernel
def enter(traffic, where, zone, leg, stretch, car, status, legs, route, step):
    """Lets those in who are due and have room. With no agent on the road the next one comes at once.

    An episode is over when no agent is alive, so there must be no pause between two of them. Who waits longer at an
    entry goes first; of those who came in the same instant, the lower index.
    """
    n, n_agents = status.shape[1], traffic.n_agents
    spot, road = np.empty((n, N_SPOT)), np.empty(n, np.int64)
    for b in range(status.shape[0]):
        clock, waiting, driving = step[b] * CONTROL_STEP, False, False
        for i in range(n):
            waiting |= status[b, i] == PENDING
            driving |= i < n_agents and status[b, i] == DRIVING
        if not waiting:
            continue
        locate(leg, stretch, car, status, legs, route, b, spot, road)
        for i in range(n):
            if status[b, i] != PENDING or car[b, i, DUE] > clock:
                continue
            lane, is_next = stretch[route[b, i], 0, SECTION], True
            for j in range(n):
                if status[b, j] == PENDING and stretch[route[b, j], 0, SECTION] == lane:
                    is_next &= car[b, j, DUE] > car[b, i, DUE] or (car[b, j, DUE] == car[b, i, DUE] and j >= i)
            if is_next and _has_room(where, zone, leg, stretch, car, route, b, i, traffic.entry_speed, spot):
                _put(leg, stretch, car, status, legs, route, b, i, traffic.entry_speed, spot)
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
            for j in range(n_agents, n):  # only scripted cars can be in its way: those that are turn off
                if status[b, j] == DRIVING and _is_in_way(where, zone, car, p, b, best, j, traffic.entry_speed, spot):
                    status[b, j], spot[j, 0] = ARRIVED, -1.0
                    car[b, j, FINISHED] = clock
            car[b, best, DUE] = min(car[b, best, DUE], clock)
            _put(leg, stretch, car, status, legs, route, b, best, traffic.entry_speed, spot)


@kernel
def report(traffic, leg, car, status, legs, route, step):
    """Who came up to a stop line joins its queue, and those whose turn it is send a message."""
    for b in range(status.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(status.shape[1]):
            if status[b, i] != DRIVING:
                continue
            near = leg[route[b, i], legs[b, i], LINE] - car[b, i, POSITION] < QUEUE_REACH
            if near and car[b, i, QUEUED] == NOTHING:
                car[b, i, QUEUED] = clock
            if clock - car[b, i, SENT] > (traffic.intent_period - 0.5) * CONTROL_STEP:
                car[b, i, SENT] = clock
                car[b, i, SENT_POSITION] = car[b, i, POSITION]
                car[b, i, SENT_SPEED] = car[b, i, SPEED]
                car[b, i, SENT_ACCELERATION] = car[b, i, ACCELERATED]


@kernel
def announce(leg, profile, car, status, legs, route, step, later, bid):
    """New announcements of those who are before their stop line and whose last one has stood for long enough."""
    for b in range(status.shape[0]):
        now = step[b] * CONTROL_STEP
        for i in range(status.shape[1]):
            if status[b, i] != DRIVING or now - car[b, i, ANNOUNCED] < HOLD:
                continue
            p = route[b, i]
            room = leg[p, legs[b, i], LINE] - 0.5 * LENGTH - car[b, i, POSITION]
            if room <= 0.0:
                continue
            soonest = reach_time(room, car[b, i, SPEED], ACCELERATION, profile[p, 0, LIMIT])
            car[b, i, OPENS] = now + soonest + later[b, i]
            car[b, i, CLOSES] = car[b, i, OPENS] + WINDOW
            car[b, i, ANNOUNCED] = now
            car[b, i, BID] = bid[b, i]


@kernel
def admit(traffic, roads, car, status, legs, route, step):
    """Entries and messages, at the beginning of a world and after every step, once that has been judged."""
    enter(traffic, roads.where, roads.zone, roads.leg, roads.stretch, car, status, legs, route, step)
    report(traffic, roads.leg, car, status, legs, route, step)


@kernel
def advance(traffic, roads, car, status, legs, route, step, accel, later, bid):
    """One control step, in one call, for each call has its price: writes into the new state's arrays, `step` too."""
    if traffic.declared:
        announce(roads.leg, roads.profile, car, status, legs, route, step, later, bid)
    drive(
        roads.segment, roads.length, roads.n_legs, roads.leg, roads.profile, car, status, legs, route, step, accel
    )  # fmt: skip
    for b in range(len(step)):
        step[b] += 1
