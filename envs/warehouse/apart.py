"""The motion of one or two robots that are apart from all others: many small worlds that share a Space of pymunk.

Robots of different worlds drive through each other there. A group of robots that touches no other robot moves among
others exactly as it does here, to the last bit, because contacts of different groups do not influence each other. Two
robots do so only as long as the sequence of their contacts is fixed; see `meetings`.

Axes: M worlds, n robots in each.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from . import layout as maps
from .physics import SUBSTEPS, Physics, X, glide, glide_along

TOGETHER = 16
"""Number of robots that share a Space; pymunk can keep 32 groups of shapes apart."""


class Apart:
    """The physics of small worlds of n robots; any number of threads may use it at once."""

    def __init__(self, layout: maps.Layout, n_robots: int) -> None:
        """Makes no Space yet."""
        self._layout, self._n_robots = layout, n_robots
        self._shared = Physics(layout, TOGETHER, group=n_robots)
        self._parked = np.zeros((TOGETHER, 6))
        self._parked[:, X] = -1000.0 - 10.0 * np.arange(TOGETHER)

    def advance(
        self, body: NDArray[np.float64], path: NDArray[np.float64], needed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Runs every world through the substeps, as `Physics.advance` does.

        Args:
            body: (M, n, 6) as `drive` wrote it.
            path: (M, n, SUBSTEPS, 2), written: x, y of every robot after each substep [m].
            needed: (M,) bool; what is said of the other worlds is not right.

        Returns:
            (M, n, 6), a new array.
        """
        end, touched = np.empty_like(body), np.empty(len(body), dtype=bool)
        glide(self._layout.blocked, body, end, touched)
        glide_along(body, path)
        rows = np.flatnonzero(touched if needed is None else touched & needed)
        if len(rows):
            robots = len(rows) * self._n_robots
            n_spaces = -(-robots // TOGETHER)
            start = np.tile(self._parked, (n_spaces, 1))  # (n_spaces TOGETHER, 6); places may stay empty in the last
            after, along = np.empty_like(start), np.empty((len(start), SUBSTEPS, 2))
            start[:robots] = body[rows].reshape(-1, 6)
            simulator = self._shared.take()
            for first in range(0, len(start), TOGETHER):
                some = slice(first, first + TOGETHER)
                simulator.advance(start[some], after[some], along[some])
            self._shared.give_back(simulator)
            end[rows] = after[:robots].reshape(-1, self._n_robots, 6)
            path[rows] = along[:robots].reshape(-1, self._n_robots, SUBSTEPS, 2)
        return end

    def advance_alone(
        self, body: NDArray[np.float64], path: NDArray[np.float64], needed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Runs robots (B, N, 6), each as if it were alone, for n = 1; the other arguments are those of `advance`."""
        one = path.reshape(-1, 1, *path.shape[2:])  # (B, N, S, 2) -> (B N, 1, S, 2), a view
        return self.advance(body.reshape(-1, 1, 6), one, None if needed is None else needed.ravel()).reshape(body.shape)


def apart_of(layout: str, n_robots: int) -> Apart:
    """Returns the process's one `Apart` for a map and a number of robots; `layout` as for `layout.load`."""
    return _apart_of(maps.read(layout), n_robots)


@functools.lru_cache(maxsize=32)
def _apart_of(text: str, n_robots: int) -> Apart:
    return Apart(maps.load(text), n_robots)
