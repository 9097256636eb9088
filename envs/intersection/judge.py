"""Kernels for what a control step is worth: rewards, costs, and the sums behind the metrics.

*Time to collision* [s] is what is left until two boxes touch if both go on along their paths at their present speeds,
looked for every 0.1 s up to `TTC_HORIZON`; behind another car on the same lane it is the gap over the closing speed.
*Post-encroachment time* [s] is from one car's leaving the zone that two crossing paths share to the other's entering
it (Allen, Shin and Cooper 1978); 0 when one enters before the other has left.

Axes: B worlds, V vehicles. Arrays are those of `State` and `Roads`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..kernels import kernel
from .config import DECELERATION, LENGTH
from .motion import DT, in_the_way, leader_of, pose_at, touch
from .roads import CROSS
from .state import (
    ACCELERATED,
    ARRIVED,
    BROKEN,
    CLOSES,
    CONTROL_STEP,
    CRASHED,
    DRIVING,
    KEPT,
    LEAST_PET,
    LEAST_TTC,
    LONGEST_WAIT,
    NOTHING,
    OPENS,
    POSITION,
    SPEED,
    STOOD,
    TTC_HORIZON,
)

RISKY = 1.5
"""A time to collision below this is cost [s]."""
LENIENCE = 0.5
"""Outside the announced window by more than this is a breach [s]."""


class Prices(NamedTuple):
    """The rewards of a `Config`, as plain numbers."""

    progress: float
    time: float
    comfort: float
    leaving: float
    crash: float
    emergency: float
    declared: bool


@kernel
def pay(roads, prices, old, car, status_before, status, route, emergency, reward):
    """Fills reward (B, V), zeros before."""
    length = roads.length
    for b in range(status.shape[0]):
        for i in range(status.shape[1]):
            if status_before[b, i] != DRIVING:
                continue
            gone = (min(car[b, i, POSITION], length[route[b, i]]) - old[b, i, POSITION]) / length[route[b, i]]
            hurry = prices.emergency if emergency[b, i] else 1.0
            effort = car[b, i, ACCELERATED] / DECELERATION
            earned = prices.progress * gone - prices.time * CONTROL_STEP * hurry - prices.comfort * effort * effort
            if status[b, i] == ARRIVED:
                earned += prices.leaving
            elif status[b, i] == CRASHED:
                earned -= prices.crash
            reward[b, i] = earned


@kernel
def _passes(mark, before, after):
    """When within a control step a mark is passed [s]; negative if not in this one."""
    if before < mark <= after:
        return CONTROL_STEP * (mark - before) / (after - before)
    return -1.0


@kernel
def keep_words(roads, old, car, status_before, leg_before, route, step, n_agents, cost, totals):
    """Adds to cost (B, V) the breaches of announced windows, by those who passed their stop line."""
    for b in range(status_before.shape[0]):
        for i in range(status_before.shape[1]):
            if status_before[b, i] != DRIVING or car[b, i, OPENS] == NOTHING:
                continue
            front = 0.5 * LENGTH - roads.leg_line[route[b, i], leg_before[b, i]]
            after = _passes(0.0, old[b, i, POSITION] + front, car[b, i, POSITION] + front)
            if after < 0.0:
                continue
            moment = step[b] * CONTROL_STEP + after
            broken = moment < car[b, i, OPENS] - LENIENCE or moment > car[b, i, CLOSES] + LENIENCE
            if broken:
                cost[b, i] += 1.0
            if i < n_agents:
                totals[b, BROKEN if broken else KEPT] += 1.0


@kernel
def _time_to_touch(roads, p, s, v, other_p, other_s, other_v, begin, end):
    """When two cars at constant speeds touch, from begin to end [s]; infinity if they do not."""
    segment = roads.segment
    t = begin
    while t <= end:
        ax, ay, ac, an = pose_at(segment, p, s + t * v)
        bx, by, bc, bn = pose_at(segment, other_p, other_s + t * other_v)
        if touch(ax, ay, ac, an, bx, by, bc, bn):
            return t
        t += DT
    return math.inf


@kernel
def _within(enter, leave, r, v):
    """When a car at constant speed is in a zone: from, to [s]; both infinity if it never is."""
    if r > leave:
        return math.inf, math.inf
    if r >= enter:
        return 0.0, (leave - r) / v if v > 1e-3 else math.inf
    if v <= 1e-3:
        return math.inf, math.inf
    return (enter - r) / v, (leave - r) / v


@kernel
def watch(roads, car, status, leg, route, n_agents, urgent, cost, totals):
    """Adds 1 to cost (B, V) of those whose time to collision is below `RISKY`.

    `urgent` (V,) is room for the time to collision of each.
    """
    leg_crossing, leg_movement, leg_line = roads.leg_crossing, roads.leg_movement, roads.leg_line
    kind, enter, leave = roads.kind, roads.enter, roads.leave
    n = status.shape[1]
    for b in range(status.shape[0]):
        urgent[:] = math.inf
        for i in range(n):
            if status[b, i] != DRIVING:
                continue
            j, gap = leader_of(roads, car, status, leg, route, b, i)
            if j >= 0 and car[b, i, SPEED] > car[b, j, SPEED]:
                t = max(gap, 0.0) / (car[b, i, SPEED] - car[b, j, SPEED])
                urgent[i], urgent[j] = min(urgent[i], t), min(urgent[j], t)
            p, q = route[b, i], leg[b, i]
            crossing, mine = leg_crossing[p, q], leg_movement[p, q]
            r, v = car[b, i, POSITION] - leg_line[p, q], car[b, i, SPEED]
            for j in range(i):
                if status[b, j] != DRIVING:
                    continue
                op, oq = route[b, j], leg[b, j]
                its = leg_movement[op, oq]
                if leg_crossing[op, oq] != crossing or not in_the_way(kind[mine, its]):
                    continue
                w = car[b, j, SPEED]
                begin, end = _within(enter[mine, its], leave[mine, its], r, v)
                its_begin, its_end = _within(
                    enter[its, mine], leave[its, mine], car[b, j, POSITION] - leg_line[op, oq], w
                )
                begin, end = max(begin, its_begin), min(min(end, its_end), TTC_HORIZON)
                if begin <= end:
                    t = _time_to_touch(roads, p, car[b, i, POSITION], v, op, car[b, j, POSITION], w, begin, end)
                    urgent[i], urgent[j] = min(urgent[i], t), min(urgent[j], t)
        for i in range(n):
            if urgent[i] < RISKY:
                cost[b, i] += 1.0
            if i < n_agents:
                totals[b, LEAST_TTC] = min(totals[b, LEAST_TTC], urgent[i])


@kernel
def encroach(roads, old, car, status_before, status, leg_before, route, step, n_agents, left, totals):
    """Keeps who left a shared zone when, and the least time until another came in."""
    leg_crossing, leg_movement, leg_line = roads.leg_crossing, roads.leg_movement, roads.leg_line
    kind, enter, leave = roads.kind, roads.enter, roads.leave
    n = status.shape[1]
    for b in range(status.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(n):
            if status_before[b, i] != DRIVING or status[b, i] == CRASHED:
                continue
            p, q = route[b, i], leg_before[b, i]
            crossing, mine = leg_crossing[p, q], leg_movement[p, q]
            r, r_after = old[b, i, POSITION] - leg_line[p, q], car[b, i, POSITION] - leg_line[p, q]
            for j in range(n):
                if j == i or (i >= n_agents and j >= n_agents):
                    continue
                if status_before[b, j] != DRIVING or status[b, j] == CRASHED:
                    continue
                op, oq = route[b, j], leg_before[b, j]
                its = leg_movement[op, oq]
                if leg_crossing[op, oq] != crossing or kind[mine, its] != CROSS:
                    continue
                o, o_after = old[b, j, POSITION] - leg_line[op, oq], car[b, j, POSITION] - leg_line[op, oq]
                # i leaves before j, which has not come in yet.
                after = _passes(leave[mine, its], r, r_after)
                if after >= 0.0 and o < enter[its, mine]:
                    left[b, i, j] = clock + after
                    coming = _passes(enter[its, mine], o, o_after)
                    if coming >= 0.0:
                        totals[b, LEAST_PET] = min(totals[b, LEAST_PET], max(coming - after, 0.0))
                        left[b, i, j] = NOTHING
                elif _passes(enter[its, mine], o, o_after) >= 0.0 and enter[mine, its] <= r < leave[mine, its]:
                    totals[b, LEAST_PET] = 0.0
        # Who left earlier may have gone on to another crossing, or off the road.
        for j in range(n):
            if status_before[b, j] != DRIVING or status[b, j] == CRASHED:
                continue
            op, oq = route[b, j], leg_before[b, j]
            its = leg_movement[op, oq]
            o, o_after = old[b, j, POSITION] - leg_line[op, oq], car[b, j, POSITION] - leg_line[op, oq]
            for i in range(n):
                if left[b, i, j] == NOTHING:
                    continue
                at = -1
                for k in range(roads.n_legs[route[b, i]]):
                    if leg_crossing[route[b, i], k] == leg_crossing[op, oq]:
                        at = k
                if at < 0:
                    continue
                mine = leg_movement[route[b, i], at]
                coming = _passes(enter[its, mine], o, o_after)
                if kind[mine, its] == CROSS and coming >= 0.0:
                    totals[b, LEAST_PET] = min(totals[b, LEAST_PET], clock + coming - left[b, i, j])
                    left[b, i, j] = NOTHING


@kernel
def wait(car, status, n_agents, totals):
    """Keeps the longest wait."""
    for b in range(status.shape[0]):
        for i in range(n_agents):
            totals[b, LONGEST_WAIT] = max(totals[b, LONGEST_WAIT], car[b, i, STOOD])
