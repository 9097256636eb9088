"""Hand-written policies to beat. All plan from counts of vehicles (`senses.survey`) and keep to the action mask.

| rule               | which phase                                                                                 |
|--------------------|---------------------------------------------------------------------------------------------|
| `fixed`            | a fixed cycle, `FIXED_GREEN` each, with offsets for who drives east and north at the limit  |
| `actuated`         | the present one while vehicles are within 40 m of its lines, at most `LONGEST_GREEN`; then  |
|                    | the next of the cycle that anybody waits for                                                |
| `max-pressure`     | the one with the most vehicles before its lines less those beyond (Varaiya 2013)            |
| `neighbour-demand` | the one with the most vehicles at all crossings, those d crossings away weighted 1 / (d + 1)|
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .network import N_MOVEMENTS, PHASES, Network
from .senses import ARRIVING, BEYOND, NEARBY, QUEUE
from .state import PHASE, SINCE

Array = NDArray[Any]

FIXED_GREEN = (25.0, 10.0, 25.0, 10.0)
"""Of each phase [s]; nothing was tuned."""
LONGEST_GREEN = np.array([40.0, 20.0, 40.0, 20.0])
"""Of each phase [s]."""
GAIN = 1.0
"""By how many vehicles another phase must be better to be worth the change."""
IN_PHASE = np.array([[m in phase for phase in PHASES] for m in range(N_MOVEMENTS)], np.float64)  # (12, 4)

Rule = Callable[[Config, Network, Array, Array, Array], Array]
"""(config, network, counts (B, N, 4, 12), signal (B, N, 6), time [s] (B,)) -> (B, N) phases."""


def fixed(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """By the clock alone."""
    del counts, signal
    ends = np.cumsum([green + config.yellow + config.all_red for green in FIXED_GREEN])
    offset = network.centre.sum(axis=1) / config.speed_limit  # (N,) a green wave to the north-east
    within = (time[:, None] - offset) % ends[-1]  # (B, N)
    return np.searchsorted(ends, within, side="right").astype(np.int64)


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
    """By what stands before and beyond: each road out counts with the share of it that a movement may fill."""
    del network, time
    share = np.tile((config.left_share, 1.0 - config.left_share - config.right_share, config.right_share), 4)  # (12,)
    pressure = counts[:, :, QUEUE] + counts[:, :, ARRIVING] - share * counts[:, :, BEYOND]
    return _best(pressure @ IN_PHASE, signal)


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
