"""Everything in a control step but motion: orders, dwelling, batteries, rewards and the sums behind the metrics.

Axes: B worlds, N robots, K orders. Times are counted in control steps.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
from .physics import CONTROL_STEP, GRAVITY, LOAD_MASS, MASS, TOP_SPEED, VX, VY, X, Y
from .routes import route_length
from .state import (
    CLAIM,
    CONTACTS,
    CYCLE_STEPS,
    DEADLOCK_STEPS,
    DELIVERED,
    DELIVERIES,
    ENERGY,
    FIFO,
    IDLE,
    IDLE_STEPS,
    LIVE_STEPS,
    MISSES,
    NEAREST,
    NOBODY,
    TAKEN,
    TO_CHARGER,
    TO_FACE,
    TO_STATION,
    WAITING,
    Array,
)

TARGET_RADIUS = 0.45
"""A robot is at a target while its centre is nearer to it than this [m], and it is slower than `SLOW`."""
SLOW = 0.2
"""Speed below which a robot can load, unload and charge [m/s]."""
DWELL_STEPS = 5
"""Duration of loading and of unloading [control steps]: 1 s."""
HIT_IMPULSE = 1.0
"""Contact impulse in a control step above which a contact counts [N s]: that of a robot at 2.5 cm/s against a wall."""
STANDBY_POWER = 10.0
"""Power of computer, lidar and radio [W]."""
ROLLING_RESISTANCE = 0.02
"""Coefficient of rolling friction: force over weight."""
LOW_BATTERY = 0.25
"""A free robot below this share of its battery goes to charge, in every kind of dispatch."""
CHARGED = 0.9
"""A robot that charges is free again from this share of its battery on."""
DEADLOCK_DISTANCE = 0.5
"""A robot with somewhere to go is in deadlock once it has stayed within this distance for `DEADLOCK_AFTER` [m]."""
DEADLOCK_AFTER = 25
"""Time within one place after which a robot is in deadlock [control steps]: 5 s."""
DWELL_METRES = DWELL_STEPS * CONTROL_STEP * TOP_SPEED
"""Way that a robot could drive while it dwells [m]."""


@kernel
def _order_left(layout, x, y, face, station):
    """Returns the way to go for an order that is not loaded yet, dwelling included [m]."""
    to_face = route_length(layout, x, y, face)
    to_station = route_length(layout, layout.targets[face, 0], layout.targets[face, 1], station)
    return to_face + to_station + 2.0 * DWELL_METRES


@kernel
def _measure_potentials(params, layout, state):
    """Measures the potential of every robot: shaping * (1/2 - way to go / typical way).

    Without an order the way to go is the typical way. The half keeps the mean potential near zero, and with it the
    shaping reward (gamma - 1) P of a robot whose potential P does not change.
    """
    alive, body, phases, dwell = state.alive, state.body, state.phase, state.dwell
    goals, orders, stations, potential = state.goal, state.order, state.order_station, state.potential
    for b in range(body.shape[0]):
        for i in range(body.shape[1]):
            if not alive[b, i]:
                potential[b, i] = 0.0
                continue
            x, y, phase = body[b, i, X], body[b, i, Y], phases[b, i]
            done = dwell[b, i] * CONTROL_STEP * TOP_SPEED
            if phase == TO_FACE:
                left = _order_left(layout, x, y, goals[b, i], stations[b, orders[b, i]]) - done
            elif phase == TO_STATION:
                left = route_length(layout, x, y, goals[b, i]) + DWELL_METRES - done
            elif phase == TO_CHARGER:
                left = route_length(layout, x, y, goals[b, i])
            elif params.dispatch == CLAIM:
                left = _nearest_order_left(params, layout, state, b, x, y)
            else:
                left = params.mean_order
            potential[b, i] = params.shaping * (0.5 - left / params.mean_order)


@kernel
def _nearest_order_left(params, layout, state, b, x, y):
    """Returns the least way to go for one of the orders in view [m], or a typical order's where none is open."""
    best, seen, k = math.inf, 0, state.head[b]
    while k < state.order_release.shape[1] and seen < params.n_orders:
        if state.order_release[b, k] > state.step[b]:
            break
        if state.order_status[b, k] == WAITING:
            seen += 1
            best = min(best, _order_left(layout, x, y, state.order_face[b, k], state.order_station[b, k]))
        k += 1
    return best if seen > 0 else params.mean_order


