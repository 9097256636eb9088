"""Kernels that move cars along their routes: integration, collisions, entries, messages.

A car is a point on its route with a speed. It accelerates as asked, within the limits of SUMO's default passenger car,
never rolls back, and keeps to the speed limit of its route by itself: curves are taken with at most 3 m/s^2 sideways.
Two cars whose boxes overlap at one of the substeps have crashed and are gone, nobody else is.

Axes: B worlds, V vehicles. Arrays are those of `State` and `Roads`.
"""

from __future__ import annotations

import math

from ..kernels import kernel
from .config import DECELERATION, LENGTH, WIDTH
from .roads import ABSENT, CLEAR, COS0, CROSS, CURVATURE, DIVERGE, HEADING0, MERGE, S0, SAMPLE, SIN0, X0, Y0
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


@kernel
def limit_at(limit, p, s):
    """Speed limit of route p at s, between its samples."""
    x = min(max(s / SAMPLE, 0.0), limit.shape[1] - 1.001)
    k = int(x)
    return limit[p, k] + (x - k) * (limit[p, k + 1] - limit[p, k])


@kernel
def pose_at(segment, p, s):
    """x, y, cos and sin of the heading at s on route p."""
    g = 0
    while g + 1 < segment.shape[1] and segment[p, g + 1, S0] <= s:
        g += 1
    ahead = s - segment[p, g, S0]
    c, n, curvature = segment[p, g, COS0], segment[p, g, SIN0], segment[p, g, CURVATURE]
    if curvature == 0.0:
        return segment[p, g, X0] + c * ahead, segment[p, g, Y0] + n * ahead, c, n
    turned = segment[p, g, HEADING0] + curvature * ahead
    ct, nt = math.cos(turned), math.sin(turned)
    return segment[p, g, X0] + (nt - n) / curvature, segment[p, g, Y0] - (ct - c) / curvature, ct, nt


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
def ahead_on(roads, p, q, s, other_p, other_q, other_s):
    """Where another car is on one's own route [m], ABSENT if it is not on it or not ahead.

    A car on a movement out of the same lane counts until the paths have parted, one on a movement into the same lane
    from where they meet.
    """
    where, section, section_start = roads.where, roads.section, roads.section_start
    z = 2 * other_q
    if other_s >= roads.leg_end[other_p, other_q]:
        z += 2
    elif other_s >= roads.leg_line[other_p, other_q]:
        z += 1
    at = where[p, section[other_p, z]]
    if at > ABSENT:
        at += other_s - section_start[other_p, z]
        return at if at > s else ABSENT
    if z == 2 * other_q + 1 and roads.leg_crossing[p, q] == roads.leg_crossing[other_p, other_q]:
        mine, its = roads.leg_movement[p, q], roads.leg_movement[other_p, other_q]
        kind = roads.kind[mine, its]
        if kind == DIVERGE:
            r = other_s - roads.leg_line[other_p, other_q]
            if r <= roads.leave[its, mine] and s - roads.leg_line[p, q] <= roads.leave[mine, its]:
                at = roads.leg_line[p, q] + r
        elif kind == MERGE and other_s - roads.leg_line[other_p, other_q] >= roads.enter[its, mine]:
            at = roads.leg_end[p, q] - (roads.leg_end[other_p, other_q] - other_s)
        return at if at > s else ABSENT
    return ABSENT


@kernel
def leader_of(roads, car, status, leg, route, b, i):
    """The car ahead on one's way, and the gap between bumpers [m]; -1 and infinity if there is none."""
    s, p, q = car[b, i, POSITION], route[b, i], leg[b, i]
    best, gap = -1, math.inf
    for j in range(status.shape[1]):
        if j != i and status[b, j] == DRIVING:
            at = ahead_on(roads, p, q, s, route[b, j], leg[b, j], car[b, j, POSITION])
            if at > ABSENT and at - s - LENGTH < gap:
                best, gap = j, at - s - LENGTH
    return best, gap


