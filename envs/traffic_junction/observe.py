"""Kernels for the observations of cars, which cars hear each other, and the global state.

Only the rows of live cars are written; all others stay the zeros that they are given as.

Axes: B worlds, N agents, O observation, S global state, K road cells, W cells that a car sees, R routes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Box

from ..core import Array
from ..kit.kernels import inlined, kernel
from .config import Config
from .routes import PLANS, Network, n_symbols
from .state import BORN, BRAKED, CRASHES, NAME, PLACE, ROUTE

OWN = 4
"""Entries of a compact observation about the car itself, before those about the cells that it sees."""
PLANES = 3
"""Entries of the global state about each road cell."""
WHOLE = 4
"""Entries of the global state about the world as a whole, after those about cells."""


class Sensors(NamedTuple):
    """The numbers of observations."""

    published: bool  # the encoding
    size: int  # rows of the map, and columns
    symbols: int  # classes of a cell in the published encoding
    comm_range: float
    limit: int  # time limit [steps]


class Shown(NamedTuple):
    """The observations of worlds in a state, written by kernels into zeros."""

    obs: Array  # (B, N, O) float32
    global_state: Array  # (B, S) float32
    adjacency: Array  # (B, N, N) bool
    alive: Array  # (B, N) bool
    metrics: Array  # (M, B) float64


def sensors_of(config: Config) -> Sensors:
    """Returns the numbers of a configuration."""
    return Sensors(
        config.encoding == "published",
        PLANS[config.difficulty].size,
        n_symbols(config.difficulty),
        float(config.comm_range),
        config.max_steps,
    )


def observation_space_of(config: Config, net: Network) -> Box:
    """Returns the space of a car's observation; the package's docstring has the layout."""
    seen, routes, size = net.seen.shape[1], len(net.path), PLANS[config.difficulty].size
    others = max(config.n_cars - 1, 1)
    if config.encoding == "published":
        cell = np.ones(n_symbols(config.difficulty))
        cell[-1] = config.n_cars
        high = np.concatenate([np.ones(2), np.tile(cell, seen)])
    else:
        high = np.ones(OWN + 2 * seen + routes + 2 * size)
        high[3] = high[OWN + seen : OWN + 2 * seen] = others
    return Box(np.zeros(len(high), np.float32), high.astype(np.float32), dtype=np.float32)


def obs_names(config: Config, net: Network) -> tuple[str, ...]:
    """Returns the names of the entries of an observation, (O,), see `envs.core.BatchEnv`.

    Routes and classes of cells are numbered anew in each difficulty, and so their names hold it.
    """
    level, size, reach = config.difficulty, PLANS[config.difficulty].size, range(-config.vision, config.vision + 1)
    cells = [f"cell_{down:+d}_{right:+d}" for down in reach for right in reach]
    if config.encoding == "published":
        parts = [*(f"class_{k}_{level}" for k in range(n_symbols(level) - 1)), "all_cars"]
        return ("last_action", f"route_{level}", *(f"{cell}_{part}" for cell in cells for part in parts))
    names = [f"column_{size - 1}", f"row_{size - 1}", "last_action", "rank"]
    names += [f"{cell}_{part}" for part in ("road", "other_cars") for cell in cells]
    names += [f"route_{k}_{level}" for k in range(len(net.path))]
    return (*names, *(f"{axis}_{k}_of_{size}" for axis in ("row", "column") for k in range(size)))


def state_space_of(config: Config, net: Network) -> Box:
    """Returns the space of the global state; the package's docstring has the layout."""
    high = np.ones(PLANES * len(net.row) + WHOLE, np.float32)
    high[: PLANES * len(net.row)] = config.n_cars
    return Box(np.zeros_like(high), high, dtype=np.float32)


