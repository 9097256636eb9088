"""Kernels that move vehicles: car following, crossings, entries and exits.

Vehicles follow the one ahead (`following`), and stop before a red light (`lights`) as behind a standing vehicle. No
vehicle enters a box while another one is in it on a path that conflicts, or while there is no room beyond it, unless it
is too late to stop.

A vehicle in a box is already in the lane that it goes to, at a negative position.

Axes: B worlds, N crossings, V places, Z lanes, E entries, K links.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import inlined, kernel
from .config import CONTROL_STEP, SUBSTEP, Config
from .following import CAR, DECELERATION, HEADWAY, JAM_GAP, SLOW, count_stops, follow
from .lanes import change_place, choose_lanes, join, leave
from .lights import ANY_LANE, all_way_stops, show_lights
from .network import CURVE_TIME, FAR, LENGTH, PATH
from .sight import keep_limit, look_ahead, look_at_lines, look_into_boxes
from .state import (
    ARRIVED,
    COME,
    DUE,
    ENTERED,
    FOLLOWER,
    FREE,
    FULL,
    GONE,
    GRANTED,
    IN_BOX,
    LAST_TURN,
    LEADER,
    LOST,
    SHARE,
    SHARE2,
    STANDING,
    STOPS,
    TURNS,
)

N_SUBSTEPS = round(CONTROL_STEP / SUBSTEP)
"""Substeps of a control step."""


class Driving(NamedTuple):
    """The parameters of the traffic, from a `Config`."""

    lanes: int
    speed_limit: float
    yellow: float
    change: float  # yellow and all-red [s]


def driving_of(config: Config) -> Driving:
    """Returns the parameters of a configuration."""
    change = float(config.yellow + config.all_red)
    return Driving(config.lanes, float(config.speed_limit), float(config.yellow), change)


class Scratch(NamedTuple):
    """Arrays for values that are needed only within a substep or a control step. They are made once for a batch."""

    position: Array  # (V,) float32: as in the state
    speed: Array  # (V,) float32: as in the state
    lost: Array  # (V,) float32: time that each vehicle has lost in this control step [substeps]
    rear: Array  # (V,) float32: see `following.follow`
    ahead: Array  # (V,) float32: likewise
    slowness: Array  # (V,) float32: likewise
    free: Array  # (V,) float32: likewise
    passing: Array  # (Z,) uint32: lanes whose first vehicle may pass its line
    towards: Array  # (Z,) uint32: the lanes that these vehicles go to
    boxed: Array  # (Z,) uint32: lanes whose last vehicle is in the box, or just out of it
    is_boxed: Array  # (Z,) bool: whether a lane is one of those
    lane_for: Array  # (K, 3) uint32: see `lanes.choose_lanes`
    inside: Array  # (N,) int64: movements of vehicles in the box, as bits
    go: Array  # (N,) int64: movements that may go, as bits
    amber: Array  # (N,) int64: movements that may go if it is too late to stop, as bits
    only_lane: Array  # (N,) int64: the only lane that may go, where a dark signal has let it; else `ANY_LANE`
    come: Array  # (E,) int64: vehicles that have come to an entry
    entered: Array  # (E,) int64: how many of them have entered the network
    next_due: Array  # (E,) float64: when the next one comes [s]
    next_turns: Array  # (E,) int64: turns of the next one that enters


@kernel
def scratch_for(net, n_places):
    """Returns a `Scratch` for so many places."""
    n, z, e = len(net.target), len(net.line), len(net.entry)
    return Scratch(
        np.zeros(n_places, np.float32), np.zeros(n_places, np.float32), np.zeros(n_places, np.float32),
        np.zeros(n_places, np.float32), np.zeros(n_places, np.float32), np.zeros(n_places, np.float32),
        np.zeros(n_places, np.float32),
        np.zeros(z, np.uint32), np.zeros(z, np.uint32), np.zeros(z, np.uint32), np.zeros(z, np.bool_),
        net.lane_for.copy(),
        np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64),
        np.zeros(e, np.int64), np.zeros(e, np.int64), np.zeros(e), np.zeros(e, np.int64),
    )  # fmt: skip


@kernel
def begin(driving, net, state):
    """Puts vehicles that came before the start on the approaches, at the speed limit and a safe distance."""
    lanes, limit, lane_for = driving.lanes, driving.speed_limit, net.lane_for.copy()
    position, speed, trip, chain = state.position, state.speed, state.trip, state.chain
    entered, due, route = state.entered, state.due, state.route
    for b in range(len(position)):
        i = len(net.line)
        for e in range(len(net.entry)):
            k, link = 0, net.entry[e]
            while k < due.shape[2] and due[b, e, k] < 0.0:
                choose_lanes(chain[b], lanes, lane_for)
                z = lane_for[link, route[b, e, k] & 3]
                last = chain[b, z, LEADER]
                s = min(-due[b, e, k] * limit, net.line[z] - JAM_GAP)
                if last != z:
                    s = min(s, position[b, last] - CAR - JAM_GAP - HEADWAY * limit)
                if s < 0.0:
                    break
                position[b, i], speed[b, i] = s, limit
                trip[b, i, DUE], chain[b, i, TURNS] = due[b, e, k], route[b, e, k]
                join(chain[b], i, z)
                i += 1
                k += 1
            entered[b, e, ENTERED] = k
            while k < due.shape[2] and due[b, e, k] <= 0.0:
                k += 1
            entered[b, e, COME] = k
        state.n_vehicles[b] = i - len(net.line)


@inlined
def _prepare(net, end, old, b, trip, chain, scratch):
    """Copies the vehicles, at the places up to `end`, from the state before. Returns how many lanes are `boxed`."""
    old_position, old_speed, old_trip, old_chain = old.position, old.speed, old.trip, old.chain
    position, speed, lost = scratch.position, scratch.speed, scratch.lost
    boxed, is_boxed, source, n_crossings = scratch.boxed, scratch.is_boxed, net.source, len(net.target)
    for i in range(end):
        position[i], speed[i], lost[i] = old_position[b, i], old_speed[b, i], 0.0
    for i in range(end):
        trip[i, DUE], trip[i, FREE] = old_trip[b, i, DUE], old_trip[b, i, FREE]
    for i in range(end):
        for k in range(4):
            chain[i, k] = old_chain[b, i, k]
    n_boxed = 0
    for z in range(len(source)):
        is_boxed[z] = (position[chain[z, LEADER]] < CAR) & (source[z] < n_crossings)
        boxed[n_boxed] = z
        n_boxed += is_boxed[z]
    return n_boxed


@inlined
def _prepare_entries(state, b, scratch):
    """Finds the next vehicle to come to every entry, and the next one to enter."""
    due, route, entered = state.due, state.route, state.entered
    come, let_in, next_due, next_turns = scratch.come, scratch.entered, scratch.next_due, scratch.next_turns
    for e in range(len(come)):
        come[e], let_in[e] = entered[b, e, COME], entered[b, e, ENTERED]
        next_due[e] = due[b, e, come[e]] if come[e] < due.shape[2] else math.inf
        next_turns[e] = route[b, e, let_in[e]] if let_in[e] < route.shape[2] else 0


@inlined
def _pass_lines(net, limit, scratch, trip, chain, signal, b, n_passing, n_boxed, lost_to):
    """Moves vehicles that have passed the line to the lanes they go to. Returns how many lanes are `boxed`."""
    links, line, road, turning = net.link, net.line, net.road, net.turn
    position, speed, lost, only_lane = scratch.position, scratch.speed, scratch.lost, scratch.only_lane
    passing, towards, boxed, is_boxed = scratch.passing, scratch.towards, scratch.boxed, scratch.is_boxed
    n_passed = 0
    for m in range(n_passing):
        z = passing[m]
        position[z], speed[z] = line[z] + CAR, 0.0  # the phantom returns
        passing[n_passed], towards[n_passed] = z, towards[m]
        n_passed += position[chain[z, FOLLOWER]] >= line[z]
    for m in range(n_passed):
        z, into = passing[m], towards[m]
        i, k, last = chain[z, FOLLOWER], road[z], chain[into, LEADER]
        c, to, turn = np.uint32(k >> 2), np.uint32(road[into] >> 2), np.uint32(chain[i, TURNS] & 3)
        trip[i, FREE] += links[k, LENGTH] / limit + turning[turn, CURVE_TIME]
        chain[i, TURNS] = chain[i, TURNS] >> 2 | np.int64(turn) << LAST_TURN
        lost_to[c] += SUBSTEP * lost[i]
        lost[i] = 0.0
        if z == only_lane[c]:
            signal[b, c, GRANTED] = IN_BOX
        # A vehicle on another path may be nearer; this one queues up behind it.
        position[i] = min(position[i] - links[k, LENGTH] - turning[turn, PATH], position[last] - CAR)
        leave(chain, z)
        join(chain, i, into)
        boxed[n_boxed] = into
        n_boxed += not is_boxed[into]
        is_boxed[into] = True
        if to < len(only_lane):
            signal[b, to, ARRIVED] += 1.0
    return n_boxed


@inlined
def _leave_network(net, limit, scratch, trip, chain, totals, now, end):
    """Removes vehicles at the end of roads out of the network. Returns the place after the last vehicle."""
    position, speed, lost, leaving = scratch.position, scratch.speed, scratch.lost, scratch.passing
    n_leaving, n_lanes, way = 0, len(net.line), net.link[-1, LENGTH]  # all roads out have the same length
    for z in range(n_lanes - len(net.entry) * (n_lanes // len(net.link)), n_lanes):
        i = chain[z, FOLLOWER]
        leaving[n_leaving] = z
        n_leaving += (i != z) & (position[i] >= way)
    for m in range(n_leaving):
        i = chain[leaving[m], FOLLOWER]
        share = min((trip[i, FREE] + way / limit) / max(now + SUBSTEP - trip[i, DUE], 1e-9), 1.0)
        totals[GONE] += 1.0
        totals[SHARE] += share
        totals[SHARE2] += share * share
        totals[LOST] += SUBSTEP * lost[i]
        leave(chain, leaving[m])
        end -= 1
        if i < end:  # the last vehicle moves to the place that is free now
            change_place(chain, end, i)
            position[i], speed[i], lost[i] = position[end], speed[end], lost[end]
            trip[i, DUE], trip[i, FREE] = trip[end, DUE], trip[end, FREE]
        trip[end, :], chain[end, :] = 0.0, 0
    return end


@inlined
def _enter_network(net, limit, scratch, trip, chain, state, b, now, end, lost_to):
    """Lets vehicles that have come enter where there is room. Returns the place after the last vehicle."""
    signal, due, route = state.signal, state.due, state.route
    position, speed, lost, lane_for = scratch.position, scratch.speed, scratch.lost, scratch.lane_for
    waiting, entry = scratch.passing, net.entry
    come, entered, next_due, next_turns = scratch.come, scratch.entered, scratch.next_due, scratch.next_turns
    n_waiting = 0
    for e in range(len(entry)):
        waiting[n_waiting] = e
        n_waiting += (next_due[e] <= now + SUBSTEP) | (entered[e] < come[e])
    for m in range(n_waiting):
        e = waiting[m]
        link = entry[e]
        c = np.uint32(link >> 2)
        while next_due[e] <= now + SUBSTEP:
            come[e] += 1
            next_due[e] = due[b, e, come[e]] if come[e] < due.shape[2] else math.inf
        while entered[e] < come[e]:
            k, z = entered[e], lane_for[link, np.uint32(next_turns[e] & 3)]
            last = chain[z, LEADER]
            gap, v = FAR, 0.0
            if last != z:
                gap, v = position[last] - CAR - JAM_GAP, speed[last]
            if gap <= 0.0 or end == len(chain):
                lost_to[c] += SUBSTEP * (come[e] - k)
                break
            position[end], lost[end] = 0.0, 0.0
            speed[end] = min(limit, gap / HEADWAY, math.sqrt(v * v + 2.0 * DECELERATION * gap))
            trip[end, DUE], chain[end, TURNS] = due[b, e, k], next_turns[e]
            join(chain, end, z)
            signal[b, c, ARRIVED] += 1.0
            end += 1
            entered[e] = k + 1
            next_turns[e] = route[b, e, k + 1] if k + 1 < route.shape[2] else 0
    return end


@inlined
def _sum_up(net, lanes, scratch, end, new, b, chain, totals, lost_to, full):
    """Writes into the new state where vehicles are, how many have come, and sums of the step; counts full lanes."""
    position, speed, come, let_in = scratch.position, scratch.speed, scratch.come, scratch.entered
    new_position, new_speed, entered = new.position, new.speed, new.entered
    for i in range(end):
        new_position[b, i], new_speed[b, i] = position[i], speed[i]
    for c in range(len(full)):
        for z in range(4 * c * lanes, 4 * (c + 1) * lanes):
            last = chain[z, LEADER]
            full[c] += (position[last] < 2.0 * CAR) & (speed[last] < SLOW)
        totals[LOST] += lost_to[c]
        totals[FULL] += full[c]
    for e in range(len(come)):
        entered[b, e, COME], entered[b, e, ENTERED] = come[e], let_in[e]
    new.n_vehicles[b] = end - len(net.line)


@kernel
def drive(driving, net, old, new, scratch, b, since, lost_to, full):
    """Makes one control step of all vehicles and lights of world b.

    Args:
        driving: The `Driving`.
        net: The `Network`.
        old: The `State` before.
        new: Its `state.successor`, whose rows b are written.
        scratch: A `Scratch`.
        b: The world.
        since: Time at which the step begins [s].
        lost_to: (N,) zeros, written: time lost on the way to each crossing's stop lines and outside its entries [s],
            except for what `scratch.lost` holds of the vehicles that are still on the way.
        full: (N,) zeros, written: lanes to each crossing that are full to their beginning.
    """
    lanes, limit = driving.lanes, driving.speed_limit
    trip, chain, totals, signal, dark = new.trip[b], new.chain[b], new.totals[b], new.signal, new.dark
    go, amber, only_lane, lane_for = scratch.go, scratch.amber, scratch.only_lane, scratch.lane_for
    position, speed, green = scratch.position, scratch.speed, net.green
    begin = len(net.line)
    end = begin + int(new.n_vehicles[b])  # vehicles are at the places from `begin` to `end`
    where, fast, links, lost = position[begin:], speed[begin:], chain[begin:], scratch.lost[begin:]
    rear, ahead = scratch.rear[begin:], scratch.ahead[begin:]
    slow, free = scratch.slowness[begin:], scratch.free[begin:]
    n_boxed = _prepare(net, end, old, b, trip, chain, scratch)
    _prepare_entries(new, b, scratch)
    only_lane[:], signal[b, :, ARRIVED] = ANY_LANE, 0.0
    for sub in range(N_SUBSTEPS):
        n, now = end - begin, since + sub * SUBSTEP
        if lanes > 2:
            choose_lanes(chain, lanes, lane_for)
        keep_limit(n, limit, slow, free)
        n_boxed = look_into_boxes(net, scratch, chain, n_boxed)
        if show_lights(driving, green, signal, dark, b, now, go, amber):
            all_way_stops(driving, net, scratch, chain, new, b, now)
        n_passing = look_at_lines(net, lanes, scratch, chain)
        look_ahead(n, links, position, speed, rear, ahead)
        follow(n, where, fast, rear, ahead, slow, free, lost)
        standing, stops = count_stops(n, fast, ahead)
        totals[STANDING] += SUBSTEP * standing
        totals[STOPS] += stops
        n_boxed = _pass_lines(net, limit, scratch, trip, chain, signal, b, n_passing, n_boxed, lost_to)
        end = _leave_network(net, limit, scratch, trip, chain, totals, now, end)
        end = _enter_network(net, limit, scratch, trip, chain, new, b, now, end, lost_to)
    _sum_up(net, lanes, scratch, end, new, b, chain, totals, lost_to, full)
