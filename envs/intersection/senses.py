"""Kernels for what vehicles sense, whom they hear, and what a centralised critic sees.

Axes: B worlds, N agents, V vehicles, K observed conflicts, C conflict points. Observations are laid out as the
package's docstring lists them; the constants below are the one place where the layout is written in code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .config import DECELERATION, LENGTH, Config
from .roads import (
    CROSS,
    ENTER,
    GUESS,
    HEADING,
    KIND,
    LEAVE,
    LEFT,
    LIMIT,
    MERGE,
    RIGHT,
    STRAIGHT,
    TURN,
    Roads,
    half_side,
)
from .spots import AT, N_SPOT, REST, WAY, leader_of, locate, pose_at, profile_at, reach_time
from .state import (
    ACCELERATED,
    ANNOUNCED,
    BID,
    CLOSES,
    CONTROL_STEP,
    DUE,
    NOTHING,
    OPENS,
    PENDING,
    POSITION,
    SENT,
    SENT_ACCELERATION,
    SENT_POSITION,
    SENT_SPEED,
    SPEED,
    STOOD,
)

OWN = 20
"""Entries about the vehicle itself."""
POINTS = 4
"""Conflict points ahead that are told."""
PER_CONFLICT = 16
STATE_PER_VEHICLE = 16
NEAR, SOON = 10.0, 3.0
"""Distances d [m] are shown as d / (|d| + NEAR), times t [s] as t / (|t| + SOON)."""
CREEP = 0.5
"""Arrival times assume at least this speed [m/s]."""
OLD = 5.0
"""Ages of messages are shown over this [s]."""
UNKNOWN, SHARED, DECLARED = range(3)
"""Kinds of intent."""


class Senses(NamedTuple):
    """What the kernels need of a `Config`, as plain numbers."""

    n_agents: int
    n_conflicts: int
    sensing_range: float
    comm_range: float
    silent: bool  # nobody is heard: scripted cars cannot be, so whoever is not would be known for one
    intent: int
    speed_limit: float
    max_steps: int
    middle_x: float
    middle_y: float
    extent: float


def senses_of(config: Config, roads: Roads) -> Senses:
    """The numbers of a configuration."""
    low, high = roads.centre.min(axis=0), roads.centre.max(axis=0)
    reach = half_side(config.lanes) + max(config.approach, config.exit_length)
    return Senses(
        n_agents=config.n_vehicles,
        n_conflicts=config.n_conflicts,
        sensing_range=float(config.sensing_range),
        comm_range=float(config.comm_range),
        silent=config.n_liars > 0,
        intent={"none": UNKNOWN, "shared": SHARED, "declared": DECLARED}[config.intent],
        speed_limit=float(config.speed_limit),
        max_steps=config.max_steps,
        middle_x=float(0.5 * (low[0] + high[0])),
        middle_y=float(0.5 * (low[1] + high[1])),
        extent=float(0.5 * (high - low).max() + reach + 1.0),
    )


def obs_size(senses: Senses) -> int:
    """O."""
    return OWN + POINTS + PER_CONFLICT * senses.n_conflicts


def state_size(n_vehicles: int) -> int:
    """S."""
    return STATE_PER_VEHICLE * n_vehicles + 1


@kernel
def _clip(value):
    return min(max(value, -1.0), 1.0)


@kernel
def _soft(value, scale):
    """A number without bounds as one from -1 to 1, finer near zero."""
    if value > 1e6:
        return 1.0
    if value < -1e5:
        return -1.0
    return value / (abs(value) + scale)


@kernel
def places(segment, car, route, there, b, out):
    """Fills out (V, 4): x, y, cos, sin of those on the road."""
    for i in there:
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = pose_at(segment, route[b, i], car[b, i, POSITION])


@kernel
def expected(zone, spot, i, j, told):
    """The movement of j that i must reckon with, -1 if none is in its way: j's own if known, else the worst.

    How a car turns shows once its middle has passed the stop line.
    """
    if spot[i, AT] != spot[j, AT]:
        return -1
    mine, its = int(spot[i, WAY]), int(spot[j, WAY])
    if not told and spot[j, REST] < 0.0:
        its = int(zone[mine, its, GUESS])
        if its < 0:
            return -1
    kind = zone[mine, its, KIND]
    if kind not in (CROSS, MERGE) or spot[i, REST] > zone[mine, its, LEAVE] or spot[j, REST] > zone[its, mine, LEAVE]:
        return -1
    return its


@kernel
def _observe_own(
    senses, length, n_legs, profile, where, zone, way, point, car, legs, route, emergency, spot, there, b, i, now, out,
    at,
):  # fmt: skip
    p, s, v = route[b, i], car[b, i, POSITION], car[b, i, SPEED]
    mine, r = int(spot[i, WAY]), spot[i, REST]
    to_line, turn = -r - 0.5 * LENGTH, way[mine, TURN]
    out[at] = _clip(v / senses.speed_limit)
    out[at + 1] = _clip(profile_at(profile, p, s, LIMIT) / senses.speed_limit)
    out[at + 2] = _clip(car[b, i, ACCELERATED] / DECELERATION)
    out[at + 3] = _soft(to_line, NEAR)
    out[at + 4] = 1.0 if turn == LEFT else 0.0
    out[at + 5] = 1.0 if turn == STRAIGHT else 0.0
    out[at + 6] = 1.0 if turn == RIGHT else 0.0
    out[at + 7] = 1.0 if to_line < 0.0 else 0.0
    out[at + 8] = _soft(length[p] - s, NEAR)
    out[at + 9] = 1.0
    j, far = leader_of(where, zone, spot, there, p, s, i)
    if j >= 0 and far <= senses.sensing_range:
        out[at + 9] = _soft(far - LENGTH, NEAR)
        out[at + 10] = _clip((car[b, j, SPEED] - v) / senses.speed_limit)
        out[at + 11] = 1.0
    out[at + 12] = _soft(car[b, i, STOOD], SOON)
    out[at + 13] = 1.0 if emergency[b, i] else 0.0
    # What of the room to the line braking needs: at 1 it is too late to stop.
    out[at + 14] = 1.0 if to_line <= 0.0 else min(v * v / (2.0 * DECELERATION * to_line), 1.0)
    out[at + 15] = way[mine, HEADING] % 2
    out[at + 16] = 1.0 if legs[b, i] + 1 < n_legs[p] else 0.0
    if car[b, i, OPENS] != NOTHING:
        out[at + 17] = _soft(car[b, i, OPENS] - now, SOON)
        out[at + 18] = _soft(car[b, i, CLOSES] - now, SOON)
        out[at + 19] = car[b, i, BID]
    k = 0
    for c in range(point.shape[1]):
        if k < POINTS and r <= point[mine, c] < 1e6:
            out[at + OWN + k] = _soft(point[mine, c] - r, NEAR)
            k += 1
    while k < POINTS:
        out[at + OWN + k] = 1.0
        k += 1


@kernel
def _observe_conflict(senses, profile, zone, way, car, route, emergency, spot, b, i, j, its, told, now, out, at):
    mine, r, o = int(spot[i, WAY]), spot[i, REST], spot[j, REST]
    v, w = car[b, i, SPEED], car[b, j, SPEED]
    to_zone, its_way = zone[mine, its, ENTER] - r, zone[its, mine, ENTER] - o
    arrive, its_arrival = max(to_zone, 0.0) / max(v, CREEP), max(its_way, 0.0) / max(w, CREEP)
    out[at] = 1.0
    out[at + 1] = _soft(to_zone, NEAR)
    out[at + 2] = _soft(its_way, NEAR)
    out[at + 3] = _soft(zone[its, mine, LEAVE] - o, NEAR)
    out[at + 4] = _soft(arrive, SOON)
    out[at + 5] = _soft(its_arrival, SOON)
    out[at + 6] = _clip(w / senses.speed_limit)
    out[at + 7] = _clip((arrive - its_arrival) / OLD)
    out[at + 8] = 1.0 if zone[mine, its, KIND] == MERGE else -1.0
    # Where it comes from: 1 my right, -1 my left, 0 the other side.
    side = (way[its, HEADING] - way[mine, HEADING]) % 4
    out[at + 9] = 1.0 if side == 1 else -1.0 if side == 3 else 0.0
    out[at + 10] = 1.0 if emergency[b, j] else 0.0
    if not told:
        return
    out[at + 11] = 1.0
    if senses.intent == DECLARED and car[b, j, OPENS] != NOTHING:
        out[at + 12] = _soft(car[b, j, OPENS] - now, SOON)
        out[at + 13] = _soft(car[b, j, CLOSES] - now, SOON)
        out[at + 14] = min((now - car[b, j, ANNOUNCED]) / OLD, 1.0)
        out[at + 15] = car[b, j, BID]
    elif senses.intent == SHARED:
        sent, u, a = car[b, j, SENT], car[b, j, SENT_SPEED], car[b, j, SENT_ACCELERATION]
        begin = zone[its, mine, ENTER] + car[b, j, POSITION] - o  # on its route
        top = profile_at(profile, route[b, j], begin, LIMIT)
        far = begin - car[b, j, SENT_POSITION]
        out[at + 12] = _soft(sent + reach_time(far, u, a, top) - now, SOON)
        far += zone[its, mine, LEAVE] - zone[its, mine, ENTER]
        out[at + 13] = _soft(sent + reach_time(far, u, a, top) - now, SOON)
        out[at + 14] = min((now - sent) / OLD, 1.0)


@kernel
def _survey(senses, length, way, car, route, emergency, spot, b, i, now, x, out, at):
    turn = way[int(spot[i, WAY]), TURN]
    out[at] = 1.0
    out[at + 1] = _clip((x[i, 0] - senses.middle_x) / senses.extent)
    out[at + 2] = _clip((x[i, 1] - senses.middle_y) / senses.extent)
    out[at + 3], out[at + 4] = _clip(x[i, 2]), _clip(x[i, 3])
    out[at + 5] = _clip(car[b, i, SPEED] / senses.speed_limit)
    out[at + 6] = _clip(car[b, i, ACCELERATED] / DECELERATION)
    out[at + 7] = _soft(-spot[i, REST] - 0.5 * LENGTH, NEAR)
    out[at + 8] = 1.0 if turn == LEFT else 0.0
    out[at + 9] = 1.0 if turn == RIGHT else 0.0
    out[at + 10] = _soft(length[route[b, i]] - car[b, i, POSITION], NEAR)
    out[at + 11] = 1.0 if emergency[b, i] else 0.0
    out[at + 12] = _soft(car[b, i, STOOD], SOON)
    if car[b, i, OPENS] != NOTHING:
        out[at + 13] = _soft(car[b, i, OPENS] - now, SOON)
        out[at + 14] = car[b, i, BID]
    out[at + 15] = 1.0 if i >= senses.n_agents else 0.0


@kernel
def sense(senses, roads, car, status, legs, route, emergency, step, obs, adjacency, overview):
    """Everything seen and heard, in one call, for each call has its price.

    Args:
        senses: The `Senses`.
        roads: The `Roads`.
        car: (B, V, N_CAR).
        status: (B, V).
        legs: (B, V).
        route: (B, V).
        emergency: (B, V).
        step: (B,).
        obs: (B, N, O) float32 zeros, written; those of who is not on the road stay zero.
        adjacency: (B, N, N) False, written: in range, with a zone to share ahead of both as far as i knows; all
            remain False where there are scripted cars.
        overview: (B, S) float32 zeros, written.
    """
    length, n_legs, profile, leg, stretch = roads.length, roads.n_legs, roads.profile, roads.leg, roads.stretch
    where, zone, way, point, segment = roads.where, roads.zone, roads.way, roads.point, roads.segment
    n, hearing, seeing = status.shape[1], senses.comm_range**2, senses.sensing_range**2
    x, spot, when = np.empty((n, 4)), np.empty((n, N_SPOT)), np.empty(n)
    chosen, whose, hears = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.bool_)
    road = np.empty(n, np.int64)
    sights, surveyed = obs.reshape(-1), overview.reshape(-1)  # a view of a row costs more than what is put into it
    for b in range(status.shape[0]):
        now = step[b] * CONTROL_STEP
        there = locate(leg, stretch, car, status, legs, route, b, spot, road)
        places(segment, car, route, there, b, x)
        for i in there:
            if i >= senses.n_agents:
                break
            _observe_own(
                senses, length, n_legs, profile, where, zone, way, point, car, legs, route, emergency, spot, there, b,
                i, now, sights, (b * senses.n_agents + i) * obs.shape[2],
            )  # fmt: skip
            found = 0
            for j in there:
                if j == i or spot[j, AT] != spot[i, AT]:
                    continue
                far = (x[j, 0] - x[i, 0]) ** 2 + (x[j, 1] - x[i, 1]) ** 2
                told = far <= hearing and senses.intent != UNKNOWN
                its = expected(zone, spot, i, j, told)
                if its < 0:
                    continue
                if not senses.silent:  # then all cars are agents
                    adjacency[b, i, j] = far <= hearing
                if far > seeing:
                    continue
                to_zone = zone[its, int(spot[i, WAY]), ENTER] - spot[j, REST]
                t, k = to_zone / max(car[b, j, SPEED], CREEP), found  # the first to arrive first
                while k > 0 and when[k - 1] > t:  # insertion sort: they are few
                    when[k], chosen[k], whose[k], hears[k] = when[k - 1], chosen[k - 1], whose[k - 1], hears[k - 1]
                    k -= 1
                when[k], chosen[k], whose[k], hears[k] = t, j, its, told
                found += 1
            at = (b * senses.n_agents + i) * obs.shape[2] + OWN + POINTS
            for k in range(min(found, senses.n_conflicts)):
                _observe_conflict(
                    senses, profile, zone, way, car, route, emergency, spot, b, i, chosen[k], whose[k],
                    hears[k], now, sights, at,
                )  # fmt: skip
                at += PER_CONFLICT
        for i in there:
            at = b * overview.shape[1] + STATE_PER_VEHICLE * i
            _survey(senses, length, way, car, route, emergency, spot, b, i, now, x, surveyed, at)
        for i in range(n):
            if status[b, i] == PENDING:
                overview[b, STATE_PER_VEHICLE * i] = -1.0
                overview[b, STATE_PER_VEHICLE * i + 1] = _soft(max(car[b, i, DUE] - now, 0.0), SOON)
        overview[b, STATE_PER_VEHICLE * n] = min(step[b] / senses.max_steps, 1.0)
