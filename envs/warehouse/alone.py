"""The motion of robots each of which is alone on the map: what a robot does while it touches no other.

A robot that touches nothing moves in a straight line. All robots of all worlds that touch a wall or a rack go through
pymunk together, as ghosts that drive through each other: one Space for many worlds. A robot that touches no robot moves
among others exactly as it does here, to the last bit: the contacts of one robot are resolved in the sequence in which
pymunk finds them, and that depends on the robot and the walls alone.

Axes: B worlds, N robots, M = B N robots that are alone.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from . import layout as maps
from .physics import SUBSTEPS, Physics, X, glide, glide_along

GHOSTS = 16
"""Number of robots that share a Space."""


class Alone:
    """The physics of robots that never meet; any number of threads may use it at once."""

    def __init__(self, layout: maps.Layout) -> None:
        """Makes no Space yet."""
        self._layout, self._shared = layout, Physics(layout, GHOSTS, ghosts=True)
        self._parked = np.zeros((GHOSTS, 6))
        self._parked[:, X] = -1000.0 - 10.0 * np.arange(GHOSTS)

    def advance(
        self, body: NDArray[np.float64], path: NDArray[np.float64], needed: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Runs every robot through the substeps, as `Physics.advance` does, but as if all others were not there.

        Args:
            body: (B, N, 6) as `drive` wrote it.
            path: (B, N, SUBSTEPS, 2), written: x, y of every robot after each substep [m].
            needed: (B, N) bool; what is said of the other robots is not right.

        Returns:
            (B, N, 6), a new array.
        """
        start = body.reshape(-1, 1, 6)  # (M, 1, 6): a world for each
        end, way = np.empty_like(start), path.reshape(-1, SUBSTEPS, 2)  # a view of `path`
        touched = np.empty(len(start), dtype=bool)
        glide(self._layout.blocked, start, end, touched)
        glide_along(body, path)
        rows = np.flatnonzero(touched & needed.ravel())
        if len(rows):
            n_spaces = -(-len(rows) // GHOSTS)
            ghosts = np.tile(self._parked, (n_spaces, 1))  # (n_spaces GHOSTS, 6); the last Space may have empty places
            after, along = np.empty_like(ghosts), np.empty((len(ghosts), SUBSTEPS, 2))
            ghosts[: len(rows)] = start[rows, 0]
            simulator = self._shared.take()
            for first in range(0, len(ghosts), GHOSTS):
                some = slice(first, first + GHOSTS)
                simulator.advance(ghosts[some], after[some], along[some])
            self._shared.give_back(simulator)
            end[rows, 0], way[rows] = after[: len(rows)], along[: len(rows)]
        return end.reshape(body.shape)


def alone_of(layout: str) -> Alone:
    """Returns the process's one `Alone` for a map; `layout` as for `layout.load`."""
    return _alone_of(maps.read(layout))


@functools.lru_cache(maxsize=16)
def _alone_of(text: str) -> Alone:
    return Alone(maps.load(text))
