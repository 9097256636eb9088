"""The state of a batch of intersection worlds.

Axes: B worlds, V vehicles: the N agents, then the scripted ones; X crossings, M movements through each.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core import Array

CONTROL_STEP = 0.5
"""Time between two decisions [s]."""
PENDING, DRIVING, ARRIVED, CRASHED = range(4)
"""Values of `State.status`: still to come, on the road, left by the exit, crashed."""
(
    POSITION,  # along its route [m]
    SPEED,  # [m/s]
    ACCELERATED,  # mean acceleration over the last control step [m/s^2]
    DUE,  # when it reached its entry [s]
    QUEUED,  # when it came up to the stop line ahead [s]; right-of-way rules serve the earliest first
    FINISHED,  # when it left the road [s]
    STOOD,  # how long it has been standing, or waiting to enter [s]
    SENT,  # when it sent its last message [s]
    SENT_POSITION,  # the position in that message [m]
    SENT_SPEED,  # the speed in that message [m/s]
    SENT_ACCELERATION,  # the acceleration in that message [m/s^2]
    OPENS,  # when the window opens that it announced for passing the stop line ahead [s]; NEVER without one
    CLOSES,  # when that window closes [s]
    ANNOUNCED,  # when it announced that window [s]
    BID,  # the bid it announced, in [0, 1]
) = range(15)
"""Columns of `State.car`. Times are those of the world's clock."""
N_CAR = 15
NEVER = -1e6
"""Stands for the time of an event that has not happened [s]."""
LONGEST_WAIT, LEAST_TTC, LEAST_PET, KEPT, BROKEN = range(5)
"""Columns of `State.totals`: longest wait [s], least time to collision [s], least post-encroachment time [s],
announcements that were kept and that were broken."""
N_TOTALS = 5
TTC_HORIZON = 3.0
"""Longest time to collision that is computed [s]."""
PET_HORIZON = 10.0
"""Longest post-encroachment time that is reported [s]."""


class State(NamedTuple):
    """The worlds of a batch. Nothing in a state is changed in place; successive states share the schedule."""

    step: Array  # (B,) int32 control steps since the start
    car: Array  # (B, V, N_CAR) float64, by the columns above
    status: Array  # (B, V) int8: PENDING, DRIVING, ARRIVED, CRASHED
    leg: Array  # (B, V) int32: which crossing of its route a vehicle is at or heads for
    left: Array  # (B, 1 or 2, X, M, M) float32: when an agent (0) or a scripted car (1) last left the zone that its
    # movement through a crossing shares with another movement [s]; NEVER if none has
    totals: Array  # (B, N_TOTALS) float64, behind the metrics
    # The schedule, drawn at reset and read-only.
    route: Array  # (B, V) int32
    emergency: Array  # (B, V) bool


def copied(state: State) -> State:
    """Returns a copy for kernels to write into; it shares the schedule."""
    return State(
        state.step.copy(),
        state.car.copy(),
        state.status.copy(),
        state.leg.copy(),
        state.left.copy(),
        state.totals.copy(),
        state.route,
        state.emergency,
    )
