"""Kernels for the observations of vehicles, which vehicles hear each other, and the global state.

Axes: B worlds, N agents, V vehicles, K observed conflicts, C conflict points. Observations are laid out as the
package's docstring lists them; the constants below are the one place where the layout is written in code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import kernel
from ..roads.cars import CAR_LENGTH
from ..roads.crossing import CROSS, LEFT, MERGE, RIGHT, STRAIGHT, half_side
from .config import DECELERATION, Config
from .network import ENTER, GUESS, HEADING, KIND, LEAVE, LIMIT, TURN, Network
from .spots import AT_CROSSING, N_SPOT, ON_MOVEMENT, PAST_LINE, leader_of, locate, pose_at, profile_at, reach_time
from .state import (
    ACCELERATED,
    ANNOUNCED,
    BID,
    CLOSES,
    CONTROL_STEP,
    DUE,
    NEVER,
    OPENS,
    PENDING,
    POSITION,
    SENT,
    SENT_ACCELERATION,
    SENT_POSITION,
    SENT_SPEED,
    SPEED,
    STOOD,
)

OWN = 20
"""Entries of an observation about the vehicle itself."""
POINTS = 4
"""Conflict points ahead that an observation holds."""
PER_CONFLICT = 16
"""Entries of an observation about each conflicting vehicle."""
STATE_PER_VEHICLE = 16
"""Entries of the global state about each vehicle."""
DISTANCE_SCALE, TIME_SCALE = 10.0, 3.0
"""Distances d [m] are observed as d / (|d| + DISTANCE_SCALE), times t [s] as t / (|t| + TIME_SCALE)."""
SLOWEST = 0.5
"""Times of arrival are computed from at least this speed [m/s]."""
AGE_SCALE = 5.0
"""Ages of messages and differences of arrival times are divided by this [s]."""
UNKNOWN, SHARED, DECLARED = range(3)
"""Values of `Sensors.intent`."""


class Sensors(NamedTuple):
    """The parameters of observations, from a `Config` and its `Network`."""

    n_agents: int
    n_conflicts: int
    sensing_range: float
    comm_range: float
    silent: bool  # no agent hears another: scripted cars cannot be heard, and would be known by that
    intent: int
    speed_limit: float
    max_steps: int
    middle_x: float
    middle_y: float
    extent: float


def sensors_of(config: Config, network: Network) -> Sensors:
    """Returns the parameters of a configuration."""
    low, high = network.centre.min(axis=0), network.centre.max(axis=0)
    rim = half_side(config.lanes) + max(config.approach, config.exit_length)
    return Sensors(
        n_agents=config.n_vehicles,
        n_conflicts=config.n_conflicts,
        sensing_range=float(config.sensing_range),
        comm_range=float(config.comm_range),
        silent=config.n_liars > 0,
        intent={"none": UNKNOWN, "shared": SHARED, "declared": DECLARED}[config.intent],
        speed_limit=float(config.speed_limit),
        max_steps=config.max_steps,
        middle_x=float(0.5 * (low[0] + high[0])),
        middle_y=float(0.5 * (low[1] + high[1])),
        extent=float(0.5 * (high - low).max() + rim + 1.0),
    )


class Scene(NamedTuple):
    """The places of the cars of one world."""

    spot: Array  # (V, N_SPOT), see `spots`
    pose: Array  # (V, 4): x, y [m], cosine and sine of the heading
    there: Array  # indices of the cars on the road, ascending


class Ranking(NamedTuple):
    """Cars that conflict with each agent of one world, the first to arrive first."""

    n_cars: Array  # (N,) int64 how many they are
    arrival: Array  # (N, V) time until the car is at the shared zone [s]
    car: Array  # (N, V) int64 index
    movement: Array  # (N, V) int64 movement that it is taken to make
    known: Array  # (N, V) bool: its intent is known


class Shown(NamedTuple):
    """All that a batch of worlds shows, for kernels to fill in; all are zeros before."""

    obs: Array  # (B, N, O) float32; rows of agents that are not on the road stay zero
    adjacency: Array  # (B, N, N) bool: j is in range of i and, as far as i knows, both have a zone to share ahead;
    # all entries remain False where there are scripted cars
    global_state: Array  # (B, S) float32: the global state
    metrics: Array  # (M, B) float64, in the order of `metrics.METRICS`


def obs_size(sensors: Sensors) -> int:
    """Returns O."""
    return OWN + POINTS + PER_CONFLICT * sensors.n_conflicts


def obs_names(sensors: Sensors) -> tuple[str, ...]:
    """Returns the names of the entries of an observation, (O,), see `envs.core.BatchEnv`."""
    limit, sensed = f"{sensors.speed_limit:g}m/s", f"{sensors.sensing_range:g}m"
    names = [f"speed_{limit}", f"allowed_speed_{limit}", "acceleration", "line_distance"]
    names += ["turns_left", "goes_straight", "turns_right", "past_line", "exit_distance"]
    names += [f"gap_{sensed}", f"leader_speed_{sensed}_{limit}", f"leader_{sensed}"]
    names += ["stood", "emergency", "braking_share", "on_minor_road", "another_crossing", "opens", "closes", "bid"]
    names += [f"conflict_point_{k}" for k in range(POINTS)]
    conflict = ["there", "own_distance", "distance", "end_distance", "own_time", "time", f"speed_{limit}", "time_lead"]
    conflict += ["merges", "side", "emergency", f"known_{sensors.comm_range:g}m"]
    if sensors.intent == DECLARED:
        conflict += ["opens", "closes", "announced_age", "bid"]
    else:  # all zeros where nothing is shared, as where nothing has been heard
        conflict += ["enters", "leaves", "heard_age", "zero"]
    names += [f"conflict_{k}_{sensed}_{part}" for k in range(sensors.n_conflicts) for part in conflict]
    return tuple(names)


def state_size(n_vehicles: int) -> int:
    """Returns S."""
    return STATE_PER_VEHICLE * n_vehicles + 1


@kernel
def _clip(value):
    return min(max(value, -1.0), 1.0)


@kernel
def _squash(value, scale):
    """Maps a number without bounds into [-1, 1], with the finest resolution near 0."""
    if value > 1e6:
        return 1.0
    if value < -1e5:
        return -1.0
    return value / (abs(value) + scale)


@kernel
def poses_of(segment, car, route, there, b, pose):
    """Fills pose (V, 4) for the cars on the road: x, y [m], cosine and sine of the heading."""
    for i in there:
        pose[i, 0], pose[i, 1], pose[i, 2], pose[i, 3] = pose_at(segment, route[b, i], car[b, i, POSITION])


@kernel
def expected(zone, spot, i, j, known):
    """Returns the movement of car j that car i must expect, -1 if none conflicts.

    This is j's own movement if it is known or if j's centre has passed the stop line, after which its turn shows. Else
    it is the one of `GUESS`.
    """
    if spot[i, AT_CROSSING] != spot[j, AT_CROSSING]:
        return -1
    own, other = int(spot[i, ON_MOVEMENT]), int(spot[j, ON_MOVEMENT])
    if not known and spot[j, PAST_LINE] < 0.0:
        other = int(zone[own, other, GUESS])
        if other < 0:
            return -1
    kind = zone[own, other, KIND]
    if kind not in (CROSS, MERGE):
        return -1
    if spot[i, PAST_LINE] > zone[own, other, LEAVE] or spot[j, PAST_LINE] > zone[other, own, LEAVE]:
        return -1
    return other


@kernel
def _observe_own(sensors, net, state, scene, b, obs):
    """Writes what all agents of world b observe of themselves into obs, (B N O,)."""
    length, n_legs, profile, section_start, zone = net.length, net.n_legs, net.profile, net.section_start, net.zone
    movement, conflict_point, spot, there = net.movement, net.conflict_point, scene.spot, scene.there
    car, legs, route, emergency, now = state.car, state.leg, state.route, state.emergency, state.step[b] * CONTROL_STEP
    for i in there:
        if i >= sensors.n_agents:
            break
        at = (b * sensors.n_agents + i) * (OWN + POINTS + PER_CONFLICT * sensors.n_conflicts)
        p, s, v = route[b, i], car[b, i, POSITION], car[b, i, SPEED]
        own, r = int(spot[i, ON_MOVEMENT]), spot[i, PAST_LINE]
        to_line, turn = -r - 0.5 * CAR_LENGTH, movement[own, TURN]
        obs[at] = _clip(v / sensors.speed_limit)
        obs[at + 1] = _clip(profile_at(profile, p, s, LIMIT) / sensors.speed_limit)
        obs[at + 2] = _clip(car[b, i, ACCELERATED] / DECELERATION)
        obs[at + 3] = _squash(to_line, DISTANCE_SCALE)
        obs[at + 4] = 1.0 if turn == LEFT else 0.0
        obs[at + 5] = 1.0 if turn == STRAIGHT else 0.0
        obs[at + 6] = 1.0 if turn == RIGHT else 0.0
        obs[at + 7] = 1.0 if to_line < 0.0 else 0.0
        obs[at + 8] = _squash(length[p] - s, DISTANCE_SCALE)
        obs[at + 9] = 1.0
        j, far = leader_of(section_start, zone, spot, there, p, s, i)
        if j >= 0 and far <= sensors.sensing_range:
            obs[at + 9] = _squash(far - CAR_LENGTH, DISTANCE_SCALE)
            obs[at + 10] = _clip((car[b, j, SPEED] - v) / sensors.speed_limit)
            obs[at + 11] = 1.0
        obs[at + 12] = _squash(car[b, i, STOOD], TIME_SCALE)
        obs[at + 13] = 1.0 if emergency[b, i] else 0.0
        # The braking distance over the room to the line: at 1 it is too late to stop.
        obs[at + 14] = 1.0 if to_line <= 0.0 else min(v * v / (2.0 * DECELERATION * to_line), 1.0)
        obs[at + 15] = movement[own, HEADING] % 2
        obs[at + 16] = 1.0 if legs[b, i] + 1 < n_legs[p] else 0.0
        if car[b, i, OPENS] != NEVER:
            obs[at + 17] = _squash(car[b, i, OPENS] - now, TIME_SCALE)
            obs[at + 18] = _squash(car[b, i, CLOSES] - now, TIME_SCALE)
            obs[at + 19] = car[b, i, BID]
        k = 0
        for c in range(conflict_point.shape[1]):
            if k < POINTS and r <= conflict_point[own, c] < 1e6:
                obs[at + OWN + k] = _squash(conflict_point[own, c] - r, DISTANCE_SCALE)
                k += 1
        while k < POINTS:
            obs[at + OWN + k] = 1.0
            k += 1


@kernel
def _rank_conflicts(sensors, zone, car, scene, b, ranking, adjacency):
    """Ranks the cars that conflict with each agent of world b and that it senses; fills adjacency, too."""
    spot, pose, there, arrival, count = scene.spot, scene.pose, scene.there, ranking.arrival, ranking.n_cars
    chosen, movement, intent_known = ranking.car, ranking.movement, ranking.known
    heard_within, sensed_within = sensors.comm_range**2, sensors.sensing_range**2
    for i in there:
        if i >= sensors.n_agents:
            break
        found = 0
        for j in there:
            if j == i or spot[j, AT_CROSSING] != spot[i, AT_CROSSING]:
                continue
            distance = (pose[j, 0] - pose[i, 0]) ** 2 + (pose[j, 1] - pose[i, 1]) ** 2
            known = distance <= heard_within and sensors.intent != UNKNOWN
            other = expected(zone, spot, i, j, known)
            if other < 0:
                continue
            if not sensors.silent:  # then all cars are agents
                adjacency[b, i, j] = distance <= heard_within
            if distance > sensed_within:
                continue
            to_zone = zone[other, int(spot[i, ON_MOVEMENT]), ENTER] - spot[j, PAST_LINE]
            t, k = to_zone / max(car[b, j, SPEED], SLOWEST), found
            while k > 0 and arrival[i, k - 1] > t:  # insertion sort, as they are few
                arrival[i, k], chosen[i, k] = arrival[i, k - 1], chosen[i, k - 1]
                movement[i, k], intent_known[i, k] = movement[i, k - 1], intent_known[i, k - 1]
                k -= 1
            arrival[i, k], chosen[i, k], movement[i, k], intent_known[i, k] = t, j, other, known
            found += 1
        count[i] = found


@kernel
def _observe_conflicts(sensors, net, state, scene, ranking, b, obs):
    """Writes what all agents of world b sense of others, and know of their intents, into obs, (B N O,)."""
    zone, profile, ways = net.zone, net.profile, net.movement
    car, route, emergency, now = state.car, state.route, state.emergency, state.step[b] * CONTROL_STEP
    spot, count, chosen, movement, known = scene.spot, ranking.n_cars, ranking.car, ranking.movement, ranking.known
    for i in scene.there:
        if i >= sensors.n_agents:
            break
        at = (b * sensors.n_agents + i) * (OWN + POINTS + PER_CONFLICT * sensors.n_conflicts) + OWN + POINTS
        own, r, v = int(spot[i, ON_MOVEMENT]), spot[i, PAST_LINE], car[b, i, SPEED]
        for k in range(min(count[i], sensors.n_conflicts)):
            j, other = chosen[i, k], movement[i, k]
            o, w = spot[j, PAST_LINE], car[b, j, SPEED]
            to_zone, others_way = zone[own, other, ENTER] - r, zone[other, own, ENTER] - o
            arrival, others_arrival = max(to_zone, 0.0) / max(v, SLOWEST), max(others_way, 0.0) / max(w, SLOWEST)
            obs[at] = 1.0
            obs[at + 1] = _squash(to_zone, DISTANCE_SCALE)
            obs[at + 2] = _squash(others_way, DISTANCE_SCALE)
            obs[at + 3] = _squash(zone[other, own, LEAVE] - o, DISTANCE_SCALE)
            obs[at + 4] = _squash(arrival, TIME_SCALE)
            obs[at + 5] = _squash(others_arrival, TIME_SCALE)
            obs[at + 6] = _clip(w / sensors.speed_limit)
            obs[at + 7] = _clip((arrival - others_arrival) / AGE_SCALE)
            obs[at + 8] = 1.0 if zone[own, other, KIND] == MERGE else -1.0
            # It comes from the right (1), the left (-1), or the other side (0).
            side = (ways[other, HEADING] - ways[own, HEADING]) % 4
            obs[at + 9] = 1.0 if side == 1 else -1.0 if side == 3 else 0.0
            obs[at + 10] = 1.0 if emergency[b, j] else 0.0
            obs[at + 11] = 1.0 if known[i, k] else 0.0
            if known[i, k] and sensors.intent == DECLARED and car[b, j, OPENS] != NEVER:
                obs[at + 12] = _squash(car[b, j, OPENS] - now, TIME_SCALE)
                obs[at + 13] = _squash(car[b, j, CLOSES] - now, TIME_SCALE)
                obs[at + 14] = min((now - car[b, j, ANNOUNCED]) / AGE_SCALE, 1.0)
                obs[at + 15] = car[b, j, BID]
            elif known[i, k] and sensors.intent == SHARED:
                sent, speed, accel = car[b, j, SENT], car[b, j, SENT_SPEED], car[b, j, SENT_ACCELERATION]
                begin = zone[other, own, ENTER] + car[b, j, POSITION] - o  # on its route
                top = profile_at(profile, route[b, j], begin, LIMIT)
                far = begin - car[b, j, SENT_POSITION]
                obs[at + 12] = _squash(sent + reach_time(far, speed, accel, top) - now, TIME_SCALE)
                far += zone[other, own, LEAVE] - zone[other, own, ENTER]
                obs[at + 13] = _squash(sent + reach_time(far, speed, accel, top) - now, TIME_SCALE)
                obs[at + 14] = min((now - sent) / AGE_SCALE, 1.0)
            at += PER_CONFLICT


@kernel
def _fill_state(sensors, net, state, scene, b, global_state):
    """Writes the global state of world b into global_state, (B S,)."""
    length, movement, spot, pose = net.length, net.movement, scene.spot, scene.pose
    car, status, route, emergency = state.car, state.status, state.route, state.emergency
    n, now = status.shape[1], state.step[b] * CONTROL_STEP
    base = b * (STATE_PER_VEHICLE * n + 1)
    for i in scene.there:
        turn, at = movement[int(spot[i, ON_MOVEMENT]), TURN], base + STATE_PER_VEHICLE * i
        global_state[at] = 1.0
        global_state[at + 1] = _clip((pose[i, 0] - sensors.middle_x) / sensors.extent)
        global_state[at + 2] = _clip((pose[i, 1] - sensors.middle_y) / sensors.extent)
        global_state[at + 3], global_state[at + 4] = _clip(pose[i, 2]), _clip(pose[i, 3])
        global_state[at + 5] = _clip(car[b, i, SPEED] / sensors.speed_limit)
        global_state[at + 6] = _clip(car[b, i, ACCELERATED] / DECELERATION)
        global_state[at + 7] = _squash(-spot[i, PAST_LINE] - 0.5 * CAR_LENGTH, DISTANCE_SCALE)
        global_state[at + 8] = 1.0 if turn == LEFT else 0.0
        global_state[at + 9] = 1.0 if turn == RIGHT else 0.0
        global_state[at + 10] = _squash(length[route[b, i]] - car[b, i, POSITION], DISTANCE_SCALE)
        global_state[at + 11] = 1.0 if emergency[b, i] else 0.0
        global_state[at + 12] = _squash(car[b, i, STOOD], TIME_SCALE)
        if car[b, i, OPENS] != NEVER:
            global_state[at + 13] = _squash(car[b, i, OPENS] - now, TIME_SCALE)
            global_state[at + 14] = car[b, i, BID]
        global_state[at + 15] = 1.0 if i >= sensors.n_agents else 0.0
    for i in range(n):
        if status[b, i] == PENDING:
            global_state[base + STATE_PER_VEHICLE * i] = -1.0
            global_state[base + STATE_PER_VEHICLE * i + 1] = _squash(max(car[b, i, DUE] - now, 0.0), TIME_SCALE)
    global_state[base + STATE_PER_VEHICLE * n] = min(state.step[b] / sensors.max_steps, 1.0)


@kernel
def observe(sensors, net, state, shown):
    """Fills everything that is observed and heard.

    Args:
        sensors: The `Sensors`.
        net: The `Network`.
        state: The `State`.
        shown: The `Shown`, written, but for its metrics.
    """
    car, status, legs, route = state.car, state.status, state.leg, state.route
    leg, stretch, segment, zone, adjacency = net.leg, net.stretch, net.segment, net.zone, shown.adjacency
    n, n_agents = status.shape[1], sensors.n_agents
    spot, pose, index = np.empty((n, N_SPOT)), np.empty((n, 4)), np.empty(n, np.int64)
    ranking = Ranking(
        np.empty(n_agents, np.int64), np.empty((n_agents, n)), np.empty((n_agents, n), np.int64),
        np.empty((n_agents, n), np.int64), np.empty((n_agents, n), np.bool_),
    )  # fmt: skip
    # A view of each row would take longer to make than to fill.
    obs, global_state = shown.obs.reshape(-1), shown.global_state.reshape(-1)
    for b in range(status.shape[0]):
        there = locate(leg, stretch, car, status, legs, route, b, spot, index)
        poses_of(segment, car, route, there, b, pose)
        scene = Scene(spot, pose, there)
        _observe_own(sensors, net, state, scene, b, obs)
        _rank_conflicts(sensors, zone, car, scene, b, ranking, adjacency)
        _observe_conflicts(sensors, net, state, scene, ranking, b, obs)
        _fill_state(sensors, net, state, scene, b, global_state)
