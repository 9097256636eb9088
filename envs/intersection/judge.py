"""Kernels that judge a control step: rewards, costs, and the sums behind the metrics.

*Time to collision* (TTC) [s] is the time until two boxes touch if both cars go on along their paths at their present
speeds; it is looked for every 0.1 s up to `TTC_HORIZON`. Behind another car on the same lane it is the gap over the
closing speed. *Post-encroachment time* (PET) [s] is the time from one car's leaving the zone that two crossing paths
share to the other's entering it (Allen, Shin and Cooper 1978); it is 0 when one enters before the other has left. A
crash counts as 0 of both.

Axes: B worlds, V vehicles, X crossings, M movements. `before` and `after` are the `State`s around the step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import inlined, kernel
from ..roads.cars import CAR_LENGTH
from ..roads.crossing import CROSS
from .config import DECELERATION, Config
from .motion import DT, touch
from .network import CROSSING, ENTER, KIND, LEAVE, LINE, MOVEMENT
from .spots import N_SPOT, ON_MOVEMENT, PAST_LINE, leader_of, locate, pose_at, shares_zone
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
    NEVER,
    OPENS,
    PENDING,
    POSITION,
    SPEED,
    STOOD,
    TTC_HORIZON,
)

RISKY = 1.5
"""A time to collision below this adds cost [s]."""
LENIENCE = 0.5
"""An announced window may be missed by this much [s]."""


class Weights(NamedTuple):
    """The weights of the rewards, and all else that judging needs of a `Config`."""

    progress: float
    time: float
    comfort: float
    leaving: float
    crash: float
    emergency: float
    declared: bool
    n_agents: int


class Outcome(NamedTuple):
    """The rewards and costs of a control step."""

    reward: Array  # (B, V), zeros before
    cost: Array  # (B, V), zeros before
    team_reward: Array  # (B,)


def weights_of(config: Config) -> Weights:
    """Returns the weights of a configuration."""
    return Weights(
        progress=float(config.progress_reward),
        time=float(config.time_charge),
        comfort=float(config.comfort_charge),
        leaving=float(config.exit_reward),
        crash=float(config.crash_charge),
        emergency=float(config.emergency_weight),
        declared=config.intent == "declared",
        n_agents=config.n_vehicles,
    )


@kernel
def reward_vehicles(weights, length, before, after, reward):
    """Fills reward (B, V), zeros before."""
    for b in range(reward.shape[0]):
        for i in range(reward.shape[1]):
            reward[b, i] = reward_vehicle(weights, length, before, after, b, i)


@inlined
def reward_vehicle(weights, length, before, after, b, i):
    """Returns the reward of vehicle i of world b; 0 if it was not on the road."""
    if before.status[b, i] != DRIVING:
        return 0.0
    car, status, whole = after.car, after.status, length[after.route[b, i]]
    gone = (min(car[b, i, POSITION], whole) - before.car[b, i, POSITION]) / whole
    urgency = weights.emergency if after.emergency[b, i] else 1.0
    effort = car[b, i, ACCELERATED] / DECELERATION
    earned = weights.progress * gone - weights.time * CONTROL_STEP * urgency - weights.comfort * effort * effort
    if status[b, i] == ARRIVED:
        earned += weights.leaving
    elif status[b, i] == CRASHED:
        earned -= weights.crash * urgency
    return earned


@kernel
def reward_team(weights, after, reward, team_reward):
    """Fills team_reward (B,): the agents' rewards less the time charge of those that wait outside.

    An agent that is due and has found no room when the step ends will lose the next step.
    """
    step = after.step
    for b in range(len(step)):
        team_reward[b] = reward_world(weights, after, reward, b, step[b] * CONTROL_STEP)


@inlined
def reward_world(weights, after, reward, b, clock):
    """Returns the team's reward in world b, see `reward_team`, at the end of a step [s]."""
    car, status, whole = after.car, after.status, 0.0
    for i in range(weights.n_agents):
        whole += reward[b, i]
        if status[b, i] == PENDING and car[b, i, DUE] <= clock:
            whole -= weights.time * CONTROL_STEP * (weights.emergency if after.emergency[b, i] else 1.0)
    return whole


@kernel
def _time_of_passing(mark, before, after):
    """Returns when within a control step a car passes a mark [s]; negative if not in this step."""
    if before < mark <= after:
        return CONTROL_STEP * (mark - before) / (after - before)
    return -1.0


