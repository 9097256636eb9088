"""The kernels for observations and for the global state.

Axes: B worlds, N agents, V symbols, T time limit, O observation, S global state.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import kernel


def obs_names(n_agents: int, n_symbols: int) -> tuple[str, ...]:
    """Returns the names of the entries of an observation, (O,), see `envs.core.BatchEnv`."""
    parts = (("own_index", n_agents), ("symbol", n_symbols), ("source", n_agents))
    return tuple(f"{what}_{k}" for what, n in parts for k in range(n))


@kernel
def observe(symbol, source, step, n_symbols, pairs):
    """Returns the observations (B, N, O) and the global state (B, S), float32, as the package's docstring lists them.

    Args:
        symbol: (B, T + 1, N).
        source: (B, T + 1, N); below 0 for an agent that has none.
        step: (B,) the moment, as an index of the second axis; the last one where it is beyond.
        n_symbols: V.
        pairs: Agents with a source do not see their own symbol.
    """
    n_worlds, _, n_agents = symbol.shape
    obs = np.zeros((n_worlds, n_agents, 2 * n_agents + n_symbols), np.float32)
    state = np.zeros((n_worlds, n_agents * (n_symbols + n_agents)), np.float32)
    for b in range(n_worlds):
        t = min(step[b], symbol.shape[1] - 1)
        for i in range(n_agents):
            held, j, at = int(symbol[b, t, i]), int(source[b, t, i]), i * (n_symbols + n_agents)
            obs[b, i, i] = 1.0
            if j < 0 or not pairs:
                obs[b, i, n_agents + held] = 1.0
                state[b, at + held] = 1.0
            if j >= 0:
                obs[b, i, n_agents + n_symbols + j] = 1.0
                state[b, at + n_symbols + j] = 1.0
    return obs, state
