"""Kernels for what vehicles sense, whom they hear, and what a centralised critic sees.

Axes: B worlds, N agents, V vehicles, K observed conflicts, C conflict points. Observations are laid out as the
package's docstring lists them; the constants below are the one place where the layout is written in code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernels import kernel
from .config import DECELERATION, LENGTH, Config
from .motion import in_the_way, leader_of, limit_at, pose_at, reach_time
from .roads import LEFT, MERGE, RIGHT, STRAIGHT, Roads, half_side
from .state import (
    ACCELERATED,
    BID,
    CLOSES,
    CONTROL_STEP,
    DRIVING,
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

OWN = 21
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


def state_size(senses: Senses, n_vehicles: int) -> int:
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
def places(roads, car, status, route, b, out):
    """Fills out (V, 4): x, y, cos, sin of those on the road."""
    segment = roads.segment
    for i in range(status.shape[1]):
        if status[b, i] == DRIVING:
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = pose_at(segment, route[b, i], car[b, i, POSITION])


@kernel
def expected(roads, car, leg, route, b, i, j, told):
    """The movement of j that i must reckon with, -1 if none is in its way: j's own if known, else the worst."""
    p, q, op, oq = route[b, i], leg[b, i], route[b, j], leg[b, j]
    if roads.leg_crossing[p, q] != roads.leg_crossing[op, oq]:
        return -1
    mine, its = roads.leg_movement[p, q], roads.leg_movement[op, oq]
    if not told and car[b, j, POSITION] < roads.leg_line[op, oq]:
        its = roads.guess[mine, its]
        if its < 0:
            return -1
    if not in_the_way(roads.kind[mine, its]):
        return -1
    if car[b, i, POSITION] - roads.leg_line[p, q] > roads.leave[mine, its]:
        return -1
    if car[b, j, POSITION] - roads.leg_line[op, oq] > roads.leave[its, mine]:
        return -1
    return its


@kernel
def _observe_own(senses, roads, car, status, leg, route, emergency, b, i, now, out):
    p, q = route[b, i], leg[b, i]
    s, v = car[b, i, POSITION], car[b, i, SPEED]
    mine = roads.leg_movement[p, q]
    to_line = roads.leg_line[p, q] - 0.5 * LENGTH - s
    turn = roads.turn[mine]
    out[0] = _clip(v / senses.speed_limit)
    out[1] = _clip(limit_at(roads.limit, p, s) / senses.speed_limit)
    out[2] = _clip(car[b, i, ACCELERATED] / DECELERATION)
    out[3] = _soft(to_line, NEAR)
    out[4] = 1.0 if turn == LEFT else 0.0
    out[5] = 1.0 if turn == STRAIGHT else 0.0
    out[6] = 1.0 if turn == RIGHT else 0.0
    out[7] = 1.0 if to_line < 0.0 else 0.0
    out[8] = _soft(roads.length[p] - s, NEAR)
    out[9] = 1.0
    j, gap = leader_of(roads, car, status, leg, route, b, i)
    if j >= 0:
        out[9] = _soft(gap, NEAR)
        out[10] = _clip((car[b, j, SPEED] - v) / senses.speed_limit)
        out[11] = 1.0
    out[12] = _soft(car[b, i, STOOD], SOON)
    out[13] = 1.0 if emergency[b, i] else 0.0
    # What of the room to the line braking would need: above 1 it is too late to stop.
    out[14] = 1.0 if to_line <= 0.0 else min(v * v / (2.0 * DECELERATION * to_line), 1.0)
    out[15] = roads.heading[mine] % 2
    out[16] = _soft(now, 10.0 * SOON)
    out[17] = roads.n_legs[p] - q > 1
    if car[b, i, OPENS] != NOTHING:
        out[18] = _soft(car[b, i, OPENS] - now, SOON)
        out[19] = _soft(car[b, i, CLOSES] - now, SOON)
        out[20] = car[b, i, BID]
    r, k = s - roads.leg_line[p, q], 0
    for c in range(roads.point.shape[1]):
        if k < POINTS and r <= roads.point[mine, c] < 1e6:
            out[OWN + k] = _soft(roads.point[mine, c] - r, NEAR)
            k += 1
    while k < POINTS:
        out[OWN + k] = 1.0
        k += 1


@kernel
def _observe_conflict(senses, roads, car, leg, route, emergency, b, i, j, its, told, now, out):
    p, q, op, oq = route[b, i], leg[b, i], route[b, j], leg[b, j]
    mine = roads.leg_movement[p, q]
    line = roads.leg_line[op, oq]
    r, o = car[b, i, POSITION] - roads.leg_line[p, q], car[b, j, POSITION] - line
    v, w = car[b, i, SPEED], car[b, j, SPEED]
    to_zone, its_way = roads.enter[mine, its] - r, roads.enter[its, mine] - o
    arrive, its_arrival = max(to_zone, 0.0) / max(v, CREEP), max(its_way, 0.0) / max(w, CREEP)
    out[0] = 1.0
    out[1] = _soft(to_zone, NEAR)
    out[2] = _soft(its_way, NEAR)
    out[3] = _soft(roads.leave[its, mine] - o, NEAR)
    out[4] = _soft(arrive, SOON)
    out[5] = _soft(its_arrival, SOON)
    out[6] = _clip(w / senses.speed_limit)
    out[7] = _clip((arrive - its_arrival) / OLD)
    out[8] = 1.0 if roads.kind[mine, its] == MERGE else -1.0
    # Where it comes from: 1 my right, -1 my left, 0 the other side.
    side = (roads.heading[its] - roads.heading[mine]) % 4
    out[9] = 1.0 if side == 1 else -1.0 if side == 3 else 0.0
    out[10] = 1.0 if emergency[b, j] else 0.0
    if told:
        out[11] = 1.0
        if senses.intent == DECLARED and car[b, j, OPENS] != NOTHING:
            out[12] = _soft(car[b, j, OPENS] - now, SOON)
            out[13] = _soft(car[b, j, CLOSES] - now, SOON)
            out[15] = car[b, j, BID]
        elif senses.intent == SHARED:
            sent, u, a = car[b, j, SENT] - now, car[b, j, SENT_SPEED], car[b, j, SENT_ACCELERATION]
            ahead = roads.enter[its, mine] + line - car[b, j, SENT_POSITION]
            top = limit_at(roads.limit, op, line + max(roads.enter[its, mine], 0.0))
            out[12] = _soft(sent + reach_time(ahead, u, a, top), SOON)
            out[13] = _soft(sent + reach_time(ahead + roads.leave[its, mine] - roads.enter[its, mine], u, a, top), SOON)
        out[14] = min((now - car[b, j, SENT]) / OLD, 1.0)


