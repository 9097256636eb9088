"""Kernels for the observations of rovers, which rovers hear each other, and the global state.

Axes: B worlds, N rovers, P points of interest, O observation, S global state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Box

from ..core import Array
from ..kit.kernels import inlined, kernel
from .config import Config
from .state import VALUE, X, Y

QUADRANTS = 4
PLACE = 2 * QUADRANTS
"""Index of a rover's own position in its observation, after the densities."""
OBSERVATION = PLACE + 3
PER_ROVER, PER_POI = 2, 4
"""Entries of the global state about each rover, and about each point of interest."""


class Sensors(NamedTuple):
    """The numbers of observations."""

    size: float  # side of the field [m]
    min_distance: float  # [m]
    comm_range: float  # [m]
    limit: int  # time limit [steps]


class Sensed(NamedTuple):
    """What the rovers of one world sense. Scratch of a step."""

    place: Array  # (2, N) float64 positions [m]
    density: Array  # (2 * QUADRANTS, N) float64 d / (d + 1) of points of interest, then of rovers, around each


class Shown(NamedTuple):
    """Observations, global state, adjacency and metrics of a state, written by kernels."""

    obs: Array  # (B, N, O) float32
    global_state: Array  # (B, S) float32
    adjacency: Array  # (B, N, N) bool
    metrics: Array  # (M, B) float64


def sensors_of(config: Config) -> Sensors:
    """Returns the numbers of a configuration."""
    return Sensors(float(config.size), float(config.min_distance), float(config.comm_range), config.max_steps)


def scratch(n_rovers: int) -> Sensed:
    """Returns room for one world at a time."""
    return Sensed(np.empty((2, n_rovers)), np.empty((2 * QUADRANTS, n_rovers)))


def observation_space_of() -> Box:
    """Returns the space of one rover's observation."""
    low = np.zeros(OBSERVATION, np.float32)
    low[PLACE : PLACE + 2] = -1.0
    return Box(low, np.ones(OBSERVATION, np.float32), dtype=np.float32)


def obs_names(config: Config) -> tuple[str, ...]:
    """Returns the names of the entries of an observation, (O,), see `envs.core.BatchEnv`."""
    quadrants = ("right_up", "left_up", "right_down", "left_down")
    densities = (f"{what}_{where}_{config.min_distance:g}m" for what in ("pois", "rovers") for where in quadrants)
    return (*densities, f"x_{0.5 * config.size:g}m", f"y_{0.5 * config.size:g}m", "time_left")


def state_space_of(config: Config) -> Box:
    """Returns the space of one world's global state."""
    n, p = PER_ROVER * config.n_rovers, PER_POI * config.n_pois
    low = np.zeros(n + p + 1, np.float32)
    low[:n] = -1.0
    low[n : n + p : PER_POI] = low[n + 1 : n + p : PER_POI] = -1.0
    return Box(low, np.ones(n + p + 1, np.float32), dtype=np.float32)


@kernel
def observe(sensors, sensed, state, shown):
    """Fills in what the worlds show, laid out as the package's docstring says.

    Args:
        sensors: `Sensors`.
        sensed: `Sensed` of one world, written.
        state: `State` of B worlds.
        shown: `Shown`, written.
    """
    position, poi, best, step = state.position, state.poi, state.best, state.step
    obs, whole = shown.obs, shown.global_state
    n_rovers = position.shape[1]
    for b in range(len(poi)):
        _sense(sensors, sensed, position, poi, shown.adjacency, b)
        left = 1.0 - min(step[b] / sensors.limit, 1.0)
        for i in range(n_rovers):
            for q in range(2 * QUADRANTS):
                obs[b, i, q] = sensed.density[q, i]
            x, y = _scaled(sensors, position[b, i, X]), _scaled(sensors, position[b, i, Y])
            obs[b, i, PLACE], obs[b, i, PLACE + 1], obs[b, i, PLACE + 2] = x, y, left
            whole[b, PER_ROVER * i], whole[b, PER_ROVER * i + 1] = x, y
        for j in range(poi.shape[1]):
            at = PER_ROVER * n_rovers + PER_POI * j
            whole[b, at], whole[b, at + 1] = _scaled(sensors, poi[b, j, X]), _scaled(sensors, poi[b, j, Y])
            whole[b, at + 2], whole[b, at + 3] = poi[b, j, VALUE], best[b, j]
        whole[b, -1] = left


@inlined
def _sense(sensors, sensed, position, poi, adjacency, b):
    """Fills in what all rovers sense of points of interest and of each other, and who hears whom."""
    place, density = sensed.place, sensed.density
    hears = sensors.comm_range * sensors.comm_range
    density[:] = 0.0
    for i in range(position.shape[1]):
        place[X, i], place[Y, i] = position[b, i, X], position[b, i, Y]
    for j in range(poi.shape[1]):
        _add(sensors, sensed, 0, poi[b, j, X], poi[b, j, Y], poi[b, j, VALUE])
    for j in range(position.shape[1]):
        others = density[QUADRANTS, j]  # a rover would sense itself, to the right and up
        _add(sensors, sensed, QUADRANTS, place[X, j], place[Y, j], 1.0)
        density[QUADRANTS, j] = others
        for i in range(position.shape[1]):
            dx, dy = place[X, j] - place[X, i], place[Y, j] - place[Y, i]
            adjacency[b, j, i] = dx * dx + dy * dy <= hears
        adjacency[b, j, j] = False
    for q in range(2 * QUADRANTS):
        for i in range(position.shape[1]):
            density[q, i] /= density[q, i] + 1.0


@inlined
def _add(sensors, sensed, first, x, y, value):
    """Adds a value at a place over its squared distance to the densities of all rovers, in the quadrant it lies in.

    Quadrants, from row `first` on: 0 right and up, 1 left and up, 2 right and down, 3 left and down. All four are added
    to, three of them zero, so that the loop runs over several rovers at once.
    """
    place, density = sensed.place, sensed.density
    least = sensors.min_distance * sensors.min_distance
    for i in range(place.shape[1]):
        dx, dy = x - place[X, i], y - place[Y, i]
        near = value * least / max(dx * dx + dy * dy, least)
        left, down = dx < 0.0, dy < 0.0
        density[first, i] += 0.0 if left or down else near
        density[first + 1, i] += near if left and not down else 0.0
        density[first + 2, i] += near if down and not left else 0.0
        density[first + 3, i] += near if left and down else 0.0


@inlined
def _scaled(sensors, length):
    """Returns a coordinate [m] on the field as a number in [-1, 1]."""
    return min(2.0 * length / sensors.size - 1.0, 1.0)
