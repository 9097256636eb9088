"""The policies to beat, written by hand: the rules of `planner` as actions of the agents.

Axes: B worlds, N agents.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core import Array
from .env import TrafficJunction
from .planner import RULES, plan
from .state import State


def heuristic(env: TrafficJunction) -> Callable[[State], Array]:
    """Returns the policy of `Config.rule`. The rule `priority` knows all cars and their routes, whatever `vision` is.

    Returns:
        A function from the state of B worlds to actions: (B, N) int64.
    """
    rule = RULES[env.config.rule]

    def act(state: State) -> Array:
        action = np.zeros((len(state.step), env.n_agents), np.int64)
        plan(rule, env.network, state, action)
        return action

    return act
