"""Kernels for the observations of robots, which robots hear each other, and the global state.

Axes: B worlds, N robots, R lidar rays, K sensed neighbours, M orders in view. Observations are laid out as the
package's docstring lists them; the constants below are the one place where the layout is written in code.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
from .params import Params
from .physics import ANGLE, CONTROL_STEP, RADIUS, TOP_SPEED, TOP_TURN_RATE, TURN_RATE, VX, VY, X, Y
from .routes import route_length, waypoint
from .state import CLAIM, IDLE, NOBODY, TO_CHARGER, TO_STATION, WAITING
from .work import DWELL_STEPS

OWN = 15
"""Number of entries of an observation on the robot itself, before the lidar."""
PER_NEIGHBOR = 11
"""Number of entries on each neighbour."""
PER_ORDER = 6
"""Number of entries on each order in view."""
POSITION = 4
"""Number of entries on the robot's own place and heading, the last ones."""
STATE_PER_ROBOT, STATE_PER_ORDER, STATE_GLOBAL = 16, 6, 2
"""Number of entries of the global state on each robot, on each order, and on the whole."""
GOAL_SCALE = 1.0
"""Straight distances d to goals are shown as d / (d + GOAL_SCALE)."""
ROUTE_SCALE = 5.0
"""Route lengths r are shown as r / (r + ROUTE_SCALE)."""
WAYPOINT_SCALE = 1.5
"""Distances of own waypoints are shown over this; they are at most as long [m]."""
HELD_UP_SCALE = 5.0
"""Seconds t held up are shown as t / (t + HELD_UP_SCALE), so that a robot can tell how long it has waited."""
DEADLINE_SCALE = 60.0
"""Seconds to a deadline are shown over this, clipped to [-1, 1]."""


def obs_size(params: Params) -> int:
    """Returns O."""
    orders = params.n_orders * PER_ORDER if params.dispatch == CLAIM else 0
    position = POSITION if params.position else 0
    return OWN + params.n_rays + PER_NEIGHBOR * params.n_neighbors + orders + position


def obs_names(params: Params, extent: int) -> tuple[str, ...]:
    """Returns the names of the entries of an observation, (O,), see `envs.core.BatchEnv`.

    Args:
        params: The `Params`.
        extent: Longer side of the map [m].
    """
    names = ["speed", "turn_rate", "loaded", "battery", "dwell", "busy", "to_charger"]
    names += ["goal_distance", "goal_cos", "goal_sin"]
    route = ("route_length", "waypoint_cos", "waypoint_sin", "waypoint_distance")
    names += route if params.route_hint else [f"zero_{k}" for k in range(len(route))]
    names.append("held_up")
    names += [f"lidar_{360.0 * ray / params.n_rays:g}deg_{params.lidar_range:g}m" for ray in range(params.n_rays)]
    neighbor = ("there", "x", "y", "velocity_x", "velocity_y", "heading_cos", "heading_sin", "loaded")
    neighbor += ("waypoint_x", "waypoint_y", "lower_index")
    names += [f"neighbor_{k}_{params.sensing_range:g}m_{part}" for k in range(params.n_neighbors) for part in neighbor]
    if params.dispatch == CLAIM:
        way = "route" if params.route_hint else "face"
        order = ("there", f"{way}_cos", f"{way}_sin", f"{way}_length", "delivery_length", "deadline")
        names += [f"order_{k}_{part}" for k in range(params.n_orders) for part in order]
    if params.position:
        names += [f"x_{extent}m", f"y_{extent}m", "heading_cos", "heading_sin"]
    return tuple(names)


def state_size(params: Params, n_robots: int) -> int:
    """Returns S."""
    return STATE_PER_ROBOT * n_robots + STATE_PER_ORDER * params.n_orders + STATE_GLOBAL


@kernel
def _clip(value):
    return min(max(value, -1.0), 1.0)


@kernel
def waypoints(layout, state, out):
    """Writes each robot's next waypoint x, y and the length of its route [m] into out (B, N, 3).

    A robot without a goal has its own place and 0.
    """
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            x, y = state.body[b, i, X], state.body[b, i, Y]
            if state.alive[b, i] and state.goal[b, i] != NOBODY:
                out[b, i, 0], out[b, i, 1], out[b, i, 2] = waypoint(layout, x, y, state.goal[b, i])
            else:
                out[b, i, 0], out[b, i, 1], out[b, i, 2] = x, y, 0.0


