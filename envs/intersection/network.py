"""The network of an intersection environment: crossings in a grid, the roads between them, and all routes through it.

A *route* is a lane from an entry, a movement through a crossing, a lane to the next crossing and so on to an exit.
Positions along a route are those of a car's centre [m]; positions along a movement are counted from its stop line. A
*leg* is a route's part that belongs to one of its crossings. A *section* is a lane between crossings, or a movement at
one crossing; routes share sections. Crossings and movements are those of `envs.roads.crossing`.

Axes: P routes, G segments of a route, Q crossings on a route, M movements, Z sections, D samples of a route every
`SAMPLE` metres, C conflict points of a movement.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from ..core import Array
from ..roads.arcs import Segment
from ..roads.crossing import (
    CROSS,
    EASE,
    LEFT,
    MERGE,
    NONE,
    RIGHT,
    SIDEWAYS,
    STRAIGHT,
    Movement,
    conflicts,
    half_side,
    movements,
)
from .config import ACCELERATION, Config

SAMPLE = 0.5
"""Distance between two samples of a route's profile [m]."""
FREE_STEP = 0.1
"""Time step with which an undisturbed drive along a route is integrated [s]."""
ABSENT = -1e9
"""Stands for a position where there is none."""
S0, X0, Y0, COS0, SIN0, HEADING0, CURVATURE = range(7)
"""Columns of `Network.segment`: position along the route, x, y, cosine, sine and angle of the heading, all at the
segment's start [m, rad]; curvature [1/m]."""
CROSSING, MOVEMENT, LINE, END = range(4)
"""Columns of `Network.leg`: index of the crossing, index of the movement through it, position of the stop line and of
the end of the box [m]."""
SECTION, BEGIN = range(2)
"""Columns of `Network.stretch`: index of the section, position at which it begins [m]."""
LIMIT, FREE_TIME = range(2)
"""Columns of `Network.profile`: highest speed from which a car can slow down comfortably for every curve ahead [m/s];
time at which a car that drives alone gets there [s]."""
KIND, ENTER, LEAVE, GUESS = range(4)
"""Columns of `Network.zone`, by own and other movement: kind of conflict; where the zone that both share begins and
ends on the own movement [m]; the movement to expect of a car on the other movement's lane whose route is unknown, -1:
none that conflicts."""
TURN, HEADING = range(2)
"""Columns of `Network.movement`: `LEFT`, `STRAIGHT` or `RIGHT`; heading on the approach."""


class Network(NamedTuple):
    """The tables that kernels read, never written. Columns are named above.

    There are few arrays with many columns, because each array adds to the cost of every call. Integers are stored as
    floats where they are looked up together with lengths.
    """

    segment: Array  # (P, G, 7): lines and arcs; unused rows start at infinity
    length: Array  # (P,) [m]
    n_legs: Array  # (P,) int32 crossings on the route
    leg: Array  # (P, Q, 4); the crossing is -1 beyond the route's last
    stretch: Array  # (P, 2 Q + 1, 2): the route's sections in order: lane, movement, lane, ...
    section_start: Array  # (P, Z) position at which the route enters a section, `ABSENT` if it does not
    profile: Array  # (P, D, 2)
    zone: Array  # (M, M, 4)
    movement: Array  # (M, 2) int32
    conflict_point: Array  # (M, C) positions on the movement [m], ascending, infinity beyond the last
    share: Array  # (P,) share of vehicles that take the route; sums to 1
    centre: Array  # (rows * columns, 2) centres of the crossings [m]


def _guesses(ways: tuple[Movement, ...], kind: Array) -> Array:
    """Returns the `GUESS` column, (M, M).

    It is the first movement from the other's lane that conflicts with one's own, tried straight on, left, right.
    """
    n = len(ways)
    guess = np.full((n, n), -1, dtype=np.int32)
    for i, j in itertools.product(range(n), repeat=2):
        lane = (ways[j].heading, ways[j].lane)
        if lane == (ways[i].heading, ways[i].lane):
            continue
        options = sorted((way.turn != STRAIGHT, k) for k, way in enumerate(ways) if (way.heading, way.lane) == lane)
        guess[i, j] = next((k for _, k in options if kind[i, k]), -1)
    return guess


