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


class Shown(NamedTuple):
    """Observations, global state, adjacency and metrics of a state, written by kernels."""

    obs: Array  # (B, N, O) float32
    global_state: Array  # (B, S) float32
    adjacency: Array  # (B, N, N) bool
    metrics: Array  # (M, B) float64


def sensors_of(config: Config) -> Sensors:
    """Returns the numbers of a configuration."""
    return Sensors(float(config.size), float(config.min_distance), float(config.comm_range), config.max_steps)


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
def observe(sensors, density, state, shown):
    """Fills in what the worlds show, laid out as the package's docstring says.

    Args:
        sensors: `Sensors`.
        density: (N, 2 * QUADRANTS) float64, written: the densities that the rovers of one world sense.
        state: `State` of B worlds.
        shown: `Shown`, written.
    """
    position, poi, best, step = state.position, state.poi, state.best, state.step
    obs, whole = shown.obs, shown.global_state
    n_rovers = position.shape[1]
    for b in range(len(poi)):
        density[:] = 0.0
        _sense_pois(sensors, density, position, poi, b)
        _sense_rovers(sensors, density, position, shown.adjacency, b)
        left = 1.0 - min(step[b] / sensors.limit, 1.0)
        for i in range(n_rovers):
            for q in range(2 * QUADRANTS):
                obs[b, i, q] = density[i, q] / (density[i, q] + 1.0)
            x, y = _scaled(sensors, position[b, i, X]), _scaled(sensors, position[b, i, Y])
            obs[b, i, PLACE], obs[b, i, PLACE + 1], obs[b, i, PLACE + 2] = x, y, left
            whole[b, PER_ROVER * i], whole[b, PER_ROVER * i + 1] = x, y
        for j in range(poi.shape[1]):
            at = PER_ROVER * n_rovers + PER_POI * j
            whole[b, at], whole[b, at + 1] = _scaled(sensors, poi[b, j, X]), _scaled(sensors, poi[b, j, Y])
            whole[b, at + 2], whole[b, at + 3] = poi[b, j, VALUE], best[b, j]
        whole[b, -1] = left


@inlined
def _sense_pois(sensors, density, position, poi, b):
    """Adds the values of all points of interest over their squared distances to the rovers' densities (N, 8)."""
    least = sensors.min_distance * sensors.min_distance
    for i in range(position.shape[1]):
        for j in range(poi.shape[1]):
            dx, dy = poi[b, j, X] - position[b, i, X], poi[b, j, Y] - position[b, i, Y]
            density[i, _quadrant(dx, dy)] += poi[b, j, VALUE] * least / max(dx * dx + dy * dy, least)


@inlined
def _sense_rovers(sensors, density, position, adjacency, b):
    """Adds the inverse squared distances of all other rovers to the rovers' densities (N, 8); fills in who hears whom.

    Both ways at once: a rover is as far from another as that one is from it.
    """
    least, hears = sensors.min_distance * sensors.min_distance, sensors.comm_range * sensors.comm_range
    for i in range(position.shape[1]):
        adjacency[b, i, i] = False
        for j in range(i):
            dx, dy = position[b, j, X] - position[b, i, X], position[b, j, Y] - position[b, i, Y]
            square = dx * dx + dy * dy
            adjacency[b, i, j] = adjacency[b, j, i] = square <= hears
            near = least / max(square, least)
            density[i, QUADRANTS + _quadrant(dx, dy)] += near
            density[j, QUADRANTS + _quadrant(-dx, -dy)] += near


@inlined
def _quadrant(dx, dy):
    """Returns the quadrant of a direction: 0 right and up, 1 left and up, 2 right and down, 3 left and down."""
    return (dx < 0.0) + 2 * (dy < 0.0)


@inlined
def _scaled(sensors, length):
    """Returns a coordinate [m] on the field as a number in [-1, 1]."""
    return min(2.0 * length / sensors.size - 1.0, 1.0)
