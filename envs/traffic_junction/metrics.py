"""The metrics of an episode so far, from the sums in a state. The package's docstring says what they mean.

A mean of nothing is NaN.

Axes: B worlds, M metrics.
"""

from __future__ import annotations

import math

import numpy as np

from ..core import Array
from ..kit.kernels import kernel
from .state import BRAKES, CAR_STEPS, CRASHES, FINISHED, LATE, State

METRICS = ("success", "crashes", "throughput", "delay", "brakes", "cars")


def metrics_of(state: State) -> dict[str, Array]:
    """Returns the metrics by name, (B,) float64 each."""
    values = np.empty((len(METRICS), len(state.step)))
    measure(state, values)
    return dict(zip(METRICS, values, strict=True))


@kernel
def measure(state, out):
    """Fills out (M, B), in the order of `METRICS`."""
    step, born, totals = state.step, state.born, state.totals
    for b in range(len(step)):
        finished = totals[b, FINISHED]
        out[0, b] = totals[b, CRASHES] == 0
        out[1, b] = totals[b, CRASHES]
        out[2, b] = finished
        out[3, b] = totals[b, LATE] / finished if finished > 0 else math.nan
        out[4, b] = totals[b, BRAKES] / born[b]
        out[5, b] = totals[b, CAR_STEPS] / step[b] if step[b] > 0 else math.nan
