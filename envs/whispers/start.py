"""Draws everything at reset: which symbols agents hold in every step of the episode, and who is whose source.

Axes: B worlds, N agents, T time limit, U uniform numbers of a world.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..kit.kernels import kernel
from ..kit.seeding import uniform
from .config import Config
from .state import NOBODY, NOTHING, State


def start(config: Config, seeds: Sequence[int]) -> State:
    """Returns one world for each seed."""
    worlds, n, steps = len(seeds), config.n_agents, config.max_steps
    changes = steps if config.source_persistence < 1 else 0  # steps in which sources may be drawn anew
    chance = uniform(seeds, n * (steps + 1) + 2 * n + changes * (1 + 2 * n))  # (B, U)
    moments = chance[:, : n * (steps + 1)].reshape(worlds, steps + 1, n)  # (B, N (T + 1)) -> (B, T + 1, N)
    return State(
        step=np.zeros(worlds, np.int32),
        symbol=symbols(moments, config.n_symbols, config.persistence),
        source=sources(chance, n * (steps + 1), moments.shape, config.source_persistence, config.game == "listener"),
        named=np.full((worlds, n), NOTHING, np.int8),
        right=np.zeros(worlds),
    )


@kernel
def symbols(chance, n_symbols, persistence):
    """Returns the symbols of all steps: (B, T + 1, N) int8.

    Args:
        chance: (B, T + 1, N) uniform in [0, 1). Below 1 - `persistence` the symbol is drawn anew, from the same number.
        n_symbols: Number of symbols.
        persistence: Chance that a symbol stays.
    """
    n_worlds, n_steps, n_agents = chance.shape
    symbol = np.empty((n_worlds, n_steps, n_agents), np.int8)
    for b in range(n_worlds):
        for t in range(n_steps):
            anew = 1.0 if t == 0 else 1.0 - persistence
            for i in range(n_agents):
                if chance[b, t, i] < anew:
                    symbol[b, t, i] = min(int(chance[b, t, i] / anew * n_symbols), n_symbols - 1)
                else:
                    symbol[b, t, i] = symbol[b, t - 1, i]
    return symbol


@kernel
def sources(chance, first, shape, persistence, pairs):
    """Returns the sources of all steps: (B, T + 1, N) int8.

    Args:
        chance: (B, U) uniform in [0, 1).
        first: Index of the first number that is meant for sources. 2 N are for the start; if sources may change, each
            step has another 1 + 2 N.
        shape: (B, T + 1, N).
        persistence: Chance that all sources stay in a step.
        pairs: The first half of the agents only speaks, and each of the others has one of them as its source.
    """
    n_worlds, n_steps, n_agents = shape
    source = np.empty(shape, np.int8)
    for b in range(n_worlds):
        at = first
        for t in range(n_steps):
            stays = False
            if t > 0 and persistence < 1.0:
                stays = chance[b, at] < persistence
                at += 1
            if t > 0 and (stays or persistence >= 1.0):
                source[b, t] = source[b, t - 1]
            elif pairs:
                _shuffled_pairs(chance[b, at : at + 2 * n_agents], source[b, t])
            else:
                _derangement(chance[b, at : at + 2 * n_agents], source[b, t])
            if persistence < 1.0:
                at += 2 * n_agents
    return source


@kernel
def _shuffled_pairs(chance, source):
    """Fills source (N,): NOBODY for the first half, a random one of that half for each of the others."""
    half = len(source) // 2
    for k in range(half):
        source[k], source[half + k] = NOBODY, k
    for k in range(half - 1, 0, -1):  # Fisher and Yates
        other = min(int(chance[k] * (k + 1)), k)
        source[half + k], source[half + other] = source[half + other], source[half + k]


@kernel
def _derangement(chance, source):
    """Fills source (N,) with a permutation in which nobody stays in place, all of them equally likely.

    Martinez, Panholzer and Prodinger (2008), "Generating random derangements", but the partner is picked among the open
    places at once, where the paper draws until it hits one. Places are taken from the last to the first: each is
    swapped with a random open one before it, which is closed, too, with the chance that both form a cycle of two.

    Args:
        chance: (2 N,) uniform in [0, 1).
        source: (N,) written.
    """
    n = len(source)
    count = np.ones(n + 1)  # derangements of u places: 1, 0, 1, 2, 9, 44, ...
    count[1] = 0.0
    for u in range(2, n + 1):
        count[u] = (u - 1) * (count[u - 1] + count[u - 2])
    closed = np.zeros(n, np.bool_)
    for i in range(n):
        source[i] = i
    left = n  # open places
    for i in range(n - 1, 0, -1):
        if closed[i]:
            continue
        # The open places before i are all that are open but i itself.
        skip = min(int(chance[2 * i] * (left - 1)), left - 2)
        j = 0
        while closed[j] or skip > 0:
            skip -= not closed[j]
            j += 1
        source[i], source[j] = source[j], source[i]
        left -= 1
        if chance[2 * i + 1] * count[left + 1] < left * count[left - 1]:
            closed[j] = True
            left -= 1
