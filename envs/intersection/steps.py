"""Kernels that make whole steps. A call from Python takes as long as simulating a few cars, so a step is one call.

Axes: B worlds, V vehicles.
"""

from __future__ import annotations

from ..kit.kernels import kernel
from .entries import admit
from .judge import judge, reward_team
from .metrics import measure
from .motion import move
from .observe import observe


@kernel
def advance(traffic, weights, net, before, after, orders, outcome):
    """Makes a control step of every world.

    Args:
        traffic: The `motion.Traffic`.
        weights: The `judge.Weights`.
        net: The `Network`.
        before: The `State` before.
        after: A copy of it, written.
        orders: The `motion.Orders`.
        outcome: The `judge.Outcome`, written.
    """
    move(traffic, net, after, orders)
    judge(weights, net, before, after, outcome)
    admit(traffic, net, after)
    reward_team(weights, after, outcome.reward, outcome.team_reward)


@kernel
def advance_and_show(traffic, weights, sensors, net, before, after, orders, outcome, shown):
    """Makes a control step, as `advance`, and fills in what the worlds show after it, as `show`."""
    advance(traffic, weights, net, before, after, orders, outcome)
    show(sensors, net, after, shown)


@kernel
def show(sensors, net, state, shown):
    """Fills shown, an `observe.Shown`, with all that the worlds show in a state."""
    observe(sensors, net, state, shown)
    measure(net, sensors.n_agents, state, shown.metrics)
