"""Roads as arc splines: lanes, movements through a crossing, routes, and where paths conflict. Pure geometry.

Traffic drives on the right. A crossing is a box of half side h around its centre; a *movement* leads from a stop line
on one side of the box out on another: a straight line, or a quarter circle. A *route* is a lane from an entry, a
movement, a lane to the next crossing and so on to an exit. Positions along a route and along a movement are those of a
car's centre [m], the latter counted from the stop line. Headings 0 to 3 are east, north, west, south.

Whether two movements conflict depends on the crossing's shape alone, so it is one table for all crossings: boxes are
slid along both, and where any two overlap is the *zone* on each.

Axes: P routes, G segments of a route, Q crossings on a route, M movements, Z sections (a lane between crossings, or a
movement at one crossing), D samples of a route every `SAMPLE` metres, C conflict points of a movement.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .arcs import Segment, meet, overlap
from .config import ACCELERATION, LENGTH, Config

Array = NDArray[Any]

LANE = 3.5
"""Width of a lane [m]."""
SETBACK = 4.5
"""From the outermost lane's edge to the stop line of the crossing road [m]: room for right turns."""
SIDEWAYS = 3.0
"""Highest acceleration across the path in curves [m/s^2]."""
EASE = 2.0
"""Deceleration with which cars slow down for curves [m/s^2]."""
CLEAR = 6.0
"""Behind a crossing's box, this far along, a car's centre is done with it [m]."""
SAMPLE = 0.5
"""Of tables along a route [m]."""
FREE_STEP = 0.1
"""Of the integration of a free drive [s]."""
LEFT, STRAIGHT, RIGHT = range(3)
"""Turns."""
NONE, CROSS, MERGE, DIVERGE = range(4)
"""How two movements conflict: not, crossing, into the same lane, out of the same lane."""
ABSENT = -1e9
"""In place of a position where there is none."""
S0, X0, Y0, COS0, SIN0, HEADING0, CURVATURE = range(7)
"""Columns of `Roads.segment`."""
CROSSING, MOVEMENT, LINE, END = range(4)
"""Columns of `Roads.leg`: which crossing, how through it, where the stop line is, where the box ends [m]."""
SECTION, BEGIN = range(2)
"""Columns of `Roads.stretch`: which section, where it begins [m]."""
LIMIT, FREE_TIME = range(2)
"""Columns of `Roads.profile`."""
KIND, ENTER, LEAVE, GUESS = range(4)
"""Columns of `Roads.zone`."""
TURN, HEADING = range(2)
"""Columns of `Roads.way`."""


class Movement(NamedTuple):
    """A way through a crossing at the origin."""

    heading: int  # on the approach
    lane: int  # of the approach, 0 innermost
    turn: int
    exit_heading: int
    exit_lane: int
    path: Segment  # from the stop line to the end of the box


class Roads(NamedTuple):
    """What kernels need of a road network: few arrays with many columns, for each one costs at every call. Read-only.

    Columns are named above. Whole numbers stand as floats beside lengths where they are looked up together.
    """

    segment: Array  # (P, G, 7): lines and arcs; unused rows start at infinity
    length: Array  # (P,) [m]
    n_legs: Array  # (P,) int32 crossings on the way
    leg: Array  # (P, Q, 4); the crossing is -1 beyond the last
    stretch: Array  # (P, 2 Q + 1, 2): lane, movement, lane, ...
    where: Array  # (P, Z) at which the route enters a section, ABSENT if it does not
    profile: Array  # (P, D, 2): highest speed [m/s] from which every curve ahead is still taken at ease; when a car
    # alone on the road gets there [s]
    zone: Array  # (M, M, 4): kind of conflict; where the zone shared with the other movement begins and ends on one's
    # own; which movement to fear of a car on the other's approach lane, -1 for none
    way: Array  # (M, 2): turn, heading on the approach
    point: Array  # (M, C) conflict points, ascending, infinity beyond the last
    share: Array  # (P,) sums to 1: how many take this route
    centre: Array  # (rows * columns, 2) of the crossings


def half_side(lanes: int) -> float:
    """Of a crossing's box [m]."""
    return lanes * LANE + SETBACK


@functools.lru_cache(maxsize=8)
def movements(lanes: int) -> tuple[Movement, ...]:
    """All ways through a crossing, by heading, then left, straight (innermost lane first), right."""
    h = half_side(lanes)
    found = []
    for heading in range(4):
        angle = 0.5 * math.pi * heading
        c, s = round(math.cos(angle)), round(math.sin(angle))
        for turn, lane in ((LEFT, 0), *((STRAIGHT, lane) for lane in range(lanes)), (RIGHT, lanes - 1)):
            aside = -(lane + 0.5) * LANE  # to the right of the road's middle
            radius = {LEFT: h - aside, STRAIGHT: math.inf, RIGHT: h + aside}[turn]
            curvature = {LEFT: 1.0, STRAIGHT: 0.0, RIGHT: -1.0}[turn] / radius
            length = 2.0 * h if turn == STRAIGHT else 0.5 * math.pi * radius
            path = Segment(-h * c - aside * s, -h * s + aside * c, angle, curvature, length)
            found.append(Movement(heading, lane, turn, (heading + 1 - turn) % 4, lane, path))
    return tuple(found)


