"""Right-of-way rules: one planner for all cars, which the hand-written policy and the scripted cars follow.

The planner knows all cars, their routes and their plans. Cars plan one after the other. Each tries its five
accelerations, from full throttle to full braking, each held for one control step and followed by driving on as fast as
the road and the car ahead allow; it takes the first whose passage through every shared zone fits with the cars that
planned before it. If none fits, it stops at its line. Cars that cannot stop before their line any more always plan
first, and among them the one that has been so for longest, because the others have reckoned with it. The rules differ
in which car plans first and in what the later ones may do:

| rule          | the first to plan                                | what the later ones may do                      |
|---------------|--------------------------------------------------|-------------------------------------------------|
| `priority`    | the road east-west, then north-south; within a   | go at once in front of or behind the others if  |
|               | road, straight on and right before left          | the gap is long enough, else stop at the line   |
| `first-come`  | the car that came up to its stop line first      | only pass behind the earlier ones, never before |
| `reservation` | likewise                                         | anything that keeps to the zones' free times    |
| `auction`     | the car with the highest bid                     | likewise                                        |

`reservation` is Dresner and Stone's AIM (JAIR 2008) with zones instead of tiles, planned anew in every step; its
reservations hold because no plan depends on those made after it. In `auction` a car bids what it announced with
`intent="declared"`, emergency vehicle or not, and ties go to the longer delay; before it has announced anything, and
with other intents, it bids its delay, and an emergency vehicle more than all others.

Axes: B worlds, V vehicles, T steps of a plan.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import kernel
from ..roads.cars import CAR_LENGTH
from ..roads.crossing import CROSS, LEFT
from .config import ACCELERATION, DECELERATION
from .motion import MARGIN
from .network import ENTER, FREE_TIME, HEADING, KIND, LEAVE, LIMIT, LINE, TURN
from .spots import (
    AT_CROSSING,
    MOVEMENT_LENGTH,
    N_SPOT,
    ON_MOVEMENT,
    PAST_LINE,
    leader_of,
    locate,
    profile_at,
    shares_zone,
)
from .state import BID, CONTROL_STEP, DUE, NEVER, OPENS, POSITION, QUEUED, SPEED

PRIMITIVES = np.array([-DECELERATION, -2.0, 0.0, 0.5 * ACCELERATION, ACCELERATION])
"""(5,) accelerations of the discrete actions [m/s^2]."""
PLAN_STEP = 0.25
"""Time between two steps of a plan [s]."""
HORIZON = 48
"""T: steps of a plan."""
FIRST = 2
"""Steps of a plan for which its first acceleration is held: a control step."""
COMFORTABLE = 3.5
"""Deceleration with which cars come to their line [m/s^2]."""
LINE_GAP = 0.5
"""Distance kept to the stop line [m]."""
PRIORITY, FIRST_COME, RESERVATION, AUCTION, LIAR = range(5)
"""Values of `Rule.order`."""


class Rule(NamedTuple):
    """The order in which cars plan, and the freedom of a car that plans after others."""

    order: int  # which car plans first: PRIORITY, FIRST_COME, RESERVATION, AUCTION or LIAR
    gap_before: float  # between leaving a zone and an earlier planner's entering it [s]
    gap_behind: float  # between an earlier planner's leaving a zone and entering it [s]
    strict: bool  # it may pass behind earlier planners only
    shaped: bool  # it may slow down to fit, not only stop at the line


RULES = {
    "priority": Rule(PRIORITY, 2.0, 0.75, False, False),
    "first-come": Rule(FIRST_COME, 0.5, 0.5, True, True),
    "reservation": Rule(RESERVATION, 0.5, 0.5, False, True),
    "auction": Rule(AUCTION, 0.5, 0.5, False, True),
}
"""Right-of-way rules by the names of `Config.rule`."""
LIAR_RULE = Rule(LIAR, 0.25, 0.25, False, True)
"""The rule of scripted cars, which plan in the order in which they came up to their lines."""


class Plans(NamedTuple):
    """The plans of the cars of one world while they are made."""

    way: Array  # (V, T + 1) positions of centres past the stop line [m]
    pace: Array  # (V, T + 1) speeds [m/s]
    rank: Array  # (V,) by the rule alone, the car of the smallest rank plans first
    key: Array  # (V,) as rank, but for cars that cannot stop any more; infinity: the car does not plan
    placed: Array  # (V,) bool: its plan is made
    leader: Array  # (V,) int64 the car ahead, -1 for none
    offset: Array  # (V,) what is added to a position of the leader to measure it as one's own [m]


@kernel
def _rank_of(rule, net, state, spot, b, i):
    """Returns car i's rank: by the rule alone, the car of the smallest rank plans first."""
    car, now = state.car, state.step[b] * CONTROL_STEP
    v, room = car[b, i, SPEED], -spot[i, PAST_LINE] - 0.5 * CAR_LENGTH
    if rule.order == PRIORITY:
        own = int(spot[i, ON_MOVEMENT])
        return 1e4 * (net.movement[own, HEADING] % 2) + 5e3 * (net.movement[own, TURN] == LEFT) + room
    if rule.order == AUCTION:
        late = now - car[b, i, DUE] - profile_at(net.profile, state.route[b, i], car[b, i, POSITION], FREE_TIME)
        if car[b, i, OPENS] != NEVER:
            return -1e3 * car[b, i, BID] - late
        return -late - 1e3 * state.emergency[b, i]
    if car[b, i, QUEUED] != NEVER:
        return car[b, i, QUEUED]
    return now + room / max(v, 1.0)


