"""Links, lanes, movements and phases of a grid of signals, over the crossings of `envs.intersection.roads`.

A *link* is a road in one direction: links 4 c + h lead with heading h (0 to 3: east, north, west, south) to the stop
lines of crossing c, the others from crossings out of the network. A lane is 4 c + h's innermost, and so on outwards. A
movement at a crossing is 3 h + turn. Who leaves a crossing takes the lane that the next turn needs.

Axes: N crossings, K links, Z lanes (links times lanes a link), E entries, 12 movements, 4 phases.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..intersection.roads import CROSS, LEFT, MERGE, RIGHT, SIDEWAYS, STRAIGHT, conflicts, half_side, movements
from .config import Config

Array = NDArray[Any]

N_MOVEMENTS, N_PHASES = 12, 4
FAR = 1e9
"""Farther than anything [m]."""
LENGTH, SOURCE = range(2)
"""Columns of `Network.link`."""
PATH, CURVE_SPEED, CURVE_TIME = range(3)
"""Columns of `Network.turn`."""
PHASES: tuple[tuple[int, ...], ...] = (
    (3 * 1 + STRAIGHT, 3 * 1 + RIGHT, 3 * 3 + STRAIGHT, 3 * 3 + RIGHT),
    (3 * 1 + LEFT, 3 * 3 + LEFT),
    (3 * 0 + STRAIGHT, 3 * 0 + RIGHT, 3 * 2 + STRAIGHT, 3 * 2 + RIGHT),
    (3 * 0 + LEFT, 3 * 2 + LEFT),
)
"""Movements that are green: north-south without left turns, its left turns, and the same of east-west."""
STEP = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""(row, column) by heading; rows count northwards."""


class Network(NamedTuple):
    """What kernels need of the roads. Read-only."""

    link: Array  # (K, 2): length [m]; the crossing that it comes from, N for entries
    target: Array  # (N, 4) uint32: the link that leaves a crossing with a heading
    turn: Array  # (3, 3) float32, by turn: length of the path through the box [m], speed in it [m/s], time at it [s]
    green: Array  # (4,) int32: a phase's movements as bits
    clash: Array  # (12,) int32: movements that must not be in the box together with one's own, as bits
    entry: Array  # (E,) uint32: links that lead in
    line: Array  # (Z,) float32: where a lane's stop line is [m]; `FAR` on roads out of the network
    road: Array  # (Z,) uint32: the link that a lane is of
    made: Array  # (Z,) int64: the movements made from a lane, as bits
    after: Array  # (K, 3) uint32: the lane of a link for those who turn so next; straight on, one of several
    source: Array  # (Z,) uint32: the crossing that a lane comes from; N for entries
    heading: Array  # (Z,) uint32: of a lane, 0 to 3
    near: Array  # (N, 4) int32: the next crossing by heading, -1 at the rim
    distance: Array  # (N, N) crossings on the shortest way
    centre: Array  # (N, 2) [m]


@functools.lru_cache(maxsize=16)
def network_of(config: Config) -> Network:
    """Lays out a configuration."""
    rows, columns = config.rows, config.columns
    n, h = rows * columns, half_side(config.lanes)
    link = [[config.block, float(n)] for _ in range(4 * n)]
    target = np.zeros((n, 4), np.uint32)
    near = np.full((n, 4), -1, np.int32)
    entry, headings = [], [k % 4 for k in range(4 * n)]
    for c in range(n):
        row, column = divmod(c, columns)
        for heading, (up, right) in enumerate(STEP):
            inside = 0 <= row + up < rows and 0 <= column + right < columns
            if inside:
                near[c, heading] = (row + up) * columns + column + right
                target[c, heading] = 4 * near[c, heading] + heading
                link[target[c, heading]][SOURCE] = c
            else:
                target[c, heading] = len(link)
                link.append([config.exit_length, c])
                headings.append(heading)
            if not (0 <= row - up < rows and 0 <= column - right < columns):
                link[4 * c + heading][LENGTH] = config.approach
                entry.append(4 * c + heading)
    turn = np.zeros((3, 3), np.float32)
    for way in movements(config.lanes):
        if way.heading == 0:
            speed = config.speed_limit
            if way.turn != STRAIGHT:
                speed = min(speed, math.sqrt(SIDEWAYS / abs(way.path.curvature)))
            turn[way.turn] = way.path.length, speed, way.path.length / speed
    place = np.array([divmod(c, columns) for c in range(n)])
    pitch = config.block + 2 * h
    lane = np.arange(len(link) * config.lanes)
    road = (lane // config.lanes).astype(np.uint32)
    lengths, sources = np.array(link).T
    network = Network(
        link=np.array(link),
        target=target,
        turn=turn,
        green=np.array([sum(1 << m for m in phase) for phase in PHASES], np.int32),
        clash=_clashes(config.lanes),
        entry=np.array(entry, np.uint32),
        line=np.where(lane < 4 * n * config.lanes, lengths[road], FAR).astype(np.float32),
        road=road,
        made=np.where(lane % config.lanes == 0, 1, 6) << 3 * np.array(headings)[road],
        after=road[:: config.lanes, None] * config.lanes + np.array([0, 1, 1], np.uint32) * (config.lanes - 1),
        source=sources[road].astype(np.uint32),
        heading=np.array(headings, np.uint32)[road],
        near=near,
        distance=np.abs(place[:, None] - place[None]).sum(axis=2).astype(np.float64),
        centre=place[:, ::-1] * pitch,
    )
    for table in network:
        table.setflags(write=False)
    return network


def used(lane: int, turn: int, lanes: int) -> bool:
    """Whether a turn is made from a lane here: left turns have the innermost for themselves."""
    return (lane == 0) == (turn == LEFT) and (turn != RIGHT or lane == lanes - 1)


def _clashes(lanes: int) -> Array:
    """(12,) bits: paths that cross, and those into the same road from others."""
    ways, kind = movements(lanes), conflicts(lanes).kind
    clash = np.zeros(N_MOVEMENTS, np.int32)
    for i, one in enumerate(ways):
        for j, other in enumerate(ways):
            if one.heading == other.heading or not (
                used(one.lane, one.turn, lanes) and used(other.lane, other.turn, lanes)
            ):
                continue
            if kind[i, j] in (CROSS, MERGE) or one.exit_heading == other.exit_heading:
                clash[3 * one.heading + one.turn] |= 1 << (3 * other.heading + other.turn)
    return clash
