"""The metrics of an episode, from the sums in a state. The package's docstring gives their units.

A mean, share or index of nothing is NaN.

Axes: B worlds, N nodes, M metrics.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
from .config import Config
from .state import (
    ARRIVED,
    BIAS,
    CAPACITY,
    COLD_STARTS,
    CYCLES,
    DISAGREEMENT,
    DROPS,
    EARNED,
    FINISHED,
    JUDGED,
    LATENCY_BINS,
    LATENCY_LOW,
    LATENCY_RATIO,
    MESSAGES,
    MISSES,
    OVERLOADED,
    OWN_ARRIVED,
    OWN_DONE,
    PAID,
    PRICE_COUNT,
    PRICE_SQUARES,
    PRICE_SUM,
    PROFIT,
    TRADES,
    WELFARE,
    Array,
    State,
)

SHARES = (0.5, 0.95, 0.99)
"""Quantiles of the latency of done tasks that are reported."""
MIDDLES = LATENCY_LOW * LATENCY_RATIO ** (np.arange(LATENCY_BINS) + 0.5)
"""(LATENCY_BINS,) geometric middles of the bins that begin at LATENCY_LOW [s]."""
METRICS: tuple[str, ...] = (
    "welfare",
    "completion_rate",
    "miss_rate",
    "drop_rate",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "utilisation",
    "fairness",
    "profit_gini",
    "price",
    "price_volatility",
    "offloaded_share",
    "cold_starts",
    "payments_balance",
    "overload_share",
)
CONSENSUS_METRICS = ("consensus_disagreement", "consensus_bias", "consensus_messages")


def metrics_of(config: Config, state: State, *, latency_low: float = LATENCY_LOW) -> dict[str, Array]:
    """Returns each metric over the episode so far, (B,) float64; those of the bound and of a consensus where asked."""
    values = np.empty((len(METRICS), len(state.step)))
    _measure(state.step, state.totals, state.account, state.latency, values)
    values[4:7] *= latency_low / LATENCY_LOW  # the quantiles
    metrics: dict[str, Array] = dict(zip(METRICS, values, strict=True))
    if config.bound:
        metrics["bound_share"] = state.totals[:, WELFARE] / np.where(state.bound > 0.0, state.bound, math.nan)
    if config.consensus != "none":
        judged = np.where(state.totals[:, JUDGED] > 0.0, state.totals[:, JUDGED], math.nan)
        values = (state.totals[:, DISAGREEMENT] / judged, state.totals[:, BIAS] / judged, state.totals[:, MESSAGES])
        metrics |= dict(zip(CONSENSUS_METRICS, values, strict=True))
    return metrics


@kernel
def _measure(step, totals, account, latency, out):
    """Fills out (M, B) from step (B,), totals (B, N_TOTALS), account (B, N, 3) and latency (B, LATENCY_BINS)."""
    n = account.shape[1]
    ranked = np.empty(n)
    for b in range(len(step)):
        total = totals[b]
        arrived, finished = total[ARRIVED] if total[ARRIVED] > 0.0 else math.nan, total[FINISHED]
        out[0, b] = total[WELFARE]
        out[1, b] = finished / arrived
        out[2, b] = total[MISSES] / arrived
        out[3, b] = total[DROPS] / arrived
        out[4, b] = out[5, b] = out[6, b] = math.nan
        if finished > 0.0:
            _find_quantiles(latency, finished, out, b)
        out[7, b] = total[CYCLES] / total[CAPACITY] if total[CAPACITY] > 0.0 else math.nan
        together, squares, asked = 0.0, 0.0, 0
        for i in range(n):
            if account[b, i, OWN_ARRIVED] > 0.0:
                share = account[b, i, OWN_DONE] / account[b, i, OWN_ARRIVED]
                together += share
                squares += share * share
                asked += 1
            profit, at = max(account[b, i, PROFIT], 0.0), i
            while at > 0 and ranked[at - 1] > profit:
                ranked[at] = ranked[at - 1]
                at -= 1
            ranked[at] = profit
        out[8, b] = together * together / (asked * squares) if squares > 0.0 else math.nan
        together, weighted = 0.0, 0.0
        for i in range(n):
            together += ranked[i]
            weighted += (2 * i + 1 - n) * ranked[i]
        out[9, b] = weighted / (n * together) if together > 0.0 else math.nan
        count = total[PRICE_COUNT] if total[PRICE_COUNT] > 0.0 else math.nan
        mean = total[PRICE_SUM] / count
        spread = math.sqrt(max(total[PRICE_SQUARES] / count - mean * mean, 0.0))
        out[10, b] = mean
        out[11, b] = spread / mean if mean > 0.0 else math.nan
        out[12, b] = total[TRADES] / arrived
        out[13, b] = total[COLD_STARTS]
        out[14, b] = total[PAID] - total[EARNED]
        out[15, b] = total[OVERLOADED] / (n * step[b]) if step[b] > 0 else math.nan


@kernel
def _find_quantiles(counts, finished, out, b):
    """Writes the geometric middles of the bins in which the smallest 50, 95 and 99 % end [s] into rows 4 to 6."""
    seen, row = 0, 0
    for k in range(counts.shape[1]):
        seen += counts[b, k]
        while row < len(SHARES) and seen >= SHARES[row] * finished:
            out[4 + row, b] = MIDDLES[k]
            row += 1
