"""The state of a batch of games of whispers.

Axes: B worlds, N agents, T time limit.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core import Array

NOBODY = -1
"""Source of an agent that has none: a pure speaker."""
NOTHING = -1
"""Name given before the first step."""


class State(NamedTuple):
    """B worlds. A value: nothing in it is ever changed in place."""

    step: Array  # (B,) int32 steps since the start
    symbol: Array  # (B, T + 1, N) int8 symbol of every agent in every step, never changes
    source: Array  # (B, T + 1, N) int8 the agent whose symbol each has to name, or NOBODY; never changes
    named: Array  # (B, N) int8 what each agent named in the last step; NOTHING before the first
    right: Array  # (B,) float64 share of names that were right, summed over the episode's steps
