"""The state of a batch of signal networks, and how a world begins: its demand and its faults.

Axes: B worlds, N crossings, V places for vehicles, Z lanes, E entries, D vehicles an entry.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..intersection.roads import LEFT, RIGHT, STRAIGHT
from ..kernels import kernel
from ..seeding import uniform
from .config import CONTROL_STEP, Config
from .following import CAR
from .network import LENGTH, PATH, Network

Array = NDArray[Any]

DUE, FREE = range(2)
"""Columns of `State.trip`: when it came to its entry [s]; how long its way so far takes without any delay [s]."""
PHASE, PREVIOUS, SINCE, SERVED, GRANTED, ARRIVED = range(6)
"""Columns of `State.signal`: the phase ordered, the one before, for how long [s]; at a dark signal, which lane may go
and which vehicle in it; vehicles that came to it in the last control step."""
COME, ENTERED = range(2)
"""Columns of `State.entered`: vehicles that have come to an entry, and of those how many were let in."""
LOST, STANDING, STOPS, GONE, SHARE, SHARE2, FULL = range(7)
"""Columns of `State.totals`: time lost [s]; time stood in queues [s]; stops; vehicles that left; their free over their
actual times, summed and squared; full lanes, summed over steps."""
N_TOTALS = 7
TURNS = 15
"""Turns drawn for each vehicle; should one make more, they begin anew."""


class State(NamedTuple):
    """A value: nothing in it is ever changed in place. The schedule is shared between successive states."""

    step: Array  # (B,) int32 control steps since the start
    # By place, see `lanes`.
    position: Array  # (B, V) float64: of front bumpers from the beginning of the lane [m], negative in the box before
    speed: Array  # (B, V) float64 [m/s]
    who: Array  # (B, V) int32: the vehicle there, or beyond the places in use a number that nobody has
    lane: Array  # (B, Z + 1) int32: the place of a lane's first vehicle; the last entry: how many places are in use
    used: Array  # (B,) int32: the most places that have ever been; beyond, all arrays are 0 and numbers are new
    # By vehicle.
    trip: Array  # (B, V, 2) float32
    turns: Array  # (B, V) int32: two bits a turn, the next one lowest
    came: Array  # (B, V) int8: the movement it came by, -1 for an entry
    signal: Array  # (B, N, 6) float64
    entered: Array  # (B, E, 2) int32
    totals: Array  # (B, 7) float64
    # The schedule, drawn at reset and read-only.
    due: Array  # (B, E, D) float32 [s], ascending, infinity beyond the last
    route: Array  # (B, E, D) int32, as `turns`
    dark: Array  # (B, N, 2) float32: from, to [s]; infinity where a signal never fails


N_CHANGING = 12
"""Fields of `State` that a step changes; the schedule comes after them."""


def copied(state: State) -> State:
    """A copy of everything but the schedule, for kernels to write into."""
    names = ("position", "speed", "who", "trip", "turns", "came")
    old = [getattr(state, name) for name in names]
    new = [np.zeros_like(part) for part in old]
    _copy_used(state.used, *old, *new)
    whole = {name: getattr(state, name).copy() for name in State._fields[:N_CHANGING] if name not in names}
    return state._replace(**whole, **dict(zip(names, new, strict=True)))


@kernel
def _copy_used(
    used, position, speed, who, trip, turns, came, to_position, to_speed, to_who, to_trip, to_turns, to_came
):
    """As far as places have been in use: most never are."""
    for b in range(len(used)):
        for i in range(used[b]):
            to_position[b, i], to_speed[b, i], to_who[b, i] = position[b, i], speed[b, i], who[b, i]
            to_turns[b, i], to_came[b, i] = turns[b, i], came[b, i]
            to_trip[b, i, 0], to_trip[b, i, 1] = trip[b, i, 0], trip[b, i, 1]


def places(config: Config, network: Network) -> int:
    """V: no more vehicles than this find room on all roads and in all boxes, bumper to bumper."""
    lanes = network.link[:, LENGTH] + network.turn[:, PATH].max()  # a vehicle in a box is in the lane that it goes to
    return int(config.lanes * np.ceil(lanes / CAR).sum())


def lead(config: Config) -> float:
    """Demand begins so long before the start that approaches are as full as free traffic makes them [whole s]."""
    return math.ceil(config.approach / config.speed_limit)


def most_arrivals(config: Config) -> int:
    """D: five standard deviations above the mean of the busiest entry that can be drawn."""
    mean = config.flow / 3600.0 * (config.max_steps * CONTROL_STEP + lead(config)) * (1.0 + config.imbalance)
    return math.ceil(mean + 5.0 * math.sqrt(mean)) + 5


def start(config: Config, network: Network, seeds: Sequence[int]) -> State:
    """Empty roads, the first phase green everywhere, and all that is left to chance; `traffic.begin` goes on."""
    b, n, v, e = len(seeds), len(network.target), places(config, network), len(network.entry)
    d = most_arrivals(config)
    signal = np.zeros((b, n, 6))
    signal[:, :, SINCE] = config.yellow + config.all_red
    signal[:, :, GRANTED] = -1.0
    state = State(
        step=np.zeros(b, np.int32),
        position=np.zeros((b, v)),
        speed=np.zeros((b, v)),
        who=np.zeros((b, v), np.int32),
        lane=np.zeros((b, len(network.link) * config.lanes + 1), np.int32),
        used=np.zeros(b, np.int32),
        trip=np.zeros((b, v, 2), np.float32),
        turns=np.zeros((b, v), np.int32),
        came=np.zeros((b, v), np.int8),
        signal=signal,
        entered=np.zeros((b, e, 2), np.int32),
        totals=np.zeros((b, N_TOTALS)),
        due=np.full((b, e, d), np.inf, np.float32),
        route=np.zeros((b, e, d), np.int32),
        dark=np.full((b, n, 2), np.inf, np.float32),
    )
    chance = uniform(seeds, e * (1 + 2 * d) + 2 * n)
    horizon = config.max_steps * CONTROL_STEP
    _draw(
        chance, _clock(config), -lead(config), config.flow / 3600.0, config.imbalance, config.left_share,
        config.right_share, config.n_blackouts, float(config.blackout_seconds), horizon, state.due, state.route,
        state.dark,
    )  # fmt: skip
    for part in state[N_CHANGING:]:
        part.setflags(write=False)
    return state


@functools.lru_cache(maxsize=16)
def _clock(config: Config) -> Array:
    """Vehicles of an entry with a mean rate of one until every second, from `lead` on.

    The rate rises from its low to `peak` times that and falls, as a sine's square does.
    """
    horizon, rise = config.max_steps * CONTROL_STEP, config.peak - 1.0
    clock = np.arange(0.0, horizon + 1.0)
    count = clock + rise * (0.5 * clock - horizon / (4.0 * math.pi) * np.sin(2.0 * math.pi * clock / horizon))
    return np.concatenate([np.arange(-lead(config), 0.0), count]) * (horizon / count[-1])


@kernel
def _draw(chance, count, begin, rate, imbalance, left, right, n_blackouts, blackout_seconds, horizon, due, route, dark):
    """Fills the schedules from worlds' own random numbers, (B, E (1 + 2 D) + 2 N) in [0, 1)."""
    n_worlds, n_entries, n_due = due.shape
    n = dark.shape[1]
    per_left, per_right, per_straight = 1.0 / left, 1.0 / right, 1.0 / (1.0 - left - right)
    for b in range(n_worlds):
        at = 0
        for e in range(n_entries):
            pace = rate * (1.0 + imbalance * (2.0 * chance[b, at] - 1.0))
            at += 1
            passed, t = count[0], 0
            for k in range(n_due):
                passed -= math.log(1.0 - chance[b, at + k]) / pace  # Poisson: in a time that runs with the rate
                while t + 1 < len(count) and count[t + 1] < passed:
                    t += 1
                if t + 1 == len(count):
                    break
                due[b, e, k] = begin + t + (passed - count[t]) / (count[t + 1] - count[t])
                rest, turns = chance[b, at + n_due + k], 0
                for q in range(TURNS):  # what is left of a uniform number is again one; without branches
                    goes_left, goes_on = rest < left, rest >= left + right
                    turns |= (LEFT if goes_left else STRAIGHT if goes_on else RIGHT) << (2 * q)
                    below = 0.0 if goes_left else left + right if goes_on else left
                    rest = (rest - below) * (per_left if goes_left else per_straight if goes_on else per_right)
                route[b, e, k] = turns
            at += 2 * n_due
        for _ in range(n_blackouts):
            best = -1
            for c in range(n):
                if dark[b, c, 0] > 1e30 and (best < 0 or chance[b, at + c] < chance[b, at + best]):
                    best = c
            since = chance[b, at + n + best] * max(horizon - blackout_seconds, 0.0)
            dark[b, best, 0], dark[b, best, 1] = since, since + blackout_seconds
