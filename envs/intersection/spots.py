"""Places of cars relative to crossings: crossing, movement, distance past its line, and the car ahead.

Axes: B worlds, V vehicles. A `spot` (V, N_SPOT) describes the cars of one world; `locate` fills it.
"""

from __future__ import annotations

import math

from ..kit.kernels import kernel
from ..roads.crossing import CROSS, DIVERGE, MERGE
from .network import (
    ABSENT,
    BEGIN,
    COS0,
    CROSSING,
    CURVATURE,
    END,
    ENTER,
    HEADING0,
    KIND,
    LEAVE,
    LINE,
    MOVEMENT,
    S0,
    SAMPLE,
    SECTION,
    SIN0,
    X0,
    Y0,
)
from .state import DRIVING, POSITION

AT_CROSSING, ON_MOVEMENT, PAST_LINE, IN_SECTION, SECTION_POSITION, MOVEMENT_LENGTH = range(6)
"""Columns of a spot: index of the crossing that the car is at or heads for (-1: it is not on the road), index of its
movement there, position of its centre past the stop line [m] (negative before it), index of the section that it is in,
position in that section [m], length of the movement [m]."""
N_SPOT = 6


@kernel
def locate_one(leg, stretch, p, q, s, spot, i):
    """Fills row i of spot for a car at position s of route p whose current leg is q."""
    line, end = leg[p, q, LINE], leg[p, q, END]
    g = 2 * q + (0 if s < line else 1 if s < end else 2)
    spot[i, AT_CROSSING], spot[i, ON_MOVEMENT] = leg[p, q, CROSSING], leg[p, q, MOVEMENT]
    spot[i, PAST_LINE], spot[i, MOVEMENT_LENGTH] = s - line, end - line
    spot[i, IN_SECTION], spot[i, SECTION_POSITION] = stretch[p, g, SECTION], s - stretch[p, g, BEGIN]


@kernel
def locate(leg, stretch, car, status, legs, route, b, spot, index):
    """Fills spot (V, N_SPOT) for world b.

    Returns:
        The part of `index` (V,) that was filled with the indices of the cars on the road, ascending.
    """
    k = 0
    for i in range(status.shape[1]):
        if status[b, i] == DRIVING:
            locate_one(leg, stretch, route[b, i], legs[b, i], car[b, i, POSITION], spot, i)
            index[k] = i
            k += 1
        else:
            spot[i, AT_CROSSING] = -1.0
    return index[:k]


@kernel
def ahead(section_start, zone, spot, p, s, i, j):
    """Returns how far car j is ahead of car i, which is at position s of its route p: between centres [m], or ABSENT.

    A car on a movement out of the same lane counts as ahead until the paths have parted; one on a movement into the
    same lane counts from where the paths meet.
    """
    if spot[j, AT_CROSSING] < 0.0:
        return ABSENT
    begin = section_start[p, int(spot[j, IN_SECTION])]
    if begin > ABSENT:
        far = begin + spot[j, SECTION_POSITION] - s
        return far if far > 0.0 else ABSENT
    if spot[i, AT_CROSSING] == spot[j, AT_CROSSING] and 0.0 <= spot[j, PAST_LINE] < spot[j, MOVEMENT_LENGTH]:
        own, other = int(spot[i, ON_MOVEMENT]), int(spot[j, ON_MOVEMENT])
        kind = zone[own, other, KIND]
        far = ABSENT
        if kind == DIVERGE:
            if spot[j, PAST_LINE] <= zone[other, own, LEAVE] and spot[i, PAST_LINE] <= zone[own, other, LEAVE]:
                far = spot[j, PAST_LINE] - spot[i, PAST_LINE]
        elif kind == MERGE and spot[j, PAST_LINE] >= zone[other, own, ENTER]:
            far = (spot[j, PAST_LINE] - spot[j, MOVEMENT_LENGTH]) - (spot[i, PAST_LINE] - spot[i, MOVEMENT_LENGTH])
        return far if far > 0.0 else ABSENT
    return ABSENT


@kernel
def leader_of(section_start, zone, spot, there, p, s, i):
    """Returns the car ahead of car i, which is at position s of route p, and its distance between centres [m].

    Without a car ahead, these are -1 and infinity.
    """
    best, least = -1, math.inf
    for j in there:
        if j != i:
            far = ahead(section_start, zone, spot, p, s, i, j)
            if ABSENT < far < least:
                best, least = j, far
    return best, least


@kernel
def shares_zone(zone, spot, i, j):
    """Returns whether two cars have a zone ahead of them or around them that only one of them may be in."""
    if spot[i, AT_CROSSING] < 0.0 or spot[i, AT_CROSSING] != spot[j, AT_CROSSING]:
        return False
    own, other = int(spot[i, ON_MOVEMENT]), int(spot[j, ON_MOVEMENT])
    kind = zone[own, other, KIND]
    if kind not in (CROSS, MERGE):
        return False
    return spot[i, PAST_LINE] <= zone[own, other, LEAVE] and spot[j, PAST_LINE] <= zone[other, own, LEAVE]


@kernel
def profile_at(profile, p, s, column):
    """Returns a column of route p's profile at position s, interpolated between samples."""
    x = min(max(s / SAMPLE, 0.0), profile.shape[1] - 1.001)
    k = int(x)
    return profile[p, k, column] + (x - k) * (profile[p, k + 1, column] - profile[p, k, column])


@kernel
def pose_at(segment, p, s):
    """Returns x, y [m], and cosine and sine of the heading, at position s of route p."""
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
    """Returns when a car has driven a distance at its acceleration, up to a top speed [s]; infinity if never."""
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
