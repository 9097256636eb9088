"""The policies to beat, written by hand: local only, greedy by latency, proportional by observed demand, truthful.

Each reads what its own node sees in the state, and acts in the Box, or by the nearest ready-made strategy if discrete.

Axes: B worlds, N nodes, M models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium.spaces import Discrete

from .env import READY_MADE, EdgeMarket
from .state import DEMAND, SCORES, SPEED, WANTED, Array, State

HEURISTICS = ("truthful", "proportional", "greedy", "local")


def heuristic(env: EdgeMarket, kind: str | None = None) -> Callable[[State], Array]:
    """Makes one of the policies to beat.

    `local`: everything is done at home. `greedy`: every task is offered at once at the highest bid, every processor at
    the lowest ask and without a reserve, so the node that could finish a task first gets it. `proportional`: a node
    keeps of its processor what its own demand takes of it, by a running mean, keeps models loaded in proportion to
    theirs, and trades truthfully what would be late. `truthful`: a node bids what a task's leaving is worth, asks what
    energy costs, keeps half of its processor, and offers what would be late.

    Args:
        env: The environment.
        kind: Name of the policy; None: the one that the configuration names.

    Returns:
        A function from the state of B worlds to actions: (B, N, 4 + M) float32, or (B, N) int64 if discrete.

    Raises:
        ValueError: There is no such policy.
    """
    chosen = env.config.heuristic if kind is None else kind
    if chosen not in HEURISTICS:
        raise ValueError(f"heuristic is {chosen!r}; give one of {', '.join(HEURISTICS)}")
    width = SCORES + env.config.n_models
    fixed = {"local": (0.0, 0.0, 1.0, 1.0), "greedy": (1.0, -1.0, -1.0, -1.0), "truthful": (0.0, 0.0, 0.0, 0.0)}
    named = {"local": "alone", "greedy": "hand on", "truthful": "truthful", "proportional": "truthful"}
    discrete = isinstance(env.action_space, Discrete)

    def act(state: State) -> Array:
        shape = state.n_held.shape
        if discrete:
            return np.full(shape, list(READY_MADE).index(named[chosen]))
        action = np.zeros((*shape, width), np.float32)
        if chosen != "proportional":
            action[..., :SCORES] = fixed[chosen]
            return action
        share = np.clip(state.tally[..., DEMAND] / state.node[..., SPEED], 0.0, 1.0)  # (B, N) of its processor
        action[..., 2] = 2.0 * share - 1.0
        wanted = state.model[..., WANTED]  # (B, N, M)
        most = np.maximum(wanted.max(axis=2, keepdims=True), 1e-9)
        action[..., SCORES:] = 2.0 * wanted / most - 1.0
        return action

    return act
