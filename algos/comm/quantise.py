"""Messages of few bits.

Axes: M entries of a message; `...` any leading axes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ROUNDING = 0.05
"""Distance from a level at which a number counts as that level [levels]: single precision has 0.004 at 16 bits."""


def quantised(message: Tensor, levels: float) -> Tensor:
    """Rounds entries to evenly spaced levels from -1 to 1, with a gradient straight through.

    An entry is squashed by tanh first. Its gradient is that of tanh, as if it had not been rounded (Bengio et al. 2013,
    "Estimating or propagating gradients through stochastic neurons").

    Args:
        message: (..., M) any real numbers.
        levels: Number of levels, 2 or more; it may be a fraction while a curriculum lowers it.

    Returns:
        (..., M) in [-1, 1].
    """
    inside = torch.tanh(message)
    steps = whole(levels) - 1
    rounded = torch.round((inside + 1.0) * (0.5 * steps)) * (2.0 / steps) - 1.0
    return rounded.detach() + (inside - inside.detach())  # exactly a level: the difference is 0


def whole(levels: float) -> int:
    """Returns the number of levels that there are where a curriculum asks for a fraction, 2 or more."""
    return max(round(levels), 2)


def on_levels(message: NDArray[np.float32], levels: int) -> bool:
    """Returns whether every entry of a message, (..., M), is one of so many levels, as `quantised` makes them."""
    at = (message.astype(np.float64) + 1.0) * (0.5 * (levels - 1))
    return bool((np.abs(at - np.clip(np.round(at), 0, levels - 1)) < _ROUNDING).all())
