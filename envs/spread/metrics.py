"""The metrics of an episode, from the sums in a state.

A mean over no steps is NaN.

Axes: B worlds.
"""

from __future__ import annotations

import numpy as np

from ..core import Array
from .state import State


def metrics_of(state: State, now: Array) -> dict[str, Array]:
    """Returns each metric over the episode so far, (B,) float64.

    Args:
        state: State of B worlds.
        now: (B, 3) the measures of the present moment that `reward.score` returns.
    """
    total, steps = state.totals, np.where(state.step > 0, state.step, np.nan)
    return {
        "collisions": total[:, 0].copy(),
        "landmark_distance": total[:, 1] / steps,
        "covered_share": total[:, 2] / steps,
        "covered_now": now[:, 2].copy(),
    }