@kernel
def free_path(blocked, x, y, dx, dy, reach):
    """Returns the free way from (x, y) along the unit vector (dx, dy) to a blocked cell, at most `reach` [m].

    Walks the grid cell by cell (Amanatides and Woo 1987).
    """
    column, row = int(x), int(y)
    if blocked[row, column]:
        return 0.0
    step_x, step_y = (1 if dx > 0 else -1), (1 if dy > 0 else -1)
    per_x = abs(1.0 / dx) if abs(dx) > 1e-12 else math.inf
    per_y = abs(1.0 / dy) if abs(dy) > 1e-12 else math.inf
    next_x = ((column + 1 - x) if dx > 0 else (x - column)) * per_x if per_x < math.inf else math.inf
    next_y = ((row + 1 - y) if dy > 0 else (y - row)) * per_y if per_y < math.inf else math.inf
    while True:
        if next_x < next_y:
            far = next_x
            column += step_x
            next_x += per_x
        else:
            far = next_y
            row += step_y
            next_y += per_y
        if far >= reach:
            return reach
        if blocked[row, column]:
            return far


@kernel
def _lidar(params, layout, body, i, ray, near, n_near, out):
    """Writes the lidar's distances over its range into out (R,).

    `near` (n, 3) holds the squared distance and relative x, y of other robots, nearest first.
    """
    x, y, angle = body[i, X], body[i, Y], body[i, ANGLE]
    reach = params.lidar_range
    c, s = math.cos(angle), math.sin(angle)
    for r in range(params.n_rays):
        dx = c * ray[r, 0] - s * ray[r, 1]
        dy = s * ray[r, 0] + c * ray[r, 1]
        far = free_path(layout.blocked, x, y, dx, dy, reach)
        for n in range(n_near):
            if near[n, 0] > (far + RADIUS) * (far + RADIUS):
                break
            along = near[n, 1] * dx + near[n, 2] * dy
            if along <= 0.0:
                continue
            inside = RADIUS * RADIUS - near[n, 0] + along * along
            if inside > 0.0:
                far = min(far, max(along - math.sqrt(inside), 0.0))
        out[r] = far / reach


@kernel
def _observe_robots(params, layout, state, way, ray, obs):
    """Fills obs (B, N, O)."""
    n_robots = state.body.shape[1]
    near = np.empty((n_robots, 3))  # squared distance, relative x, y of robots in range, nearest first
    index = np.empty(n_robots, dtype=np.int64)  # of these robots
    reach = max(params.sensing_range, params.lidar_range + RADIUS)
    for b in range(state.body.shape[0]):
        body = state.body[b]
        for i in range(n_robots):
            if not state.alive[b, i]:
                continue
            x, y, angle = body[i, X], body[i, Y], body[i, ANGLE]
            c, s = math.cos(angle), math.sin(angle)
            out = obs[b, i]
            _observe_own(params, layout, state, way, b, i, c, s, out)
            n_near = 0
            for j in range(n_robots):
                ax, ay = body[j, X] - x, body[j, Y] - y
                d2 = ax * ax + ay * ay
                if j == i or d2 > reach * reach:
                    continue
                k = n_near  # insertion sort: they are few
                while k > 0 and near[k - 1, 0] > d2:
                    near[k, 0], near[k, 1], near[k, 2], index[k] = (
                        near[k - 1, 0],
                        near[k - 1, 1],
                        near[k - 1, 2],
                        index[k - 1],
                    )
                    k -= 1
                near[k, 0], near[k, 1], near[k, 2], index[k] = d2, ax, ay, j
                n_near += 1
            _lidar(params, layout, body, i, ray, near, n_near, out[OWN : OWN + params.n_rays])
            base = OWN + params.n_rays
            for k in range(min(params.n_neighbors, n_near)):
                if near[k, 0] > params.sensing_range**2:
                    break
                _observe_neighbor(params, state, way, b, i, index[k], c, s, out[base : base + PER_NEIGHBOR])
                base += PER_NEIGHBOR
            if params.dispatch == CLAIM:
                base = OWN + params.n_rays + PER_NEIGHBOR * params.n_neighbors
                _observe_orders(params, layout, state, b, x, y, c, s, out[base:])
            if params.position:
                extent = max(layout.blocked.shape[0], layout.blocked.shape[1])
                out[-4], out[-3], out[-2], out[-1] = x / extent, y / extent, c, s