class _Route(NamedTuple):
    legs: tuple[tuple[int, int], ...]  # crossing, movement
    share: float  # of all vehicles


def _routes(config: Config) -> list[_Route]:
    """Returns all ways from an entry to an exit that visit no crossing twice and at most rows + columns of them.

    At the first crossing the share of a turn is split evenly between the lanes from which the turn is allowed. At later
    crossings the lane is given, and the turns allowed from it are rescaled to sum to 1.
    """
    ways = movements(config.lanes)
    step = ((0, 1), (1, 0), (0, -1), (-1, 0))  # (row, column) by heading; rows count northwards
    take = {LEFT: config.left_share, RIGHT: config.right_share}
    take[STRAIGHT] = 1.0 - take[LEFT] - take[RIGHT]
    found: list[_Route] = []

    def go(row: int, column: int, heading: int, lane: int, legs: tuple[tuple[int, int], ...], share: float) -> None:
        if not (0 <= row < config.rows and 0 <= column < config.columns):
            found.append(_Route(legs, share))
            return
        crossing = row * config.columns + column
        if crossing in [visited for visited, _ in legs] or len(legs) >= config.rows + config.columns:
            return
        open_to = [(index, way) for index, way in enumerate(ways) if (way.heading, way.lane) == (heading, lane)]
        whole = sum(take[way.turn] for _, way in open_to)
        for index, way in open_to:
            among = whole if legs else config.lanes if way.turn == STRAIGHT else 1
            if take[way.turn] > 0.0:
                up, right = step[way.exit_heading]
                following = (*legs, (crossing, index))
                part = share * take[way.turn] / among
                go(row + up, column + right, way.exit_heading, way.exit_lane, following, part)

    entries = [(row, 0, 0) for row in range(config.rows)] + [(0, column, 1) for column in range(config.columns)]
    entries += [(row, config.columns - 1, 2) for row in range(config.rows)]
    entries += [(config.rows - 1, column, 3) for column in range(config.columns)]
    for (row, column, heading), lane in itertools.product(entries, range(config.lanes)):
        go(row, column, heading, lane, (), 1.0)
    total = sum(route.share for route in found)
    return [route._replace(share=route.share / total) for route in found]


@functools.lru_cache(maxsize=16)
def network_of(config: Config) -> Network:
    """Lays out the network of a configuration."""
    ways, h = movements(config.lanes), half_side(config.lanes)
    clashes, routes = conflicts(config.lanes), _routes(config)
    pitch = config.block + 2 * h
    centre = np.array([(c * pitch, r * pitch) for r in range(config.rows) for c in range(config.columns)], np.float64)
    n_legs = max(len(route.legs) for route in routes)
    splines = [_spline(config, route, ways, centre) for route in routes]
    length = np.array([sum(segment.length for segment in spline) for spline in splines])
    segment = np.zeros((len(routes), 2 * n_legs + 1, 7))
    segment[:, :, S0] = math.inf
    leg = np.full((len(routes), n_legs, 4), math.inf)
    leg[:, :, CROSSING], leg[:, :, MOVEMENT] = -1, 0
    stretch = np.full((len(routes), 2 * n_legs + 1, 2), math.inf)
    stretch[:, :, SECTION] = -1
    names: dict[Any, int] = {}
    for p, (route, spline) in enumerate(zip(routes, splines, strict=True)):
        starts = np.concatenate([[0.0], np.cumsum([part.length for part in spline])])
        for g, part in enumerate(spline):
            c, s = math.cos(part.heading), math.sin(part.heading)
            segment[p, g] = starts[g], part.x, part.y, c, s, part.heading, part.curvature
        for q, (crossing, movement) in enumerate(route.legs):
            leg[p, q] = crossing, movement, starts[2 * q + 1], starts[2 * q + 2]
            way = ways[movement]
            # A lane between two crossings is an exit and an approach; the later name, that of the approach, stays.
            for at, name in (
                (2 * q, ("to", crossing, way.heading, way.lane)),
                (2 * q + 1, ("through", crossing, movement)),
                (2 * q + 2, ("from", crossing, way.exit_heading, way.exit_lane)),
            ):
                stretch[p, at] = names.setdefault(name, len(names)), starts[at]
    section_start = np.full((len(routes), len(names)), ABSENT)
    for p in range(len(routes)):
        for z, start in stretch[p]:
            if z >= 0:
                section_start[p, int(z)] = start
    limit = _limits(config, segment, length)
    points = [sorted({round(float(at), 1) for at, k in zip(row, kind, strict=True) if k in (CROSS, MERGE)})
              for row, kind in zip(clashes.at, clashes.kind, strict=True)]  # fmt: skip
    point = np.full((len(ways), max(map(len, points))), math.inf)
    for m, row in enumerate(points):
        point[m, : len(row)] = row
    apart = np.isin(clashes.kind, (CROSS, MERGE))
    guess = _guesses(ways, np.where(apart, clashes.kind, NONE))
    network = Network(
        segment=segment,
        length=length,
        n_legs=np.array([len(route.legs) for route in routes], dtype=np.int32),
        leg=leg,
        stretch=stretch,
        section_start=section_start,
        profile=np.stack([limit, _free_times(config, length, limit)], axis=2),
        zone=np.stack([clashes.kind, clashes.enter, clashes.leave, guess], axis=2),
        movement=np.array([(way.turn, way.heading) for way in ways], dtype=np.int32),
        conflict_point=point,
        share=np.array([route.share for route in routes]),
        centre=centre,
    )
    for table in network:
        table.setflags(write=False)
    return network


