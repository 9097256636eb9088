"""Draws how worlds begin: empty roads, and a schedule of arrivals, turns and blackouts from the worlds' seeds.

Axes: B worlds, N crossings, E entries, D vehicles an entry.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..consensus.chance import uniform as uniform_of
from ..core import Array
from ..kit.kernels import kernel
from ..kit.seeding import seed_words, uniform
from ..roads.crossing import LEFT, RIGHT, STRAIGHT
from .config import CONTROL_STEP, Config
from .following import CAR, JAM_GAP
from .network import LENGTH, Network
from .state import (
    FOLLOWER,
    GRANTED,
    LANE,
    LEADER,
    N_AGREED,
    N_CHANGING,
    N_TOTALS,
    N_TURNS,
    NONE,
    SINCE,
    State,
    by_place,
)

LIARS = 4
"""Stream of the numbers that decide who lies, see `envs.consensus.chance`."""


class Demand(NamedTuple):
    """The parameters of schedules, from a `Config`."""

    begin: float  # when demand begins [s]
    rate: float  # mean arrivals at an entry [1/s]
    imbalance: float
    left: float  # share of left turns
    right: float  # share of right turns
    n_blackouts: int
    blackout_seconds: float
    horizon: float  # when the episode ends [s]


def n_places(config: Config, network: Network) -> int:
    """Returns V: a phantom for every lane, and as many vehicles as all roads hold where all stand."""
    return len(network.line) + int(config.lanes * np.ceil(network.link[:, LENGTH] / (CAR + JAM_GAP)).sum())


def lead(config: Config) -> float:
    """Returns how long before the start demand begins, so that approaches are as full as in free traffic [whole s]."""
    return math.ceil(config.approach / config.speed_limit)


def most_arrivals(config: Config) -> int:
    """Returns D: five standard deviations above the mean of the busiest entry that can be drawn."""
    mean = config.flow / 3600.0 * (config.max_steps * CONTROL_STEP + lead(config)) * (1.0 + config.imbalance)
    return math.ceil(mean + 5.0 * math.sqrt(mean)) + 5


def start(config: Config, network: Network, seeds: Sequence[int]) -> State:
    """Draws the schedules of `len(seeds)` worlds. Roads are empty until `traffic.begin`; the first phase is green."""
    b, n, v, e = len(seeds), len(network.target), n_places(config, network), len(network.entry)
    d, agreed = most_arrivals(config), 0 if config.consensus == "none" else N_AGREED
    key = _keys(seeds)
    signal = np.zeros((b, n, 6))
    signal[:, :, SINCE] = config.yellow + config.all_red
    signal[:, :, GRANTED] = NONE
    state = State(
        step=np.zeros(b, np.int32),
        n_vehicles=np.zeros(b, np.int32),
        **by_place(b, v),
        signal=signal,
        entered=np.zeros((b, e, 2), np.int32),
        totals=np.zeros((b, N_TOTALS)),
        agreed=np.zeros((b, n, agreed)),
        measured=np.zeros((b, n, agreed)),
        silence=np.zeros((b, n), np.int32),
        due=np.full((b, e, d), np.inf, np.float32),
        route=np.zeros((b, e, d), np.int32),
        dark=np.full((b, n, 2), np.inf, np.float32),
        liar=_liars(config.n_liars, n, key),
        key=key,
    )
    lanes = np.arange(len(network.line))
    state.position[:, lanes] = network.line + CAR
    state.chain[:, lanes, LEADER] = state.chain[:, lanes, FOLLOWER] = state.chain[:, lanes, LANE] = lanes
    chance = uniform(seeds, e * (1 + 2 * d) + 2 * n)
    demand = Demand(
        begin=float(-lead(config)),
        rate=config.flow / 3600.0,
        imbalance=float(config.imbalance),
        left=float(config.left_share),
        right=float(config.right_share),
        n_blackouts=int(config.n_blackouts),
        blackout_seconds=float(config.blackout_seconds),
        horizon=float(config.max_steps * CONTROL_STEP),
    )
    _draw(demand, chance, _clock(config), state.due, state.route, state.dark)
    for part in state[N_CHANGING:]:
        part.setflags(write=False)
    return state


def _keys(seeds: Sequence[int]) -> Array:
    """Returns hashed seeds, (B,) uint64, so that schedules of traffic do not depend on what is drawn by them."""
    words = [[seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF] for seed in map(int, seeds)]
    return seed_words(np.array(words, np.uint64))


def _liars(n_liars: int, n: int, key: Array) -> Array:
    """Returns who lies, (B, N) bool: the signals that draw the lowest numbers."""
    liar = np.zeros((len(key), n), bool)
    for b in range(len(key) if n_liars else 0):
        liar[b, np.argsort(uniform_of(int(key[b]), 0, LIARS, np.arange(n)), kind="stable")[:n_liars]] = True
    return liar


@functools.lru_cache(maxsize=16)
def _clock(config: Config) -> Array:
    """Returns the expected number of arrivals until every second since `lead`, at an entry whose mean rate is 1/s.

    The rate rises from its low to `peak` times that and falls again, as the square of a sine.
    """
    horizon, rise = config.max_steps * CONTROL_STEP, config.peak - 1.0
    clock = np.arange(0.0, horizon + 1.0)
    count = clock + rise * (0.5 * clock - horizon / (4.0 * math.pi) * np.sin(2.0 * math.pi * clock / horizon))
    return np.concatenate([np.arange(-lead(config), 0.0), count]) * (horizon / count[-1])


@kernel
def _draw(demand, chance, count, due, route, dark):
    """Fills the schedules of all worlds.

    Args:
        demand: The `Demand`.
        chance: (B, E (1 + 2 D) + 2 N) random numbers in [0, 1).
        count: Expected numbers of arrivals, as `_clock` returns them.
        due: (B, E, D), infinity before, written.
        route: (B, E, D) zeros, written.
        dark: (B, N, 2), infinity before, written.
    """
    n_worlds, n_entries, n_due = due.shape
    left, right = demand.left, demand.right
    per_left, per_right, per_straight = 1.0 / left, 1.0 / right, 1.0 / (1.0 - left - right)
    for b in range(n_worlds):
        at = 0
        for e in range(n_entries):
            pace = demand.rate * (1.0 + demand.imbalance * (2.0 * chance[b, at] - 1.0))
            at += 1
            n_come = _draw_arrivals(demand.begin, pace, count, chance[b, at : at + n_due], due[b, e])
            rest, turns = chance[b, at + n_due : at + n_due + n_come], route[b, e, :n_come]
            for q in range(N_TURNS):
                for k in range(n_come):  # the rest of a uniform number is uniform again; no branches
                    goes_left, goes_on = rest[k] < left, rest[k] >= left + right
                    turns[k] |= (LEFT if goes_left else STRAIGHT if goes_on else RIGHT) << (2 * q)
                    below = 0.0 if goes_left else left + right if goes_on else left
                    rest[k] = (rest[k] - below) * (per_left if goes_left else per_straight if goes_on else per_right)
            at += 2 * n_due
        _draw_blackouts(demand, chance[b, at:], dark[b])


@kernel
def _draw_arrivals(begin, pace, count, chance, due):
    """Fills due (D,) with Poisson arrivals, whose rate is `pace` times that of `_clock`. Returns how many there are."""
    passed, t, n_come = count[0], 0, 0
    for k in range(len(due)):
        passed -= math.log(1.0 - chance[k]) / pace  # exponential gaps, in a time that runs with the rate
        while t + 1 < len(count) and count[t + 1] < passed:
            t += 1
        if t + 1 == len(count):
            break
        due[k] = begin + t + (passed - count[t]) / (count[t + 1] - count[t])
        n_come = k + 1
    return n_come


@kernel
def _draw_blackouts(demand, chance, dark):
    """Fills dark (N, 2) for the signals that draw the lowest numbers."""
    n = len(dark)
    for _ in range(demand.n_blackouts):
        best = -1
        for c in range(n):
            if dark[c, 0] > 1e30 and (best < 0 or chance[c] < chance[best]):
                best = c
        since = chance[n + best] * max(demand.horizon - demand.blackout_seconds, 0.0)
        dark[best, 0], dark[best, 1] = since, since + demand.blackout_seconds