@kernel
def drive(roads, car, status, leg, route, step, accel, x, crashes):
    """One control step of all that are on the road.

    Args:
        roads: The `Roads`.
        car: Of the new state, written, as are the next two.
        status: Likewise.
        leg: Likewise.
        route: Who drives where.
        step: (B,) before this step.
        accel: (B, V) asked for [m/s^2].
        x: (V, 4) room for poses.
        crashes: (V,) bool, room for who touches whom.
    """
    segment, length, limit, leg_end, n_legs = roads.segment, roads.length, roads.limit, roads.leg_end, roads.n_legs
    n = status.shape[1]
    for b in range(status.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(n):
            car[b, i, ACCELERATED] = car[b, i, SPEED]
        for sub in range(SUBSTEPS):
            for i in range(n):
                if status[b, i] != DRIVING:
                    continue
                p = route[b, i]
                s, v = car[b, i, POSITION], car[b, i, SPEED]
                w = min(v + DT * accel[b, i], limit_at(limit, p, s + DT * v))
                if w > 0.0:
                    s += 0.5 * DT * (v + w)
                else:  # it comes to a halt within the substep
                    w = 0.0
                    if v > 0.0:
                        s += 0.5 * v * v / max(-accel[b, i], v / DT)
                car[b, i, POSITION], car[b, i, SPEED] = s, w
                x[i, 0], x[i, 1], x[i, 2], x[i, 3] = pose_at(segment, p, s)
                crashes[i] = False
            for i in range(n):
                if status[b, i] == DRIVING:
                    for j in range(i):
                        if status[b, j] == DRIVING:
                            dx, dy = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1]
                            if dx * dx + dy * dy < REACH2 and touch(
                                x[i, 0], x[i, 1], x[i, 2], x[i, 3], x[j, 0], x[j, 1], x[j, 2], x[j, 3]
                            ):
                                crashes[i] = True
                                crashes[j] = True
            for i in range(n):
                if status[b, i] == DRIVING:
                    if crashes[i]:
                        status[b, i] = CRASHED
                        car[b, i, FINISHED] = clock + (sub + 1) * DT
                    elif car[b, i, POSITION] >= length[route[b, i]]:
                        status[b, i] = ARRIVED
                        car[b, i, FINISHED] = clock + (sub + 1) * DT
        for i in range(n):
            car[b, i, ACCELERATED] = (car[b, i, SPEED] - car[b, i, ACCELERATED]) / CONTROL_STEP
            if status[b, i] == DRIVING:
                car[b, i, STOOD] = car[b, i, STOOD] + CONTROL_STEP if car[b, i, SPEED] < SLOW else 0.0
                p, q = route[b, i], leg[b, i]
                if q + 1 < n_legs[p] and car[b, i, POSITION] >= leg_end[p, q] + CLEAR:
                    leg[b, i] = q + 1
                    car[b, i, QUEUED] = NOTHING
                    car[b, i, OPENS], car[b, i, CLOSES], car[b, i, ANNOUNCED] = NOTHING, NOTHING, NOTHING
                    car[b, i, BID] = 0.0
            elif status[b, i] == PENDING and car[b, i, DUE] <= clock:
                car[b, i, STOOD] += CONTROL_STEP


@kernel
def _has_room(roads, car, status, leg, route, b, i, entry_speed):
    """Whether the entry is free: room to stay behind the last car even if it brakes as hard as it can."""
    p = route[b, i]
    for j in range(status.shape[1]):
        if status[b, j] == DRIVING:
            at = ahead_on(roads, p, 0, -0.001, route[b, j], leg[b, j], car[b, j, POSITION])
            if at > ABSENT:
                v = car[b, j, SPEED]
                stopping = (entry_speed * entry_speed - v * v) / (2.0 * DECELERATION) + CONTROL_STEP * entry_speed
                if at < LENGTH + MARGIN + max(stopping, 0.0):
                    return False
    return True


