"""Shapley values by their definition, over all coalitions, for tests to compare with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core import take_worlds


def by_all_coalitions(
    worth: Callable[[Any, Any, NDArray[np.bool_]], Any], state: Any, action: Any, n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the Shapley values (B, N), and what each coalition earns (B, 2^N), coalition c those with a bit in c.

    Args:
        worth: Maps states, actions and members (R, N) of R worlds, all its own to write into, to what they earn: (R,).
        state: B worlds.
        action: (B, N) or (B, N, A).
        n: N.
    """
    codes = np.arange(2**n)
    members = (codes[:, None] >> np.arange(n)) & 1 == 1  # (C, N)
    world = np.repeat(np.arange(len(action)), len(codes))
    copies = take_worlds(state, world)
    earned = np.asarray(worth(copies, action[world], np.tile(members, (len(action), 1))), np.float64)
    earned = earned.reshape(len(action), len(codes))
    value = np.zeros((len(action), n))
    for i in range(n):
        for code in codes[~members[:, i]]:
            weight = 1.0 / (n * math.comb(n - 1, int(members[code].sum())))
            value[:, i] += weight * (earned[:, code | 1 << i] - earned[:, code])
    return value, earned
