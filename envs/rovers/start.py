"""Samples worlds at reset: rovers uniform in a square in the middle, points of interest uniform in the whole field.

Axes: B worlds, N rovers, P points of interest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..kit.seeding import uniform
from .config import Config
from .state import N_TOTALS, VALUE, State


def start(config: Config, seeds: Sequence[int]) -> State:
    """Returns one world for each seed; nothing has been observed yet."""
    worlds, n, p = len(seeds), config.n_rovers, config.n_pois
    chance = uniform(seeds, 2 * n + 3 * p)  # (B, 2 N + 3 P)
    place, poi = chance[:, : 2 * n].reshape(worlds, n, 2), chance[:, 2 * n :].reshape(worlds, p, 3)
    poi = poi * np.array([config.size, config.size, 1.0 - config.least_value])
    poi[:, :, VALUE] += config.least_value
    return State(
        step=np.zeros(worlds, np.int32),
        position=0.5 * (config.size - config.start_size) + config.start_size * place,
        poi=poi,
        best=np.zeros((worlds, p), np.float32),
        absent=np.zeros((worlds, p, n), np.float32),
        own=np.zeros((worlds, p, n), np.float32),
        totals=np.zeros((worlds, N_TOTALS)),
    )
