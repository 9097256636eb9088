"""The state of a batch of warehouses, and how a world begins.

Axes: B worlds, N robots, K orders in the schedule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .layout import Layout
from .physics import ANGLE, CONTROL_STEP, X

Array = NDArray[Any]

IDLE, TO_FACE, TO_STATION, TO_CHARGER = range(4)
"""What a robot is about; it is loaded exactly while TO_STATION."""
WAITING, TAKEN, DELIVERED = range(3)
"""What has become of an order. One that arrives later is WAITING too: its `order_release` lies ahead."""
NOBODY = -1
"""In place of an order or target where there is none."""
DELIVERIES, CYCLE_STEPS, CONTACTS, DEADLOCK_STEPS, IDLE_STEPS, LIVE_STEPS, ENERGY, MISSES = range(8)
"""Columns of `totals`."""
N_TOTALS = 8


class State(NamedTuple):
    """A value: nothing in it is ever changed in place. The schedule is shared between successive states."""

    step: Array  # (B,) int32 control steps since the start
    body: Array  # (B, N, 6) x, y [m], heading [rad], velocity x, y [m/s], turn rate [rad/s]
    alive: Array  # (B, N) bool
    phase: Array  # (B, N) int8: IDLE, TO_FACE, TO_STATION, TO_CHARGER
    goal: Array  # (B, N) int32 target in the layout, or NOBODY
    order: Array  # (B, N) int32 order held, or NOBODY
    dwell: Array  # (B, N) int32 control steps dwelled at the goal so far
    free_since: Array  # (B, N) int32 step at which the robot last became free
    battery: Array  # (B, N) float64 [Wh]
    potential: Array  # (B, N) float64, of the shaping
    hit: Array  # (B, N) bool, in contact during the last control step
    still_since: Array  # (B, N) int32 step since which the robot has stayed near its anchor
    anchor: Array  # (B, N, 2) float64 [m]
    delivered: Array  # (B, N) int32
    totals: Array  # (B, N_TOTALS) float64, sums behind the metrics
    order_status: Array  # (B, K) int8: WAITING, TAKEN, DELIVERED
    head: Array  # (B,) int32: every order before it is taken
    # The schedule, drawn at reset and read-only.
    order_release: Array  # (B, K) int32 step of arrival, ascending
    order_deadline: Array  # (B, K) int32 step
    order_face: Array  # (B, K) int32 target
    order_station: Array  # (B, K) int32 target


SCHEDULE = ("order_release", "order_deadline", "order_face", "order_station")


def copied(state: State) -> State:
    """A copy of everything but the schedule, for kernels to write into."""
    return State(
        *(value if name in SCHEDULE else value.copy() for name, value in zip(State._fields, state, strict=True))
    )


def schedule_size(config: Config) -> int:
    """K: room for four standard deviations more arrivals than the mean of an episode."""
    mean = config.orders_per_hour * config.max_steps * CONTROL_STEP / 3600.0
    return config.backlog + math.ceil(mean + 4.0 * math.sqrt(mean)) + 1


def start(config: Config, layout: Layout, seeds: Sequence[int]) -> State:
    """Draws worlds: where robots stand, how full their batteries are, and the whole schedule of orders."""
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
    """(K,) int32 steps of arrival: the backlog at 0, then a Poisson process with a rush in its middle third."""
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
