"""A four-way crossing: its lanes, the movements through it, and where two movements conflict. Pure geometry.

Traffic drives on the right. A crossing is a box of half side h around its centre. A *movement* leads from a stop line
on one side of the box out on another side: a straight line or a quarter circle. Positions along a movement are those of
a car's centre [m], counted from the stop line. Headings 0 to 3 are east, north, west, south.

Whether two movements conflict depends on the shape of the crossing alone, so one table serves all crossings: boxes of a
car's size slide along both paths, and the *zone* on each path is where any two of them overlap.

Axes: M movements.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from ..core import Array
from .arcs import Segment, meet
from .cars import CAR_LENGTH, overlap

LANE = 3.5
"""Width of a lane [m]."""
SETBACK = 4.5
"""Distance from the edge of the outermost lane to the stop line of the crossing road [m]: room for right turns."""
SIDEWAYS = 3.0
"""Highest lateral acceleration in curves [m/s^2]."""
EASE = 2.0
"""Deceleration with which cars slow down for curves [m/s^2]."""
CLEAR = 6.0
"""A car is done with a crossing once its centre is this far beyond the box [m]."""
LEFT, STRAIGHT, RIGHT = range(3)
"""Turns."""
NONE, CROSS, MERGE, DIVERGE = range(4)
"""Kinds of conflict of two movements: none, they cross, they lead into the same lane, they leave the same lane."""


class Movement(NamedTuple):
    """A path through a crossing whose centre is the origin."""

    heading: int  # on the approach
    lane: int  # of the approach, 0 innermost
    turn: int
    exit_heading: int
    exit_lane: int
    path: Segment  # from the stop line to the end of the box


def half_side(lanes: int) -> float:
    """Returns half the side length of a crossing's box [m]."""
    return lanes * LANE + SETBACK


@functools.lru_cache(maxsize=8)
def movements(lanes: int) -> tuple[Movement, ...]:
    """Returns all movements through a crossing, by heading, then left, straight on (innermost lane first), right."""
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
    """Conflicts between all movements of a crossing, by own movement and other movement."""

    kind: Array  # (M, M) int8: `NONE`, `CROSS`, `MERGE` or `DIVERGE`
    enter: Array  # (M, M) float64: where the shared zone begins on the own movement [m]; infinity without conflict
    leave: Array  # (M, M) float64: where it ends [m]; infinity without conflict
    at: Array  # (M, M) float64: the conflict point on the own movement [m]


@functools.lru_cache(maxsize=8)
def conflicts(lanes: int) -> Conflicts:
    """Finds the conflicts by sliding boxes along every two movements in steps of 0.1 m."""
    ways = movements(lanes)
    n = len(ways)
    kind = np.zeros((n, n), dtype=np.int8)
    enter, leave, at = (np.full((n, n), math.inf) for _ in range(3))
    poses = []
    for way in ways:
        s = np.arange(-CAR_LENGTH, way.path.length + CLEAR, 0.1)
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
