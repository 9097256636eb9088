"""Right-of-way rules: the hand-written policies to beat, and the script of those who lie. Nothing is learned.

All rules share one planner, which knows all cars, their routes and plans, and differ in who plans first and in what the
others may then do. Cars plan one after the other: each tries its five accelerations in thought, from full throttle to
full brake, each followed by driving on as fast as the road and the car ahead allow, and takes the first whose passage
through every shared zone fits with those that planned before it. If none fits, it stops at its line. Who cannot stop
before the line any more plans first, always; among those, who has been so for longest: others have reckoned with it.

| rule          | who plans first                                  | what the later ones may do                      |
|---------------|--------------------------------------------------|-------------------------------------------------|
| `priority`    | the road east-west, then north-south; within a   | go at once in front of or behind the others if  |
|               | road, straight and right before left             | the gap is long enough, else stop at the line   |
| `first-come`  | who came up to its stop line first               | only pass behind the earlier ones, never before |
| `reservation` | likewise                                         | anything that keeps to the zones' free times    |
| `auction`     | who bids most                                    | likewise                                        |

`reservation` is Dresner and Stone's AIM (JAIR 2008) with zones instead of tiles, made anew in every step; its
reservations hold because nobody's plan depends on those made after it. In `auction` a car bids what it announced with
`intent="declared"`, emergency or not, ties going to the longer delay; before it has announced anything, and with other
intents, it bids its delay, and an emergency vehicle more than all.

Axes: B worlds, V vehicles, T steps of a plan.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .config import ACCELERATION, DECELERATION, LENGTH
from .motion import MARGIN
from .roads import CROSS, ENTER, FREE_TIME, HEADING, KIND, LEAVE, LEFT, LIMIT, LINE, TURN
from .spots import AT, BOX, N_SPOT, REST, WAY, leader_of, locate, profile_at, shares_zone
from .state import BID, CONTROL_STEP, DUE, NOTHING, OPENS, POSITION, QUEUED, SPEED

PRIMITIVES = np.array([-DECELERATION, -2.0, 0.0, 0.5 * ACCELERATION, ACCELERATION])
"""(5,) accelerations [m/s^2] of the discrete actions."""
PLAN_STEP = 0.25
"""Of plans [s]."""
HORIZON = 48
"""T: plans reach this far."""
FIRST = 2
"""Steps of a plan that the first acceleration is held: a control step."""
EASY = 3.5
"""Deceleration with which cars come to their line [m/s^2]."""
LINE_GAP = 0.5
"""Kept to the stop line [m]."""
PRIORITY, FIRST_COME, RESERVATION, AUCTION, LIAR = range(5)
RULES = {"priority": PRIORITY, "first-come": FIRST_COME, "reservation": RESERVATION, "auction": AUCTION}


class Manners(NamedTuple):
    """What a rule lets a car do that plans after others."""

    rule: int
    gap_before: float  # between leaving a zone and an earlier planner's entering it [s]
    gap_behind: float  # between an earlier planner's leaving a zone and entering it [s]
    strict: bool  # pass behind earlier planners only
    shaped: bool  # may slow down to fit, not only stop at the line


MANNERS = {
    PRIORITY: Manners(PRIORITY, 2.0, 0.75, False, False),
    FIRST_COME: Manners(FIRST_COME, 0.5, 0.5, True, True),
    RESERVATION: Manners(RESERVATION, 0.5, 0.5, False, True),
    AUCTION: Manners(AUCTION, 0.5, 0.5, False, True),
    LIAR: Manners(LIAR, 0.25, 0.25, False, True),
}


@kernel
def _key(manners, profile, ways, car, route, emergency, spot, b, i, now):
    """By the rule alone, who has the smallest plans first."""
    v, room = car[b, i, SPEED], -spot[i, REST] - 0.5 * LENGTH
    if manners.rule == PRIORITY:
        mine = int(spot[i, WAY])
        return 1e4 * (ways[mine, HEADING] % 2) + 5e3 * (ways[mine, TURN] == LEFT) + room
    if manners.rule == AUCTION:
        late = now - car[b, i, DUE] - profile_at(profile, route[b, i], car[b, i, POSITION], FREE_TIME)
        if car[b, i, OPENS] != NOTHING:
            return -1e3 * car[b, i, BID] - late
        return -late - 1e3 * emergency[b, i]
    if car[b, i, QUEUED] != NOTHING:
        return car[b, i, QUEUED]
    return now + room / max(v, 1.0)


@kernel
def _roll(profile, p, line, i, first, go, leader, offset, way, pace):
    """Drives a plan in thought, into rows i of way and pace (V, T + 1) from their first entries.

    Returns:
        Whether it stays behind the car ahead, whatever that does.
    """
    r, v = way[i, 0], pace[i, 0]
    safe = True
    for t in range(HORIZON):
        a = first
        if t >= FIRST:
            a = ACCELERATION
            if not go:
                room = -r - 0.5 * LENGTH - LINE_GAP
                if room - v * PLAN_STEP <= v * v / (2.0 * EASY) + 1.0:
                    a = -v * v / (2.0 * room) if room > 0.05 else -DECELERATION
            if leader >= 0:  # Krauss's safe speed
                gap = way[leader, t] + offset - r - LENGTH - MARGIN
                pause = DECELERATION * CONTROL_STEP
                square = pause * pause + pace[leader, t] ** 2 + 2.0 * DECELERATION * gap
                a = min(a, ((math.sqrt(square) - pause if square > 0.0 else 0.0) - v) / PLAN_STEP)
            a = max(a, -DECELERATION)
        w = min(max(v + a * PLAN_STEP, 0.0), profile_at(profile, p, line + r + PLAN_STEP * v, LIMIT))
        r += 0.5 * PLAN_STEP * (v + w)
        v = w
        way[i, t + 1], pace[i, t + 1] = r, v
        if t == FIRST - 1 and leader >= 0:
            u = pace[leader, 0]
            u_after = max(u - DECELERATION * CONTROL_STEP, 0.0)
            far = way[leader, 0] + offset + 0.5 * (u + u_after) * CONTROL_STEP - r
            safe = far - LENGTH - MARGIN >= max(v * v - u_after * u_after, 0.0) / (2.0 * DECELERATION)
    return safe


@kernel
def _when(way, i, mark):
    """The first step at which a plan is beyond a mark; T + 1 if never."""
    t = 0
    while t <= HORIZON and way[i, t] < mark:
        t += 1
    return t


@kernel
def _stays_behind(way, pace, second, first, begin, end, other_end):
    """Whether a plan keeps clear of the one before it in the lane that both go into."""
    for t in range(begin, HORIZON + 1):
        gap = (way[first, t] - other_end) - (way[second, t] - end) - LENGTH - MARGIN
        if gap < max(pace[second, t] ** 2 - pace[first, t] ** 2, 0.0) / (2.0 * DECELERATION) + 0.2 * pace[second, t]:
            return False
    return True


@kernel
def _fits(manners, favoured, zone, spot, i, j, way, pace):
    """Whether i's plan fits with j's earlier one.

    Favoured is i if the rule puts it first, and j planned before it only because it cannot stop any more. Then j has
    planned to pass behind i, and i must not be frightened by how close.
    """
    strict = manners.strict and not favoured
    gap_before = 0.5 * manners.gap_behind if favoured else manners.gap_before
    if not shares_zone(zone, spot, i, j):
        return True
    mine, its = int(spot[i, WAY]), int(spot[j, WAY])
    enters, leaves = _when(way, i, zone[mine, its, ENTER]), _when(way, i, zone[mine, its, LEAVE])
    if enters > HORIZON:
        return True
    its_enters, its_leaves = _when(way, j, zone[its, mine, ENTER]), _when(way, j, zone[its, mine, LEAVE])
    before = leaves <= HORIZON and leaves + gap_before / PLAN_STEP <= its_enters
    if zone[mine, its, KIND] == CROSS:
        behind = its_leaves + manners.gap_behind / PLAN_STEP <= enters
        return behind or (before and not strict)
    # Into the same lane: whoever is second must be able to stay behind from there on.
    if enters > its_enters or (enters == its_enters and way[i, 0] < way[j, 0]):
        return _stays_behind(way, pace, i, j, enters, spot[i, BOX], spot[j, BOX])
    if strict or (not favoured and its_enters <= HORIZON and its_enters - leaves < (gap_before - 1.0) / PLAN_STEP):
        return False
    return _stays_behind(way, pace, j, i, its_enters, spot[j, BOX], spot[i, BOX])


@kernel
def _place(manners, profile, zone, spot, p, line, i, leader, offset, placed, rank, way, pace):
    """Makes i's plan in the presence of those already made; its rows begin with position and speed.

    Returns:
        The primitive it begins with.
    """
    room, v = -way[i, 0] - 0.5 * LENGTH - LINE_GAP, pace[i, 0]
    committed = room + LINE_GAP < v * v / (2.0 * DECELERATION)
    for k in range(4, -1, -1):
        if not _roll(profile, p, line, i, PRIMITIVES[k], True, leader, offset, way, pace):
            continue
        fits = True
        for j in range(len(placed)):
            if placed[j] and fits:
                fits = _fits(manners, rank[i] < rank[j], zone, spot, i, j, way, pace)
        if fits:
            return k
        if not manners.shaped and not committed:
            break
    for k in range(4, 0, -1):
        safe = _roll(profile, p, line, i, PRIMITIVES[k], False, leader, offset, way, pace)
        w = max(v + PRIMITIVES[k] * CONTROL_STEP, 0.0)
        stops = room - 0.5 * (v + w) * CONTROL_STEP >= w * w / (2.0 * EASY)
        if safe and stops and not committed:
            return k
    _roll(profile, p, line, i, PRIMITIVES[0], committed, leader, offset, way, pace)
    return 0


@kernel
def plan(manners, roads, car, status, legs, route, emergency, step, begin, choice, passing):
    """Plans for all cars.

    Args:
        manners: The `Manners`.
        roads: The `Roads`.
        car: (B, V, N_CAR).
        status: (B, V).
        legs: (B, V).
        route: (B, V).
        emergency: (B, V).
        step: (B,).
        begin: Only cars from this index on plan, besides those that cannot stop; for the scripted ones.
        choice: (B, V) primitives, written.
        passing: (B, V) how long until the front passes the stop line [s], written.
    """
    profile, zone, where, ways = roads.profile, roads.zone, roads.where, roads.way
    n = status.shape[1]
    way, pace = np.empty((n, HORIZON + 1)), np.empty((n, HORIZON + 1))  # positions from the stop line, speeds
    key, rank, offset, spot = np.empty(n), np.empty(n), np.empty(n), np.empty((n, N_SPOT))
    leader, placed, road = np.empty(n, np.int64), np.empty(n, np.bool_), np.empty(n, np.int64)
    for b in range(status.shape[0]):
        now, left = step[b] * CONTROL_STEP, 0
        there = locate(roads.leg, roads.stretch, car, status, legs, route, b, spot, road)
        for i in range(n):
            placed[i], leader[i], key[i] = False, -1, math.inf
            if spot[i, AT] < 0.0:
                continue
            way[i, 0], pace[i, 0] = spot[i, REST], car[b, i, SPEED]
            for t in range(HORIZON):  # until it has planned, it goes on as it does for who follows it
                way[i, t + 1], pace[i, t + 1] = way[i, t] + PLAN_STEP * pace[i, t], pace[i, t]
            rank[i] = _key(manners, profile, ways, car, route, emergency, spot, b, i, now)
            beyond = pace[i, 0] ** 2 / (2.0 * DECELERATION) - (-spot[i, REST] - 0.5 * LENGTH)
            key[i] = -1e6 - beyond / max(pace[i, 0], 0.5) if beyond > 0.0 else rank[i]
            if i < begin and key[i] > -9e5:  # it does not plan
                key[i] = math.inf
                continue
            left += 1
        for i in range(n):
            if key[i] < math.inf:
                leader[i], far = leader_of(where, zone, spot, there, route[b, i], car[b, i, POSITION], i)
                if leader[i] >= 0:
                    offset[i] = far + way[i, 0] - way[leader[i], 0]
        while left > 0:
            best = -1
            # Leaders at the same crossing before followers; should two follow each other, the rule alone decides. Who
            # waited for a leader further on would lose its turn at its own crossing.
            for cycle in range(2):
                for i in range(n):
                    if placed[i] or key[i] == math.inf:
                        continue
                    j = leader[i]
                    waits = j >= 0 and not placed[j] and key[j] < math.inf and spot[j, AT] == spot[i, AT]
                    if (not waits or cycle == 1) and (best < 0 or key[i] < key[best]):
                        best = i
                if best >= 0:
                    break
            i, j = best, leader[best]
            p, line = route[b, i], roads.leg[route[b, i], legs[b, i], LINE]
            choice[b, i] = _place(manners, profile, zone, spot, p, line, i, j, offset[i], placed, rank, way, pace)
            placed[i] = True
            left -= 1
            passing[b, i] = PLAN_STEP * _when(way, i, -0.5 * LENGTH)
