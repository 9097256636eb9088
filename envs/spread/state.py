"""The state of a batch of spreads.

Axes: B worlds, N agents, L landmarks.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core import Array


class State(NamedTuple):
    """B worlds. A value: nothing in it is ever changed in place."""

    step: Array  # (B,) int32 steps since the start
    position: Array  # (B, N, 2) float64
    velocity: Array  # (B, N, 2) float64 [1/s]
    landmark: Array  # (B, L, 2) float64, never changes
    totals: Array  # (B, 3) float64: what `reward.score` measures of a moment, summed over the episode's steps
