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

    All other robots move the same, default or not: without contact none can tell the difference. There is one
    exception. Where several contacts press on the same robots, the solver's result depends on the sequence in which it
    resolves them (by up to 2 cm/s, seen in crowds), and pymunk takes this sequence from a tree in which robots far away
    have their place. Two robots are safe from that unless one of them leaves its box while they touch a wall: in all
    other cases their contacts with walls come first. In worlds with other crowds all robots are said to meet.

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
    apart = 2.0 * RADIUS + MARGIN
    touch = False
    for s in range(SUBSTEPS):
        dx, dy = path[s, 0] - other[s, 0], path[s, 1] - other[s, 1]
        touch |= not dx * dx + dy * dy > apart * apart  # True for NaN as well
    return touch


@kernel
def _may_swap(blocked, path, other):
    """Returns whether pymunk may resolve the contacts of two robots that touch in one sequence or in another."""
    at_wall, stay = False, True
    for s in range(SUBSTEPS):
        at_wall |= touches_wall(blocked, path[s, 0], path[s, 1]) or touches_wall(blocked, other[s, 0], other[s, 1])
        for axis in range(2):
            stay &= abs(path[s, axis] - path[0, axis]) < STAYS and abs(other[s, axis] - other[0, axis]) < STAYS
    return at_wall and not stay
