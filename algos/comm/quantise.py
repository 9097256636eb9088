"""Messages of few bits.

Axes: M entries of a message; `...` any leading axes.
"""

from __future__ import annotations

import torch
from torch import Tensor


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
    steps = max(round(levels), 2) - 1
    rounded = torch.round((inside + 1.0) * (0.5 * steps)) * (2.0 / steps) - 1.0
    return rounded.detach() + (inside - inside.detach())  # exactly a level: the difference is 0