@kernel
def _observe_neighbor(params, state, way, b, i, j, c, s, out):
    body, reach = state.body[b], params.sensing_range
    x, y = body[i, X], body[i, Y]
    ax, ay = body[j, X] - x, body[j, Y] - y
    vx, vy = body[j, VX] - body[i, VX], body[j, VY] - body[i, VY]
    wx, wy = way[b, j, 0] - x, way[b, j, 1] - y
    turned = body[j, ANGLE] - body[i, ANGLE]
    out[0] = 1.0 if state.alive[b, j] else -1.0
    out[1] = _clip((c * ax + s * ay) / reach)
    out[2] = _clip((-s * ax + c * ay) / reach)
    out[3] = _clip((c * vx + s * vy) / (2.0 * TOP_SPEED))
    out[4] = _clip((-s * vx + c * vy) / (2.0 * TOP_SPEED))
    out[5] = math.cos(turned)
    out[6] = math.sin(turned)
    out[7] = 1.0 if state.phase[b, j] == TO_STATION else 0.0
    out[8] = _clip((c * wx + s * wy) / reach)
    out[9] = _clip((-s * wx + c * wy) / reach)
    out[10] = 1.0 if j < i else -1.0


@kernel
def _observe_own(params, layout, state, way, b, i, c, s, out):
    x, y = state.body[b, i, X], state.body[b, i, Y]
    out[0] = _clip((c * state.body[b, i, VX] + s * state.body[b, i, VY]) / TOP_SPEED)
    out[1] = _clip(state.body[b, i, TURN_RATE] / TOP_TURN_RATE)
    phase = state.phase[b, i]
    out[2] = 1.0 if phase == TO_STATION else 0.0
    out[3] = state.battery[b, i] / params.battery_capacity
    out[4] = state.dwell[b, i] / DWELL_STEPS
    out[5] = 0.0 if phase == IDLE else 1.0
    out[6] = 1.0 if phase == TO_CHARGER else 0.0
    held_up = (state.step[b] - state.still_since[b, i]) * CONTROL_STEP
    out[14] = held_up / (held_up + HELD_UP_SCALE)
    goal = state.goal[b, i]
    if goal == NOBODY:
        return
    gx, gy = layout.targets[goal, 0] - x, layout.targets[goal, 1] - y
    far = math.sqrt(gx * gx + gy * gy)
    out[7] = far / (far + GOAL_SCALE)
    if far > 1e-6:
        out[8] = (c * gx + s * gy) / far
        out[9] = (-s * gx + c * gy) / far
    if params.route_hint:
        out[10] = way[b, i, 2] / (way[b, i, 2] + ROUTE_SCALE)
        wx, wy = way[b, i, 0] - x, way[b, i, 1] - y
        far = math.sqrt(wx * wx + wy * wy)
        if far > 1e-6:
            out[11] = (c * wx + s * wy) / far
            out[12] = (-s * wx + c * wy) / far
        out[13] = min(far / WAYPOINT_SCALE, 1.0)


@kernel
def _observe_orders(params, layout, state, b, x, y, c, s, out):
    """Writes the oldest open orders into out (M * PER_ORDER,)."""
    base, seen, k = 0, 0, state.head[b]
    while k < state.order_release.shape[1] and seen < params.n_orders:
        if state.order_release[b, k] > state.step[b]:
            break
        if state.order_status[b, k] == WAITING:
            seen += 1
            face = state.order_face[b, k]
            if params.route_hint:
                px, py, length = waypoint(layout, x, y, face)
            else:
                px, py = layout.targets[face, 0], layout.targets[face, 1]
                length = math.sqrt((px - x) ** 2 + (py - y) ** 2)
            far = math.sqrt((px - x) ** 2 + (py - y) ** 2)
            leg = route_length(layout, layout.targets[face, 0], layout.targets[face, 1], state.order_station[b, k])
            out[base] = 1.0
            if far > 1e-6:
                out[base + 1] = (c * (px - x) + s * (py - y)) / far
                out[base + 2] = (-s * (px - x) + c * (py - y)) / far
            out[base + 3] = length / (length + ROUTE_SCALE)
            out[base + 4] = leg / (leg + ROUTE_SCALE)
            seconds = (state.order_deadline[b, k] - state.step[b]) * CONTROL_STEP
            out[base + 5] = _clip(seconds / DEADLINE_SCALE)
            base += PER_ORDER
        k += 1


@kernel
def hear(params, layout, state, adjacency):
    """Fills adjacency (B, N, N), False before: live robots in range and, if blocked, in sight of each other."""
    n_robots = state.body.shape[1]
    for b in range(state.body.shape[0]):
        for i in range(n_robots):
            if not state.alive[b, i]:
                continue
            x, y = state.body[b, i, X], state.body[b, i, Y]
            for j in range(i):
                if not state.alive[b, j]:
                    continue
                ax, ay = state.body[b, j, X] - x, state.body[b, j, Y] - y
                far = math.sqrt(ax * ax + ay * ay)
                heard = far <= params.comm_range
                if heard and params.comm_blocked and far > 0.0:
                    heard = free_path(layout.blocked, x, y, ax / far, ay / far, far) >= far
                adjacency[b, i, j] = heard
                adjacency[b, j, i] = heard


