"""Kernels for what drivers see before all move at once: the boxes, what is at and beyond the lines, whom they follow.

Axes: N crossings, V places, Z lanes, K links; all arrays are those of one world.
"""

from __future__ import annotations

import math

import numpy as np

from ..intersection.roads import EASE
from ..kit.kernels import borrowing
from .following import CAR, JAM_GAP
from .lights import ANYBODY, STOPPABLE
from .network import CURVE_SPEED, FAR, PATH
from .state import FOLLOWER, LAST_TURN, LEADER, TURNS

_EASE, _STOPPING, _ROLLING = np.float32(2.0 * EASE), np.float32(0.5 / STOPPABLE), np.float32(2.0)
_ZERO, _ONE, _FAR = np.float32(0.0), np.float32(1.0), np.float32(FAR)


@borrowing
def keep_limit(n, limit, slowness, free):
    """The speed limit, for the first n vehicles, unless something says later that they are to be slower."""
    least = np.float32(1.0 / limit)
    for i in range(n):
        slowness[i], free[i] = least, least


@borrowing
def look_into_boxes(net, position, chain, boxed, is_boxed, n_boxed, inside, slowness, free):
    """Who is still in the boxes: fills movements as bits, and what speed the curves allow.

    Of the lanes in which somebody was near the beginning, those in which somebody still is are kept; returns how many.
    """
    source, heading, turning = net.source, net.heading, net.turn
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


@borrowing
def look_at_lines(net, lanes, after, position, speed, chain, alone, go, amber, inside, slowness, passing, towards):
    """What the first vehicles of lanes that are not red have before them: the line, or what is beyond it.

    Puts there the phantoms of lanes whose first vehicle may pass. Fills these lanes, and those that it goes on to, into
    (Z,) and (Z,), and returns how many there are.
    """
    line, road, made, target, turning, clash = net.line, net.road, net.made, net.target, net.turn, net.clash
    n_lit, n_passing = 0, 0
    # Lists first, then what is in them, almost without branches: processors would guess most of them wrong.
    for z in range(4 * len(go) * lanes):
        c = np.uint32(road[z] >> 2)
        towards[n_lit] = z
        n_lit += ((go[c] | amber[c]) & made[z] != 0) & (chain[z, FOLLOWER] != z)
    for k in range(n_lit):
        z = towards[k]
        i, c, heading = chain[z, FOLLOWER], np.uint32(road[z] >> 2), road[z] & 3
        room, v, turn = line[z] - position[i], speed[i], np.uint32(chain[i, TURNS] & 3)
        movement = np.uint32(3 * heading + turn)
        top = math.sqrt(turning[turn, CURVE_SPEED] * turning[turn, CURVE_SPEED] + _EASE * max(room, _ZERO))
        slowness[i] = max(slowness[i], _ONE / top)
        into = after[target[c, np.uint32(heading + 1 - turn & 3)], np.uint32(chain[i, TURNS] >> 2 & 3)]
        last = chain[into, LEADER]
        late = room < v * v * _STOPPING
        full = (position[last] < CAR + JAM_GAP) & (speed[last] < _ROLLING)  # the box must stay free
        free = (inside[c] & clash[movement] == 0) & ((alone[c] == ANYBODY) | (alone[c] == z))
        may_pass = free & (late | (go[c] >> movement & 1 != 0) & (not full))
        there = line[z] + turning[turn, PATH] + position[last] if last != into else _FAR
        position[z] = there if may_pass else position[z]
        speed[z] = speed[last] if may_pass else speed[z]
        passing[n_passing], towards[n_passing] = z, into
        n_passing += may_pass
    return n_passing


@borrowing
def look_ahead(n, links, position, speed, rear, ahead):
    """Where the ones are whom the first n vehicles follow, by their rows of `State.chain`, and how fast."""
    for i in range(n):
        leader = links[i, LEADER]
        rear[i], ahead[i] = position[leader] - CAR, speed[leader]
