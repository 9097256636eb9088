"""The metrics of an episode so far, computed from a state. The package's docstring says what they mean.

A mean or rate of nothing is NaN.

Axes: B worlds, N crossings, E entries, M metrics.
"""

from __future__ import annotations

import math

import numpy as np

from ..core import Array
from ..kit.kernels import inlined
from .config import CONTROL_STEP
from .state import (
    BIAS,
    COME,
    DISAGREEMENT,
    FULL,
    GONE,
    JUDGED,
    LOST,
    MESSAGES,
    SHARE,
    SHARE2,
    STANDING,
    STOPS,
    State,
)

METRICS = ("delay", "queue", "stops", "throughput", "fairness", "spillback")


def metrics_of(state: State) -> dict[str, Array]:
    """Returns the metrics by name, (B,) float64 each."""
    values = np.empty((len(METRICS), len(state.step)))
    for b in range(len(state.step)):
        measure(state, b, values)
    return dict(zip(METRICS, values, strict=True))


def consensus_metrics_of(state: State) -> dict[str, Array]:
    """Returns the metrics that a consensus adds, (B,) float64 each."""
    totals = state.totals
    judged = np.where(totals[:, JUDGED] > 0.0, totals[:, JUDGED], math.nan)
    return {
        "consensus_disagreement": totals[:, DISAGREEMENT] / judged,
        "consensus_bias": totals[:, BIAS] / judged,
        "consensus_messages": totals[:, MESSAGES].copy(),
    }


@inlined
def measure(state, b, out):
    """Fills column b of out (M, B), in the order of `METRICS`."""
    step, entered, totals, n = state.step, state.entered, state.totals, state.signal.shape[1]
    come = 0
    for e in range(entered.shape[1]):
        come += entered[b, e, COME]
    seconds, gone = step[b] * CONTROL_STEP, totals[b, GONE]
    out[0, b] = totals[b, LOST] / come if come > 0 else math.nan
    out[1, b] = totals[b, STANDING] / (seconds * n) if seconds > 0.0 else math.nan
    out[2, b] = totals[b, STOPS] / come if come > 0 else math.nan
    out[3, b] = gone * 3600.0 / seconds if seconds > 0.0 else math.nan
    out[4, b] = totals[b, SHARE] * totals[b, SHARE] / (gone * totals[b, SHARE2]) if gone > 0 else math.nan
    out[5, b] = totals[b, FULL] / step[b] if step[b] > 0 else math.nan
