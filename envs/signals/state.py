"""The state of a batch of signal networks, and how a world begins: its demand and its faults.

Axes: B worlds, N crossings, V places, Z lanes, E entries, D vehicles an entry.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..intersection.roads import LEFT, RIGHT, STRAIGHT
from ..kit.kernels import kernel
from ..kit.seeding import uniform
from .config import CONTROL_STEP, Config
from .following import CAR, JAM_GAP
from .network import LENGTH, Network

Array = NDArray[Any]

DUE, FREE = range(2)
"""Columns of `State.trip`: when it came to its entry [s]; how long its way so far takes without any delay [s]."""
TURNS, LEADER, FOLLOWER, LANE = range(4)
"""Columns of `State.chain`, see `lanes`: turns, two bits each, the next one lowest and the last one made highest; who
is ahead in the lane and who behind; the lane."""
COUNT = TURNS
"""Of a lane's phantom: how many vehicles are in it."""
N_TURNS = 15
"""Turns drawn for each vehicle; should one make more, they begin anew."""
LAST_TURN = 2 * (N_TURNS - 1)
"""Where in its turns the last one made is [bit]."""
PHASE, PREVIOUS, SINCE, SERVED, GRANTED, ARRIVED = range(6)
"""Columns of `State.signal`: the phase ordered, the one before, for how long [s]; at a dark signal, from which lane one
is let in (0 to 4 lanes - 1) and where that one is; vehicles that came to it in the last control step."""
NONE, BEFORE_LINE, IN_BOX = -1.0, 0.0, 1.0
"""Where the one is that a dark signal has let in: there is none; it is the first of its lane; it has passed the line.
"""
COME, ENTERED = range(2)
"""Columns of `State.entered`: vehicles that have come to an entry, and of those how many were let in."""
LOST, STANDING, STOPS, GONE, SHARE, SHARE2, FULL = range(7)
"""Columns of `State.totals`: time lost [s]; time stood in queues [s]; stops; vehicles that left; their free over their
actual times, summed and squared; full lanes, summed over steps."""
N_TOTALS = 7


class State(NamedTuple):
    """A value: nothing in it is ever changed in place. The schedule is shared between successive states."""

    step: Array  # (B,) int32 control steps since the start
    n_vehicles: Array  # (B,) int32 on the roads
    # By place: the phantoms of the Z lanes (see `lanes`), then vehicles in no order, then zeros.
    position: Array  # (B, V) float32: of front bumpers from the beginning of the lane [m], negative in the box before
    speed: Array  # (B, V) float32 [m/s]
    trip: Array  # (B, V, 2) float32
    chain: Array  # (B, V, 4) uint32
    # And all others.
    signal: Array  # (B, N, 6) float64
    entered: Array  # (B, E, 2) int32
    totals: Array  # (B, 7) float64
    # The schedule, drawn at reset and read-only.
    due: Array  # (B, E, D) float32 [s], ascending, infinity beyond the last
    route: Array  # (B, E, D) int32, turns as in `chain`
    dark: Array  # (B, N, 2) float32: from, to [s]; infinity where a signal never fails


N_CHANGING = 9
"""Fields of `State` that a step changes; the schedule comes after them."""


def successor(state: State) -> State:
    """What the kernels make the next state of: a copy that has the same schedule, and no vehicles yet."""
    names = ("step", "n_vehicles", "signal", "entered", "totals")
    return state._replace(**_places(*state.position.shape), **{name: getattr(state, name).copy() for name in names})


def _places(worlds: int, places: int) -> dict[str, Array]:
    """The fields by place, zeros.

    They are of one array: several would, by glibc's rules, go back to the system at every step, and cost more than it
    to get again.
    """
    room = np.zeros((8, worlds, places), np.uint32)
    return {
        "position": room[0].view(np.float32),
        "speed": room[1].view(np.float32),
        "trip": room[2:4].view(np.float32).reshape(worlds, places, 2),
        "chain": room[4:].reshape(worlds, places, 4),
    }


def places(config: Config, network: Network) -> int:
    """V: a phantom for every lane, and as many vehicles as all roads hold where all stand."""
    return len(network.line) + int(config.lanes * np.ceil(network.link[:, LENGTH] / (CAR + JAM_GAP)).sum())


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
    signal[:, :, GRANTED] = NONE
    state = State(
        step=np.zeros(b, np.int32),
        n_vehicles=np.zeros(b, np.int32),
        **_places(b, v),
        signal=signal,
        entered=np.zeros((b, e, 2), np.int32),
        totals=np.zeros((b, N_TOTALS)),
        due=np.full((b, e, d), np.inf, np.float32),
        route=np.zeros((b, e, d), np.int32),
        dark=np.full((b, n, 2), np.inf, np.float32),
    )
    lanes = np.arange(len(network.line))
    state.position[:, lanes] = network.line + CAR
    state.chain[:, lanes, LEADER] = state.chain[:, lanes, FOLLOWER] = state.chain[:, lanes, LANE] = lanes
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
            passed, t, n_come = count[0], 0, 0
            for k in range(n_due):
                passed -= math.log(1.0 - chance[b, at + k]) / pace  # Poisson: in a time that runs with the rate
                while t + 1 < len(count) and count[t + 1] < passed:
                    t += 1
                if t + 1 == len(count):
                    break
                due[b, e, k] = begin + t + (passed - count[t]) / (count[t + 1] - count[t])
                n_come = k + 1
            rest, turns = chance[b, at + n_due : at + n_due + n_come], route[b, e, :n_come]
            for q in range(N_TURNS):
                for k in range(n_come):  # what is left of a uniform number is again one; without branches
                    goes_left, goes_on = rest[k] < left, rest[k] >= left + right
                    turns[k] |= (LEFT if goes_left else STRAIGHT if goes_on else RIGHT) << (2 * q)
                    below = 0.0 if goes_left else left + right if goes_on else left
                    rest[k] = (rest[k] - below) * (per_left if goes_left else per_straight if goes_on else per_right)
            at += 2 * n_due
        for _ in range(n_blackouts):
            best = -1
            for c in range(n):
                if dark[b, c, 0] > 1e30 and (best < 0 or chance[b, at + c] < chance[b, at + best]):
                    best = c
            since = chance[b, at + n + best] * max(horizon - blackout_seconds, 0.0)
            dark[b, best, 0], dark[b, best, 1] = since, since + blackout_seconds
