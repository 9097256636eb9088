"""The metrics of an episode so far. The package's docstring says what they mean.

A mean of nothing is NaN.

Axes: B worlds, P points of interest, M metrics.
"""

from __future__ import annotations

import math

import numpy as np

from ..core import Array
from ..kit.kernels import kernel
from .state import OWN, TEAM, VALUE, State

METRICS = ("score", "observed_share", "found_share", "overlap")


def metrics_of(state: State) -> dict[str, Array]:
    """Returns the metrics by name, (B,) float64 each."""
    values = np.empty((len(METRICS), len(state.step)))
    measure(state, values)
    return dict(zip(METRICS, values, strict=True))


@kernel
def measure(state, out):
    """Fills out (M, B), in the order of `METRICS`."""
    poi, best, totals = state.poi, state.best, state.totals
    n_pois = poi.shape[1]
    for b in range(len(poi)):
        team, value, gained, observed, found = totals[b, TEAM], 0.0, 0.0, 0, 0
        for j in range(n_pois):
            value += poi[b, j, VALUE]
            gained += poi[b, j, VALUE] * best[b, j]
            observed += best[b, j] > 0.0
            found += best[b, j] >= 1.0
        out[0, b] = gained / value
        out[1, b] = observed / n_pois
        out[2, b] = found / n_pois
        out[3, b] = totals[b, OWN] / team if team > 0.0 else math.nan
