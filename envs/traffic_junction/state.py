"""The state of a batch of traffic junctions.

Axes: B worlds, C cars that may be on the roads at once, T time limit, E entries.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core import Array

(
    NAME,  # index of the agent
    ROUTE,  # number of its route
    PLACE,  # how many cells of its route it has left behind
    BORN,  # step in which it entered
    BRAKED,  # 1: its last action was to brake
) = range(5)
"""Columns of `State.car`."""
N_CAR = 5
CRASHES, FINISHED, LATE, BRAKES, CAR_STEPS = range(5)
"""Columns of `State.totals`, summed over the episode: cars that share their cell, cars that have left, steps that these
took beyond the fewest, actions to brake, and actions."""
N_TOTALS = 5


class State(NamedTuple):
    """B worlds. A value: nothing in it is ever changed in place; successive states share the schedule."""

    step: Array  # (B,) int32 steps since the start
    car: Array  # (B, C, N_CAR) int16 by the columns above: the cars on the roads, first come first; then zeros
    live: Array  # (B,) int32 cars on the roads
    born: Array  # (B,) int32 cars that have entered so far: agents 0 ... born - 1
    totals: Array  # (B, N_TOTALS) int32, behind the metrics
    # The schedule, drawn at reset and read-only.
    rate: Array  # (B,) float64 chance that a car arrives at an entry in a step
    arriving: Array  # (B, T, E) int8: which of its entry's routes the car takes that arrives in a step; -1: none does
    spare: Array  # (B, T + 1) int16: route of the car that enters a world that would be empty after a step


def copied(state: State) -> State:
    """Returns a copy for kernels to write into; it shares the schedule."""
    return State(
        state.step.copy(),
        state.car.copy(),
        state.live.copy(),
        state.born.copy(),
        state.totals.copy(),
        state.rate,
        state.arriving,
        state.spare,
    )