@kernel
def observe(net, sensors, state, shown):
    """Fills obs, global state, adjacency and alive of shown, a `Shown`."""
    path, car, live = net.path, state.car, state.live
    obs, alive = shown.obs, shown.alive
    count = np.zeros(len(net.row), np.int16)  # cars on each road cell
    cells, ranks = np.empty(car.shape[1], np.int16), np.empty(car.shape[1], np.int16)
    for b in range(len(live)):
        for i in range(live[b]):
            cell = path[car[b, i, ROUTE], car[b, i, PLACE]]
            cells[i], ranks[i] = cell, count[cell]
            count[cell] += 1
        for i in range(live[b]):
            name = car[b, i, NAME]
            alive[b, name] = True
            if sensors.published:
                _write_symbols(net, sensors.symbols, obs, b, name, cells[i], count)
            else:
                _write_cells(net, sensors.size, obs, b, name, cells[i], ranks[i], count)
            _write_own(net, sensors.published, obs, b, name, car[b, i, ROUTE], car[b, i, BRAKED])
        for i in range(live[b]):
            count[cells[i]] = 0
    _hear(net, sensors, state, alive, shown.adjacency)
    _overlook(net, sensors.limit, state, shown.global_state)


@inlined
def _write_own(net, published, obs, b, name, route, braked):
    """Writes a car's last action and route."""
    if published:
        obs[b, name, 0] = braked
        obs[b, name, 1] = route / (len(net.path) - 1)
    else:
        obs[b, name, 2] = braked
        obs[b, name, OWN + 2 * net.seen.shape[1] + route] = 1.0


@inlined
def _write_cells(net, size, obs, b, name, cell, rank, count):
    """Writes a car's place and the cells that it sees in the compact encoding."""
    row, column, n_seen = net.row[cell], net.column[cell], net.seen.shape[1]
    obs[b, name, 0], obs[b, name, 1], obs[b, name, 3] = column / (size - 1), row / (size - 1), rank
    for w in range(n_seen):
        there = net.seen[cell, w]
        if there >= 0:
            obs[b, name, OWN + w] = 1.0
            obs[b, name, OWN + n_seen + w] = count[there] - (there == cell)
    at = OWN + 2 * n_seen + len(net.path)
    obs[b, name, at + row] = 1.0
    obs[b, name, at + size + column] = 1.0


@inlined
def _write_symbols(net, symbols, obs, b, name, cell, count):
    """Writes the cells that a car sees as IC3Net does: the one-hot class of each, and the number of cars in it."""
    for w in range(net.seen.shape[1]):
        at, there = 2 + symbols * w, net.seen[cell, w]
        obs[b, name, at + net.symbol[cell, w]] = 1.0
        if there >= 0:
            obs[b, name, at + symbols - 1] = count[there]


@kernel
def _hear(net, sensors, state, alive, adjacency):
    """Fills adjacency (B, N, N) with the pairs of cars that are within reach of each other."""
    car, live = state.car, state.live
    reach = sensors.comm_range * sensors.comm_range
    everyone = reach >= 2 * (sensors.size - 1) ** 2
    for b in range(len(live)):
        if not everyone:
            _hear_those_near(net, reach, car, live, b, adjacency)
            continue
        for i in range(live[b]):  # whole rows at once: half the time of going through the pairs
            name = car[b, i, NAME]
            for other in range(alive.shape[1]):
                adjacency[b, name, other] = alive[b, other]
            adjacency[b, name, name] = False


@inlined
def _hear_those_near(net, reach, car, live, b, adjacency):
    row, column, path = net.row, net.column, net.path
    for i in range(live[b]):
        here, name = path[car[b, i, ROUTE], car[b, i, PLACE]], car[b, i, NAME]
        for j in range(i):
            there, other = path[car[b, j, ROUTE], car[b, j, PLACE]], car[b, j, NAME]
            down, across = row[here] - row[there], column[here] - column[there]
            if down * down + across * across <= reach:
                adjacency[b, name, other] = adjacency[b, other, name] = True


@kernel
def _overlook(net, limit, state, out):
    """Fills the global state out (B, S)."""
    path, length, step, car, live = net.path, net.length, state.step, state.car, state.live
    n = len(net.row)
    for b in range(len(step)):
        for i in range(live[b]):
            route, place = car[b, i, ROUTE], car[b, i, PLACE]
            cell = path[route, place]
            out[b, cell] += 1.0
            if place + 1 < length[route]:
                out[b, n + path[route, place + 1]] += 1.0
            out[b, 2 * n + cell] += (step[b] - car[b, i, BORN]) / limit
        out[b, 3 * n] = step[b] / limit
        out[b, 3 * n + 1] = state.rate[b]
        out[b, 3 * n + 2] = live[b] / car.shape[1]
        out[b, 3 * n + 3] = state.totals[b, CRASHES] > 0
