"""The metrics of an episode, from the sums in a state. The package's docstring gives their units.

A mean, share or rate of nothing is NaN.

Axes: B worlds, N robots, M metrics.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
from .physics import CONTROL_STEP
from .state import (
    CONTACTS,
    CYCLE_STEPS,
    DEADLOCK_STEPS,
    DELIVERIES,
    ENERGY,
    IDLE_STEPS,
    LIVE_STEPS,
    MISSES,
    Array,
    State,
)

METRICS = (
    "orders_per_hour",
    "cycle_time",
    "contacts",
    "deadlock_seconds",
    "idle_share",
    "energy",
    "deadline_misses",
    "fairness",
)


def metrics_of(state: State) -> dict[str, Array]:
    """Returns each metric over the episode so far, (B,) float64."""
    values = np.empty((len(METRICS), len(state.step)))
    _measure(state.step, state.totals, state.delivered, values)
    return dict(zip(METRICS, values, strict=True))


@kernel
def _measure(step, totals, delivered, out):
    """Fills out (M, B) from step (B,), totals (B, N_TOTALS) and delivered (B, N)."""
    n_robots = delivered.shape[1]
    for b in range(len(step)):
        seconds = step[b] * CONTROL_STEP
        deliveries = totals[b, DELIVERIES]
        together, squares = 0.0, 0.0
        for i in range(n_robots):
            together += delivered[b, i]
            squares += float(delivered[b, i]) ** 2
        out[0, b] = deliveries * 3600.0 / seconds if seconds > 0 else math.nan
        out[1, b] = totals[b, CYCLE_STEPS] / deliveries * CONTROL_STEP if deliveries > 0 else math.nan
        out[2, b] = totals[b, CONTACTS]
        out[3, b] = totals[b, DEADLOCK_STEPS] * CONTROL_STEP
        out[4, b] = totals[b, IDLE_STEPS] / totals[b, LIVE_STEPS] if totals[b, LIVE_STEPS] > 0 else math.nan
        out[5, b] = totals[b, ENERGY]
        out[6, b] = totals[b, MISSES]
        out[7, b] = together**2 / (squares * n_robots) if squares > 0 else math.nan
