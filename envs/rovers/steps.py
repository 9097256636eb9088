"""The kernels that Python calls: a step, and what the worlds show after it, in one call each.

Axes: B worlds.
"""

from __future__ import annotations

from ..kit.kernels import kernel
from .finds import find
from .metrics import measure
from .motion import move
from .observe import observe


@kernel
def advance(rules, near, state, drive, outcome):
    """Moves the rovers and credits what they find; writes into `state` and `outcome`."""
    move(rules, state.position, drive)
    find(rules, near, state, outcome)


@kernel
def show(sensors, sensed, state, shown):
    """Fills in what the worlds show in a state."""
    observe(sensors, sensed, state, shown)
    measure(state, shown.metrics)
