"""The kernels that make whole steps, world by world, while a world's arrays are near the processor.

Axes: B worlds, N agents.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import borrowing, kernel
from .config import CONTROL_STEP, SUBSTEP
from .lights import order_phases
from .senses import counts_for, loss_of, pressure_of, sense, survey, survey_nearby
from .state import COME, FULL, GONE, LOST, SHARE, SHARE2, STANDING, STOPS
from .traffic import desk_for, drive

FEW = 10.0
"""Vehicles that lose a whole control step, or an excess of so many, earn a reward of -1."""
METRICS = ("delay", "queue", "stops", "throughput", "fairness", "spillback")


@kernel
def advance(driving, senses, net, pressure, old, new, action, reward, cost, obs, adjacency, overview, mask, metrics):
    """A control step of every world.

    Args:
        driving: The `Driving`.
        senses: The `Senses`.
        net: The `Network`.
        pressure: Whether that is what rewards count, instead of delay.
        old: The `State` before.
        new: Its `state.successor`, written.
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
    counts, desk = counts_for(net), desk_for(net, new.position.shape[1])
    for b in range(len(new.step)):
        since = new.step[b] * CONTROL_STEP
        new.step[b] += 1
        order_phases(driving, senses.min_green, new.signal, new.dark, action, b, since)
        reward[b, :] = 0.0
        drive(driving, net, old, new, desk, b, since, reward[b], cost[b])
        counts[:] = 0.0
        survey(driving.lanes, net, new.n_vehicles, new.speed, new.chain, desk.lost, b, counts)
        for c in range(len(counts)):
            loss = SUBSTEP * loss_of(counts, c)
            new.totals[b, LOST] += loss
            if c < n:
                loss += reward[b, c]
                reward[b, c] = -abs(pressure_of(counts, c)) / FEW if pressure else -loss / (FEW * CONTROL_STEP)
        sense(senses, net, counts, new.signal, new.entered, new.dark, new.step, b, obs, adjacency, overview, mask)
        measure(new.step, new.entered, new.totals, n, b, metrics)


@kernel
def show(driving, senses, net, state, obs, adjacency, overview, mask, metrics):
    """What `advance` shows, of a state as it is."""
    n = len(net.target)
    counts, none = counts_for(net), np.zeros(state.position.shape[1], np.float32)
    for b in range(len(state.step)):
        counts[:] = 0.0
        survey(driving.lanes, net, state.n_vehicles, state.speed, state.chain, none, b, counts)
        sense(
            senses, net, counts, state.signal, state.entered, state.dark, state.step, b, obs, adjacency, overview, mask
        )
        measure(state.step, state.entered, state.totals, n, b, metrics)


@kernel
def survey_all(lanes, net, state, out):
    """(B, N, 4, 12), written: see `senses.survey`."""
    counts, none = counts_for(net), np.zeros(state.position.shape[1], np.float32)
    for b in range(len(out)):
        counts[:] = 0.0
        survey(lanes, net, state.n_vehicles, state.speed, state.chain, none, b, counts)
        survey_nearby(net, state.n_vehicles, state.position, state.chain, b, counts)
        out[b] = counts[: len(net.target), :4]


@borrowing
def measure(step, entered, totals, n, b, out):
    """Fills column b of (M, B), in the order of `METRICS`. A mean or rate of nothing is NaN."""
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
