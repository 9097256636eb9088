"""Draws how worlds begin: the rate, who arrives when at which entry, and where they drive, all from the worlds' seeds.

Axes: B worlds, T time limit, E entries, R routes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from ..kit.kernels import kernel
from ..kit.seeding import uniform
from .config import Config
from .routes import entries_of, network_of
from .state import N_CAR, N_TOTALS, State

OVERFLOW = 1e-6
"""Highest chance that an episode has more cars than there are names."""


def start(config: Config, seeds: Sequence[int]) -> State:
    """Draws the schedules of `len(seeds)` worlds; no car is on the road yet."""
    worlds, limit = len(seeds), config.max_steps
    entries, choices = entries_of(config.difficulty)
    chance = uniform(seeds, 1 + limit * entries + limit + 1)
    least = config.least_rate_share
    rate = config.arrival_rate * (least + (1.0 - least) * chance[:, 0])
    arriving = np.empty((worlds, limit, entries), np.int8)
    spare = np.empty((worlds, limit + 1), np.int16)
    _draw(chance, rate, choices, arriving, spare)
    return State(
        step=np.zeros(worlds, np.int32),
        car=np.zeros((worlds, config.n_cars, N_CAR), np.int16),
        live=np.zeros(worlds, np.int32),
        born=np.zeros(worlds, np.int32),
        totals=np.zeros((worlds, N_TOTALS), np.int32),
        rate=rate,
        arriving=arriving,
        spare=spare,
    )


@kernel
def _draw(chance, rate, choices, arriving, spare):
    """Fills the schedules of all worlds.

    Args:
        chance: (B, 1 + T E + T + 1) random numbers in [0, 1): for the rate, for arrivals, for spare cars.
        rate: (B,) chance that a car arrives.
        choices: Number of routes from each entry.
        arriving: (B, T, E), written.
        spare: (B, T + 1), written.
    """
    n_worlds, limit, entries = arriving.shape
    for b in range(n_worlds):
        k = 1
        for t in range(limit):
            for e in range(entries):
                arriving[b, t, e] = -1
                if chance[b, k] < rate[b]:  # the number is uniform below the rate, so it serves to choose, too
                    arriving[b, t, e] = min(int(chance[b, k] / rate[b] * choices), choices - 1)
                k += 1
        for t in range(limit + 1):
            spare[b, t] = int(chance[b, k] * (entries * choices))
            k += 1


@functools.lru_cache(maxsize=64)
def most_arrivals(config: Config) -> int:
    """Returns how many cars an episode has at most, but for a chance of at most `OVERFLOW`.

    No more can come than leave room for each other, as each takes the steps of the shortest route at least. And no more
    come by chance: the exact distribution of their number is computed for cars that all take the shortest route without
    a stop, which leaves the world empty, and has a car given to it, most often. Where arrival rates are drawn, it is
    that of the highest one.
    """
    entries, _ = entries_of(config.difficulty)
    shortest = int(network_of(config.difficulty, 0).length.min())
    limit, rate = config.max_steps, config.arrival_rate
    room = config.n_cars * (1 + limit // shortest)
    share = [math.comb(entries, k) * rate**k * (1.0 - rate) ** (entries - k) for k in range(entries + 1)]
    chance = np.zeros((shortest, room + entries + 1))  # [steps until the world is empty, less 1; cars so far]
    chance[-1, 1] = 1.0
    for _ in range(limit):
        after = np.zeros_like(chance)
        after[:-1] = share[0] * chance[1:]
        after[-1, 1:] = share[0] * chance[0, :-1]
        come = chance.sum(axis=0)
        for k in range(1, entries + 1):
            after[-1, k:] += share[k] * come[:-k]
        chance = after
    beyond = 1.0 - np.cumsum(chance.sum(axis=0))  # [n]: chance of more than n cars
    enough = np.flatnonzero(beyond[: room + 1] < OVERFLOW)
    return min(room, int(enough[0])) if enough.size else room
