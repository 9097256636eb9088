"""The policies to beat: the right-of-way rules of `planner`, as actions of the agents.

They know all routes and plan for all cars, whatever `Config.intent` lets agents know.

Axes: B worlds, V vehicles, N agents.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium.spaces import Discrete

from ..core import Array
from ..roads.cars import CAR_LENGTH
from .config import ACCELERATION, DECELERATION
from .env import N_WINDOWS, WINDOW_STEP, Intersection
from .judge import LENIENCE
from .network import LINE
from .planner import PRIMITIVES, RULES
from .state import CONTROL_STEP, DUE, POSITION, SPEED, State

HURRY = 10.0
"""A vehicle that is later than this bids 1 with `intent="declared"` [s]."""


def heuristic(env: Intersection) -> Callable[[State], Array]:
    """Returns the policy of `Config.rule`. With `intent="declared"` it announces what it plans, and bids if it is late.

    Returns:
        A function from the state of B worlds to actions: (B, N) int64, or (B, N, 1 or 3) float32 if continuous.
    """
    rule, n = RULES[env.config.rule], env.n_agents
    shares = np.where(PRIMITIVES > 0.0, PRIMITIVES / ACCELERATION, PRIMITIVES / DECELERATION)  # (5,)

    def act(state: State) -> Array:
        choice, passing = env.plan(state, rule)
        choice = choice[:, :n]
        if not env.declared:
            return choice if isinstance(env.action_space, Discrete) else shares[choice][:, :, None].astype(np.float32)
        window = np.clip((passing[:, :n] - _soonest(env, state) + LENIENCE) // WINDOW_STEP, 0, N_WINDOWS - 1)
        window = window.astype(np.int64)
        late = state.step[:, None] * CONTROL_STEP - state.car[:, :n, DUE] > HURRY
        bid = (late | state.emergency[:, :n]).astype(np.int64)
        if isinstance(env.action_space, Discrete):
            return choice + len(PRIMITIVES) * (window + N_WINDOWS * bid)
        parts = (shares[choice], 2.0 * window / (N_WINDOWS - 1) - 1.0, 2.0 * bid - 1.0)
        return np.stack(parts, axis=2).astype(np.float32)

    return act


def _soonest(env: Intersection, state: State) -> Array:
    """Returns (B, N) time until each agent's front passes its stop line at full throttle [s]."""
    n, top = env.n_agents, env.config.speed_limit
    line = np.take_along_axis(env.network.leg[state.route, :, LINE], state.leg[:, :, None], axis=2)[:, :, 0]  # (B, V)
    room = np.maximum(line - 0.5 * CAR_LENGTH - state.car[:, :, POSITION], 0.0)[:, :n]
    speed = state.car[:, :n, SPEED]
    until = (top - speed) / ACCELERATION
    gone = 0.5 * (speed + top) * until
    return np.where(
        gone >= room,
        (np.sqrt(speed**2 + 2.0 * ACCELERATION * room) - speed) / ACCELERATION,
        until + (room - gone) / top,
    )
