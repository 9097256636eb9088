"""The state of a batch of signal networks.

Axes: B worlds, N crossings, V places, Z lanes, E entries, D vehicles an entry, L estimated values (3, or 0 without a
consensus).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core import Array

DUE, FREE = range(2)
"""Columns of `State.trip`: when the vehicle came to its entry [s]; how long its way so far takes without delay [s]."""
TURNS, LEADER, FOLLOWER, LANE = range(4)
"""Columns of `State.chain`, see `lanes`: the vehicle's turns, two bits each, the next one lowest and the last one made
highest; the place of the vehicle ahead in the lane; the place of the one behind; the lane."""
COUNT = TURNS
"""Column of `State.chain` in the row of a lane's phantom: the number of vehicles in the lane."""
N_TURNS = 15
"""Turns that are drawn for each vehicle; one that makes more begins again with the first."""
LAST_TURN = 2 * (N_TURNS - 1)
"""Position of the last turn made in a vehicle's turns [bit]."""
PHASE, PREVIOUS, SINCE, SERVED, GRANTED, ARRIVED = range(6)
"""Columns of `State.signal`: the phase ordered; the phase before it; time since it was ordered [s]; at a dark signal,
the lane that goes (0 to 4 lanes - 1) and the state of its vehicle (`NONE`, `BEFORE_LINE`, `IN_BOX`); vehicles that came
to the crossing's approaches in the last control step."""
NONE, BEFORE_LINE, IN_BOX = -1.0, 0.0, 1.0
"""State of the vehicle that a dark signal lets go: there is none; it is the first of its lane; it has passed the line.
"""
COME, ENTERED = range(2)
"""Columns of `State.entered`: vehicles that have come to an entry, and how many of them have entered the network."""
LOST, STANDING, STOPS, GONE, SHARE, SHARE2, FULL, DISAGREEMENT, BIAS, MESSAGES, JUDGED = range(11)
"""Columns of `State.totals`: time lost [s]; time spent standing in queues [s]; stops; vehicles that left; the sum and
the sum of squares of their ratios of free to actual travel time; full lanes, summed over steps; disagreement and bias
of estimates, summed over times; messages; times at which the two were taken."""
N_TOTALS = 11
EAST_WEST, NORTH_SOUTH, NEW = range(3)
"""Columns of `State.agreed`: vehicles that stand at a crossing from east and west, and from north and south; vehicles
that came in the last control step."""
N_AGREED = 3


class State(NamedTuple):
    """The worlds of a batch. Nothing in a state is changed in place; successive states share the schedule."""

    step: Array  # (B,) int32 control steps since the start
    n_vehicles: Array  # (B,) int32 vehicles on the roads
    # By place: the phantoms of the Z lanes (see `lanes`), then the vehicles in no particular order, then zeros.
    position: Array  # (B, V) float32: front bumper from the beginning of the lane [m]; negative in the box before it
    speed: Array  # (B, V) float32 [m/s]
    trip: Array  # (B, V, 2) float32
    chain: Array  # (B, V, 4) uint32
    # By crossing, entry and world.
    signal: Array  # (B, N, 6) float64
    entered: Array  # (B, E, 2) int32
    totals: Array  # (B, 11) float64
    agreed: Array  # (B, N, L) float64 each signal's estimates of the means over all crossings
    measured: Array  # (B, N, L) float64 what it last measured at its own
    silence: Array  # (B, N) int32 control steps since it last exchanged estimates
    # The schedule, drawn at reset and read-only.
    due: Array  # (B, E, D) float32 times of arrival [s], ascending, infinity beyond the last
    route: Array  # (B, E, D) int32, turns as in `chain`
    dark: Array  # (B, N, 2) float32: from when to when a signal is dark [s]; infinity where it never is
    liar: Array  # (B, N) bool
    key: Array  # (B,) uint64 of the random numbers that decide which exchanges are lost


N_CHANGING = 12
"""Fields of `State` that a step changes; the schedule comes after them."""


def successor(state: State) -> State:
    """Returns a state for kernels to write the next one into: a copy with the same schedule, and no vehicles yet."""
    names = ("step", "n_vehicles", "signal", "entered", "totals", "agreed", "measured", "silence")
    return state._replace(**by_place(*state.position.shape), **{name: getattr(state, name).copy() for name in names})


def by_place(n_worlds: int, n_places: int) -> dict[str, Array]:
    """Returns the fields by place, zeros.

    They share one array: glibc would give several smaller ones back to the system at every step, and getting them again
    takes longer than the step.
    """
    room = np.zeros((8, n_worlds, n_places), np.uint32)
    return {
        "position": room[0].view(np.float32),
        "speed": room[1].view(np.float32),
        "trip": room[2:4].view(np.float32).reshape(n_worlds, n_places, 2),
        "chain": room[4:].reshape(n_worlds, n_places, 4),
    }