@kernel
def _fill_robots(params, layout, state, way, out):
    """Fills the robots' part of out (B, S)."""
    body, alive, phase, goals = state.body, state.alive, state.phase, state.goal
    battery, dwell, targets = state.battery, state.dwell, layout.targets
    width, height = layout.blocked.shape[1], layout.blocked.shape[0]
    for b in range(body.shape[0]):
        for i in range(body.shape[1]):
            if not alive[b, i]:
                continue
            base = STATE_PER_ROBOT * i
            out[b, base] = 1.0
            out[b, base + 1] = _clip(2.0 * body[b, i, X] / width - 1.0)
            out[b, base + 2] = _clip(2.0 * body[b, i, Y] / height - 1.0)
            out[b, base + 3] = math.cos(body[b, i, ANGLE])
            out[b, base + 4] = math.sin(body[b, i, ANGLE])
            out[b, base + 5] = _clip(body[b, i, VX] / TOP_SPEED)
            out[b, base + 6] = _clip(body[b, i, VY] / TOP_SPEED)
            out[b, base + 7] = _clip(body[b, i, TURN_RATE] / TOP_TURN_RATE)
            out[b, base + 8] = 1.0 if phase[b, i] == TO_STATION else 0.0
            out[b, base + 9] = battery[b, i] / params.battery_capacity
            out[b, base + 10] = dwell[b, i] / DWELL_STEPS
            out[b, base + 11] = 0.0 if phase[b, i] == IDLE else 1.0
            goal = goals[b, i]
            if goal != NOBODY:
                out[b, base + 12] = 2.0 * targets[goal, 0] / width - 1.0
                out[b, base + 13] = 2.0 * targets[goal, 1] / height - 1.0
                out[b, base + 14] = way[b, i, 2] / (way[b, i, 2] + ROUTE_SCALE)
            out[b, base + 15] = 1.0 if phase[b, i] == TO_CHARGER else 0.0


@kernel
def _fill_state(params, layout, state, way, out):
    """Fills out (B, S), zeros before: every robot, the oldest open orders, the clock and the backlog."""
    n_robots = state.body.shape[1]
    width, height = layout.blocked.shape[1], layout.blocked.shape[0]
    _fill_robots(params, layout, state, way, out)
    for b in range(state.body.shape[0]):
        base = STATE_PER_ROBOT * n_robots
        open_orders, k = 0, state.head[b]
        while k < state.order_release.shape[1] and state.order_release[b, k] <= state.step[b]:
            if state.order_status[b, k] == WAITING:
                if open_orders < params.n_orders:
                    face, station = state.order_face[b, k], state.order_station[b, k]
                    row = out[b, base : base + STATE_PER_ORDER]
                    row[0] = 1.0
                    row[1] = 2.0 * layout.targets[face, 0] / width - 1.0
                    row[2] = 2.0 * layout.targets[face, 1] / height - 1.0
                    row[3] = 2.0 * layout.targets[station, 0] / width - 1.0
                    row[4] = 2.0 * layout.targets[station, 1] / height - 1.0
                    seconds = (state.order_deadline[b, k] - state.step[b]) * CONTROL_STEP
                    row[5] = _clip(seconds / DEADLINE_SCALE)
                    base += STATE_PER_ORDER
                open_orders += 1
            k += 1
        base = STATE_PER_ROBOT * n_robots + STATE_PER_ORDER * params.n_orders
        out[b, base] = state.step[b] / params.max_steps
        out[b, base + 1] = open_orders / (open_orders + params.n_orders)


@kernel
def observe(params, layout, state, ray, way, obs, adjacency, global_state):
    """Fills in observations, adjacency and global state, in one call, because every call from Python costs time.

    Args:
        params: The `Params`.
        layout: The `Layout`.
        state: The `State`.
        ray: (R, 2) unit vectors of the rays in a robot's frame.
        way: (B, N, 3), written, see `waypoints`.
        obs: (B, N, O) float32 zeros, written; those of dead robots stay zero.
        adjacency: (B, N, N) False, written, see `hear`.
        global_state: (B, S) float32 zeros, written.
    """
    waypoints(layout, state, way)
    _observe_robots(params, layout, state, way, ray, obs)
    hear(params, layout, state, adjacency)
    _fill_state(params, layout, state, way, global_state)
