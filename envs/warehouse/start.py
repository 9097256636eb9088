"""Samples worlds at reset: poses and batteries of robots, and the schedule of orders.

Axes: B worlds, N robots, K orders in the schedule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .config import Config
from .layout import Layout
from .physics import ANGLE, CONTROL_STEP, X
from .state import IDLE, N_TOTALS, NOBODY, WAITING, Array, State


def schedule_size(config: Config) -> int:
    """Returns K, which has room for four standard deviations more arrivals than an episode has on average."""
    mean = config.orders_per_hour * config.max_steps * CONTROL_STEP / 3600.0
    return config.backlog + math.ceil(mean + 4.0 * math.sqrt(mean)) + 1


def start(config: Config, layout: Layout, seeds: Sequence[int]) -> State:
    """Returns one world for each seed: poses and batteries of the robots, and the whole schedule of orders."""
    n_worlds, n_robots, n_orders = len(seeds), config.n_robots, schedule_size(config)
    body = np.zeros((n_worlds, n_robots, 6))
    battery = np.full((n_worlds, n_robots), config.battery_capacity)
    release, deadline, face, station = (np.zeros((n_worlds, n_orders), dtype=np.int32) for _ in range(4))
    for b, seed in enumerate(seeds):
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        cells = rng.permutation(len(layout.floor))[:n_robots]
        body[b, :, X : X + 2] = layout.floor[cells]
        body[b, :, ANGLE] = rng.uniform(-math.pi, math.pi, n_robots)
        if config.battery:
            battery[b] *= rng.uniform(0.3, 1.0, n_robots)
        release[b] = _arrivals(config, n_orders, rng)
        patience = rng.uniform(0.5, 1.5, n_orders) * config.deadline / CONTROL_STEP
        deadline[b] = release[b] + np.ceil(patience).astype(np.int32)
        face[b] = rng.integers(0, layout.n_faces, n_orders)
        station[b] = layout.n_faces + rng.integers(0, layout.n_stations, n_orders)
    robots = (n_worlds, n_robots)
    return State(
        step=np.zeros(n_worlds, dtype=np.int32),
        body=body,
        alive=np.ones(robots, dtype=bool),
        phase=np.full(robots, IDLE, dtype=np.int8),
        goal=np.full(robots, NOBODY, dtype=np.int32),
        order=np.full(robots, NOBODY, dtype=np.int32),
        dwell=np.zeros(robots, dtype=np.int32),
        free_since=np.zeros(robots, dtype=np.int32),
        battery=battery,
        potential=np.zeros(robots),
        hit=np.zeros(robots, dtype=bool),
        still_since=np.zeros(robots, dtype=np.int32),
        anchor=body[:, :, X : X + 2].copy(),
        delivered=np.zeros(robots, dtype=np.int32),
        totals=np.zeros((n_worlds, N_TOTALS)),
        order_status=np.full((n_worlds, n_orders), WAITING, dtype=np.int8),
        head=np.zeros(n_worlds, dtype=np.int32),
        order_release=release,
        order_deadline=deadline,
        order_face=face,
        order_station=station,
    )


def _arrivals(config: Config, n_orders: int, rng: np.random.Generator) -> Array:
    """Returns when orders arrive, (K,) int32 [steps].

    The backlog arrives at 0, the rest by a Poisson process with a rush in the middle third of the episode.
    """
    release = np.zeros(n_orders, dtype=np.int32)
    n_later = n_orders - config.backlog
    # A unit-rate Poisson process, mapped through the inverse of the cumulative rate. Past the time limit it goes on
    # at the mean rate; those orders are never seen.
    mean = config.orders_per_hour * CONTROL_STEP / 3600.0  # orders a step
    unit_times = np.cumsum(rng.exponential(size=n_later))
    third = config.max_steps / 3.0
    calm = 1.5 - 0.5 * config.rush  # relative rate outside the rush
    cumulative = mean * third * np.array([0.0, calm, calm + config.rush, 3.0])
    if mean > 0:
        beyond = (unit_times - cumulative[-1]).clip(0.0) / mean
        times = np.interp(unit_times, cumulative, third * np.arange(4)) + beyond
        release[config.backlog :] = np.ceil(np.minimum(times, 1e8))
    else:
        release[config.backlog :] = 100_000_000
    return release
