"""The kernels that make whole steps, world by world, while a world's arrays are near the processor.

Axes: B worlds, N agents.
"""

from __future__ import annotations

import numpy as np

from ..kernels import kernel
from .config import CONTROL_STEP
from .lights import order_phases
from .network import N_MOVEMENTS
from .senses import pressure_of, sense, survey
from .state import COME, FULL, GONE, LOST, SHARE, SHARE2, STANDING, STOPS
from .traffic import desk_for, drive

FEW = 10.0
"""Vehicles that lose a whole control step, or an excess of so many, earn a reward of -1."""
METRICS = ("delay", "queue", "stops", "throughput", "fairness", "spillback")


@kernel
def advance(driving, senses, net, pressure, new, action, reward, cost, obs, adjacency, overview, mask, metrics):
    """A control step of every world.

    Args:
        driving: The `Driving`.
        senses: The `Senses`.
        net: The `Network`.
        pressure: Whether that is what rewards count, instead of delay.
        new: The `State` before, copied, written.
        action: (B, N) phases.
        reward: (B, N), written.
        cost: (B, N) zeros, written.
        obs: Of `senses.sense`, zeros, written, as are the next three.
        adjacency: (B, N, N).
        overview: (B, S).
        mask: (B, N, 4).
        metrics: (M, B), written.
    """
    n = len(net.target)
    counts, desk = np.empty((n, 4, N_MOVEMENTS)), desk_for(driving.lanes, net, new.who.shape[1])
    for b in range(len(new.step)):
        begin = new.step[b] * CONTROL_STEP
        new.step[b] += 1
        order_phases(driving, senses.min_green, new.signal, new.dark, action, b, begin)
        reward[b, :] = 0.0
        drive(driving, net, new, desk, b, begin, reward[b], cost[b])
        counts[:] = 0.0
        survey(driving.lanes, net, new.position, new.speed, new.who, new.lane, new.turns, b, counts)
        for c in range(n):
            reward[b, c] = -abs(pressure_of(counts, c)) / FEW if pressure else -reward[b, c] / (FEW * CONTROL_STEP)
        sense(senses, net, counts, new.signal, new.entered, new.dark, new.step, b, obs, adjacency, overview, mask)
        measure(new.step, new.entered, new.totals, n, b, metrics)


@kernel
def show(driving, senses, net, state, obs, adjacency, overview, mask, metrics):
    """What `advance` shows, of a state as it is."""
    n = len(net.target)
    counts = np.empty((n, 4, N_MOVEMENTS))
    for b in range(len(state.step)):
        counts[:] = 0.0
        survey(driving.lanes, net, state.position, state.speed, state.who, state.lane, state.turns, b, counts)
        sense(
            senses, net, counts, state.signal, state.entered, state.dark, state.step, b, obs, adjacency, overview, mask
        )
        measure(state.step, state.entered, state.totals, n, b, metrics)


@kernel
def survey_all(lanes, net, state, counts):
    """(B, N, 4, 12) zeros, written: see `senses.survey`."""
    for b in range(len(state.step)):
        survey(lanes, net, state.position, state.speed, state.who, state.lane, state.turns, b, counts[b])


@kernel
def measure(step, entered, totals, n, b, out):
    """Fills column b of (M, B), in the order of `METRICS`."""
    come = 0
    for e in range(entered.shape[1]):
        come += entered[b, e, COME]
    seconds, gone = max(step[b], 1) * CONTROL_STEP, totals[b, GONE]
    out[0, b] = totals[b, LOST] / max(come, 1)
    out[1, b] = totals[b, STANDING] / (seconds * n)
    out[2, b] = totals[b, STOPS] / max(come, 1)
    out[3, b] = gone * 3600.0 / seconds
    out[4, b] = totals[b, SHARE] * totals[b, SHARE] / (gone * totals[b, SHARE2]) if gone > 0 else 1.0
    out[5, b] = totals[b, FULL] / max(step[b], 1)