@kernel
def _take(state, b, i, order):
    state.order_status[b, order] = TAKEN
    state.order[b, i] = order
    state.phase[b, i] = TO_FACE
    state.goal[b, i] = state.order_face[b, order]
    state.dwell[b, i] = 0


@kernel
def _find_order(params, layout, state, b, i):
    """Returns the order that robot i, which is free, gets now; NOBODY if none."""
    x, y = state.body[b, i, X], state.body[b, i, Y]
    best, choice, seen, k = math.inf, NOBODY, 0, state.head[b]
    while k < state.order_release.shape[1] and seen < params.n_orders:
        if state.order_release[b, k] > state.step[b]:
            break
        if state.order_status[b, k] == WAITING:
            seen += 1
            face = state.order_face[b, k]
            if params.dispatch == FIFO:
                return k
            if params.dispatch == NEAREST:
                way = route_length(layout, x, y, face)
                if way < best:
                    best, choice = way, k
            elif (layout.targets[face, 0] - x) ** 2 + (layout.targets[face, 1] - y) ** 2 < TARGET_RADIUS**2:
                return k
        k += 1
    return choice


@kernel
def _set_free(state, b, i):
    state.phase[b, i] = IDLE
    state.goal[b, i] = NOBODY
    state.order[b, i] = NOBODY
    state.dwell[b, i] = 0
    state.free_since[b, i] = state.step[b]


@kernel
def _goal_reached(state, b, i):
    """Loads or unloads robot i, which has dwelled long enough, and returns whether it delivered an order."""
    state.dwell[b, i] = 0
    if state.phase[b, i] == TO_FACE:
        state.phase[b, i] = TO_STATION
        state.goal[b, i] = state.order_station[b, state.order[b, i]]
        return False
    state.order_status[b, state.order[b, i]] = DELIVERED
    state.delivered[b, i] += 1
    state.totals[b, DELIVERIES] += 1
    state.totals[b, CYCLE_STEPS] += state.step[b] - state.free_since[b, i]
    _set_free(state, b, i)
    return True


@kernel
def _nearest_charger(layout, x, y):
    """Returns the charger to which the way from (x, y) is shortest, as a target."""
    first_charger = layout.n_faces + layout.n_stations
    best, nearest = math.inf, NOBODY
    for charger in range(first_charger, first_charger + layout.n_chargers):
        way = route_length(layout, x, y, charger)
        if way < best:
            best, nearest = way, charger
    return nearest


@kernel
def dispatch(params, layout, state):
    """Sends free robots to charge or to their orders, and measures the potentials of all robots."""
    n_robots = state.body.shape[1]
    for b in range(state.body.shape[0]):
        for i in range(n_robots):
            if not state.alive[b, i] or state.phase[b, i] != IDLE:
                continue
            if params.battery and state.battery[b, i] < LOW_BATTERY * params.battery_capacity:
                state.goal[b, i] = _nearest_charger(layout, state.body[b, i, X], state.body[b, i, Y])
                state.phase[b, i] = TO_CHARGER
                continue
            order = _find_order(params, layout, state, b, i)
            if order != NOBODY:
                _take(state, b, i, order)
        while state.head[b] < state.order_status.shape[1] and state.order_status[b, state.head[b]] != WAITING:
            state.head[b] += 1
    _measure_potentials(params, layout, state)


