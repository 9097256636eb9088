"""Kernels that move vehicles: car following, stop lines, boxes, entries and exits.

Vehicles follow the one ahead (`following`), and stand before a red light as behind a standing vehicle. A yellow
light stops who can stop at `STOPPABLE`. Nobody enters a box in which somebody on a path that conflicts still is, nor
one beyond which there is no room, unless it is too late to stop. At a dark signal all stop, then one after the other
goes, lane by lane in turn.

A vehicle in a box is already in the lane that it goes to, at a negative position.

Axes: B worlds, N crossings, V places, Z lanes, E entries.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..intersection.roads import EASE, LEFT
from ..kernels import kernel
from .config import CONTROL_STEP, SUBSTEP
from .following import CAR, DECELERATION, FAR, HEADWAY, JAM_GAP, idm, move
from .lanes import append, lane_for, place, take_first
from .network import CURVE_SPEED, CURVE_TIME, LENGTH, PATH, SOURCE
from .state import (
    AHEAD,
    ARRIVED,
    BEHIND,
    CAME,
    COME,
    DUE,
    ENTERED,
    FIRST,
    FREE,
    FULL,
    GONE,
    GRANTED,
    LAST,
    LOST,
    PHASE,
    POSITION,
    PREVIOUS,
    SERVED,
    SHARE,
    SHARE2,
    SINCE,
    SPEED,
    STANDING,
    STOPS,
    TURNS,
)

STOPPABLE = 3.0
"""Deceleration with which drivers still stop at a yellow light [m/s^2]."""
SIGHT = 80.0
"""From here on a stop line matters [m]."""
SLOW = 1.4
"""Below this speed a vehicle stands in a queue: 5 km/h [m/s]."""
AT_LINE = 5.0
"""Who stands so near to a dark signal's line may be let in [m]."""
N_SUBSTEPS = round(CONTROL_STEP / SUBSTEP)


class Driving(NamedTuple):
    """What the kernels need of a `Config`, as plain numbers."""

    lanes: int
    speed_limit: float
    yellow: float
    change: float  # yellow and all-red [s]


@kernel
def is_dark(dark, b, c, now):
    """Whether a signal has failed."""
    return dark[b, c, 0] <= now < dark[b, c, 1]