class Conflicts(NamedTuple):
    """Between all movements of a crossing; what the fields mean stands in `Roads`."""

    kind: Array
    enter: Array
    leave: Array
    at: Array  # (M, M) float64: the conflict point on one's own movement


@functools.lru_cache(maxsize=8)
def conflicts(lanes: int) -> Conflicts:
    """Slides boxes along every two movements, every 0.1 m."""
    ways = movements(lanes)
    n = len(ways)
    kind = np.zeros((n, n), dtype=np.int8)
    enter, leave, at = (np.full((n, n), math.inf) for _ in range(3))
    poses = []
    for way in ways:
        s = np.arange(-LENGTH, way.path.length + CLEAR, 0.1)
        poses.append((s, *way.path.at(s)))
    for i, j in itertools.combinations(range(n), 2):
        a, b = ways[i], ways[j]
        merges = (a.exit_heading, a.exit_lane) == (b.exit_heading, b.exit_lane)
        diverges = (a.heading, a.lane) == (b.heading, b.lane)
        (si, xi, yi, ai), (sj, xj, yj, aj) = poses[i], poses[j]
        hit = overlap(xi[:, None], yi[:, None], ai[:, None], xj[None], yj[None], aj[None])
        if not hit.any():
            continue
        for me, other, s, touched in ((i, j, si, hit.any(axis=1)), (j, i, sj, hit.any(axis=0))):
            kind[me, other] = DIVERGE if diverges else MERGE if merges else CROSS
            enter[me, other], leave[me, other] = s[touched][0], s[touched][-1]
            if merges:
                leave[me, other] = ways[me].path.length  # from there on one follows the other
            at[me, other] = leave[me, other] if merges else 0.5 * (enter[me, other] + leave[me, other])
        points = meet(a.path, b.path)
        if points and not merges and not diverges:
            at[i, j], at[j, i] = points[0]
    return Conflicts(kind, enter, leave, at)


def _guesses(ways: tuple[Movement, ...], kind: Array) -> Array:
    """(M, M): of the movements open to the other, straight, left, right in turn, the first in the way of one's own."""
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
    share: float


def _routes(config: Config) -> list[_Route]:
    """All ways from an entry to an exit that visit no crossing twice and at most rows + columns of them.

    At the first crossing a turn's share is split between the lanes that it may be made from; from there on the lane is
    given, and its turns share what they have.
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
def roads_of(config: Config) -> Roads:
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
            # A lane has one name, that of the approach it is or the exit it is.
            for at, name in (
                (2 * q, ("to", crossing, way.heading, way.lane)),
                (2 * q + 1, ("through", crossing, movement)),
                (2 * q + 2, ("from", crossing, way.exit_heading, way.exit_lane)),
            ):
                stretch[p, at] = names.setdefault(name, len(names)), starts[at]
    where = np.full((len(routes), len(names)), ABSENT)
    for p in range(len(routes)):
        for z, start in stretch[p]:
            if z >= 0:
                where[p, int(z)] = start
    limit = _limits(config, segment, length)
    points = [sorted({round(float(at), 1) for at, k in zip(row, kind, strict=True) if k in (CROSS, MERGE)})
              for row, kind in zip(clashes.at, clashes.kind, strict=True)]  # fmt: skip
    point = np.full((len(ways), max(map(len, points))), math.inf)
    for m, row in enumerate(points):
        point[m, : len(row)] = row
    apart = np.isin(clashes.kind, (CROSS, MERGE))
    guess = _guesses(ways, np.where(apart, clashes.kind, NONE))
    roads = Roads(
        segment=segment,
        length=length,
        n_legs=np.array([len(route.legs) for route in routes], dtype=np.int32),
        leg=leg,
        stretch=stretch,
        where=where,
        profile=np.stack([limit, _free_times(config, length, limit)], axis=2),
        zone=np.stack([clashes.kind, clashes.enter, clashes.leave, guess], axis=2),
        way=np.array([(way.turn, way.heading) for way in ways], dtype=np.int32),
        point=point,
        share=np.array([route.share for route in routes]),
        centre=centre,
    )
    for table in roads:
        table.setflags(write=False)
    return roads


def _spline(config: Config, route: _Route, ways: tuple[Movement, ...], centre: Array) -> list[Segment]:
    """Lane, movement, lane, ..., lane."""
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
    """(P, D), from the end backwards."""
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
    """(P, D): driving on alone, as fast as allowed, with the steps that the world makes."""
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