@kernel
def work(params, layout, state, impulse, drive_power, reward, cost, terminated):
    """Runs one control step of everything but motion.

    Args:
        params: The `Params`.
        layout: The `Layout`.
        state: The `State` to write into; its `body` is already that of the new moment.
        impulse: (B, N) contact impulse of this step [N s].
        drive_power: (B, N) mechanical power of the motors [W].
        reward: (B, N) zeros, written.
        cost: (B, N) zeros, written.
        terminated: (B, N) False, written.
    """
    n_robots = state.body.shape[1]
    for b in range(state.body.shape[0]):
        state.step[b] += 1
        now = state.step[b]
        totals = state.totals[b]
        for i in range(n_robots):
            if not state.alive[b, i]:
                continue
            x, y = state.body[b, i, X], state.body[b, i, Y]
            speed = math.sqrt(state.body[b, i, VX] ** 2 + state.body[b, i, VY] ** 2)
            totals[LIVE_STEPS] += 1

            felt = impulse[b, i] > HIT_IMPULSE
            if felt and not state.hit[b, i]:
                totals[CONTACTS] += 1
            state.hit[b, i] = felt
            reward[b, i] -= params.contact_charge * impulse[b, i] / (MASS * TOP_SPEED)
            if impulse[b, i] > params.contact_limit:
                cost[b, i] += 1.0

            phase = state.phase[b, i]
            goal = state.goal[b, i]
            there = False
            if goal != NOBODY and speed < SLOW:
                there = (layout.targets[goal, 0] - x) ** 2 + (layout.targets[goal, 1] - y) ** 2 < TARGET_RADIUS**2
            if phase == IDLE:
                totals[IDLE_STEPS] += 1
            elif phase != TO_CHARGER:
                state.dwell[b, i] = state.dwell[b, i] + 1 if there else 0
                if state.dwell[b, i] >= DWELL_STEPS and _goal_reached(state, b, i):
                    reward[b, i] += 1.0
            order = state.order[b, i]
            if order != NOBODY and state.order_deadline[b, order] == now:
                totals[MISSES] += 1
                cost[b, i] += 1.0

            ax, ay = x - state.anchor[b, i, 0], y - state.anchor[b, i, 1]
            if there or phase == IDLE or ax * ax + ay * ay > DEADLOCK_DISTANCE**2:
                state.anchor[b, i, 0], state.anchor[b, i, 1] = x, y
                state.still_since[b, i] = now
            elif now - state.still_since[b, i] > DEADLOCK_AFTER:
                totals[DEADLOCK_STEPS] += 1

            mass = MASS + (LOAD_MASS if phase == TO_STATION else 0.0)
            power = STANDBY_POWER + ROLLING_RESISTANCE * mass * GRAVITY * speed + drive_power[b, i]
            energy = power * CONTROL_STEP / 3600.0
            totals[ENERGY] += energy
            if params.battery:
                _use_battery(params, layout, state, b, i, energy, speed, totals, cost, terminated)
        k = state.head[b]
        while k < state.order_release.shape[1] and state.order_release[b, k] <= now:
            if state.order_status[b, k] == WAITING and state.order_deadline[b, k] == now:
                totals[MISSES] += 1
            k += 1
    before = state.potential.copy()
    dispatch(params, layout, state)
    for b in range(state.body.shape[0]):
        for i in range(n_robots):
            if state.alive[b, i] or terminated[b, i]:
                reward[b, i] += params.shaping_gamma * state.potential[b, i] - before[b, i]


@kernel
def _use_battery(params, layout, state, b, i, energy, speed, totals, cost, terminated):
    """Drains robot i's battery, charges it on a charger, and lets the robot die when it is empty."""
    charge = state.battery[b, i] - energy
    if speed < SLOW:
        first_charger = layout.n_faces + layout.n_stations
        for charger in range(first_charger, first_charger + layout.n_chargers):
            ax = layout.targets[charger, 0] - state.body[b, i, X]
            ay = layout.targets[charger, 1] - state.body[b, i, Y]
            if ax * ax + ay * ay < TARGET_RADIUS**2:
                charge = min(charge + params.charge_power * CONTROL_STEP / 3600.0, params.battery_capacity)
    state.battery[b, i] = max(charge, 0.0)
    if state.phase[b, i] == TO_CHARGER and charge >= CHARGED * params.battery_capacity:
        _set_free(state, b, i)
    if charge > 0.0:
        return
    state.alive[b, i] = False
    terminated[b, i] = True
    cost[b, i] += 1.0
    order = state.order[b, i]
    if order != NOBODY and state.order_deadline[b, order] > state.step[b]:
        totals[MISSES] += 1  # it will not be delivered


def total(reward: Array) -> Array:
    """Returns the team's reward, (B, N) -> (B,) float32, summed in the same order for every B."""
    out = np.empty(len(reward), dtype=np.float32)
    _sum(reward, out)
    return out


@kernel
def _sum(reward, out):
    for b in range(reward.shape[0]):
        value = 0.0
        for i in range(reward.shape[1]):
            value += reward[b, i]
        out[b] = value
