"""Samples worlds at reset: agents and landmarks uniform in the square [-1, 1] x [-1, 1], at rest.

Axes: B worlds, N agents, L landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..kit.seeding import uniform
from .config import Config
from .state import State


def start(config: Config, seeds: Sequence[int]) -> State:
    """Returns one world for each seed: the world that mpe2 starts from the same seed."""
    worlds, n = len(seeds), config.n_agents
    place = 2.0 * uniform(seeds, 4 * n).reshape(worlds, 2 * n, 2) - 1.0  # (B, 4 N) -> (B, N + L, 2)
    return State(
        step=np.zeros(worlds, np.int32),
        position=place[:, :n].copy(),
        velocity=np.zeros((worlds, n, 2)),
        landmark=place[:, n:].copy(),
        totals=np.zeros((worlds, 3)),
    )
