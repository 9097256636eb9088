"""Shapley values of what has been found, in closed form.

Of a point of interest, a coalition earns the closest approach of any member: a game of a maximum. So each piece of the
value is shared equally by all rovers that came at least so close. Source: the airport game of Littlechild & Owen 1973,
"A simple expression for the Shapley value in a special case".

Axes: B worlds, N rovers, P points of interest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core import Array


def shares(own: Array, value: Array) -> NDArray[np.float64]:
    """Returns each rover's share of G so far, (B, N); they sum to G.

    Args:
        own: (B, P, N) greatest closeness of every rover to every point of interest.
        value: (B, P) of the points.
    """
    n_rovers = own.shape[2]
    order = np.argsort(own, axis=2)  # the farthest first
    closeness = np.take_along_axis(own, order, axis=2).astype(np.float64)
    pieces = np.diff(closeness, axis=2, prepend=0.0) / np.arange(n_rovers, 0, -1)
    share = np.empty(own.shape)
    np.put_along_axis(share, order, pieces.cumsum(axis=2), axis=2)
    return (value[:, :, None] * share).sum(axis=1)
