"""Kernels that let vehicles in at the entries of the roads, between two steps.

Axes: B worlds, V vehicles.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import inlined, kernel
from ..roads.cars import CAR_LENGTH
from .config import DECELERATION
from .motion import MARGIN, report
from .network import ABSENT, SECTION
from .spots import AT_CROSSING, N_SPOT, ahead, locate, locate_one
from .state import (
    ACCELERATED,
    ARRIVED,
    CONTROL_STEP,
    DRIVING,
    DUE,
    FINISHED,
    PENDING,
    POSITION,
    SPEED,
    STOOD,
)


@kernel
def is_in_way(section_start, zone, car, p, b, i, j, entry_speed, spot):
    """Returns whether car i, at the beginning of route p, could not stay behind car j if j braked as hard as it can."""
    far = ahead(section_start, zone, spot, p, -1e-3, i, j) if j != i else ABSENT
    if far == ABSENT:
        return False
    v = car[b, j, SPEED]
    stopping = (entry_speed * entry_speed - v * v) / (2.0 * DECELERATION) + CONTROL_STEP * entry_speed
    return far < CAR_LENGTH + MARGIN + max(stopping, 0.0)


@kernel
def _has_room(net, car, route, b, i, entry_speed, spot):
    """Returns whether the entry is free: no car is in the way of car i."""
    p = route[b, i]
    locate_one(net.leg, net.stretch, p, 0, -1e-3, spot, i)
    free = True
    for j in range(len(spot)):
        free &= not is_in_way(net.section_start, net.zone, car, p, b, i, j, entry_speed, spot)
    spot[i, AT_CROSSING] = -1.0  # not on the road yet
    return free


@kernel
def _put_on_road(net, state, b, i, entry_speed, spot):
    """Lets car i enter."""
    car, p = state.car, state.route[b, i]
    state.status[b, i], state.leg[b, i] = DRIVING, 0
    car[b, i, POSITION], car[b, i, SPEED], car[b, i, ACCELERATED], car[b, i, STOOD] = 0.0, entry_speed, 0.0, 0.0
    locate_one(net.leg, net.stretch, p, 0, 0.0, spot, i)


@kernel
def enter(traffic, net, state):
    """Lets vehicles in that are due and have room. With no agent on the road, the next one comes at once.

    An episode is over when no agent is alive, so there must be no step without one while others are still to come. The
    vehicle that has waited longest at an entry goes first; of several that came at the same time, the one of lowest
    index.
    """
    leg, stretch, car, status = net.leg, net.stretch, state.car, state.status
    legs, route, step, n = state.leg, state.route, state.step, state.status.shape[1]
    spot, index = np.empty((n, N_SPOT)), np.empty(n, np.int64)
    for b in range(status.shape[0]):
        waiting = False
        for i in range(n):
            waiting |= status[b, i] == PENDING
        if waiting:
            locate(leg, stretch, car, status, legs, route, b, spot, index)
            enter_world(traffic, net, state, b, step[b] * CONTROL_STEP, spot)


@inlined
def enter_world(traffic, net, state, b, clock, spot):
    """Lets vehicles into world b, as `enter`. Only vehicles whose status it changes are written.

    Args:
        traffic: The `Traffic`.
        net: The `Network`.
        state: The `State`, written.
        b: The world.
        clock: The time [s].
        spot: (V, N_SPOT), see `locate`; written.
    """
    stretch, car, status, route = net.stretch, state.car, state.status, state.route
    n, n_agents, entry_speed, driving = status.shape[1], traffic.n_agents, traffic.entry_speed, False
    for i in range(n_agents):
        driving |= status[b, i] == DRIVING
    for i in range(n):
        if status[b, i] != PENDING or car[b, i, DUE] > clock:
            continue
        lane, is_next = stretch[route[b, i], 0, SECTION], True
        for j in range(n):
            if status[b, j] == PENDING and stretch[route[b, j], 0, SECTION] == lane:
                is_next &= car[b, j, DUE] > car[b, i, DUE] or (car[b, j, DUE] == car[b, i, DUE] and j >= i)
        if is_next and _has_room(net, car, route, b, i, entry_speed, spot):
            _put_on_road(net, state, b, i, entry_speed, spot)
            driving |= i < n_agents
    if driving:
        return
    best = -1
    for i in range(n_agents):
        if status[b, i] == PENDING and (best < 0 or car[b, i, DUE] < car[b, best, DUE]):
            best = i
    if best >= 0:
        p = route[b, best]
        locate_one(net.leg, stretch, p, 0, -1e-3, spot, best)
        for j in range(n_agents, n):  # only scripted cars can be in its way; those that are turn off
            is_on_road = status[b, j] == DRIVING
            if is_on_road and is_in_way(net.section_start, net.zone, car, p, b, best, j, entry_speed, spot):
                status[b, j], spot[j, AT_CROSSING] = ARRIVED, -1.0
                car[b, j, FINISHED] = clock
        car[b, best, DUE] = min(car[b, best, DUE], clock)
        _put_on_road(net, state, b, best, entry_speed, spot)


@kernel
def admit(traffic, net, state):
    """Makes entries and sends messages: at the beginning of a world, and after every step once it has been judged."""
    enter(traffic, net, state)
    report(traffic, net, state)
