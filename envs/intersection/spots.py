"""Where cars are, in the terms of right of way: which crossing, how through it, how far to its line, who is ahead.

Axes: B worlds, V vehicles. `spot` is (V, N_SPOT), filled by `locate` for one world at a time.
"""

from __future__ import annotations

import math

from ..kit.kernels import kernel
from .roads import (
    ABSENT,
    BEGIN,
    COS0,
    CROSS,
    CROSSING,
    CURVATURE,
    DIVERGE,
    END,
    ENTER,
    HEADING0,
    KIND,
    LEAVE,
    LINE,
    MERGE,
    MOVEMENT,
    S0,
    SAMPLE,
    SECTION,
    SIN0,
    X0,
    Y0,
)
from .state import DRIVING, POSITION

AT, WAY, REST, WHERE, ALONG, BOX = range(6)
"""Columns of a spot: crossing (-1 off the road), movement, position from the stop line [m], section, position in it
[m], length of the movement [m]."""
N_SPOT = 6


@kernel
def locate_one(leg, stretch, p, q, s, spot, i):
    """Fills spot i for a car at s on route p with crossing q ahead or around it."""
    line, end = leg[p, q, LINE], leg[p, q, END]
    g = 2 * q + (0 if s < line else 1 if s < end else 2)
    spot[i, AT], spot[i, WAY] = leg[p, q, CROSSING], leg[p, q, MOVEMENT]
    spot[i, REST], spot[i, BOX] = s - line, end - line
    spot[i, WHERE], spot[i, ALONG] = stretch[p, g, SECTION], s - stretch[p, g, BEGIN]


@kernel
def locate(leg, stretch, car, status, legs, route, b, spot, there):
    """Fills spot (V, N_SPOT) of world b; returns the part of there (V,) that holds who is on the road, ascending."""
    k = 0
    for i in range(status.shape[1]):
        if status[b, i] == DRIVING:
            locate_one(leg, stretch, route[b, i], legs[b, i], car[b, i, POSITION], spot, i)
            there[k] = i
            k += 1
        else:
            spot[i, AT] = -1.0
    return there[:k]


@kernel
def ahead(where, zone, spot, p, s, i, j):
    """How far j is ahead of i on i's own route p [m], between centres; ABSENT if it is not.

    A car on a movement out of the same lane counts until the paths have parted, one on a movement into the same lane
    from where they meet.
    """
    if spot[j, AT] < 0.0:
        return ABSENT
    at = where[p, int(spot[j, WHERE])]
    if at > ABSENT:
        far = at + spot[j, ALONG] - s
        return far if far > 0.0 else ABSENT
    if spot[i, AT] == spot[j, AT] and 0.0 <= spot[j, REST] < spot[j, BOX]:
        mine, its = int(spot[i, WAY]), int(spot[j, WAY])
        kind = zone[mine, its, KIND]
        far = ABSENT
        if kind == DIVERGE:
            if spot[j, REST] <= zone[its, mine, LEAVE] and spot[i, REST] <= zone[mine, its, LEAVE]:
                far = spot[j, REST] - spot[i, REST]
        elif kind == MERGE and spot[j, REST] >= zone[its, mine, ENTER]:
            far = (spot[j, REST] - spot[j, BOX]) - (spot[i, REST] - spot[i, BOX])
        return far if far > 0.0 else ABSENT
    return ABSENT


@kernel
def leader_of(where, zone, spot, there, p, s, i):
    """The car ahead of i, which is at s on route p, and how far [m] between centres; -1 and infinity if none is."""
    best, least = -1, math.inf
    for j in there:
        if j != i:
            far = ahead(where, zone, spot, p, s, i, j)
            if ABSENT < far < least:
                best, least = j, far
    return best, least


@kernel
def shares_zone(zone, spot, i, j):
    """Whether two cars have a zone ahead or around them that only one may be in."""
    if spot[i, AT] < 0.0 or spot[i, AT] != spot[j, AT]:
        return False
    mine, its = int(spot[i, WAY]), int(spot[j, WAY])
    kind = zone[mine, its, KIND]
    if kind not in (CROSS, MERGE):
        return False
    return spot[i, REST] <= zone[mine, its, LEAVE] and spot[j, REST] <= zone[its, mine, LEAVE]


@kernel
def profile_at(profile, p, s, column):
    """A column of route p's profile at s, between its samples."""
    x = min(max(s / SAMPLE, 0.0), profile.shape[1] - 1.001)
    k = int(x)
    return profile[p, k, column] + (x - k) * (profile[p, k + 1, column] - profile[p, k, column])


@kernel
def pose_at(segment, p, s):
    """x, y, cos and sin of the heading at s on route p."""
    g = 0
    while g + 1 < segment.shape[1] and segment[p, g + 1, S0] <= s:
        g += 1
    beyond = s - segment[p, g, S0]
    c, n, curvature = segment[p, g, COS0], segment[p, g, SIN0], segment[p, g, CURVATURE]
    if curvature == 0.0:
        return segment[p, g, X0] + c * beyond, segment[p, g, Y0] + n * beyond, c, n
    turned = segment[p, g, HEADING0] + curvature * beyond
    ct, nt = math.cos(turned), math.sin(turned)
    return segment[p, g, X0] + (nt - n) / curvature, segment[p, g, Y0] - (ct - c) / curvature, ct, nt


@kernel
def reach_time(distance, speed, acceleration, top):
    """When a car has gone so far with its present acceleration, at most at top speed [s]; infinity if never."""
    if distance <= 0.0:
        return 0.0
    if acceleration < -1e-3:
        root = speed * speed + 2.0 * acceleration * distance
        return (speed - math.sqrt(root)) / -acceleration if root > 0.0 else math.inf
    if acceleration > 1e-3 and speed < top:
        until = (top - speed) / acceleration
        gone = 0.5 * (speed + top) * until
        if gone >= distance:
            return (math.sqrt(speed * speed + 2.0 * acceleration * distance) - speed) / acceleration
        return until + (distance - gone) / top
    return distance / speed if speed > 1e-3 else math.inf