@kernel
def _roll_out(profile, p, line, i, first, go, plans):
    """Simulates a plan of car i, which writes its rows of `plans.way` and `plans.pace` from their first entries.

    Args:
        profile: The field of the `Network`.
        p: The car's route.
        line: Position of its stop line on that route [m].
        i: The car.
        first: Acceleration in the first control step [m/s^2].
        go: Whether it passes its line; else it stops there.
        plans: The `Plans`.

    Returns:
        Whether it stays behind the car ahead, whatever that does.
    """
    way, pace, leader, offset = plans.way, plans.pace, plans.leader[i], plans.offset[i]
    r, v = way[i, 0], pace[i, 0]
    safe = True
    for t in range(HORIZON):
        a = first
        if t >= FIRST:
            a = ACCELERATION
            if not go:
                room = -r - 0.5 * CAR_LENGTH - LINE_GAP
                if room - v * PLAN_STEP <= v * v / (2.0 * COMFORTABLE) + 1.0:
                    a = -v * v / (2.0 * room) if room > 0.05 else -DECELERATION
            if leader >= 0:  # Krauss's safe speed
                gap = way[leader, t] + offset - r - CAR_LENGTH - MARGIN
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
            safe = far - CAR_LENGTH - MARGIN >= max(v * v - u_after * u_after, 0.0) / (2.0 * DECELERATION)
    return safe


@kernel
def _steps_to_mark(way, i, mark):
    """Returns the first step at which car i's plan is beyond a mark; T + 1 if never."""
    t = 0
    while t <= HORIZON and way[i, t] < mark:
        t += 1
    return t


@kernel
def _stays_behind(way, pace, second, first, begin, end, other_end):
    """Returns whether the plan of car `second` keeps its distance to that of car `first` in the lane that both enter.

    Args:
        way: The field of the `Plans`.
        pace: The field of the `Plans`.
        second: The car behind.
        first: The car ahead.
        begin: Step from which on the plans are compared.
        end: Length of the movement of the car behind [m].
        other_end: Length of the movement of the car ahead [m].
    """
    for t in range(begin, HORIZON + 1):
        gap = (way[first, t] - other_end) - (way[second, t] - end) - CAR_LENGTH - MARGIN
        if gap < max(pace[second, t] ** 2 - pace[first, t] ** 2, 0.0) / (2.0 * DECELERATION) + 0.2 * pace[second, t]:
            return False
    return True


@kernel
def _fits(rule, zone, spot, i, j, plans):
    """Returns whether i's plan fits with j's earlier one.

    If the rule puts i first, and j planned before it only because it cannot stop any more, then j has planned to pass
    behind i, and i accepts that it comes close.
    """
    way, pace, favoured = plans.way, plans.pace, plans.rank[i] < plans.rank[j]
    strict = rule.strict and not favoured
    gap_before = 0.5 * rule.gap_behind if favoured else rule.gap_before
    if not shares_zone(zone, spot, i, j):
        return True
    own, other = int(spot[i, ON_MOVEMENT]), int(spot[j, ON_MOVEMENT])
    enters, leaves = _steps_to_mark(way, i, zone[own, other, ENTER]), _steps_to_mark(way, i, zone[own, other, LEAVE])
    if enters > HORIZON:
        return True
    others_enter = _steps_to_mark(way, j, zone[other, own, ENTER])
    others_leave = _steps_to_mark(way, j, zone[other, own, LEAVE])
    before = leaves <= HORIZON and leaves + gap_before / PLAN_STEP <= others_enter
    if zone[own, other, KIND] == CROSS:
        behind = others_leave + rule.gap_behind / PLAN_STEP <= enters
        return behind or (before and not strict)
    # Both lead into the same lane: the second must be able to stay behind from there on.
    if enters > others_enter or (enters == others_enter and way[i, 0] < way[j, 0]):
        return _stays_behind(way, pace, i, j, enters, spot[i, MOVEMENT_LENGTH], spot[j, MOVEMENT_LENGTH])
    if strict or (not favoured and others_enter <= HORIZON and others_enter - leaves < (gap_before - 1.0) / PLAN_STEP):
        return False
    return _stays_behind(way, pace, j, i, others_enter, spot[j, MOVEMENT_LENGTH], spot[i, MOVEMENT_LENGTH])


