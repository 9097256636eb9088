"""The metrics of an episode.

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
        now: (B,) share of names that were right in the last step; not read before the first.
    """
    begun = state.step > 0
    return {
        "share_right": state.right / np.where(begun, state.step, np.nan),
        "share_right_now": np.where(begun, now, np.nan),
    }
