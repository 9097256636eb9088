"""The rewards of a step, had a signal kept its phase: simulated only where that differs from what it does.

The counterfactual of a signal that keeps its phase anyhow, or that may not change it yet, is the team's reward. For any
other signal the world is simulated again, by the same kernels, and neither observed nor measured.

Axes: B worlds, N signals.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import inlined, kernel
from .config import CONTROL_STEP
from .lights import begins_phase, order_phases
from .state import COME, ENTERED, PHASE
from .steps import judge
from .survey import counts_for
from .traffic import drive, scratch_for


@kernel
def rewards_without_each(driving, min_green, net, pressure, old, draft, action, reward, differs):
    """Finds the rewards of all signals had signal i kept its phase, for every i that begins a new one.

    Args:
        driving: The `Driving`.
        min_green: Least duration of a green light [s].
        net: The `Network`.
        pressure: Whether rewards count pressure instead of delay.
        old: The `State` before.
        draft: Its `state.successor` to work in.
        action: (B, N) phases; written into, and left as they were.
        reward: (B, N, N) zeros; row i of world b is written where signal i begins a new phase.
        differs: (B, N), written: whether it does.
    """
    counts, scratch = counts_for(net), scratch_for(net, draft.position.shape[1])
    step, signal = old.step, old.signal
    full = np.zeros(action.shape[1])  # not asked for
    for b in range(len(step)):
        since = step[b] * CONTROL_STEP
        for i in range(action.shape[1]):
            differs[b, i] = begins_phase(driving, min_green, old, action, b, i, since)
            if not differs[b, i]:
                continue
            _begin_again(old, draft, b)
            asked, action[b, i] = action[b, i], int(signal[b, i, PHASE])
            order_phases(driving, min_green, draft, action, b, since)
            action[b, i] = asked
            drive(driving, net, old, draft, scratch, b, since, reward[b, i], full)
            counts[:] = 0.0
            judge(driving.lanes, net, pressure, draft, scratch.lost, b, counts, reward[b, i])


@inlined
def _begin_again(old, draft, b):
    """Puts world b of the draft back to where it was before, but for vehicles, which `drive` copies, and for sums."""
    draft.n_vehicles[b] = old.n_vehicles[b]
    for c in range(old.signal.shape[1]):
        for column in range(old.signal.shape[2]):
            draft.signal[b, c, column] = old.signal[b, c, column]
    for e in range(old.entered.shape[1]):
        draft.entered[b, e, COME], draft.entered[b, e, ENTERED] = old.entered[b, e, COME], old.entered[b, e, ENTERED]
