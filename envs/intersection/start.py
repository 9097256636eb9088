"""Draws how worlds begin: which vehicles come when, from where and where to, all from the worlds' seeds.

Axes: B worlds, V vehicles: the N agents, then the scripted ones; P routes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..kit.kernels import kernel
from ..kit.seeding import uniform
from .config import Config
from .network import Network
from .state import (
    ANNOUNCED,
    CLOSES,
    DUE,
    FINISHED,
    LEAST_PET,
    LEAST_TTC,
    N_CAR,
    N_TOTALS,
    NEVER,
    OPENS,
    PET_HORIZON,
    QUEUED,
    SENT,
    TTC_HORIZON,
    State,
)


def start(config: Config, network: Network, seeds: Sequence[int]) -> State:
    """Draws the schedules of `len(seeds)` worlds. The first agent is due at time 0; no car is on the road yet."""
    n_worlds, n_agents = len(seeds), config.n_vehicles
    n = n_agents + config.n_liars
    chance = uniform(seeds, 4 * n)
    car = np.zeros((n_worlds, n, N_CAR))
    route = np.zeros((n_worlds, n), dtype=np.int32)
    emergency = np.zeros((n_worlds, n), dtype=bool)
    _draw(chance, np.cumsum(network.share), 3600.0 / config.flow, n_agents, config.n_emergency, car, route, emergency)
    totals = np.zeros((n_worlds, N_TOTALS))
    totals[:, LEAST_TTC], totals[:, LEAST_PET] = TTC_HORIZON, PET_HORIZON
    return State(
        step=np.zeros(n_worlds, dtype=np.int32),
        car=car,
        status=np.zeros((n_worlds, n), dtype=np.int8),
        leg=np.zeros((n_worlds, n), dtype=np.int32),
        left=np.full(
            (n_worlds, 1 + (n > n_agents), len(network.centre), *network.zone.shape[:2]), NEVER, dtype=np.float32
        ),
        totals=totals,
        route=route,
        emergency=emergency,
    )


@kernel
def _draw(chance, cumulative, headway, n_agents, n_emergency, car, route, emergency):
    """Fills the schedules of all worlds.

    Args:
        chance: (B, 4 V) random numbers in [0, 1), V each for gaps between arrivals, roles, routes, and the choice of
            emergency vehicles.
        cumulative: (P,) cumulative shares of the routes.
        headway: Mean time between two arrivals [s].
        n_agents: N.
        n_emergency: How many of the agents are emergency vehicles.
        car: (B, V, N_CAR) zeros, written.
        route: (B, V), written.
        emergency: (B, V) False, written.
    """
    n = car.shape[1]
    for b in range(car.shape[0]):
        clock, agent, scripted = 0.0, 0, n_agents
        for k in range(n):
            if k > 0:
                clock += -headway * math.log(1.0 - chance[b, k])
            # The highest role numbers make scripted vehicles; the first vehicle to come is always an agent.
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
                car[b, i, column] = NEVER
        for _ in range(n_emergency):
            best = -1
            for i in range(n_agents):
                if not emergency[b, i] and (best < 0 or chance[b, 3 * n + i] < chance[b, 3 * n + best]):
                    best = i
            emergency[b, best] = True
