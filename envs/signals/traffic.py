"""Kernels that move vehicles: whom each follows, who may enter a box, entries and exits.

Vehicles follow the one ahead (`following`), and stand before a red light (`lights`) as behind a standing vehicle.
Nobody enters a box in which somebody on a path that conflicts still is, nor one beyond which there is no room, unless
it is too late to stop.

A vehicle in a box is already in the lane that it goes to (`lanes`), at a negative position.

Axes: B worlds, N crossings, V places, Z lanes, E entries.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..intersection.roads import LEFT, STRAIGHT
from ..kernels import kernel
from .config import CONTROL_STEP, SUBSTEP
from .following import CAR, DECELERATION, HEADWAY, JAM_GAP, SLOW, follow
from .lanes import begin_later, choose_lanes, close_up, make_room
from .lights import all_way_stops, show_lights
from .network import CURVE_TIME, FAR, LENGTH, PATH
from .sight import look_ahead, look_at_lines, look_into_boxes
from .state import ARRIVED, COME, DUE, ENTERED, FREE, FULL, GONE, GRANTED, LOST, SHARE, SHARE2, STANDING, STOPS, TURNS

Array = NDArray[Any]

N_SUBSTEPS = round(CONTROL_STEP / SUBSTEP)


class Driving(NamedTuple):
    """What the kernels need of a `Config`, as plain numbers."""

    lanes: int
    speed_limit: float
    yellow: float
    change: float  # yellow and all-red [s]


@kernel
def _pass_line(limit, lanes, links, turning, position, lost, who, lane, trip, turns, came, lost_to, z, into):
    """The first vehicle of a lane enters the box, which is the beginning of the lane that it goes to. Returns where."""
    i, k = lane[z], z // lanes
    vehicle = who[i]
    turn = turns[vehicle] & 3
    trip[vehicle, FREE] += links[k, LENGTH] / limit + turning[turn, CURVE_TIME]
    came[vehicle] = 3 * (k % 4) + turn
    turns[vehicle] = turns[vehicle] >> 2 | turn << 2 * (TURNS - 1)
    lost_to[k // 4] += lost[i]
    there, last = position[i] - links[k, LENGTH] - turning[turn, PATH], lane[into + 1] - 1
    if last >= lane[into]:  # who comes by another path may be nearer: it queues up behind
        there = min(there, position[last] - CAR)
    return there


@kernel
def _reach_exit(free_rest, who, lane, trip, totals, lost, z, now):
    """Counts the first vehicle of a lane out of the network."""
    i = lane[z]
    vehicle = who[i]
    share = min((trip[vehicle, FREE] + free_rest) / max(now - trip[vehicle, DUE], 1e-9), 1.0)
    totals[GONE] += 1.0
    totals[SHARE] += share
    totals[SHARE2] += share * share
    totals[LOST] += SUBSTEP * lost[i]


@kernel
def _appear(trip, turns, came, vehicle, due, route):
    """A vehicle is on the road that comes to its entry at a time and has a route."""
    trip[vehicle, DUE], trip[vehicle, FREE] = due, 0.0
    turns[vehicle], came[vehicle] = route, -1


@kernel
def begin(driving, net, position, speed, who, lane, used, trip, turns, came, entered, due, route):
    """Puts those on the approaches who came before the start, at the speed limit and a safe distance."""
    straight = np.empty(len(net.link), np.int64)
    for b in range(len(position)):
        for e in range(len(net.entry)):
            k, link, limit = 0, net.entry[e], driving.speed_limit
            while k < due.shape[2] and due[b, e, k] < 0.0:
                choose_lanes(lane[b], driving.lanes, straight)
                turn = route[b, e, k] & 3
                z = straight[link] if turn == STRAIGHT else link * driving.lanes + (turn != LEFT) * (driving.lanes - 1)
                s, last = min(-due[b, e, k] * limit, net.link[link, LENGTH] - JAM_GAP), lane[b, z + 1] - 1
                if last >= lane[b, z]:
                    s = min(s, position[b, last] - CAR - JAM_GAP - HEADWAY * limit)
                if s < 0.0:
                    break
                at, n = lane[b, z + 1], lane[b, -1]
                vehicle = n
                make_room(position[b], at, n, s)
                make_room(speed[b], at, n, limit)
                make_room(who[b], at, n, vehicle)
                begin_later(lane[b], z + 1, lane.shape[1], 1)
                _appear(trip[b], turns[b], came[b], vehicle, due[b, e, k], route[b, e, k])
                k += 1
            entered[b, e, ENTERED] = k
            while k < due.shape[2] and due[b, e, k] <= 0.0:
                k += 1
            entered[b, e, COME] = k
        used[b] = lane[b, -1]


class Desk(NamedTuple):
    """Room for what is known for a substep or a control step only. It is made once for a batch of worlds."""

    rear: Array  # (V,) float64, as the next four: of `following.follow`
    ahead: Array
    slowness: Array
    free: Array
    lost: Array
    passing: Array  # (Z,) int64, as the next two: lanes whose first vehicle may pass its line
    towards: Array  # lanes that they go to
    boxed: Array  # lanes whose last vehicle is in the box, or just out of it
    is_boxed: Array  # (Z,) bool
    straight: Array  # (K,) int64: of `lanes.choose_lanes`
    inside: Array  # (N,) int64, as the next two: movements of those in the box, as bits
    go: Array  # movements that may go
    amber: Array  # movements that may go if it is too late to stop
    granted: Array  # (N,) float64: who may go at a dark signal
    come: Array  # (E,) int64, as the next: vehicles that have come
    entered: Array  # and of those how many were let in
    next_due: Array  # (E,) float64: when the next one comes [s]


@kernel
def desk_for(lanes, net, places):
    """A `Desk`."""
    n, z, e = len(net.target), len(net.line), len(net.entry)
    links = np.arange(1, len(net.link) + 1)
    return Desk(
        np.zeros(places), np.zeros(places), np.zeros(places), np.zeros(places), np.zeros(places),
        np.zeros(z, np.int64), np.zeros(z, np.int64), np.zeros(z, np.int64), np.zeros(z, np.bool_), links * lanes - 1,
        np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n),
        np.zeros(e, np.int64), np.zeros(e, np.int64), np.zeros(e),
    )  # fmt: skip


@kernel
def _prepare(source, position, lane, lost, boxed, is_boxed, signal, granted, due, entered, come, let_in, next_due, b):
    """Fills a desk with what is known at the beginning of a control step. Returns how many lanes are `boxed`."""
    n_boxed = 0
    for i in range(lane[-1]):
        lost[i] = 0.0
    for z in range(len(source)):
        i = lane[z + 1] - 1
        is_boxed[z] = i >= lane[z] and source[z] >= 0 and position[i] < CAR
        boxed[n_boxed] = z
        n_boxed += is_boxed[z]
    for c in range(len(granted)):
        granted[c], signal[b, c, ARRIVED] = signal[b, c, GRANTED], 0.0
    for e in range(len(come)):
        come[e], let_in[e] = entered[b, e, COME], entered[b, e, ENTERED]
        next_due[e] = due[b, e, come[e]] if come[e] < due.shape[2] else math.inf
    return n_boxed


@kernel
def _sum_up(lanes, position, speed, lane, lost, totals, come, let_in, entered, b, lost_to, full):
    """What a control step leaves behind: time lost, full lanes, who has come."""
    for c in range(len(lost_to)):
        for i in range(max(lane[4 * c * lanes], 0), lane[4 * (c + 1) * lanes]):
            lost_to[c] += lost[i]
        lost_to[c] *= SUBSTEP
        totals[LOST] += lost_to[c]
        for z in range(4 * c * lanes, 4 * (c + 1) * lanes):
            i = lane[z + 1] - 1
            if i >= lane[z] and position[i] < 2.0 * CAR and speed[i] < SLOW:
                full[c] += 1.0
                totals[FULL] += 1.0
    for i in range(max(lane[4 * len(lost_to) * lanes], 0), lane[-1]):
        totals[LOST] += SUBSTEP * lost[i]
    for e in range(len(come)):
        entered[b, e, COME], entered[b, e, ENTERED] = come[e], let_in[e]


@kernel
def drive(driving, net, new, desk, b, begin, lost_to, full):
    """One control step of all vehicles and lights of world b, from a time on.

    Args:
        driving: The `Driving`.
        net: The `Network`.
        new: The `State`, whose rows b are written.
        desk: A `Desk`.
        b: Which world.
        begin: [s].
        lost_to: (N,) zeros, written: time lost on the way to each crossing's stop lines [s].
        full: (N,) zeros, written: lanes to each crossing that stand full to their beginning.
    """
    lanes, limit = driving.lanes, driving.speed_limit
    links, target, turning, green, clash, entry = net.link, net.target, net.turn, net.green, net.clash, net.entry
    line, source = net.line, net.source
    position, speed, who, lane = new.position[b], new.speed[b], new.who[b], new.lane[b]
    trip, turns, came, totals = new.trip[b], new.turns[b], new.came[b], new.totals[b]
    signal, dark, due, route = new.signal, new.dark, new.due, new.route
    rear, ahead, slowness, free, lost = desk.rear, desk.ahead, desk.slowness, desk.free, desk.lost
    passing, towards, boxed, is_boxed = desk.passing, desk.towards, desk.boxed, desk.is_boxed
    straight, inside, go, amber, granted = desk.straight, desk.inside, desk.go, desk.amber, desk.granted
    come, entered, next_due = desk.come, desk.entered, desk.next_due
    n_lanes, n_signal_lanes, standing, stops, used = len(line), 4 * len(target) * lanes, 0, 0, int(new.used[b])
    n_boxed = _prepare(
        source, position, lane, lost, boxed, is_boxed, signal, granted, due, new.entered, come, entered, next_due, b
    )
    for sub in range(N_SUBSTEPS):
        now, n = begin + sub * SUBSTEP, int(lane[-1])
        if lanes > 2:
            choose_lanes(lane, lanes, straight)
        look_ahead(n, position, speed, limit, rear, ahead, slowness, free)
        n_boxed = look_into_boxes(
            source, turning, position, who, came, lane, boxed, is_boxed, n_boxed, inside, slowness, free
        )
        if show_lights(driving, green, signal, dark, b, now, go, amber):
            all_way_stops(driving, line, position, speed, who, lane, signal, dark, inside, b, now, go, amber)
            granted[:] = signal[b, :, GRANTED]
        n_passing = look_at_lines(
            lanes, line, target, turning, clash, position, speed, who, turns, lane, straight, granted, go, amber,
            inside, rear, ahead, slowness, passing, towards,
        )  # fmt: skip
        stand, stop = follow(n, position, speed, rear, ahead, slowness, free, lost)
        standing, stops = standing + stand, stops + stop
        for m in range(n_passing):
            z, into = passing[m], towards[m]
            if position[lane[z]] < line[z]:
                continue
            there = _pass_line(
                limit, lanes, links, turning, position, lost, who, lane, trip, turns, came, lost_to, z, into
            )
            if not is_boxed[into]:
                boxed[n_boxed], is_boxed[into] = into, True
                n_boxed += 1
            at, v, vehicle = int(lane[z]), speed[lane[z]], who[lane[z]]
            if into > z:
                to = lane[into + 1] - 1
                close_up(position, at, to, there)
                close_up(speed, at, to, v)
                close_up(lost, at, to, 0.0)
                close_up(who, at, to, vehicle)
                begin_later(lane, z + 1, into + 1, -1)
            else:
                to = int(lane[into + 1])
                make_room(position, to, at, there)
                make_room(speed, to, at, v)
                make_room(lost, to, at, 0.0)
                make_room(who, to, at, vehicle)
                begin_later(lane, into + 1, z + 1, 1)
            if into < n_signal_lanes:
                signal[b, into // lanes // 4, ARRIVED] += 1.0
        for z in range(n_signal_lanes, n_lanes):
            length = links[4 * len(target), LENGTH]  # all roads out are as long
            if lane[z] < lane[z + 1] and position[lane[z]] >= length:
                _reach_exit(length / limit, who, lane, trip, totals, lost, z, now + SUBSTEP)
                at, to = int(lane[z]), lane[-1] - 1
                vehicle = who[at]
                close_up(position, at, to, 0.0)
                close_up(speed, at, to, 0.0)
                close_up(lost, at, to, 0.0)
                close_up(who, at, to, vehicle)
                begin_later(lane, z + 1, n_lanes + 1, -1)
        for e in range(len(entry)):
            while next_due[e] <= now + SUBSTEP:
                come[e] += 1
                next_due[e] = due[b, e, come[e]] if come[e] < due.shape[2] else math.inf
            while entered[e] < come[e]:
                k, link = entered[e], entry[e]
                after = route[b, e, k] & 3
                z = straight[link] if after == STRAIGHT else link * lanes + (0 if after == LEFT else lanes - 1)
                last, gap, v = lane[z + 1] - 1, FAR, 0.0
                if last >= lane[z]:
                    gap, v = position[last] - CAR - JAM_GAP, speed[last]
                if gap <= 0.0:
                    lost_to[link // 4] += come[e] - k  # they wait outside
                    break
                v = min(limit, gap / HEADWAY, math.sqrt(v * v + 2.0 * DECELERATION * gap))
                at, to = int(lane[z + 1]), int(lane[-1])
                vehicle, used = who[to] if to < used else to, max(used, to + 1)
                make_room(position, at, to, 0.0)
                make_room(speed, at, to, v)
                make_room(lost, at, to, 0.0)
                make_room(who, at, to, vehicle)
                begin_later(lane, z + 1, n_lanes + 1, 1)
                _appear(trip, turns, came, vehicle, due[b, e, k], route[b, e, k])
                entered[e] = k + 1
                signal[b, link // 4, ARRIVED] += 1.0
    new.used[b] = used
    totals[STANDING] += SUBSTEP * standing
    totals[STOPS] += stops
    _sum_up(lanes, position, speed, lane, lost, totals, come, entered, new.entered, b, lost_to, full)