@kernel
def _place(rule, profile, zone, spot, p, line, i, plans):
    """Makes car i's plan in the presence of those already made; its rows begin with its position and speed.

    Returns:
        Index of the plan's first acceleration in `PRIMITIVES`.
    """
    placed, room, v = plans.placed, -plans.way[i, 0] - 0.5 * CAR_LENGTH - LINE_GAP, plans.pace[i, 0]
    committed = room + LINE_GAP < v * v / (2.0 * DECELERATION)
    for k in range(4, -1, -1):
        if not _roll_out(profile, p, line, i, PRIMITIVES[k], True, plans):
            continue
        fits = True
        for j in range(len(placed)):
            if placed[j] and fits:
                fits = _fits(rule, zone, spot, i, j, plans)
        if fits:
            return k
        if not rule.shaped and not committed:
            break
    for k in range(4, 0, -1):
        safe = _roll_out(profile, p, line, i, PRIMITIVES[k], False, plans)
        w = max(v + PRIMITIVES[k] * CONTROL_STEP, 0.0)
        stops = room - 0.5 * (v + w) * CONTROL_STEP >= w * w / (2.0 * COMFORTABLE)
        if safe and stops and not committed:
            return k
    _roll_out(profile, p, line, i, PRIMITIVES[0], committed, plans)
    return 0


@kernel
def _begin(rule, net, state, spot, b, first, plans):
    """Prepares the plans of the cars of world b. Returns how many cars plan."""
    way, pace, rank, key, placed, leader = plans.way, plans.pace, plans.rank, plans.key, plans.placed, plans.leader
    car, count = state.car, 0
    for i in range(len(key)):
        placed[i], leader[i], key[i] = False, -1, math.inf
        if spot[i, AT_CROSSING] < 0.0:
            continue
        way[i, 0], pace[i, 0] = spot[i, PAST_LINE], car[b, i, SPEED]
        for t in range(HORIZON):  # until it has planned, cars behind it take it to keep its speed
            way[i, t + 1], pace[i, t + 1] = way[i, t] + PLAN_STEP * pace[i, t], pace[i, t]
        rank[i] = _rank_of(rule, net, state, spot, b, i)
        beyond = pace[i, 0] ** 2 / (2.0 * DECELERATION) - (-spot[i, PAST_LINE] - 0.5 * CAR_LENGTH)
        key[i] = -1e6 - beyond / max(pace[i, 0], 0.5) if beyond > 0.0 else rank[i]
        if i < first and key[i] > -9e5:  # it does not plan
            key[i] = math.inf
            continue
        count += 1
    return count


@kernel
def _next(spot, plans):
    """Returns the car that plans next.

    Leaders at the same crossing plan before their followers; should two cars follow each other, the rule alone decides.
    A car that waited for a leader further on would lose its turn at its own crossing.
    """
    key, placed, leader = plans.key, plans.placed, plans.leader
    best = -1
    for cycle in range(2):
        for i in range(len(key)):
            if placed[i] or key[i] == math.inf:
                continue
            j = leader[i]
            waits = j >= 0 and not placed[j] and key[j] < math.inf and spot[j, AT_CROSSING] == spot[i, AT_CROSSING]
            if (not waits or cycle == 1) and (best < 0 or key[i] < key[best]):
                best = i
        if best >= 0:
            break
    return best


@kernel
def plan(rule, net, state, first, choice, passing):
    """Plans for all cars.

    Args:
        rule: The `Rule`.
        net: The `Network`.
        state: The `State`.
        first: Only cars from this index on plan, besides those that cannot stop; for the scripted ones.
        choice: (B, V) indices into `PRIMITIVES`, written.
        passing: (B, V) time until the front passes the stop line [s], written.
    """
    profile, zone, section_start, leg, stretch = net.profile, net.zone, net.section_start, net.leg, net.stretch
    car, status, legs, route = state.car, state.status, state.leg, state.route
    n = status.shape[1]
    spot, index = np.empty((n, N_SPOT)), np.empty(n, np.int64)
    plans = Plans(
        np.empty((n, HORIZON + 1)), np.empty((n, HORIZON + 1)), np.empty(n), np.empty(n), np.empty(n, np.bool_),
        np.empty(n, np.int64), np.empty(n),
    )  # fmt: skip
    way, key, placed, leader, offset = plans.way, plans.key, plans.placed, plans.leader, plans.offset
    for b in range(status.shape[0]):
        there = locate(leg, stretch, car, status, legs, route, b, spot, index)
        count = _begin(rule, net, state, spot, b, first, plans)
        for i in range(n):
            if key[i] < math.inf:
                j, far = leader_of(section_start, zone, spot, there, route[b, i], car[b, i, POSITION], i)
                leader[i] = j
                if j >= 0:
                    offset[i] = far + way[i, 0] - way[j, 0]
        for _ in range(count):
            i = _next(spot, plans)
            p, line = route[b, i], leg[route[b, i], legs[b, i], LINE]
            choice[b, i] = _place(rule, profile, zone, spot, p, line, i, plans)
            placed[i] = True
            passing[b, i] = PLAN_STEP * _steps_to_mark(way, i, -0.5 * CAR_LENGTH)
