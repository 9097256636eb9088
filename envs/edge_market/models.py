"""Models in a node's memory: how long a task waits for one, and which models make room for it.

Axes: B worlds, N nodes, Q queue slots, M models.
"""

from __future__ import annotations

import math

from ..kit.kernels import inlined
from .state import LAST_USE, LOADED, NOBODY, SCORES

YIELD = 0.25
"""A loaded model makes room for one that a task needs unless its score is higher by more than this. It makes room for a
model that is read ahead of any task only if its score is lower by more than this. Scores are -1, 0 or 1."""
FETCHED = 0.5
"""A model is read ahead of any task if its score is higher than this."""


@inlined
def room_for(model, loading, size, memory, strategy, b, i, bar):
    """Returns the memory of node i that is free or holds models of scores up to the bar [GB]."""
    room = memory
    for m in range(size.shape[1]):
        if (model[b, i, m, LOADED] > 0.0 and strategy[b, i, SCORES + m] > bar) or loading[b, i, 0] == m:
            room -= size[b, m]
    return room


@inlined
def wait_for_model(model, loading, size, memory, load_rate, strategy, b, i, m):
    """Returns the time until node i could have model m in memory for a task [s]; infinite if its scores forbid it.

    Args:
        model: (B, N, M, 3), see `State`.
        loading: (B, N, 2), see `State`.
        size: (B, M) sizes of models [GB].
        memory: Memory of the node [GB].
        load_rate: Rate at which models are read [GB/s].
        strategy: (B, N, 4 + M), with the scores of models.
        b: The world.
        i: The node.
        m: The model.
    """
    if model[b, i, m, LOADED] > 0.0:
        return 0.0
    if loading[b, i, 0] == m:
        return loading[b, i, 1]
    if load_rate == 0.0:
        return math.inf
    bar = strategy[b, i, SCORES + m] + YIELD
    if room_for(model, loading, size, memory, strategy, b, i, bar) < size[b, m]:
        return math.inf
    return size[b, m] / load_rate + loading[b, i, 1]


@inlined
def make_room(model, loading, size, memory, strategy, b, i, m, bar):
    """Drops models of node i of scores up to the bar to make room for model m: lowest first, then least recently used.

    Returns:
        Whether there is room now; otherwise nothing was dropped.
    """
    if room_for(model, loading, size, memory, strategy, b, i, bar) < size[b, m]:
        return False
    free = room_for(model, loading, size, memory, strategy, b, i, -math.inf)
    while free < size[b, m]:
        victim, lowest, oldest = NOBODY, math.inf, math.inf
        for other in range(size.shape[1]):
            score, use = strategy[b, i, SCORES + other], model[b, i, other, LAST_USE]
            if model[b, i, other, LOADED] == 0.0 or score > bar:
                continue
            if score < lowest or (score == lowest and use < oldest):
                victim, lowest, oldest = other, score, use
        model[b, i, victim, LOADED] = 0.0
        free += size[b, victim]
    return True
