"""The state of a batch of warehouses.

Axes: B worlds, N robots, K orders in the schedule.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]

NEAREST, FIFO, CLAIM = range(3)
"""Kinds of dispatch."""
IDLE, TO_FACE, TO_STATION, TO_CHARGER = range(4)
"""Phases of a robot: what it is doing. It is loaded exactly while TO_STATION."""
WAITING, TAKEN, DELIVERED = range(3)
"""Status of an order. One that arrives later is WAITING too: its `order_release` lies ahead."""
NOBODY = -1
"""Stands in place of an order or a target where there is none."""
DELIVERIES, CYCLE_STEPS, CONTACTS, DEADLOCK_STEPS, IDLE_STEPS, LIVE_STEPS, ENERGY, MISSES = range(8)
"""Columns of `totals`."""
N_TOTALS = 8
"""Number of columns of `totals`."""


class State(NamedTuple):
    """B worlds. A value: nothing in it is ever changed in place. Successive states share the schedule."""

    step: Array  # (B,) int32 control steps since the start
    body: Array  # (B, N, 6) x, y [m], heading [rad], velocity x, y [m/s], turn rate [rad/s]
    alive: Array  # (B, N) bool
    phase: Array  # (B, N) int8: IDLE, TO_FACE, TO_STATION, TO_CHARGER
    goal: Array  # (B, N) int32 target in the layout, or NOBODY
    order: Array  # (B, N) int32 order that the robot works on, or NOBODY
    dwell: Array  # (B, N) int32 control steps dwelled at the goal so far
    free_since: Array  # (B, N) int32 step at which the robot last became free
    battery: Array  # (B, N) float64 [Wh]
    potential: Array  # (B, N) float64, of the shaping
    hit: Array  # (B, N) bool, in contact during the last control step
    still_since: Array  # (B, N) int32 step since which the robot has stayed near its anchor
    anchor: Array  # (B, N, 2) float64 [m]
    delivered: Array  # (B, N) int32 orders that the robot has delivered
    totals: Array  # (B, N_TOTALS) float64, sums behind the metrics
    order_status: Array  # (B, K) int8: WAITING, TAKEN, DELIVERED
    head: Array  # (B,) int32: every order before it is taken
    # The schedule, drawn at reset and read-only.
    order_release: Array  # (B, K) int32 step of arrival, ascending
    order_deadline: Array  # (B, K) int32 step
    order_face: Array  # (B, K) int32 target
    order_station: Array  # (B, K) int32 target


SCHEDULE = ("order_release", "order_deadline", "order_face", "order_station")


def copied(state: State) -> State:
    """Returns a copy for kernels to write into; the schedule is shared."""
    return State(
        *(value if name in SCHEDULE else value.copy() for name, value in zip(State._fields, state, strict=True))
    )
