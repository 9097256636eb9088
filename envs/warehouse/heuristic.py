"""The policy to beat: shortest route, the dispatcher's nearest order, right-of-way by priority. Nothing is learned.

Every robot decides for itself, without sharing plans, though it knows somewhat more than a learned policy sees: all
robots near it, how long they have been held up, and in `claim` which orders they head for. A robot takes account of
others within 3 m: their place, velocity and load. It expects them to keep their velocity and simulates a few short
manoeuvres, each followed by driving along the shortest route or by stopping. It takes the one that leaves the shortest
way to its goal without touching racks, walls or others. A robot with right-of-way looks no further ahead for others
than it takes to brake. Loaded robots come first, then those of lower index; a robot that has been held up for long has
right-of-way from time to time. In `claim` dispatch a free robot heads for the nearest visible order that no free robot
of lower index is heading for.

Axes: B worlds, N robots, H planned control steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from gymnasium.spaces import Discrete

from ..kit.kernels import kernel
from .env import TARGETS, Warehouse
from .physics import (
    ANGLE,
    CHASSIS_RADIUS,
    CONTROL_STEP,
    LOAD_MASS,
    MASS,
    MOTOR_FORCE,
    RADIUS,
    TOP_SPEED,
    TOP_TURN_RATE,
    TURN_ACCELERATION,
    TURN_RATE,
    VX,
    VY,
    X,
    Y,
)
from .routes import route_length, waypoint
from .state import CLAIM, NOBODY, TO_STATION, WAITING, Array, State
from .work import TARGET_RADIUS

STOP, FORWARD, FORWARD_LEFT, FORWARD_RIGHT, LEFT, RIGHT, REVERSE = range(7)
HORIZON = 6
"""H: length of a plan [control steps]."""
COMMITTED = 2
"""Duration of the first manoeuvre of a plan [control steps]."""
MARGIN = 0.12
"""Gap that plans keep between robots [m]."""
CONSIDERED = 3.0
"""Robots farther away than this are ignored [m]."""
BRAKING = 4
"""Time for which a robot with right-of-way looks ahead for collisions [control steps]."""
PATIENCE = 10
"""A robot that is held up for longer than this gets right-of-way from time to time [control steps]."""


def heuristic(env: Warehouse) -> Callable[[State], Array]:
    """Makes the policy for one environment.

    Returns:
        A function from the state of B worlds to actions: (B, N) int64, or (B, N, 2) float32 if continuous.
    """
    params, layout = env.params, env.layout
    discrete = isinstance(env.action_space, Discrete)
    shares = (TARGETS / np.array([TOP_SPEED, TOP_TURN_RATE])).astype(np.float32)  # (7, 2)

    def act(state: State) -> Array:
        goal = np.empty(state.alive.shape, dtype=np.int32)
        action = np.zeros(state.alive.shape, dtype=np.int64)
        choose_goals(params, layout, state, goal)
        plan(layout, state, goal, action)
        return action if discrete else shares[action]

    return act


@kernel
def choose_goals(params, layout, state, goal):
    """Writes the target that each robot heads for into goal (B, N), NOBODY if none."""
    n_orders = state.order_status.shape[1]
    promised = np.empty(n_orders, np.bool_)  # not waiting, or another robot heads for it
    for b in range(goal.shape[0]):
        for k in range(n_orders):
            promised[k] = state.order_status[b, k] != WAITING
        for i in range(goal.shape[1]):
            goal[b, i] = state.goal[b, i]
            if params.dispatch != CLAIM or goal[b, i] != NOBODY or not state.alive[b, i]:
                continue
            choice = _nearest_unpromised(params, layout, state, promised, b, i)
            if choice != NOBODY:
                promised[choice] = True
                goal[b, i] = state.order_face[b, choice]


@kernel
def _nearest_unpromised(params, layout, state, promised, b, i):
    """Returns the order in view to whose face robot i has the shortest way, of those that are not promised (K,)."""
    x, y = state.body[b, i, X], state.body[b, i, Y]
    best, choice, seen, k = math.inf, NOBODY, 0, state.head[b]
    while k < len(promised) and seen < params.n_orders and state.order_release[b, k] <= state.step[b]:
        if state.order_status[b, k] == WAITING:
            seen += 1
            way = route_length(layout, x, y, state.order_face[b, k])
            if not promised[k] and way < best:
                best, choice = way, k
        k += 1
    return choice


@kernel
def plan(layout, state, goal, action):
    """Fills action (B, N) with primitives; see the module's docstring."""
    n_robots = goal.shape[1]
    path = np.empty((n_robots, HORIZON, 2))  # where each is expected to be [m]
    trial = np.empty((HORIZON, 2))
    rank = np.empty(n_robots)
    for b in range(goal.shape[0]):
        for i in range(n_robots):
            waited = state.step[b] - state.still_since[b, i]
            rank[i] = i - 100.0 * (state.phase[b, i] == TO_STATION)
            if waited > PATIENCE and (state.step[b] // PATIENCE + i) % 3 == 0:
                rank[i] -= 1000.0
            if goal[b, i] == NOBODY:
                rank[i] += 500.0
            if not state.alive[b, i]:
                rank[i] = -10000.0
            for t in range(HORIZON):
                path[i, t, 0] = state.body[b, i, X] + (t + 1) * CONTROL_STEP * state.body[b, i, VX]
                path[i, t, 1] = state.body[b, i, Y] + (t + 1) * CONTROL_STEP * state.body[b, i, VY]
        for i in range(n_robots):
            if state.alive[b, i]:
                action[b, i] = _best_plan(layout, state, b, i, goal[b, i], rank, path, trial)


@kernel
def _best_plan(layout, state, b, i, goal, rank, path, trial):
    """Returns the first manoeuvre of robot i's best plan."""
    best, choice = -math.inf, STOP
    for first in range(7):
        for stop in range(2):
            score = _try(layout, state, b, i, goal, first, stop == 1, trial)
            for j in range(len(rank)):
                ax, ay = state.body[b, j, X] - state.body[b, i, X], state.body[b, j, Y] - state.body[b, i, Y]
                if j != i and not ax * ax + ay * ay > CONSIDERED * CONSIDERED:
                    score = _less_conflicts(score, trial, path, j, BRAKING if rank[i] < rank[j] else HORIZON)
            if score > best + 1e-9:
                best, choice = score, first
    return choice


@kernel
def _less_conflicts(score, trial, path, j, steps):
    """Returns the score less a penalty for each of the first `steps` in which the trial comes near robot j's path."""
    room = 2.0 * RADIUS + MARGIN
    for t in range(steps):
        near = math.sqrt((trial[t, 0] - path[j, t, 0]) ** 2 + (trial[t, 1] - path[j, t, 1]) ** 2)
        if near < room:
            score -= (10.0 if near < 2.0 * RADIUS + 0.02 else 1.0) * (room - near) * (HORIZON - t)
    return score


@kernel
def _try(layout, state, b, i, goal, first, stop, trial):
    """Simulates one manoeuvre: writes its positions into trial (H, 2) and returns how good its end is [m]."""
    x, y, angle = state.body[b, i, X], state.body[b, i, Y], state.body[b, i, ANGLE]
    c, s = math.cos(angle), math.sin(angle)
    speed = c * state.body[b, i, VX] + s * state.body[b, i, VY]
    rate = state.body[b, i, TURN_RATE]
    thrust = MOTOR_FORCE / (MASS + (LOAD_MASS if state.phase[b, i] == TO_STATION else 0.0)) * CONTROL_STEP
    swing = TURN_ACCELERATION * CONTROL_STEP
    bumped = 0.0
    for t in range(HORIZON):
        primitive = first
        if t >= COMMITTED:
            primitive = STOP if stop else _follow(layout, x, y, angle, goal)
        speed += min(max(TARGETS[primitive, 0] - speed, -thrust), thrust)
        rate += min(max(TARGETS[primitive, 1] - rate, -swing), swing)
        angle += 0.5 * rate * CONTROL_STEP
        nx = x + speed * CONTROL_STEP * math.cos(angle)
        ny = y + speed * CONTROL_STEP * math.sin(angle)
        angle += 0.5 * rate * CONTROL_STEP
        if _is_free(layout, nx, ny):
            x, y = nx, ny
        else:
            bumped += 0.3 + abs(speed)
            speed = 0.0
        trial[t, 0], trial[t, 1] = x, y
        if t == COMMITTED - 1 and goal != NOBODY:
            bumped += 0.3 * route_length(layout, x, y, goal)  # sooner is better, or it would never start
    if goal == NOBODY:
        return -bumped - 0.01 * abs(speed) - 0.01 * (first != STOP)
    wx, wy, left = waypoint(layout, x, y, goal)
    gx, gy = layout.targets[goal, 0] - x, layout.targets[goal, 1] - y
    if gx * gx + gy * gy < (0.8 * TARGET_RADIUS) ** 2:
        return -0.3 * abs(speed) - 0.05 * abs(rate) - bumped
    far = math.sqrt((wx - x) ** 2 + (wy - y) ** 2)
    facing = (math.cos(angle) * (wx - x) + math.sin(angle) * (wy - y)) / far if far > 1e-6 else 1.0
    return -left - 0.3 * (1.0 - facing) - bumped


@kernel
def _follow(layout, x, y, angle, goal):
    """Returns the primitive that follows the shortest route."""
    if goal == NOBODY:
        return STOP
    gx, gy = layout.targets[goal, 0] - x, layout.targets[goal, 1] - y
    if gx * gx + gy * gy < (0.9 * TARGET_RADIUS) ** 2:
        return STOP
    wx, wy, _ = waypoint(layout, x, y, goal)
    c, s = math.cos(angle), math.sin(angle)
    error = math.atan2(c * (wy - y) - s * (wx - x), c * (wx - x) + s * (wy - y))
    if abs(error) > 0.7:
        return LEFT if error > 0.0 else RIGHT
    if abs(error) > 0.15:
        return FORWARD_LEFT if error > 0.0 else FORWARD_RIGHT
    return FORWARD


@kernel
def _is_free(layout, x, y):
    """Returns whether a robot fits at (x, y)."""
    column, row = int(x), int(y)
    if row < 1 or column < 1 or row >= layout.blocked.shape[0] - 1 or column >= layout.blocked.shape[1] - 1:
        return False
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if layout.blocked[row + dy, column + dx]:
                ax = max(column + dx - x, 0.0, x - (column + dx + 1))
                ay = max(row + dy - y, 0.0, y - (row + dy + 1))
                if ax * ax + ay * ay < (CHASSIS_RADIUS + 0.01) ** 2:
                    return False
    return True