@kernel
def sense(senses, roads, car, status, leg, route, emergency, step, x, obs, adjacency, overview):
    """Everything seen and heard.

    Args:
        senses: The `Senses`.
        roads: The `Roads`.
        car: (B, V, N_CAR).
        status: (B, V).
        leg: (B, V).
        route: (B, V).
        emergency: (B, V).
        step: (B,).
        x: (V, 4) room for poses.
        obs: (B, N, O) float32 zeros, written; those of who is not on the road stay zero.
        adjacency: (B, N, N) False, written: in range of each other, with a zone of conflict ahead of both.
        overview: (B, S) float32 zeros, written.
    """
    n = status.shape[1]
    chosen, whose = np.empty(n, np.int64), np.empty(n, np.int64)
    when, hears = np.empty(n), np.empty(n, np.bool_)
    for b in range(status.shape[0]):
        now = step[b] * CONTROL_STEP
        places(roads, car, status, route, b, x)
        for i in range(senses.n_agents):
            if status[b, i] != DRIVING:
                continue
            out = obs[b, i]
            _observe_own(senses, roads, car, status, leg, route, emergency, b, i, now, out)
            found = 0
            for j in range(n):
                if j == i or status[b, j] != DRIVING:
                    continue
                dx, dy = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1]
                far = dx * dx + dy * dy
                heard = far <= senses.comm_range * senses.comm_range
                if heard and j < senses.n_agents and expected(roads, car, leg, route, b, i, j, True) >= 0:
                    adjacency[b, i, j] = True
                if far > senses.sensing_range * senses.sensing_range:
                    continue
                told = heard and senses.intent != UNKNOWN
                its = expected(roads, car, leg, route, b, i, j, told)
                if its < 0:
                    continue
                way = (
                    roads.enter[its, roads.leg_movement[route[b, i], leg[b, i]]]
                    + roads.leg_line[route[b, j], leg[b, j]]
                )
                t = (way - car[b, j, POSITION]) / max(car[b, j, SPEED], CREEP)
                k = found  # insertion sort: they are few
                while k > 0 and when[k - 1] > t:
                    when[k], chosen[k], whose[k], hears[k] = when[k - 1], chosen[k - 1], whose[k - 1], hears[k - 1]
                    k -= 1
                when[k], chosen[k], whose[k], hears[k] = t, j, its, told
                found += 1
            base = OWN + POINTS
            for k in range(min(found, senses.n_conflicts)):
                _observe_conflict(
                    senses, roads, car, leg, route, emergency, b, i, chosen[k], whose[k], hears[k], now,
                    out[base : base + PER_CONFLICT],
                )  # fmt: skip
                base += PER_CONFLICT
        for i in range(n):
            _survey(
                senses, roads, car, status, leg, route, emergency, b, i, now, x, overview[b, STATE_PER_VEHICLE * i :]
            )
        overview[b, STATE_PER_VEHICLE * n] = min(step[b] / senses.max_steps, 1.0)


@kernel
def _survey(senses, roads, car, status, leg, route, emergency, b, i, now, x, out):
    p, q = route[b, i], leg[b, i]
    if status[b, i] == PENDING:
        out[0] = -1.0
        out[1] = _soft(max(car[b, i, DUE] - now, 0.0), SOON)
    if status[b, i] != DRIVING:
        return
    s, turn = car[b, i, POSITION], roads.turn[roads.leg_movement[p, q]]
    out[0] = 1.0
    out[1] = _clip((x[i, 0] - senses.middle_x) / senses.extent)
    out[2] = _clip((x[i, 1] - senses.middle_y) / senses.extent)
    out[3], out[4] = x[i, 2], x[i, 3]
    out[5] = _clip(car[b, i, SPEED] / senses.speed_limit)
    out[6] = _clip(car[b, i, ACCELERATED] / DECELERATION)
    out[7] = _soft(roads.leg_line[p, q] - 0.5 * LENGTH - s, NEAR)
    out[8] = 1.0 if turn == LEFT else 0.0
    out[9] = 1.0 if turn == RIGHT else 0.0
    out[10] = _soft(roads.length[p] - s, NEAR)
    out[11] = 1.0 if emergency[b, i] else 0.0
    out[12] = _soft(car[b, i, STOOD], SOON)
    if car[b, i, OPENS] != NOTHING:
        out[13] = _soft(car[b, i, OPENS] - now, SOON)
        out[14] = car[b, i, BID]
    out[15] = 1.0 if i >= senses.n_agents else 0.0