@kernel
def _is_next(car, status, route, roads, b, i):
    """Whether nobody has waited longer at the same entry."""
    lane = roads.section[route[b, i], 0]
    for j in range(status.shape[1]):
        if j != i and status[b, j] == PENDING and roads.section[route[b, j], 0] == lane:
            if car[b, j, DUE] < car[b, i, DUE] or (car[b, j, DUE] == car[b, i, DUE] and j < i):
                return False
    return True


@kernel
def _put(roads, car, status, leg, route, b, i, entry_speed):
    status[b, i] = DRIVING
    leg[b, i] = 0
    car[b, i, POSITION], car[b, i, SPEED], car[b, i, ACCELERATED] = 0.0, entry_speed, 0.0
    car[b, i, STOOD] = 0.0


@kernel
def enter(roads, car, status, leg, route, step, n_agents, entry_speed):
    """Lets those in who are due and have room. With no agent on the road the next one comes at once.

    An episode is over when no agent is alive, so there must be no pause between two of them.
    """
    n = status.shape[1]
    for b in range(status.shape[0]):
        clock, waiting, driving = step[b] * CONTROL_STEP, False, 0
        for i in range(n):
            waiting |= status[b, i] == PENDING
            driving += i < n_agents and status[b, i] == DRIVING
        if not waiting:
            continue
        for _ in range(n):
            entered = False
            for i in range(n):
                if status[b, i] == PENDING and car[b, i, DUE] <= clock and _is_next(car, status, route, roads, b, i):
                    if _has_room(roads, car, status, leg, route, b, i, entry_speed):
                        _put(roads, car, status, leg, route, b, i, entry_speed)
                        driving += i < n_agents
                        entered = True
            if not entered:
                break
        if driving == 0:
            best = -1
            for i in range(n_agents):
                if status[b, i] == PENDING and (best < 0 or car[b, i, DUE] < car[b, best, DUE]):
                    best = i
            if best >= 0:
                # Only a scripted car can be in its way: it turns off.
                for j in range(n_agents, n):
                    if status[b, j] == DRIVING and not _has_room(roads, car, status, leg, route, b, best, entry_speed):
                        status[b, j] = ARRIVED
                        car[b, j, FINISHED] = clock
                car[b, best, DUE] = min(car[b, best, DUE], clock)
                _put(roads, car, status, leg, route, b, best, entry_speed)


@kernel
def report(roads, car, status, leg, route, step, period):
    """Who came up to a stop line joins its queue, and those whose turn it is send a message."""
    for b in range(status.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(status.shape[1]):
            if status[b, i] != DRIVING:
                continue
            if car[b, i, QUEUED] == NOTHING:
                to_line = roads.leg_line[route[b, i], leg[b, i]] - car[b, i, POSITION]
                if to_line < QUEUE_REACH:
                    car[b, i, QUEUED] = clock
            if car[b, i, SENT] == NOTHING or clock - car[b, i, SENT] > (period - 0.5) * CONTROL_STEP:
                car[b, i, SENT] = clock
                car[b, i, SENT_POSITION] = car[b, i, POSITION]
                car[b, i, SENT_SPEED] = car[b, i, SPEED]
                car[b, i, SENT_ACCELERATION] = car[b, i, ACCELERATED]


@kernel
def reach_time(distance, speed, acceleration, top):
    """When a car has gone so far with its present acceleration, at most at top speed [s]; infinity if never."""
    if distance <= 0.0:
        return 0.0
    if acceleration < -1e-3:
        root = speed * speed + 2.0 * acceleration * distance
        return (speed - math.sqrt(root)) / -acceleration if root > 0.0 else math.inf
    if acceleration > 1e-3 and speed < top:
        until = (top - speed) / acceleration
        gone = 0.5 * (speed + top) * until
        if gone >= distance:
            return (math.sqrt(speed * speed + 2.0 * acceleration * distance) - speed) / acceleration
        return until + (distance - gone) / top
    return distance / speed if speed > 1e-3 else math.inf


@kernel
def in_the_way(kind):
    """Whether a kind of conflict has a zone that only one may be in."""
    return kind == CROSS or kind == MERGE