@kernel
def _grant(lanes, links, car, lane, signal, inside, b, c):
    """All-way stop: while the box is empty, the next lane in turn whose first vehicle has stopped may go."""
    if inside[c] != 0:
        return
    n, served = 4 * lanes, int(signal[b, c, SERVED])
    if signal[b, c, GRANTED] >= 0.0 and lane[b, 4 * c * lanes + served, FIRST] == signal[b, c, GRANTED]:
        return
    signal[b, c, GRANTED] = -1.0
    for k in range(1, n + 1):
        at = (served + k) % n
        i = lane[b, 4 * c * lanes + at, FIRST]
        if i < 0 or car[b, i, SPEED] >= SLOW:
            continue
        if links[4 * c + at // lanes, LENGTH] - car[b, i, POSITION] < AT_LINE:
            signal[b, c, SERVED], signal[b, c, GRANTED] = at, i
            return


@kernel
def _show_lights(driving, links, green, car, lane, signal, dark, inside, b, now, go, amber):
    """Lets the clocks of the lights go on, and fills the movements that may go, and may if it is too late to stop."""
    for c in range(len(go)):
        signal[b, c, SINCE] += SUBSTEP
        go[c], amber[c] = 0, 0
        if is_dark(dark, b, c, now):
            _grant(driving.lanes, links, car, lane, signal, inside, b, c)
            if signal[b, c, GRANTED] >= 0.0:
                go[c] = 7 << 3 * (int(signal[b, c, SERVED]) // driving.lanes)
            continue
        signal[b, c, GRANTED] = -1.0
        if signal[b, c, SINCE] >= driving.change:
            go[c] = green[int(signal[b, c, PHASE])]
        elif signal[b, c, SINCE] < driving.yellow:
            amber[c] = green[int(signal[b, c, PREVIOUS])]


@kernel
def _let_in(driving, entry, car, trip, order, turns, lane, spare, signal, entered, due, route, b, now, lost):
    """Who has come to an entry, and who of them finds room on its lane. Returns the time that the others lose."""
    waiting = 0.0
    for e in range(len(entry)):
        come, k, link = entered[b, e, COME], entered[b, e, ENTERED], entry[e]
        while come < due.shape[2] and due[b, e, come] <= now:
            come += 1
        if come == k:
            continue
        while k < come and spare[b] >= 0:
            z = lane_for(lane, order, b, link, route[b, e, k] & 3, driving.lanes)
            j = lane[b, z, LAST]
            v = driving.speed_limit
            if j >= 0:
                gap = car[b, j, POSITION] - CAR - JAM_GAP
                if gap <= 0.0:
                    break
                u = car[b, j, SPEED]
                v = min(v, gap / HEADWAY, math.sqrt(u * u + 2.0 * DECELERATION * gap))
            i = place(order, turns, trip, spare, due, route, b, e, k)
            car[b, i, POSITION], car[b, i, SPEED] = 0.0, v
            append(lane, order, b, z, i)
            signal[b, link // 4, ARRIVED] += 1.0
            k += 1
        entered[b, e, COME], entered[b, e, ENTERED] = come, k
        lost[b, link // 4] += SUBSTEP * (come - k)
        waiting += SUBSTEP * (come - k)
    return waiting


@kernel
def begin(driving, net, car, trip, order, turns, lane, spare, entered, due, route):
    """Puts those on the approaches who came before the start, at the speed limit and a safe distance."""
    for b in range(len(spare)):
        for e in range(len(net.entry)):
            k, link, limit = 0, net.entry[e], driving.speed_limit
            while k < due.shape[2] and due[b, e, k] < 0.0 and spare[b] >= 0:
                z = lane_for(lane, order, b, link, route[b, e, k] & 3, driving.lanes)
                s, j = min(-due[b, e, k] * limit, net.link[link, LENGTH] - JAM_GAP), lane[b, z, LAST]
                if j >= 0:
                    s = min(s, car[b, j, POSITION] - CAR - JAM_GAP - HEADWAY * limit)
                if s < 0.0:
                    break
                i = place(order, turns, trip, spare, due, route, b, e, k)
                car[b, i, POSITION], car[b, i, SPEED] = s, limit
                append(lane, order, b, z, i)
                k += 1
            entered[b, e, ENTERED] = k
            while k < due.shape[2] and due[b, e, k] <= 0.0:
                k += 1
            entered[b, e, COME] = k


@kernel
def _pass_line(driving, links, turning, n_crossings, car, trip, order, turns, lane, signal, b, z, into):
    """The first vehicle of a lane enters the box, which is the beginning of the lane that it goes to."""
    i = take_first(lane, order, b, z)
    k, turn = z // driving.lanes, turns[b, i] & 3
    car[b, i, POSITION] -= links[k, LENGTH] + turning[turn, PATH]
    trip[b, i, FREE] += links[k, LENGTH] / driving.speed_limit + turning[turn, CURVE_TIME]
    order[b, i, CAME] = 3 * (k % 4) + turn
    turns[b, i] = turns[b, i] >> 2 | turn << 2 * (TURNS - 1)
    last = lane[b, into, LAST]
    if last >= 0:  # who comes by another path may be nearer: it queues up behind
        car[b, i, POSITION] = min(car[b, i, POSITION], car[b, last, POSITION] - CAR)
    append(lane, order, b, into, i)
    c = into // driving.lanes // 4
    if c < n_crossings:
        signal[b, c, ARRIVED] += 1.0
    return 1 << order[b, i, CAME]


@kernel
def _leave(free_rest, trip, order, lane, spare, totals, b, z, now):
    """The first vehicle of a lane out of the network is gone."""
    i = take_first(lane, order, b, z)
    share = min((trip[b, i, FREE] + free_rest) / max(now - trip[b, i, DUE], 1e-9), 1.0)
    totals[b, GONE] += 1.0
    totals[b, SHARE] += share
    totals[b, SHARE2] += share * share
    order[b, i, BEHIND] = spare[b]
    spare[b] = i


@kernel
def order_phases(driving, min_green, signal, dark, action, b, now):
    """Takes the agents' choices: a phase other than the present one begins with the yellow light of that."""
    for c in range(signal.shape[1]):
        if is_dark(dark, b, c, now) or signal[b, c, SINCE] < driving.change + min_green:
            continue
        if action[b, c] != signal[b, c, PHASE]:
            signal[b, c, PREVIOUS], signal[b, c, PHASE] = signal[b, c, PHASE], action[b, c]
            signal[b, c, SINCE] = 0.0


@kernel
def drive(
    driving, net, car, trip, order, turns, lane, spare, signal, entered, totals, due, route, dark, b, begin, lost, full
):  # fmt: skip
    """One control step of all vehicles and lights of world b, from a time on: writes into its rows of the new state.

    Args:
        driving: The `Driving`.
        net: The `Network`.
        car: (B, V, 2) written, as are the next eight.
        trip: (B, V, 2).
        order: (B, V, 3).
        turns: (B, V).
        lane: (B, Z, 2).
        spare: (B,).
        signal: (B, N, 6).
        entered: (B, E, 2).
        totals: (B, 7).
        due: (B, E, D).
        route: (B, E, D).
        dark: (B, N, 2).
        b: Which world.
        begin: [s].
        lost: (B, N) zeros, written: time lost on the way to each crossing's stop lines [s].
        full: (B, N) zeros, written: lanes to each crossing that stand full to their beginning.
    """
    links, target, turning, green, clash, entry = net.link, net.target, net.turn, net.green, net.clash, net.entry
    slow_turn = 1.0 / turning[:, CURVE_SPEED]
    n_crossings, n_lanes, lanes, limit = len(target), lane.shape[1], driving.lanes, driving.speed_limit
    inside, soon = np.zeros(n_crossings, np.int64), np.zeros(n_crossings, np.int64)
    go, amber = np.zeros(n_crossings, np.int64), np.zeros(n_crossings, np.int64)
    passing, towards = np.empty(n_lanes, np.int64), np.empty(n_lanes, np.int64)
    for z in range(n_lanes):
        source, i = int(links[z // lanes, SOURCE]), lane[b, z, LAST]
        while source >= 0 and i >= 0 and car[b, i, POSITION] < CAR:
            inside[source] |= 1 << order[b, i, CAME]
            i = order[b, i, AHEAD]
    signal[b, :, ARRIVED] = 0.0
    all_lost, standing, stops = 0.0, 0.0, 0.0
    for sub in range(N_SUBSTEPS):
        now = begin + sub * SUBSTEP
        _show_lights(driving, links, green, car, lane, signal, dark, inside, b, now, go, amber)
        soon[:] = 0
        n_passing = 0
        for z in range(n_lanes):
            i = lane[b, z, FIRST]
            if i < 0:
                continue
            k = z // lanes
            c, length, source, lane_lost = k // 4, links[k, LENGTH], int(links[k, SOURCE]), 0.0
            s, v = car[b, i, POSITION], car[b, i, SPEED]
            room = length - s
            # The first of the lane, and what it has before it.
            gap, u, top, bound, into = FAR, v, limit, math.inf, -1
            if c < n_crossings:
                bound = length
                if room < SIGHT:
                    turn = turns[b, i] & 3
                    movement = 3 * (k % 4) + turn
                    late = room < v * v * (0.5 / STOPPABLE)
                    goes = go[c] >> movement & 1 == 1 or (late and amber[c] >> movement & 1 == 1)
                    if signal[b, c, GRANTED] >= 0.0 and signal[b, c, GRANTED] != i:
                        goes = False  # beside the one that a dark signal lets go
                    top = math.sqrt(turning[turn, CURVE_SPEED] ** 2 + 2.0 * EASE * max(room, 0.0))
                    if goes and inside[c] & clash[movement] == 0:
                        link = target[c, (k % 4 + 1 - turn) % 4]
                        into = link * lanes + (lanes - 1 if turns[b, i] >> 2 & 3 != LEFT else 0)
                        if lanes > 2:
                            into = lane_for(lane, order, b, link, turns[b, i] >> 2 & 3, lanes)
                        j = lane[b, into, LAST]
                        if j >= 0:
                            beyond, u = car[b, j, POSITION] - CAR, car[b, j, SPEED]
                            gap = room + turning[turn, PATH] + beyond
                            if beyond < JAM_GAP and u < 2.0 and not late:
                                into = -1  # the box must stay free
                    if into < 0:
                        gap, u = room, 0.0
                    else:
                        bound = math.inf
            rear, first, slowness = gap + s, True, 1.0 / min(top, limit)
            while i >= 0:
                if not first:
                    s, v, slowness, bound = car[b, i, POSITION], car[b, i, SPEED], 1.0 / limit, rear
                free = 1.0 / limit
                if s < CAR and source >= 0:
                    came = order[b, i, CAME]
                    soon[source] |= 1 << came
                    if s < 0.0:
                        free = slow_turn[came % 3]
                        slowness = max(slowness, free)
                a = idm(v * slowness, v, rear - s, v - u)
                there, w = move(s, v, a, bound)
                car[b, i, POSITION], car[b, i, SPEED] = there, w
                lane_lost += 1.0 - min(w * free, 1.0)
                if w < SLOW:
                    standing += 1.0
                    stops += v >= SLOW
                if first:
                    first = False
                    if there >= length and bound > FAR:
                        passing[n_passing], towards[n_passing] = z, into
                        n_passing += 1
                rear, u = s - CAR, v
                i = order[b, i, BEHIND]
            all_lost += lane_lost
            if c < n_crossings:
                lost[b, c] += SUBSTEP * lane_lost
        for m in range(n_passing):
            z, into = passing[m], towards[m]
            if into < 0:
                rest = links[z // lanes, LENGTH] / limit
                _leave(rest, trip, order, lane, spare, totals, b, z, now + SUBSTEP)
            else:
                soon[z // lanes // 4] |= _pass_line(
                    driving, links, turning, n_crossings, car, trip, order, turns, lane, signal, b, z, into
                )
        inside[:] = soon
        all_lost += (
            _let_in(
                driving, entry, car, trip, order, turns, lane, spare, signal, entered, due, route, b,
                now + SUBSTEP, lost,
            ) / SUBSTEP
        )  # fmt: skip
    totals[b, LOST] += SUBSTEP * all_lost
    totals[b, STANDING] += SUBSTEP * standing
    totals[b, STOPS] += stops
    for z in range(4 * n_crossings * lanes):
        i = lane[b, z, LAST]
        if i >= 0 and car[b, i, POSITION] < 2.0 * CAR and car[b, i, SPEED] < SLOW:
            full[b, z // lanes // 4] += 1.0
            totals[b, FULL] += 1.0
