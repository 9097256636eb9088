"""The state of a batch of fields of rovers.

A closeness is `min_distance` over the distance that decides a point of interest: 1 within `min_distance`, 0 where it
was not observed.

Axes: B worlds, N rovers, P points of interest.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core import Array

X, Y, VALUE = range(3)
"""Columns of `State.poi`."""
TEAM, OWN = range(2)
"""Columns of `State.totals`, summed over the episode: the team's reward, and the rewards of all rovers."""
N_TOTALS = 2


class State(NamedTuple):
    """B worlds. A value: nothing in it is ever changed in place; successive states share the points of interest."""

    step: Array  # (B,) int32 steps since the start
    position: Array  # (B, N, 2) float64 [m] from the lower left corner
    poi: Array  # (B, P, 3) float64 by the columns above, never changes
    best: Array  # (B, P) float32 greatest closeness so far
    absent: Array  # (B, P, N) float32 what it would be had the rover never been there
    own: Array  # (B, P, N) float32 greatest closeness so far in which the rover took part
    totals: Array  # (B, N_TOTALS) float64, behind the metrics


def following(state: State) -> State:
    """Returns a state one step later for kernels to write into: all is a copy but the points of interest."""
    return State(
        step=state.step + state.step.dtype.type(1),
        position=state.position.copy(),
        poi=state.poi,
        best=state.best.copy(),
        absent=state.absent.copy(),
        own=state.own.copy(),
        totals=state.totals.copy(),
    )
