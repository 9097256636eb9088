"""Kernels that make whole steps, world by world, while a world's arrays are in the processor's cache.

Axes: B worlds, N agents.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import inlined, kernel
from .config import CONTROL_STEP, SUBSTEP
from .lights import order_phases
from .metrics import measure
from .observe import observe
from .state import LOST
from .survey import counts_for, loss_of, pressure_of, survey, survey_nearby
from .traffic import drive, scratch_for

REWARD_SCALE = 10.0
"""The reward is -1 for this many vehicles that stand for the whole control step, or for a pressure of this many."""


@kernel
def advance(driving, sensors, net, pressure, old, new, action, reward, cost, shown):
    """Makes a control step of every world.

    Args:
        driving: The `Driving`.
        sensors: The `Sensors`.
        net: The `Network`.
        pressure: Whether rewards count pressure instead of delay.
        old: The `State` before.
        new: Its `state.successor`, written.
        action: (B, N) phases.
        reward: (B, N) zeros, written.
        cost: (B, N) zeros, written.
        shown: The `Shown`, written.
    """
    counts, scratch = counts_for(net), scratch_for(net, new.position.shape[1])
    step, metrics = new.step, shown.metrics
    for b in range(len(step)):
        since = step[b] * CONTROL_STEP
        step[b] += 1
        order_phases(driving, sensors.min_green, new, action, b, since)
        drive(driving, net, old, new, scratch, b, since, reward[b], cost[b])
        counts[:] = 0.0
        judge(driving.lanes, net, pressure, new, scratch.lost, b, counts, reward[b])
        observe(sensors, net, counts, new, b, shown)
        measure(new, b, metrics)


@inlined
def judge(lanes, net, pressure, new, lost, b, counts, reward):
    """Surveys world b after `drive`, and fills in its rewards.

    Args:
        lanes: Lanes per link.
        net: The `Network`.
        pressure: Whether rewards count pressure instead of delay.
        new: The `State` after the step; `totals` is written.
        lost: The field of the `Scratch`.
        b: The world.
        counts: Zeros from `counts_for`, written.
        reward: (N,), written; before, the time lost that `drive` has found.
    """
    survey(lanes, net, new.n_vehicles, new.speed, new.chain, lost, b, counts)
    totals, n = new.totals, len(reward)
    for c in range(len(counts)):
        loss = SUBSTEP * loss_of(counts, c)
        totals[b, LOST] += loss
        if c < n:
            loss += reward[c]
            delay = -loss / (REWARD_SCALE * CONTROL_STEP)
            reward[c] = -abs(pressure_of(counts, c)) / REWARD_SCALE if pressure else delay


@kernel
def show(driving, sensors, net, state, shown):
    """Fills shown with all that the worlds show in a state."""
    counts, none = counts_for(net), np.zeros(state.position.shape[1], np.float32)
    for b in range(len(state.step)):
        counts[:] = 0.0
        survey(driving.lanes, net, state.n_vehicles, state.speed, state.chain, none, b, counts)
        observe(sensors, net, counts, state, b, shown)
        measure(state, b, shown.metrics)


@kernel
def survey_all(lanes, net, state, out):
    """Fills out (B, N, 4, 12) with the surveys of all worlds, without time lost."""
    counts, none = counts_for(net), np.zeros(state.position.shape[1], np.float32)
    for b in range(len(out)):
        counts[:] = 0.0
        survey(lanes, net, state.n_vehicles, state.speed, state.chain, none, b, counts)
        survey_nearby(net, state.n_vehicles, state.position, state.chain, b, counts)
        out[b] = counts[: len(net.target), :4]
