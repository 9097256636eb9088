"""Hand-written policies to beat. All plan from counts of vehicles (`senses.survey`) and keep to the action mask.

| rule               | which phase                                                                                 |
|--------------------|---------------------------------------------------------------------------------------------|
| `fixed`            | a fixed cycle, Webster's for the rush hour (`greens`), begun everywhere at the same time    |
| `actuated`         | the present one while vehicles are within 40 m of its lines, at most `LONGEST_GREEN`; then  |
|                    | the next of the cycle that anybody waits for                                                |
| `max-pressure`     | the one with the most vehicles before its lines less those beyond (Varaiya 2013, which      |
|                    | counts those that queue; here all on the road count)                                        |
| `neighbour-demand` | the one with the most vehicles at all crossings, those d crossings away weighted 1 / (d + 1)|
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import CONTROL_STEP, Config
from .network import N_MOVEMENTS, PHASES, Network
from .senses import ARRIVING, NEARBY, QUEUE
from .state import PHASE, SINCE

Array = NDArray[Any]

SATURATION = 1800.0
"""Vehicles that cross a line where a queue clears, for the fixed plan [veh/h]."""
LONGEST_CYCLE = 180.0
"""Of the fixed plan [s]."""
LONGEST_GREEN = np.array([40.0, 20.0, 40.0, 20.0])
"""Of each phase [s]."""
GAIN = 3.0
"""By how many vehicles another phase must be better to be worth the change; 3 of 1 to 8 served the tasks best."""
IN_PHASE = np.array([[m in phase for phase in PHASES] for m in range(N_MOVEMENTS)], np.float64)  # (12, 4)

Rule = Callable[[Config, Network, Array, Array, Array], Array]
"""(config, network, counts (B, N, 4, 12), signal (B, N, 6), time [s] (B,)) -> (B, N) phases."""


@functools.lru_cache(maxsize=16)
def greens(config: Config) -> tuple[float, ...]:
    """The green times of a fixed plan [s], whole control steps.

    Webster 1958, Traffic signal settings, Road Research Technical Paper 39: the cycle C = (1.5 L + 5) / (1 - Y), for L
    lost in changes and Y the phases' shares of saturation, summed; each phase's green by its share. Shares are those at
    the peak, for the busier of two opposite roads (the mean of the larger of two rates). As turns are alike everywhere,
    so are the flows of all roads, and one plan does for all crossings.

    A search over greens (10 to 60 s) and offsets (none, or a green wave to the north-east at half to twice the limit)
    found nothing better by more than 1 % on the tasks. All at the same time was best throughout: traffic is as dense in
    both directions, and what a wave gives to one it takes from the other.
    """
    lost = config.yellow + config.all_red
    flow = config.flow * config.peak / (1.0 + 0.5 * (config.peak - 1.0)) * (1.0 + config.imbalance / 3.0)
    # Of a road's flow, in its busiest lane.
    on = max((1.0 - config.left_share) / (config.lanes - 1), config.right_share)
    shares = np.array([on, config.left_share] * 2) * flow / SATURATION
    total = shares.sum()
    cycle = min((1.5 * 4.0 * lost + 5.0) / max(1.0 - total, 0.05), LONGEST_CYCLE)
    green = np.maximum((cycle - 4.0 * lost) * shares / total, config.min_green)
    steps = np.ceil((green + lost) / CONTROL_STEP - 1e-9)
    return tuple((steps * CONTROL_STEP - lost).tolist())


def fixed(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """By the clock alone."""
    del network, counts
    ends = np.cumsum([green + config.yellow + config.all_red for green in greens(config)])
    phase = np.searchsorted(ends, time % ends[-1], side="right").astype(np.int64)  # (B,)
    return np.repeat(phase[:, None], signal.shape[1], axis=1)  # (B,) -> (B, N)


def actuated(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """By detectors of its own."""
    del network, time
    phase = signal[:, :, PHASE].astype(np.int64)  # (B, N)
    wanted = (counts[:, :, QUEUE] + counts[:, :, NEARBY]) @ IN_PHASE > 0.0  # (B, N, 4)
    used = (counts[:, :, NEARBY] @ IN_PHASE)[_each(phase)] > 0.0  # (B, N)
    green = signal[:, :, SINCE] - config.yellow - config.all_red
    keeps = used & (green < LONGEST_GREEN[phase])
    choice = phase.copy()
    for later in (3, 2, 1):  # the nearest of the cycle wins
        candidate = (phase + later) % len(PHASES)
        choice = np.where(wanted[_each(candidate)], candidate, choice)
    return np.where(keeps, phase, choice)


def max_pressure(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """By a movement's vehicles less those on the road it leads to, each times the share that turns as it does."""
    del time
    share = np.array((config.left_share, 1.0 - config.left_share - config.right_share, config.right_share))
    before = counts[:, :, QUEUE] + counts[:, :, ARRIVING]  # (B, N, 12)
    approach = before.reshape(*before.shape[:2], 4, 3) @ share  # (B, N, 12) -> (B, N, 4), by heading
    movement = np.arange(N_MOVEMENTS)
    heading = (movement // 3 + 1 - movement % 3) % 4  # (12,) on leaving
    following = network.near[:, heading]  # (N, 12) the next crossing; out of the network nothing is beyond
    beyond = np.where(following < 0, 0.0, approach[:, following, heading])  # (B, N, 12)
    return _best((before - beyond) @ IN_PHASE, signal)


def neighbour_demand(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """By demand, one's own and the others' by distance."""
    del config, time
    demand = (counts[:, :, QUEUE] + counts[:, :, ARRIVING]) @ IN_PHASE  # (B, N, 4)
    return _best(np.einsum("ij,bjp->bip", 1.0 / (network.distance + 1.0), demand), signal)


RULES: dict[str, Rule] = {
    "fixed": fixed,
    "actuated": actuated,
    "max-pressure": max_pressure,
    "neighbour-demand": neighbour_demand,
}


def _best(score: Array, signal: Array) -> Array:
    """(B, N, 4) -> (B, N), the present phase where no other is better by `GAIN`."""
    score = score.copy()
    score[_each(signal[:, :, PHASE].astype(np.int64))] += GAIN
    return score.argmax(axis=2)


def _each(phase: Array) -> tuple[Array, Array, Array]:
    """An index of (B, N, 4) that picks one phase a signal."""
    worlds, signals = np.ogrid[: phase.shape[0], : phase.shape[1]]
    return worlds, signals, phase
