"""The kernels that Python calls: a step, and what the worlds show after it, in one call each.

Axes: B worlds.
"""

from __future__ import annotations

from ..kit.kernels import kernel
from .metrics import measure
from .observe import observe
from .state import NAME
from .traffic import admit, advance


@kernel
def advance_and_show(net, rules, sensors, state, action, outcome, shown):
    """Makes a step, as `traffic.advance`, and fills in what the worlds show after it."""
    advance(net, rules, state, action, outcome)
    observe(net, sensors, state, shown)
    measure(state, shown.metrics)


@kernel
def begin_and_show(net, rules, sensors, state, shown):
    """Gives every world its first car, and fills in what the worlds show."""
    admit(rules, state)
    observe(net, sensors, state, shown)
    measure(state, shown.metrics)


@kernel
def find_alive(car, live, alive):
    """Fills alive (B, N), False so far."""
    for b in range(len(live)):
        for i in range(live[b]):
            alive[b, car[b, i, NAME]] = True
