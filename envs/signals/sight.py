"""Kernels for what vehicles have ahead of them, before all move at once: the next vehicle, a line, a box, its far side.

They call no others: numba would count references to every array that they pass on, atomically, at every call.

Axes: N crossings, V places, Z lanes; all arrays are those of one world.
"""

from __future__ import annotations

import math

from ..intersection.roads import EASE, LEFT, STRAIGHT
from ..kernels import kernel
from .following import CAR, JAM_GAP
from .lights import NOBODY, STOPPABLE
from .network import CURVE_SPEED, FAR, PATH

SIGHT = 80.0
"""From here on a stop line matters [m]."""


@kernel
def look_ahead(n, position, speed, limit, rear, ahead, slowness, free):
    """Whom everybody follows, as if lanes had no ends: the neighbour in memory. The first vehicle follows nobody."""
    for i in range(1, n):
        rear[i], ahead[i] = position[i - 1] - CAR, speed[i - 1]
    slowness[:n], free[:n] = 1.0 / limit, 1.0 / limit


@kernel
def look_into_boxes(source, turning, position, who, came, lane, boxed, is_boxed, n_boxed, inside, slowness, free):
    """Who is still in the boxes: fills movements as bits, and what speed the curves allow.

    Of the lanes in which somebody was near the beginning, those in which somebody still is are kept; returns how many.
    """
    inside[:] = 0
    kept = 0
    for m in range(n_boxed):
        z = boxed[m]
        c, first, last = source[z], int(lane[z]), lane[z + 1] - 1
        for i in range(last, first - 1, -1):
            if position[i] >= CAR:
                break
            movement = came[who[i]]
            inside[c] |= 1 << movement
            if position[i] < 0.0:
                slowness[i] = free[i] = 1.0 / turning[movement % 3, CURVE_SPEED]
        is_boxed[z] = first <= last and position[last] < CAR
        if is_boxed[z]:
            boxed[kept] = z
            kept += 1
    return kept


@kernel
def look_at_lines(
    lanes, line, target, turning, clash, position, speed, who, turns, lane, straight, granted, go, amber, inside,
    rear, ahead, slowness, passing, towards,
):  # fmt: skip
    """What the first vehicle of every lane has before it: the line, or what is beyond it. Returns how many may pass.

    Their lanes, and the ones that they go to, are filled into (Z,) and (Z,).
    """
    n = lane[-1]
    for z in range(len(line)):  # an empty lane begins where the next one does, which comes later and puts it right
        i = lane[z]
        if i == n:
            break
        rear[i], ahead[i] = line[z] if position[i] > line[z] - SIGHT else FAR, 0.0
    n_passing = 0
    for c in range(len(go)):
        lit = go[c] | amber[c]
        for heading in range(4):
            may = lit >> 3 * heading & 7
            if may == 0:
                continue
            first = (4 * c + heading) * lanes
            for z in range(first if may & 1 else first + 1, first + (lanes if may > 1 else 1)):
                i = lane[z]
                if i == lane[z + 1] or rear[i] == FAR:
                    continue
                room, v, route = line[z] - position[i], speed[i], turns[who[i]]
                turn = route & 3
                movement = 3 * heading + turn
                if turn != STRAIGHT:
                    top = math.sqrt(turning[turn, CURVE_SPEED] ** 2 + 2.0 * EASE * max(room, 0.0))
                    slowness[i] = max(slowness[i], 1.0 / top)
                late = room < v * v * (0.5 / STOPPABLE)
                if inside[c] & clash[movement] != 0 or not (late or go[c] >> movement & 1):
                    continue
                if granted[c] != NOBODY and granted[c] != who[i]:
                    continue  # beside the one that a dark signal lets go
                link, after = target[c, heading + 1 - turn & 3], route >> 2 & 3
                into = straight[link] if after == STRAIGHT else link * lanes + (0 if after == LEFT else lanes - 1)
                last = lane[into + 1] - 1
                if last < lane[into]:
                    rear[i] = FAR
                else:
                    beyond, u = position[last] - CAR, speed[last]
                    if beyond < JAM_GAP and u < 2.0 and not late:
                        continue  # the box must stay free
                    rear[i], ahead[i] = line[z] + turning[turn, PATH] + beyond, u
                passing[n_passing], towards[n_passing] = z, into
                n_passing += 1
    return n_passing
