"""The policies to beat, written by hand: local only, greedy by latency, proportional by observed demand, truthful.

A fifth is for markets in which nodes agree on the demand of all: proportional by agreed demand.

Each reads what its own node sees in the state, and acts in the Box, or by the nearest ready-made strategy if discrete.

Axes: B worlds, N nodes, M models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium.spaces import Discrete

from .env import READY_MADE, EdgeMarket
from .state import (
    ASK_MARKUP,
    DEMAND,
    FIRST_MODEL,
    KEEP,
    LEFT,
    LOAD,
    SCORES,
    SPEED,
    THRESHOLD,
    WANTED,
    Array,
    State,
)

HEURISTICS = ("truthful", "proportional", "greedy", "local")
"""Policies for every market."""
BY_AGREEMENT = "consensus-proportional"
"""The policy for markets with a `consensus`."""
RARE = 0.1
"""It lets a model go that is needed less than this times as much as the most wanted one."""


def heuristic(env: EdgeMarket, kind: str | None = None) -> Callable[[State], Array]:
    """Makes one of the policies to beat.

    `local`: everything is done at home. `greedy`: every task is offered at once at the highest bid, every processor at
    the lowest ask and without a reserve, so the node that could finish a task first gets it. `proportional`: a node
    keeps of its processor what its own demand takes of it, by a running mean, keeps models loaded in proportion to
    theirs, and trades truthfully what would be late. `truthful`: a node bids what a task's leaving is worth, asks what
    energy costs, keeps half of its processor, and offers what would be late. `consensus-proportional`: see
    `_by_agreement`.

    Args:
        env: The environment.
        kind: Name of the policy; None: the one that the configuration names.

    Returns:
        A function from the state of B worlds to actions: (B, N, 4 + M) float32, or (B, N) int64 if discrete.

    Raises:
        ValueError: There is no such policy, or it is one by agreement and nodes do not agree on anything.
    """
    chosen = env.config.heuristic if kind is None else kind
    if chosen == BY_AGREEMENT and env.config.consensus != "none":
        return lambda state: _by_agreement(env, state)
    if chosen == BY_AGREEMENT:
        raise ValueError(f"heuristic is {chosen!r}, which needs agreed demand; give the market a consensus")
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


def _by_agreement(env: EdgeMarket, state: State) -> Array:
    """Levels work by agreed load, and places models by agreed demand.

    A node that holds more seconds of work than the agreed mean offers any task; another one offers what would be late.
    All sell their whole processor. A node bids the truth, and asks what energy costs and, for each mean deadline of
    work that it holds over the agreed mean, the price scale more. A model is let go if own and agreed demand for it
    together are less than `RARE` times those for the most wanted one.

    To keep a share of the processor by demand, and to read the most wanted models ahead, as `proportional` does, was
    tried with agreed demand, too: it costs 23 and 21 of 309 credits in `village-8`, 26 and 44 of 368 in `serving-12`
    (64 worlds each).

    Returns:
        (B, N, 4 + M) float32 in [-1, 1], or (B, N) int64 if discrete.
    """
    config, agreed = env.config, np.maximum(state.agreed, 0.0)  # (B, N, V)
    load = state.queue[..., LEFT].sum(axis=2) / state.node[..., SPEED]  # (B, N) seconds
    above = (load - agreed[..., LOAD]) / config.deadline
    if isinstance(env.action_space, Discrete):
        names = list(READY_MADE)
        return np.where(above > 0.0, names.index("hand on"), names.index("generous"))
    action = np.zeros((*load.shape, SCORES + config.n_models), np.float32)
    action[..., ASK_MARKUP] = np.clip(above, -1.0, 1.0)
    action[..., KEEP] = -1.0
    action[..., THRESHOLD] = np.where(above > 0.0, -1.0, 0.0)
    wanted = state.model[..., WANTED] + agreed[..., FIRST_MODEL:]  # (B, N, M)
    action[..., SCORES:] = np.where(wanted < RARE * wanted.max(axis=2, keepdims=True), -1.0, 0.0)
    return action
