"""The metrics of an episode so far, computed from a state. The package's docstring says what they mean.

A mean, share or rate of nothing is NaN.

Axes: B worlds, N agents, M metrics.
"""

from __future__ import annotations

import math

import numpy as np

from ..core import Array
from ..kit.kernels import kernel
from .network import FREE_TIME, Network
from .spots import profile_at
from .state import (
    ARRIVED,
    BROKEN,
    CONTROL_STEP,
    CRASHED,
    DRIVING,
    DUE,
    FINISHED,
    KEPT,
    LEAST_PET,
    LEAST_TTC,
    LONGEST_WAIT,
    PENDING,
    POSITION,
    State,
)

METRICS = (
    "success",
    "crash_rate",
    "delay",
    "throughput",
    "min_ttc",
    "min_pet",
    "longest_wait",
    "fairness",
    "honesty",
    "emergency_delay",
)


def metrics_of(network: Network, n_agents: int, state: State) -> dict[str, Array]:
    """Returns the metrics by name, (B,) float64 each."""
    values = np.empty((len(METRICS), len(state.step)))
    measure(network, n_agents, state, values)
    return dict(zip(METRICS, values, strict=True))


@kernel
def _delay(profile, length, car, status, route, b, i, clock):
    """Returns how much later a vehicle is than an undisturbed one [s].

    It is negative if the vehicle is not due yet, or has crashed.
    """
    due, p = car[b, i, DUE], route[b, i]
    if status[b, i] == ARRIVED:
        return max(car[b, i, FINISHED] - due - profile_at(profile, p, length[p], FREE_TIME), 0.0)
    if status[b, i] == DRIVING:
        return max(clock - due - profile_at(profile, p, car[b, i, POSITION], FREE_TIME), 0.0)
    if status[b, i] == PENDING and due <= clock:
        return clock - due
    return -1.0


@kernel
def measure(net, n_agents, state, out):
    """Fills out (M, B), in the order of `METRICS`."""
    profile, length, step, car, status = net.profile, net.length, state.step, state.car, state.status
    route, emergency, totals = state.route, state.emergency, state.totals
    for b in range(len(step)):
        clock = step[b] * CONTROL_STEP
        arrived, crashed, counted, n_urgent = 0, 0, 0, 0
        late, urgent_late, together, squares = 0.0, 0.0, 0.0, 0.0
        for i in range(n_agents):
            crashed += status[b, i] == CRASHED
            delay = _delay(profile, length, car, status, route, b, i, clock)
            if delay < 0.0:
                continue
            late += delay
            counted += 1
            if emergency[b, i]:
                urgent_late += delay
                n_urgent += 1
            if status[b, i] == ARRIVED:
                arrived += 1
                free = profile_at(profile, route[b, i], length[route[b, i]], FREE_TIME)
                share = free / (free + delay)
                together += share
                squares += share * share
        kept, broken = totals[b, KEPT], totals[b, BROKEN]
        out[0, b] = arrived / n_agents
        out[1, b] = crashed / n_agents
        out[2, b] = late / counted if counted > 0 else math.nan
        out[3, b] = arrived * 3600.0 / clock if clock > 0.0 else math.nan
        out[4, b] = totals[b, LEAST_TTC]
        out[5, b] = totals[b, LEAST_PET]
        out[6, b] = totals[b, LONGEST_WAIT]
        out[7, b] = together * together / (arrived * squares) if arrived > 0 else math.nan
        out[8, b] = kept / (kept + broken) if kept + broken > 0 else math.nan
        out[9, b] = urgent_late / n_urgent if n_urgent > 0 else math.nan
