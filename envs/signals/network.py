"""Links, lanes, movements and phases of a grid of signals, over the crossings of `envs.roads.crossing`.

A *link* is a road in one direction: links 4 c + h lead with heading h (0 to 3: east, north, west, south) to the stop
lines of crossing c, all others from crossings out of the network. Lanes are numbered link by link, from the innermost
outwards. A movement at a crossing is 3 h + turn. A vehicle that leaves a crossing takes the lane that its next turn
needs.

Axes: N crossings, K links, Z lanes (links times lanes a link), E entries, 12 movements, 4 phases.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from ..core import Array
from ..roads.crossing import CROSS, LEFT, MERGE, RIGHT, SIDEWAYS, STRAIGHT, conflicts, half_side, movements
from .config import Config

N_MOVEMENTS, N_PHASES = 12, 4
FAR = 1e9
"""A distance beyond all others [m]."""
LENGTH, SOURCE = range(2)
"""Columns of `Network.link`: length [m]; the crossing that the link comes from, N for entries."""
PATH, CURVE_SPEED, CURVE_TIME = range(3)
"""Columns of `Network.turn`: length of the path through the box [m], speed on it [m/s], time for it [s]."""
PHASES: tuple[tuple[int, ...], ...] = (
    (3 * 1 + STRAIGHT, 3 * 1 + RIGHT, 3 * 3 + STRAIGHT, 3 * 3 + RIGHT),
    (3 * 1 + LEFT, 3 * 3 + LEFT),
    (3 * 0 + STRAIGHT, 3 * 0 + RIGHT, 3 * 2 + STRAIGHT, 3 * 2 + RIGHT),
    (3 * 0 + LEFT, 3 * 2 + LEFT),
)
"""Movements that are green in each phase: north-south straight on and right, its left turns, the same of east-west."""
STEP = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Step to the next crossing by heading: (rows, columns); rows count northwards."""


class Network(NamedTuple):
    """The tables that kernels read, never written."""

    link: Array  # (K, 2)
    target: Array  # (N, 4) uint32: the link that leaves a crossing with a heading
    turn: Array  # (3, 3) float32, by turn
    green: Array  # (4,) int32: a phase's movements as bits
    clash: Array  # (12,) int32: movements that must not be in the box at the same time, as bits
    entry: Array  # (E,) uint32: links that lead in
    line: Array  # (Z,) float32: position of a lane's stop line [m]; `FAR` on roads out of the network
    road: Array  # (Z,) uint32: the link that a lane belongs to
    allowed: Array  # (Z,) int64: movements that may be made from a lane, as bits
    lane_for: Array  # (K, 3) uint32: the lane of a link for each next turn; for straight on it is one of several
    source: Array  # (Z,) uint32: the crossing that a lane comes from, N for entries
    heading: Array  # (Z,) uint32: of a lane, 0 to 3
    neighbour: Array  # (N, 4) int32: the next crossing by heading, -1 at the rim
    distance: Array  # (N, N) float64: distance in crossings
    centre: Array  # (N, 2) centres of the crossings [m]


@functools.lru_cache(maxsize=16)
def network_of(config: Config) -> Network:
    """Lays out the network of a configuration."""
    rows, columns = config.rows, config.columns
    n, h = rows * columns, half_side(config.lanes)
    link = [[config.block, float(n)] for _ in range(4 * n)]
    target = np.zeros((n, 4), np.uint32)
    neighbour = np.full((n, 4), -1, np.int32)
    entry, headings = [], [k % 4 for k in range(4 * n)]
    for c in range(n):
        row, column = divmod(c, columns)
        for heading, (up, right) in enumerate(STEP):
            inside = 0 <= row + up < rows and 0 <= column + right < columns
            if inside:
                neighbour[c, heading] = (row + up) * columns + column + right
                target[c, heading] = 4 * neighbour[c, heading] + heading
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
        allowed=np.where(lane % config.lanes == 0, 1, 6) << 3 * np.array(headings)[road],
        lane_for=road[:: config.lanes, None] * config.lanes + np.array([0, 1, 1], np.uint32) * (config.lanes - 1),
        source=sources[road].astype(np.uint32),
        heading=np.array(headings, np.uint32)[road],
        neighbour=neighbour,
        distance=np.abs(place[:, None] - place[None]).sum(axis=2).astype(np.float64),
        centre=place[:, ::-1] * pitch,
    )
    for table in network:
        table.setflags(write=False)
    return network


def may_turn(lane: int, turn: int, lanes: int) -> bool:
    """Returns whether a turn is allowed from a lane: left turns have the innermost lane to themselves."""
    return (lane == 0) == (turn == LEFT) and (turn != RIGHT or lane == lanes - 1)


def _clashes(lanes: int) -> Array:
    """Returns, (12,) as bits, the movements from other headings whose paths cross, or that lead into the same road."""
    ways, kind = movements(lanes), conflicts(lanes).kind
    clash = np.zeros(N_MOVEMENTS, np.int32)
    for i, one in enumerate(ways):
        for j, other in enumerate(ways):
            if one.heading == other.heading or not (
                may_turn(one.lane, one.turn, lanes) and may_turn(other.lane, other.turn, lanes)
            ):
                continue
            if kind[i, j] in (CROSS, MERGE) or one.exit_heading == other.exit_heading:
                clash[3 * one.heading + one.turn] |= 1 << (3 * other.heading + other.turn)
    return clash
