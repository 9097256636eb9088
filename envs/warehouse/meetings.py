"""Finds the robots whose counterfactual must be simulated together with all others, because others would move as well.

Axes: B worlds, N robots, S substeps.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import kernel
from .physics import MARGIN, RADIUS, SUBSTEPS, touches_wall

STAYS = 0.1 * 2.0 * RADIUS - 0.001
"""A robot that moves less than this along x and along y keeps its box in pymunk's tree of boxes [m].

pymunk makes boxes a tenth larger than the shapes in them, and a robot that leaves its box is put into the tree anew.
"""


@kernel
def find_meetings(blocked, path, default_path, meets):
    """Finds the robots that touch another robot, or would with their default action.

    If any other robot does its default instead, nobody else moves differently, to the last bit: as long as it touches
    nobody, nobody can tell. There is one exception, crowds. Where several contacts hang together, the solver's result
    depends on the sequence in which it resolves them (differences of 0.02 m/s were seen), and pymunk takes the sequence
    from a tree in which robots far away have their place. Of two robots that touch each other and walls, the contacts
    with walls come first, until one of the robots leaves its box in the tree; from then on the sequence is open, as it
    is among three robots. In a world with such a crowd all robots are said to meet, so all are simulated.

    Args:
        blocked: (height, width), 1 where a wall or rack stands.
        path: (B, N, S, 2) x, y of every robot after each substep [m].
        default_path: (B, N, S, 2) the same for every robot by itself, had it done its default action.
        meets: (B, N) bool, written.
    """
    n_robots = path.shape[1]
    partner = np.empty(n_robots, dtype=np.int64)
    for b in range(path.shape[0]):
        meets[b] = False
        partner[:] = -1
        crowd = False
        for i in range(n_robots):
            for j in range(i):
                if _touch(path[b, i], path[b, j]):
                    crowd |= partner[i] >= 0 or partner[j] >= 0 or _may_swap(blocked, path[b, i], path[b, j])
                    partner[i], partner[j] = j, i
                    meets[b, i], meets[b, j] = True, True
        if crowd:
            meets[b] = True
            continue
        for i in range(n_robots):
            for j in range(n_robots):
                meets[b, i] |= i != j and not meets[b, i] and _touch(default_path[b, i], path[b, j])


@kernel
def _touch(path, other):
    """Returns whether two robots touch after any substep, or nearly."""
    touch = False
    for s in range(SUBSTEPS):
        touch |= _near(path[s], other[s])
    return touch


@kernel
def _near(place, other):
    apart = 2.0 * RADIUS + MARGIN
    dx, dy = place[0] - other[0], place[1] - other[1]
    return not dx * dx + dy * dy > apart * apart  # True for NaN as well


@kernel
def _may_swap(blocked, path, other):
    """Returns whether pymunk may resolve the contacts of two robots that touch in one sequence or in another."""
    stay = True
    for s in range(SUBSTEPS):
        for axis in range(2):
            stay &= abs(path[s, axis] - path[0, axis]) < STAYS and abs(other[s, axis] - other[0, axis]) < STAYS
        if stay or not _near(path[s], other[s]):
            continue
        if touches_wall(blocked, path[s, 0], path[s, 1]) or touches_wall(blocked, other[s, 0], other[s, 1]):
            return True
    return False
