"""Kernels for what a control step is worth: rewards, costs, and the sums behind the metrics.

*Time to collision* [s] is what is left until two boxes touch if both go on along their paths at their present speeds,
looked for every 0.1 s up to `TTC_HORIZON`; behind another car on the same lane it is the gap over the closing speed.
*Post-encroachment time* [s] is from one car's leaving the zone that two crossing paths share to the other's entering
it (Allen, Shin and Cooper 1978); 0 when one enters before the other has left. A crash is 0 of both.

Axes: B worlds, V vehicles, X crossings, M movements. Arrays are those of `State` and `Roads`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .config import DECELERATION, LENGTH
from .motion import DT, admit, touch
from .roads import CROSS, CROSSING, ENTER, KIND, LEAVE, LINE, MOVEMENT
from .spots import N_SPOT, REST, WAY, leader_of, locate, pose_at, shares_zone
from .state import (
    ACCELERATED,
    ARRIVED,
    BROKEN,
    CLOSES,
    CONTROL_STEP,
    CRASHED,
    DRIVING,
    DUE,
    KEPT,
    LEAST_PET,
    LEAST_TTC,
    LONGEST_WAIT,
    NOTHING,
    OPENS,
    PENDING,
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
    n_agents: int


@kernel
def pay(prices, length, old, car, status_before, status, route, emergency, reward):
    """Fills reward (B, V), zeros before."""
    for b in range(status.shape[0]):
        for i in range(status.shape[1]):
            if status_before[b, i] != DRIVING:
                continue
            whole = length[route[b, i]]
            gone = (min(car[b, i, POSITION], whole) - old[b, i, POSITION]) / whole
            hurry = prices.emergency if emergency[b, i] else 1.0
            effort = car[b, i, ACCELERATED] / DECELERATION
            earned = prices.progress * gone - prices.time * CONTROL_STEP * hurry - prices.comfort * effort * effort
            if status[b, i] == ARRIVED:
                earned += prices.leaving
            elif status[b, i] == CRASHED:
                earned -= prices.crash * hurry
            reward[b, i] = earned


@kernel
def pay_team(prices, car, status, step, emergency, reward, team_reward):
    """Fills team_reward (B,): the agents' rewards less what the time of those who wait outside costs.

    An agent that is due and has found no room as the step ends will lose the next one.
    """
    for b in range(status.shape[0]):
        clock, whole = step[b] * CONTROL_STEP, 0.0
        for i in range(prices.n_agents):
            whole += reward[b, i]
            if status[b, i] == PENDING and car[b, i, DUE] <= clock:
                whole -= prices.time * CONTROL_STEP * (prices.emergency if emergency[b, i] else 1.0)
        team_reward[b] = whole


@kernel
def _passes(mark, before, after):
    """When within a control step a mark is passed [s]; negative if not in this one."""
    if before < mark <= after:
        return CONTROL_STEP * (mark - before) / (after - before)
    return -1.0


@kernel
def keep_words(prices, leg, old, car, status_before, legs_before, route, clock, b, cost, totals):
    """Adds to cost (B, V) the breaches of announced windows, by those who passed their stop line."""
    for i in range(status_before.shape[1]):
        if status_before[b, i] != DRIVING or car[b, i, OPENS] == NOTHING:
            continue
        front = 0.5 * LENGTH - leg[route[b, i], legs_before[b, i], LINE]
        after = _passes(0.0, old[b, i, POSITION] + front, car[b, i, POSITION] + front)
        if after < 0.0:
            continue
        broken = clock + after < car[b, i, OPENS] - LENIENCE or clock + after > car[b, i, CLOSES] + LENIENCE
        if broken:
            cost[b, i] += 1.0
        if i < prices.n_agents:
            totals[b, BROKEN if broken else KEPT] += 1.0


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
def _time_to_touch(segment, p, s, v, other_p, other_s, other_v, begin, end):
    """When two cars at constant speeds touch, from begin to end [s]; infinity if they do not."""
    t = begin
    while t <= end:
        ax, ay, ac, an = pose_at(segment, p, s + t * v)
        bx, by, bc, bn = pose_at(segment, other_p, other_s + t * other_v)
        if touch(ax, ay, ac, an, bx, by, bc, bn):
            return t
        t += DT
    return math.inf


@kernel
def watch(prices, segment, where, zone, car, route, b, spot, there, urgent, cost, totals):
    """Adds 1 to cost (B, V) of those whose time to collision is below `RISKY`; `urgent` (V,) is room for the times."""
    for i in there:
        urgent[i] = math.inf
    for m, i in enumerate(there):
        p, s, v = route[b, i], car[b, i, POSITION], car[b, i, SPEED]
        j, far = leader_of(where, zone, spot, there, p, s, i)
        if j >= 0 and v > car[b, j, SPEED]:
            t = max(far - LENGTH, 0.0) / (v - car[b, j, SPEED])
            urgent[i], urgent[j] = min(urgent[i], t), min(urgent[j], t)
        for j in there[:m]:
            if not shares_zone(zone, spot, i, j):
                continue
            mine, its = int(spot[i, WAY]), int(spot[j, WAY])
            w = car[b, j, SPEED]
            begin, end = _within(zone[mine, its, ENTER], zone[mine, its, LEAVE], spot[i, REST], v)
            its_begin, its_end = _within(zone[its, mine, ENTER], zone[its, mine, LEAVE], spot[j, REST], w)
            begin, end = max(begin, its_begin), min(end, its_end)
            if begin <= end and begin < TTC_HORIZON:
                end = min(end, TTC_HORIZON)
                t = _time_to_touch(segment, p, s, v, route[b, j], car[b, j, POSITION], w, begin, end)
                urgent[i], urgent[j] = min(urgent[i], t), min(urgent[j], t)
    for i in there:
        if urgent[i] < RISKY:
            cost[b, i] += 1.0
        if i < prices.n_agents:
            totals[b, LEAST_TTC] = min(totals[b, LEAST_TTC], urgent[i])


@kernel
def count_crashes(n_agents, segment, leg, zone, car, status_before, status, legs_before, route, b, cost, totals):
    """Adds 1 to cost (B, V) of those who crashed: no time was left to them."""
    for i in range(status.shape[1]):
        if status_before[b, i] != DRIVING or status[b, i] != CRASHED:
            continue
        cost[b, i] += 1.0
        if i < n_agents:
            totals[b, LEAST_TTC] = 0.0
        p, q = route[b, i], legs_before[b, i]
        x, y, c, s = pose_at(segment, p, car[b, i, POSITION])
        for j in range(min(i, n_agents)):
            o, k = route[b, j], legs_before[b, j]
            if status_before[b, j] != DRIVING or status[b, j] != CRASHED or leg[p, q, CROSSING] != leg[o, k, CROSSING]:
                continue
            kind = zone[int(leg[p, q, MOVEMENT]), int(leg[o, k, MOVEMENT]), KIND]
            its_x, its_y, its_c, its_s = pose_at(segment, o, car[b, j, POSITION])
            if kind == CROSS and touch(x, y, c, s, its_x, its_y, its_c, its_s):
                totals[b, LEAST_PET] = 0.0


@kernel
def encroach(n_agents, leg, zone, old, car, status_before, status, legs_before, route, clock, b, left, totals):
    """Keeps when shared zones were left, and the least time until another came in."""
    n, n_ways = status.shape[1], len(zone)
    for i in range(n):
        p, q = route[b, i], legs_before[b, i]
        r_after = car[b, i, POSITION] - leg[p, q, LINE]
        # All zones lie beyond where fronts pass the line.
        if status_before[b, i] != DRIVING or status[b, i] == CRASHED or r_after <= -0.5 * LENGTH:
            continue
        r, mine, crossing = old[b, i, POSITION] - leg[p, q, LINE], int(leg[p, q, MOVEMENT]), int(leg[p, q, CROSSING])
        for its in range(n_ways):
            if zone[mine, its, KIND] == CROSS:
                after = _passes(zone[mine, its, LEAVE], r, r_after)
                if after >= 0.0:
                    left[b, 0 if i < n_agents else 1, crossing, mine, its] = clock + after
    for j in range(n):
        op, oq = route[b, j], legs_before[b, j]
        o_after = car[b, j, POSITION] - leg[op, oq, LINE]
        if status_before[b, j] != DRIVING or status[b, j] == CRASHED or o_after <= -0.5 * LENGTH:
            continue
        o, its, crossing = (
            old[b, j, POSITION] - leg[op, oq, LINE],
            int(leg[op, oq, MOVEMENT]),
            int(leg[op, oq, CROSSING]),
        )
        for mine in range(n_ways):
            if zone[mine, its, KIND] != CROSS:
                continue
            coming = _passes(zone[its, mine, ENTER], o, o_after)
            if coming < 0.0:
                continue
            for who in range(left.shape[1] if j < n_agents else 1):  # of two scripted cars none is told
                since = clock + coming - left[b, who, crossing, mine, its]
                totals[b, LEAST_PET] = min(totals[b, LEAST_PET], max(since, 0.0))
            for i in range(n if j < n_agents else n_agents):
                p, q = route[b, i], legs_before[b, i]
                if status_before[b, i] != DRIVING or status[b, i] == CRASHED:
                    continue
                if leg[p, q, CROSSING] == crossing and leg[p, q, MOVEMENT] == mine:
                    r = old[b, i, POSITION] - leg[p, q, LINE]
                    if zone[mine, its, ENTER] <= r < zone[mine, its, LEAVE]:
                        totals[b, LEAST_PET] = 0.0


@kernel
def judge(
    prices, traffic, roads, old, status_before, legs_before, car, status, legs, left, totals, step, route, emergency,
    reward, cost, team_reward,
):  # fmt: skip
    """All of it, and the entries between a step and the next, in one call, for each call has its price.

    Args:
        prices: The `Prices`.
        traffic: The `motion.Traffic`.
        roads: The `Roads`.
        old: (B, V, N_CAR) before the step, as are the next two.
        status_before: (B, V).
        legs_before: (B, V).
        car: (B, V, N_CAR) after it, as are the next two; those who enter are written.
        status: (B, V).
        legs: (B, V).
        left: (B, 1 or 2, X, M, M), written.
        totals: (B, N_TOTALS), written.
        step: (B,) after it.
        route: (B, V).
        emergency: (B, V).
        reward: (B, V) zeros, written.
        cost: (B, V) zeros, written.
        team_reward: (B,), written.
    """
    leg, stretch, zone, where, segment = roads.leg, roads.stretch, roads.zone, roads.where, roads.segment
    n = status.shape[1]
    spot, urgent, road = np.empty((n, N_SPOT)), np.empty(n), np.empty(n, np.int64)
    pay(prices, roads.length, old, car, status_before, status, route, emergency, reward)
    for b in range(status.shape[0]):
        clock = (step[b] - 1) * CONTROL_STEP
        if prices.declared:
            keep_words(prices, leg, old, car, status_before, legs_before, route, clock, b, cost, totals)
        encroach(
            prices.n_agents, leg, zone, old, car, status_before, status, legs_before, route, clock, b, left, totals
        )  # fmt: skip
        count_crashes(
            prices.n_agents, segment, leg, zone, car, status_before, status, legs_before, route, b, cost, totals
        )
        there = locate(leg, stretch, car, status, legs, route, b, spot, road)
        watch(prices, segment, where, zone, car, route, b, spot, there, urgent, cost, totals)
        for i in range(prices.n_agents):
            totals[b, LONGEST_WAIT] = max(totals[b, LONGEST_WAIT], car[b, i, STOOD])
    admit(traffic, roads, car, status, legs, route, step)
    pay_team(prices, car, status, step, emergency, reward, team_reward)