def _spline(config: Config, route: _Route, ways: tuple[Movement, ...], centre: Array) -> list[Segment]:
    """Returns the segments of a route: lane, movement, lane, ..., lane."""
    spline: list[Segment] = []
    for q, (crossing, movement) in enumerate(route.legs):
        path = ways[movement].path
        cx, cy = centre[crossing].tolist()
        path = path._replace(x=path.x + cx, y=path.y + cy)
        before = config.approach if q == 0 else config.block
        start = path.x - before * math.cos(path.heading), path.y - before * math.sin(path.heading)
        spline += [Segment(*start, path.heading, 0.0, before), path]
    x, y, heading = spline[-1].at(spline[-1].length)
    return [*spline, Segment(float(x), float(y), float(heading), 0.0, config.exit_length)]


def _limits(config: Config, segment: Array, length: Array) -> Array:
    """Returns the `LIMIT` column, (P, D) [m/s], computed from the end of a route backwards."""
    n = int(length.max() / SAMPLE) + 3
    limit = np.full((len(length), n), config.speed_limit)
    s = SAMPLE * np.arange(n)
    for p in range(len(length)):
        for g in range(segment.shape[1]):
            if segment[p, g, CURVATURE] != 0.0:
                end = segment[p, g + 1, S0]
                bend = (s > segment[p, g, S0] - SAMPLE) & (s < end + SAMPLE)
                limit[p, bend] = min(config.speed_limit, math.sqrt(SIDEWAYS / abs(segment[p, g, CURVATURE])))
    for k in range(n - 2, -1, -1):
        limit[:, k] = np.minimum(limit[:, k], np.sqrt(limit[:, k + 1] ** 2 + 2 * EASE * SAMPLE))
    return limit


def _free_times(config: Config, length: Array, limit: Array) -> Array:
    """Returns the `FREE_TIME` column, (P, D) [s]: a car drives alone, as fast as it may, in steps of `FREE_STEP`."""
    free = np.zeros(limit.shape)
    s = SAMPLE * np.arange(limit.shape[1])
    for p in range(len(length)):
        at, speed, places, times = 0.0, config.entry_speed, [0.0], [0.0]
        while at < s[-1]:
            following = min(speed + ACCELERATION * FREE_STEP, float(np.interp(at + speed * FREE_STEP, s, limit[p])))
            at += 0.5 * (speed + following) * FREE_STEP
            speed = following
            places.append(at)
            times.append(times[-1] + FREE_STEP)
        free[p] = np.interp(s, places, times)
    return free
