"""Kernels for the lists of vehicles that lanes are: doubly linked, and a list of places that are free.

Axes: B worlds, V places, Z lanes, E entries.
"""

from __future__ import annotations

from ..intersection.roads import LEFT, RIGHT
from ..kernels import kernel
from .state import AHEAD, BEHIND, CAME, DUE, FIRST, FREE, LAST


@kernel
def lane_for(lane, order, b, link, turn, lanes):
    """The lane of a link that a turn is made from; straight on, the one that the fewest vehicles are in."""
    if turn == LEFT:
        return link * lanes
    if turn == RIGHT or lanes == 2:
        return link * lanes + lanes - 1
    best, fewest = -1, 1 << 30
    for k in range(1, lanes):
        z, count = link * lanes + k, 0
        i = lane[b, z, FIRST]
        while i >= 0:
            count, i = count + 1, order[b, i, BEHIND]
        if count < fewest:
            best, fewest = z, count
    return best


@kernel
def append(lane, order, b, z, i):
    """Puts a vehicle at the end of a lane."""
    last = lane[b, z, LAST]
    order[b, i, AHEAD], order[b, i, BEHIND] = last, -1
    if last >= 0:
        order[b, last, BEHIND] = i
    else:
        lane[b, z, FIRST] = i
    lane[b, z, LAST] = i


@kernel
def take_first(lane, order, b, z):
    """Takes the first vehicle out of a lane."""
    i = lane[b, z, FIRST]
    behind = order[b, i, BEHIND]
    lane[b, z, FIRST] = behind
    if behind >= 0:
        order[b, behind, AHEAD] = -1
    else:
        lane[b, z, LAST] = -1
    return i


@kernel
def place(order, turns, trip, spare, due, route, b, e, k):
    """A place for an entry's k-th vehicle."""
    i = spare[b]
    spare[b] = order[b, i, BEHIND]
    trip[b, i, DUE], trip[b, i, FREE] = due[b, e, k], 0.0
    turns[b, i] = route[b, e, k]
    order[b, i, CAME] = -1
    return i
