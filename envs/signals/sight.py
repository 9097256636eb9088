"""Kernels for the view of drivers before all move at once: boxes, lights, the road beyond the line, the car ahead.

Axes: N crossings, V places, Z lanes, K links; all arrays are those of one world.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import inlined, kernel
from ..roads.crossing import EASE
from .following import CAR, JAM_GAP
from .lights import ANY_LANE, STOPPABLE
from .network import CURVE_SPEED, FAR, PATH
from .state import FOLLOWER, LAST_TURN, LEADER, TURNS

_EASE, _STOPPING, _ROLLING = np.float32(2.0 * EASE), np.float32(0.5 / STOPPABLE), np.float32(2.0)
_ZERO, _ONE, _FAR = np.float32(0.0), np.float32(1.0), np.float32(FAR)


@kernel
def keep_limit(n, limit, slowness, free):
    """Sets the speed limit for the first n vehicles; curves lower it later."""
    least = np.float32(1.0 / limit)
    for i in range(n):
        slowness[i], free[i] = least, least


@inlined
def look_into_boxes(net, scratch, chain, n_boxed):
    """Fills `scratch.inside` with the movements of vehicles in the boxes, as bits, and sets their speed in curves.

    `scratch.boxed` holds the lanes in whose box a vehicle was; those in which one still is are kept.

    Returns:
        The number of these lanes.
    """
    source, heading, turning = net.source, net.heading, net.turn
    position, slowness, free = scratch.position, scratch.slowness, scratch.free
    boxed, is_boxed, inside = scratch.boxed, scratch.is_boxed, scratch.inside
    inside[:] = 0
    kept = 0
    for m in range(n_boxed):
        z = boxed[m]
        i = chain[z, LEADER]
        is_boxed[z] = position[i] < CAR
        boxed[kept] = z
        kept += is_boxed[z]
        while position[i] < CAR:  # at the latest the phantom is farther
            turn = chain[i, TURNS] >> LAST_TURN & 3
            inside[source[z]] |= 1 << 3 * (turn + heading[z] - 1 & 3) + turn
            if position[i] < _ZERO:
                slowness[i] = free[i] = _ONE / turning[np.uint32(turn), CURVE_SPEED]
            i = chain[i, LEADER]
    return kept


@inlined
def look_at_lines(net, lanes, scratch, chain):
    """Sets what the first vehicles of lanes whose light is not red have ahead: the line, or the road beyond the box.

    Where a first vehicle may pass, the phantom of its lane is put at the rear of the vehicle that it will follow. The
    lanes of these vehicles are written into `scratch.passing`, the lanes that they go to into `scratch.towards`.

    Returns:
        The number of vehicles that may pass.
    """
    line, road, target, turning, clash = net.line, net.road, net.target, net.turn, net.clash
    position, speed, slowness, lane_for = scratch.position, scratch.speed, scratch.slowness, scratch.lane_for
    inside, go, amber, only_lane = scratch.inside, scratch.go, scratch.amber, scratch.only_lane
    passing, towards = scratch.passing, scratch.towards
    allowed = net.allowed
    n_lit, n_passing = 0, 0
    # Lists come first, then what is in them, with hardly any branches: processors would mispredict most of them.
    for z in range(4 * len(go) * lanes):
        c = np.uint32(road[z] >> 2)
        towards[n_lit] = z
        n_lit += ((go[c] | amber[c]) & allowed[z] != 0) & (chain[z, FOLLOWER] != z)
    for k in range(n_lit):
        z = towards[k]
        i, c, heading = chain[z, FOLLOWER], np.uint32(road[z] >> 2), road[z] & 3
        room, v, turn = line[z] - position[i], speed[i], np.uint32(chain[i, TURNS] & 3)
        movement = np.uint32(3 * heading + turn)
        top = math.sqrt(turning[turn, CURVE_SPEED] * turning[turn, CURVE_SPEED] + _EASE * max(room, _ZERO))
        slowness[i] = max(slowness[i], _ONE / top)
        into = lane_for[target[c, np.uint32(heading + 1 - turn & 3)], np.uint32(chain[i, TURNS] >> 2 & 3)]
        last = chain[into, LEADER]
        late = room < v * v * _STOPPING
        full = (position[last] < CAR + JAM_GAP) & (speed[last] < _ROLLING)  # the box must stay free
        free = (inside[c] & clash[movement] == 0) & ((only_lane[c] == ANY_LANE) | (only_lane[c] == z))
        may_pass = free & (late | (go[c] >> movement & 1 != 0) & (not full))
        there = line[z] + turning[turn, PATH] + position[last] if last != into else _FAR
        position[z] = there if may_pass else position[z]
        speed[z] = speed[last] if may_pass else speed[z]
        passing[n_passing], towards[n_passing] = z, into
        n_passing += may_pass
    return n_passing


@kernel
def look_ahead(n, links, position, speed, rear, ahead):
    """Fills rear and speed of the vehicles ahead of the first n vehicles, given by their rows of `State.chain`."""
    for i in range(n):
        leader = links[i, LEADER]
        rear[i], ahead[i] = position[leader] - CAR, speed[leader]
