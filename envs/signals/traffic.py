"""Kernels that move vehicles: whom each follows, who may enter a box, entries and exits.

Vehicles follow the one ahead (`following`), and stand before a red light (`lights`) as behind a standing vehicle.
Nobody enters a box in which somebody on a path that conflicts still is, nor one beyond which there is no room, unless
it is too late to stop.

A vehicle in a box is already in the lane that it goes to (`lanes`), at a negative position.

Axes: B worlds, N crossings, V places, Z lanes, E entries.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..intersection.roads import EASE, LEFT, STRAIGHT
from ..kernels import kernel
from ..kernels import kernel
from .config import CONTROL_STEP, SUBSTEP
from .following import CAR, DECELERATION, FAR, HEADWAY, JAM_GAP, SLOW, follow
from .lanes import change_down, change_up, choose_lanes, enter, leave
from .lights import NOBODY, STOPPABLE, all_way_stops, show_lights
from .network import CURVE_SPEED, CURVE_TIME, LENGTH, PATH, SOURCE
from .state import ARRIVED, COME, DUE, ENTERED, FREE, FULL, GONE, GRANTED, LOST, SHARE, SHARE2, STANDING, STOPS, TURNS

SIGHT = 80.0
"""From here on a stop line matters [m]."""
N_SUBSTEPS = round(CONTROL_STEP / SUBSTEP)


class Driving(NamedTuple):
    """What the kernels need of a `Config`, as plain numbers."""

    lanes: int
    speed_limit: float
    yellow: float
    change: float  # yellow and all-red [s]


@kernel
def _look_ahead(n, position, speed, limit, rear, ahead, slowness, free):
    """Whom everybody follows, as if lanes had no ends: the neighbour in memory. The first vehicle follows nobody."""
    for i in range(1, n):
        rear[i], ahead[i] = position[i - 1] - CAR, speed[i - 1]
    slowness[:n], free[:n] = 1.0 / limit, 1.0 / limit


@kernel
def _look_into_boxes(
    source, slow_turn, lanes, position, who, came, lane, boxed, is_boxed, n_boxed, inside, slowness, free
):
    """Who is still in the boxes: fills movements as bits, and what speed the curves allow.

    Of the lanes in which somebody was near the beginning, those in which somebody still is are kept; returns how many.
    """
    inside[:] = 0
    kept = 0
    for m in range(n_boxed):
        z = boxed[m]
        c, first, last = source[z // lanes], int(lane[z]), lane[z + 1] - 1
        for i in range(last, first - 1, -1):
            if position[i] >= CAR:
                break
            movement = came[who[i]]
            inside[c] |= 1 << movement
            if position[i] < 0.0:
                slowness[i] = free[i] = slow_turn[movement % 3]
        is_boxed[z] = first <= last and position[last] < CAR
        if is_boxed[z]:
            boxed[kept] = z
            kept += 1
    return kept


@kernel
def _look_at_lines(
    lanes, line, target, path, curve, clash, position, speed, who, turns, lane, straight, granted, go, amber, inside,
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
                    slowness[i] = max(slowness[i], 1.0 / math.sqrt(curve[turn] + 2.0 * EASE * max(room, 0.0)))
                late = room < v * v * (0.5 / STOPPABLE)
                if inside[c] & clash[movement] != 0 or not (late or go[c] >> movement & 1):
                    continue
                if granted[c] != NOBODY and granted[c] != who[i]:
                    continue  # beside the one that a dark signal lets go
                link, after = target[4 * c + (heading + 1 - turn & 3)], route >> 2 & 3
                into = straight[link] if after == STRAIGHT else link * lanes + (0 if after == LEFT else lanes - 1)
                last = lane[into + 1] - 1
                if last < lane[into]:
                    rear[i] = FAR
                else:
                    beyond, u = position[last] - CAR, speed[last]
                    if beyond < JAM_GAP and u < 2.0 and not late:
                        continue  # the box must stay free
                    rear[i], ahead[i] = line[z] + path[turn] + beyond, u
                passing[n_passing], towards[n_passing] = z, into
                n_passing += 1
    return n_passing


@kernel
def _pass_line(limit, lanes, length, path, curve_time, position, lost, who, lane, trip, turns, came, lost_to, z, into):
    """The first vehicle of a lane enters the box, which is the beginning of the lane that it goes to. Returns where."""
    i, k = lane[z], z // lanes
    vehicle = who[i]
    turn = turns[vehicle] & 3
    trip[vehicle, FREE] += length[k] / limit + curve_time[turn]
    came[vehicle] = 3 * (k % 4) + turn
    turns[vehicle] = turns[vehicle] >> 2 | turn << 2 * (TURNS - 1)
    lost_to[k // 4] += lost[i]
    there, last = position[i] - length[k] - path[turn], lane[into + 1] - 1
    if last >= lane[into]:  # who comes by another path may be nearer: it queues up behind
        there = min(there, position[last] - CAR)
    return there


@kernel
def _reach_exit(limit, length, who, lane, trip, totals, lost, z, k, now):
    """Counts the first vehicle of a lane out of the network."""
    i = lane[z]
    vehicle = who[i]
    share = min((trip[vehicle, FREE] + length[k] / limit) / max(now - trip[vehicle, DUE], 1e-9), 1.0)
    totals[GONE] += 1.0
    totals[SHARE] += share
    totals[SHARE2] += share * share
    totals[LOST] += SUBSTEP * lost[i]


@kernel
def _let_in(limit, lanes, entry, position, speed, lane, straight, room, due, route, b, now, come, entered, lost_to, e):
    """The next entry, from one on, at which somebody finds room.

    Those who have come and find none lose time.

    Returns:
        The entry, or -1; the lane and the speed there.
    """
    found, place, speed_there = -1, -1, 0.0
    for e in range(e, len(entry)):
        k = come[e]
        while k < due.shape[2] and due[b, e, k] <= now:
            k += 1
        come[e] = k
        waiting, k, link = come[e] - entered[e], entered[e], entry[e]
        if waiting == 0:
            continue
        after = route[b, e, k] & 3
        z = straight[link] if after == STRAIGHT else link * lanes + (0 if after == LEFT else lanes - 1)
        last, v = lane[z + 1] - 1, limit
        if last >= lane[z]:
            gap, u = position[last] - CAR - JAM_GAP, speed[last]
            v = min(v, gap / HEADWAY, math.sqrt(u * u + 2.0 * DECELERATION * max(gap, 0.0)))
        if v > 0.0 and lane[-1] < room:
            found, place, speed_there = e, z, v
            break
        lost_to[link // 4] += waiting
    return found, place, speed_there


@kernel
def _appear(trip, turns, came, vehicle, due, route):
    """A vehicle is on the road that comes to its entry at a time and has a route."""
    trip[vehicle, DUE], trip[vehicle, FREE] = due, 0.0
    turns[vehicle], came[vehicle] = route, -1


@kernel
def begin(driving, net, position, speed, who, lane, trip, turns, came, entered, due, route):
    """Puts those on the approaches who came before the start, at the speed limit and a safe distance."""
    lost, straight = np.zeros(position.shape[1]), np.empty(len(net.link), np.int64)
    for b in range(len(position)):
        for e in range(len(net.entry)):
            k, link, limit = 0, net.entry[e], driving.speed_limit
            while k < due.shape[2] and due[b, e, k] < 0.0 and lane[b, -1] < len(lost):
                choose_lanes(lane[b], driving.lanes, straight)
                turn = route[b, e, k] & 3
                z = straight[link] if turn == STRAIGHT else link * driving.lanes + (turn != LEFT) * (driving.lanes - 1)
                s, last = min(-due[b, e, k] * limit, net.link[link, LENGTH] - JAM_GAP), lane[b, z + 1] - 1
                if last >= lane[b, z]:
                    s = min(s, position[b, last] - CAR - JAM_GAP - HEADWAY * limit)
                if s < 0.0:
                    break
                vehicle = enter(position[b], speed[b], lost, who[b], lane[b], z, s, limit)
                _appear(trip[b], turns[b], came[b], vehicle, due[b, e, k], route[b, e, k])
                k += 1
            entered[b, e, ENTERED] = k
            while k < due.shape[2] and due[b, e, k] <= 0.0:
                k += 1
            entered[b, e, COME] = k


@kernel
def drive(driving, net, new, b, begin, lost_to, full):
    """One control step of all vehicles and lights of world b, from a time on.

    Args:
        driving: The `Driving`.
        net: The `Network`.
        new: The `State`, whose rows b are written.
        b: Which world.
        begin: [s].
        lost_to: (N,) zeros, written: time lost on the way to each crossing's stop lines [s].
        full: (N,) zeros, written: lanes to each crossing that stand full to their beginning.
    """
    lanes, limit, n_crossings = driving.lanes, driving.speed_limit, len(lost_to)
    target, entry, green, clash = net.target.ravel(), net.entry, net.green, net.clash
    length, source = net.link[:, LENGTH].copy(), net.link[:, SOURCE].astype(np.int64)
    path, curve, curve_time = net.turn[:, PATH].copy(), net.turn[:, CURVE_SPEED] ** 2, net.turn[:, CURVE_TIME].copy()
    slow_turn = 1.0 / net.turn[:, CURVE_SPEED]
    position, speed, who, lane = new.position[b], new.speed[b], new.who[b], new.lane[b]
    trip, turns, came, totals = new.trip[b], new.turns[b], new.came[b], new.totals[b]
    signal, dark, due, route = new.signal, new.dark, new.due, new.route
    come, entered = new.entered[b, :, COME].copy(), new.entered[b, :, ENTERED].copy()
    n_lanes, n_signal_lanes = len(lane) - 1, 4 * n_crossings * lanes
    inside, go = np.zeros(n_crossings, np.int64), np.zeros(n_crossings, np.int64)
    amber, granted = np.zeros(n_crossings, np.int64), signal[b, :, GRANTED].copy()
    passing, towards, boxed = np.empty(n_lanes, np.int64), np.empty(n_lanes, np.int64), np.empty(n_lanes, np.int64)
    rear, ahead, slowness = np.zeros(len(who)), np.zeros(len(who)), np.empty(len(who))
    free, lost, line = np.empty(len(who)), np.zeros(len(who)), np.full(n_lanes, FAR)
    is_boxed = np.zeros(n_lanes, np.bool_)
    straight = np.arange(1, len(length) + 1) * lanes - 1
    n_boxed, standing, stops = 0, 0, 0
    for z in range(n_lanes):
        if z < n_signal_lanes:
            line[z] = length[z // lanes]
        i = lane[z + 1] - 1
        if i >= lane[z] and position[i] < CAR and source[z // lanes] >= 0:
            boxed[n_boxed], is_boxed[z] = z, True
            n_boxed += 1
    signal[b, :, ARRIVED] = 0.0
    for sub in range(N_SUBSTEPS):
        now, n = begin + sub * SUBSTEP, int(lane[-1])
        if lanes > 2:
            choose_lanes(lane, lanes, straight)
        _look_ahead(n, position, speed, limit, rear, ahead, slowness, free)
        n_boxed = _look_into_boxes(
            source, slow_turn, lanes, position, who, came, lane, boxed, is_boxed, n_boxed, inside, slowness, free
        )
        if show_lights(driving, green, signal, dark, b, now, go, amber):
            all_way_stops(driving, length, position, speed, who, lane, signal, dark, inside, b, now, go, amber)
            granted[:] = signal[b, :, GRANTED]
        n_passing = _look_at_lines(
            lanes, line, target, path, curve, clash, position, speed, who, turns, lane, straight, granted, go, amber,
            inside, rear, ahead, slowness, passing, towards,
        )  # fmt: skip
        stand, stop = follow(n, position, speed, rear, ahead, slowness, free, lost)
        standing, stops = standing + stand, stops + stop
        for m in range(n_passing):
            z, into = passing[m], towards[m]
            if position[lane[z]] < line[z]:
                continue
            there = _pass_line(
                limit, lanes, length, path, curve_time, position, lost, who, lane, trip, turns, came, lost_to, z, into
            )
            if not is_boxed[into]:
                boxed[n_boxed], is_boxed[into] = into, True
                n_boxed += 1
            if into > z:
                change_up(position, speed, lost, who, lane, z, into, there)
            else:
                change_down(position, speed, lost, who, lane, z, into, there)
            if into < n_signal_lanes:
                signal[b, into // lanes // 4, ARRIVED] += 1.0
        for z in range(n_signal_lanes, n_lanes):
            if lane[z] < lane[z + 1] and position[lane[z]] >= length[z // lanes]:
                _reach_exit(limit, length, who, lane, trip, totals, lost, z, z // lanes, now + SUBSTEP)
                leave(position, speed, lost, who, lane, z)
        e = 0
        while e >= 0:
            e, z, v = _let_in(
                limit, lanes, entry, position, speed, lane, straight, len(who), due, route, b, now + SUBSTEP, come,
                entered, lost_to, e,
            )  # fmt: skip
            if e >= 0:
                vehicle = enter(position, speed, lost, who, lane, z, 0.0, v)
                _appear(trip, turns, came, vehicle, due[b, e, entered[e]], route[b, e, entered[e]])
                entered[e] += 1
                signal[b, entry[e] // 4, ARRIVED] += 1.0
    new.entered[b, :, COME], new.entered[b, :, ENTERED] = come, entered
    totals[STANDING] += SUBSTEP * standing
    totals[STOPS] += stops
    for c in range(n_crossings):
        for i in range(lane[4 * c * lanes], lane[4 * (c + 1) * lanes]):
            lost_to[c] += lost[i]
        lost_to[c] *= SUBSTEP
        totals[LOST] += lost_to[c]
    for i in range(lane[n_signal_lanes], lane[-1]):
        totals[LOST] += SUBSTEP * lost[i]
    for z in range(n_signal_lanes):
        i = lane[z + 1] - 1
        if i >= lane[z] and position[i] < 2.0 * CAR and speed[i] < SLOW:
            full[z // lanes // 4] += 1.0
            totals[FULL] += 1.0