@kernel
def check_announcements(n_agents, leg, before, after, cost):
    """Adds 1 to cost (B, V) of cars that passed their stop line outside their announced windows, and counts both."""
    car, old, status_before, legs_before = after.car, before.car, before.status, before.leg
    route, totals, step = after.route, after.totals, before.step
    for b in range(status_before.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(status_before.shape[1]):
            if status_before[b, i] != DRIVING or car[b, i, OPENS] == NEVER:
                continue
            front = 0.5 * CAR_LENGTH - leg[route[b, i], legs_before[b, i], LINE]
            passed = _time_of_passing(0.0, old[b, i, POSITION] + front, car[b, i, POSITION] + front)
            if passed < 0.0:
                continue
            broken = clock + passed < car[b, i, OPENS] - LENIENCE or clock + passed > car[b, i, CLOSES] + LENIENCE
            if broken:
                cost[b, i] += 1.0
            if i < n_agents:
                totals[b, BROKEN if broken else KEPT] += 1.0


@kernel
def _time_in_zone(enter, leave, r, v):
    """Returns from when to when a car at r, of constant speed v, is in a zone [s]; infinity twice if it never is."""
    if r > leave:
        return math.inf, math.inf
    if r >= enter:
        return 0.0, (leave - r) / v if v > 1e-3 else math.inf
    if v <= 1e-3:
        return math.inf, math.inf
    return (enter - r) / v, (leave - r) / v


@kernel
def _time_to_touch(segment, p, s, v, other_p, other_s, other_v, begin, end):
    """Returns when two cars of constant speeds touch, between begin and end [s]; infinity if they do not."""
    t = begin
    while t <= end:
        ax, ay, ac, an = pose_at(segment, p, s + t * v)
        bx, by, bc, bn = pose_at(segment, other_p, other_s + t * other_v)
        if touch(ax, ay, ac, an, bx, by, bc, bn):
            return t
        t += DT
    return math.inf


@kernel
def _crossing_ttc(segment, zone, car, route, spot, b, i, j):
    """Returns the time to collision of two cars whose movements share a zone [s]; infinity beyond the horizon."""
    own, other = int(spot[i, ON_MOVEMENT]), int(spot[j, ON_MOVEMENT])
    v, w = car[b, i, SPEED], car[b, j, SPEED]
    begin, end = _time_in_zone(zone[own, other, ENTER], zone[own, other, LEAVE], spot[i, PAST_LINE], v)
    others_begin, others_end = _time_in_zone(zone[other, own, ENTER], zone[other, own, LEAVE], spot[j, PAST_LINE], w)
    begin, end = max(begin, others_begin), min(end, others_end)
    if begin > end or begin >= TTC_HORIZON:
        return math.inf
    end = min(end, TTC_HORIZON)
    return _time_to_touch(segment, route[b, i], car[b, i, POSITION], v, route[b, j], car[b, j, POSITION], w, begin, end)


@kernel
def measure_ttc(n_agents, net, after, cost):
    """Adds 1 to cost (B, V) of cars whose time to collision is below `RISKY`, and keeps the agents' least ones."""
    leg, stretch, zone, section_start, segment = net.leg, net.stretch, net.zone, net.section_start, net.segment
    car, status, legs, route, totals = after.car, after.status, after.leg, after.route, after.totals
    n = status.shape[1]
    spot, ttc, index = np.empty((n, N_SPOT)), np.empty(n), np.empty(n, np.int64)
    for b in range(status.shape[0]):
        there = locate(leg, stretch, car, status, legs, route, b, spot, index)
        for i in there:
            ttc[i] = math.inf
        for m, i in enumerate(there):
            j, far = leader_of(section_start, zone, spot, there, route[b, i], car[b, i, POSITION], i)
            if j >= 0 and car[b, i, SPEED] > car[b, j, SPEED]:
                t = max(far - CAR_LENGTH, 0.0) / (car[b, i, SPEED] - car[b, j, SPEED])
                ttc[i], ttc[j] = min(ttc[i], t), min(ttc[j], t)
            for j in there[:m]:
                if shares_zone(zone, spot, i, j):
                    t = _crossing_ttc(segment, zone, car, route, spot, b, i, j)
                    ttc[i], ttc[j] = min(ttc[i], t), min(ttc[j], t)
        for i in there:
            if ttc[i] < RISKY:
                cost[b, i] += 1.0
            if i < n_agents:
                totals[b, LEAST_TTC] = min(totals[b, LEAST_TTC], ttc[i])


@kernel
def count_crashes(n_agents, net, before, after, cost):
    """Adds 1 to cost (B, V) of cars that crashed in the step, whose time to collision is 0."""
    segment, leg, zone, car, route, totals = net.segment, net.leg, net.zone, after.car, after.route, after.totals
    status, status_before, legs_before = after.status, before.status, before.leg
    for b in range(status.shape[0]):
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
                crashed = status_before[b, j] == DRIVING and status[b, j] == CRASHED
                if not crashed or leg[p, q, CROSSING] != leg[o, k, CROSSING]:
                    continue
                kind = zone[int(leg[p, q, MOVEMENT]), int(leg[o, k, MOVEMENT]), KIND]
                others_x, others_y, others_c, others_s = pose_at(segment, o, car[b, j, POSITION])
                if kind == CROSS and touch(x, y, c, s, others_x, others_y, others_c, others_s):
                    totals[b, LEAST_PET] = 0.0


@kernel
def measure_pet(n_agents, net, before, after):
    """Keeps when cars left the zones of crossing paths, and the least time until another car entered one."""
    leg, zone, totals, n_cars = net.leg, net.zone, after.totals, after.status.shape[1]
    car, old, status, status_before = after.car, before.car, after.status, before.status
    legs, route, left, step = before.leg, after.route, after.left, before.step
    for b in range(status.shape[0]):
        clock = step[b] * CONTROL_STEP
        for i in range(n_cars):
            p, q = route[b, i], legs[b, i]
            r, r_after = old[b, i, POSITION] - leg[p, q, LINE], car[b, i, POSITION] - leg[p, q, LINE]
            # All zones lie beyond where fronts pass the line.
            if status_before[b, i] != DRIVING or status[b, i] == CRASHED or r_after <= -0.5 * CAR_LENGTH:
                continue
            own, crossing, kind = int(leg[p, q, MOVEMENT]), int(leg[p, q, CROSSING]), 0 if i < n_agents else 1
            for other in range(len(zone)):
                if zone[own, other, KIND] != CROSS:
                    continue
                passed = _time_of_passing(zone[own, other, LEAVE], r, r_after)
                if passed >= 0.0:
                    left[b, kind, crossing, own, other] = clock + passed
        for j in range(n_cars):
            p, q = route[b, j], legs[b, j]
            r, r_after = old[b, j, POSITION] - leg[p, q, LINE], car[b, j, POSITION] - leg[p, q, LINE]
            if status_before[b, j] != DRIVING or status[b, j] == CRASHED or r_after <= -0.5 * CAR_LENGTH:
                continue
            own, crossing = int(leg[p, q, MOVEMENT]), int(leg[p, q, CROSSING])
            # Encounters between two scripted cars do not count.
            n_kinds, n_others = (left.shape[1], n_cars) if j < n_agents else (1, n_agents)
            for other in range(len(zone)):
                if zone[other, own, KIND] != CROSS:
                    continue
                entered = _time_of_passing(zone[own, other, ENTER], r, r_after)
                if entered >= 0.0:
                    occupied = _is_occupied(net, before, after, b, n_others, crossing, other, own)
                    since = _time_since(left, b, n_kinds, crossing, other, own, clock + entered)
                    totals[b, LEAST_PET] = min(totals[b, LEAST_PET], 0.0 if occupied else since)


@kernel
def _time_since(left, b, n_kinds, crossing, other, own, now):
    """Returns the time since a car on the other movement left the zone that it shares with one's own [s]."""
    least = math.inf
    for kind in range(n_kinds):
        least = min(least, max(now - left[b, kind, crossing, other, own], 0.0))
    return least


@kernel
def _is_occupied(net, before, after, b, n_others, crossing, other, own):
    """Returns whether one of the first n_others cars was in the zone, on the other movement, as the step began."""
    leg, zone, old, route, legs = net.leg, net.zone, before.car, after.route, before.leg
    for i in range(n_others):
        p, q = route[b, i], legs[b, i]
        if before.status[b, i] != DRIVING or after.status[b, i] == CRASHED:
            continue
        if leg[p, q, CROSSING] == crossing and leg[p, q, MOVEMENT] == other:
            r = old[b, i, POSITION] - leg[p, q, LINE]
            if zone[other, own, ENTER] <= r < zone[other, own, LEAVE]:
                return True
    return False


@kernel
def judge(weights, net, before, after, outcome):
    """Judges a control step; the team's reward comes after the entries that follow it, from `reward_team`.

    Args:
        weights: The `Weights`.
        net: The `Network`.
        before: The `State` before the step.
        after: The `State` after it; `totals` and `left` are written.
        outcome: The `Outcome`, of which reward and cost are written.
    """
    n_agents, cost = weights.n_agents, outcome.cost
    reward_vehicles(weights, net.length, before, after, outcome.reward)
    if weights.declared:
        check_announcements(n_agents, net.leg, before, after, cost)
    measure_pet(n_agents, net, before, after)
    count_crashes(n_agents, net, before, after, cost)
    measure_ttc(n_agents, net, after, cost)
    car, totals = after.car, after.totals
    for b in range(len(totals)):
        for i in range(n_agents):
            totals[b, LONGEST_WAIT] = max(totals[b, LONGEST_WAIT], car[b, i, STOOD])
