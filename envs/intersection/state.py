"""The state of a batch of road networks, and how a world begins.

Axes: B worlds, V vehicles: the N agents, then the scripted ones; X crossings, M movements through each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kit.kernels import kernel
from ..kit.seeding import uniform
from .config import Config
from .roads import Roads

Array = NDArray[Any]

CONTROL_STEP = 0.5
"""Between two decisions [s]."""
PENDING, DRIVING, ARRIVED, CRASHED = range(4)
"""What has become of a vehicle."""
(
    POSITION,  # along its route [m]
    SPEED,  # [m/s]
    ACCELERATED,  # in the last control step, on average [m/s^2]
    DUE,  # when it reached its entry [s]
    QUEUED,  # when it came up to the stop line ahead [s]: who is first, comes first
    FINISHED,  # when it left the road [s]
    STOOD,  # how long it has been standing, or waiting to enter [s]
    SENT,  # its last message: when [s]
    SENT_POSITION,  # and what it says [m]
    SENT_SPEED,  # [m/s]
    SENT_ACCELERATION,  # [m/s^2]
    OPENS,  # the window it announced for passing the stop line ahead [s]; NOTHING if none
    CLOSES,  # [s]
    ANNOUNCED,  # when [s]
    BID,  # [0, 1]
) = range(15)
"""Columns of `State.car`. Times are those of the world's clock."""
N_CAR = 15
NOTHING = -1e6
"""A time that never was."""
LONGEST_WAIT, LEAST_TTC, LEAST_PET, KEPT, BROKEN = range(5)
"""Columns of `State.totals`."""
N_TOTALS = 5
TTC_HORIZON = 3.0
"""Longest time to collision that is looked for [s]."""
PET_HORIZON = 10.0
"""Longest post-encroachment time that is told [s]."""


class State(NamedTuple):
    """A value: nothing in it is ever changed in place. The schedule is shared between successive states."""

    step: Array  # (B,) int32 control steps since the start
    car: Array  # (B, V, N_CAR) float64, by the columns above
    status: Array  # (B, V) int8: PENDING, DRIVING, ARRIVED, CRASHED
    leg: Array  # (B, V) int32: which crossing of its route a vehicle is at or heads for
    left: Array  # (B, 1 or 2, X, M, M) float32: when an agent (0), a scripted car (1) last left the zone that its
    # movement through a crossing shares with another movement [s]; NOTHING if none has
    totals: Array  # (B, N_TOTALS) float64, behind the metrics
    # The schedule, drawn at reset and read-only.
    route: Array  # (B, V) int32
    emergency: Array  # (B, V) bool


def copied(state: State) -> State:
    """A copy of everything but the schedule, for kernels to write into."""
    return State(
        state.step.copy(),
        state.car.copy(),
        state.status.copy(),
        state.leg.copy(),
        state.left.copy(),
        state.totals.copy(),
        state.route,
        state.emergency,
    )


def start(config: Config, roads: Roads, seeds: Sequence[int]) -> State:
    """Draws worlds: who comes when, where from and where to. The first agent is due at once, nobody is on the road."""
    n_worlds, n_agents = len(seeds), config.n_vehicles
    n = n_agents + config.n_liars
    chance = uniform(seeds, 4 * n)
    car = np.zeros((n_worlds, n, N_CAR))
    route = np.zeros((n_worlds, n), dtype=np.int32)
    emergency = np.zeros((n_worlds, n), dtype=bool)
    _draw(chance, np.cumsum(roads.share), 3600.0 / config.flow, n_agents, config.n_emergency, car, route, emergency)
    totals = np.zeros((n_worlds, N_TOTALS))
    totals[:, LEAST_TTC], totals[:, LEAST_PET] = TTC_HORIZON, PET_HORIZON
    return State(
        step=np.zeros(n_worlds, dtype=np.int32),
        car=car,
        status=np.zeros((n_worlds, n), dtype=np.int8),
        leg=np.zeros((n_worlds, n), dtype=np.int32),
        left=np.full(
            (n_worlds, 1 + (n > n_agents), len(roads.centre), *roads.zone.shape[:2]), NOTHING, dtype=np.float32
        ),
        totals=totals,
        route=route,
        emergency=emergency,
    )


@kernel
def _draw(chance, cumulative, headway, n_agents, n_emergency, car, route, emergency):
    """Fills worlds' schedules from their own random numbers, (B, 4 V) in [0, 1): gaps, roles, routes, urgency."""
    n = car.shape[1]
    for b in range(car.shape[0]):
        clock, agent, scripted = 0.0, 0, n_agents
        for k in range(n):
            if k > 0:
                clock += -headway * math.log(1.0 - chance[b, k])
            # Scripted are those of the highest numbers; the first to come never is.
            above = 0
            for other in range(1, n):
                above += chance[b, n + other] > chance[b, n + k]
            if k > 0 and above < n - n_agents:
                i, scripted = scripted, scripted + 1
            else:
                i, agent = agent, agent + 1
            car[b, i, DUE] = clock
            p = 0
            while p < len(cumulative) - 1 and cumulative[p] <= chance[b, 2 * n + k]:
                p += 1
            route[b, i] = p
            for column in (QUEUED, FINISHED, SENT, OPENS, CLOSES, ANNOUNCED):
                car[b, i, column] = NOTHING
        for _ in range(n_emergency):
            best = -1
            for i in range(n_agents):
                if not emergency[b, i] and (best < 0 or chance[b, 3 * n + i] < chance[b, 3 * n + best]):
                    best = i
            emergency[b, best] = True
