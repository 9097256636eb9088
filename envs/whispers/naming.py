"""The kernel that judges what agents named.

Axes: B worlds, N agents, T time limit.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import kernel


@kernel
def judge(symbol, source, step, named):
    """Compares names with the symbols that sources hold at this moment.

    Args:
        symbol: (B, T + 1, N).
        source: (B, T + 1, N); below 0 for an agent that has nothing to name.
        step: (B,) the moment, as an index of the second axis; the last one where it is beyond.
        named: (B, N) symbols.

    Returns:
        reward (B, N) float32: 1 for a right name, else 0. An agent that has nothing to name earns what its listener
        does; and the mean of each world, (B,) float64.
    """
    n_worlds, n_agents = named.shape
    reward, share = np.zeros((n_worlds, n_agents), np.float32), np.zeros(n_worlds)
    for b in range(n_worlds):
        t, total = min(step[b], symbol.shape[1] - 1), 0.0
        for i in range(n_agents):
            j = source[b, t, i]
            if j >= 0 and named[b, i] == symbol[b, t, j]:
                reward[b, i] = 1.0
                total += 1.0
                if source[b, t, j] < 0:
                    reward[b, j] = 1.0
                    total += 1.0
        share[b] = total / n_agents
    return reward, share
