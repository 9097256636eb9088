"""Finds which robots would move differently if one of them did its default action.

Axes: B worlds, N robots, M pairs of robots, S substeps.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import kernel
from .physics import MARGIN, RADIUS, SUBSTEPS, touches_wall

STAYS = 0.1 * 2.0 * RADIUS - 0.001
"""A robot that moves less than this along x and along y keeps its box in pymunk's tree of boxes [m].

pymunk makes boxes a tenth larger than the shapes in them, and a robot that leaves its box is put into the tree anew.
"""


NOBODY, CROWD = -1, -2
"""Stand in place of a robot's one partner where it has none, and where more robots may move with it."""


@kernel
def find_partners(blocked, path, default_path, partner):
    """Finds whom every robot touches, or would with its default action.

    If a robot that touches nobody does its default instead, nobody else moves differently, to the last bit: nobody can
    tell. If it has one partner, which touches nobody else, only those two do, unless they get to others, which
    `keep_apart` finds. There is one exception, crowds. Where several contacts hang together, the solver's result
    depends on the sequence in which it resolves them (differences of 0.02 m/s were seen), and pymunk takes the sequence
    from a tree in which robots far away have their place. Of two robots that touch each other and walls, the contacts
    with walls come first, until one of the robots leaves its box in the tree; from then on the sequence is open, as it
    is among three robots. In a world with such a crowd all robots are said to be in it.

    Args:
        blocked: (height, width), 1 where a wall or rack stands.
        path: (B, N, S, 2) x, y of every robot after each substep [m].
        default_path: (B, N, S, 2) the same for every robot by itself, had it done its default action.
        partner: (B, N), written: a robot, NOBODY or CROWD.
    """
    n_robots = path.shape[1]
    actual = np.empty(n_robots, dtype=np.int64)
    for b in range(path.shape[0]):
        crowd = meet(blocked, path[b], actual)
        for i in range(n_robots):
            partner[b, i] = CROWD if crowd else _partner(path[b], default_path[b], actual, i)


@kernel
def meet(blocked, path, actual):
    """Finds whom the robots of one world touch, and returns whether there is a crowd.

    Args:
        blocked: (height, width), 1 where a wall or rack stands.
        path: (N, S, 2) x, y of every robot after each substep [m].
        actual: (N,), written: the robot of highest index that each robot touches, or NOBODY.
    """
    actual[:] = NOBODY
    crowd = False
    for i in range(len(path)):
        for j in range(i):
            if touch(path[i], path[j]):
                crowd |= actual[i] >= 0 or actual[j] >= 0 or _may_swap(blocked, path[i], path[j])
                actual[i], actual[j] = j, i
    return crowd


@kernel
def _partner(path, default_path, actual, i):
    """Returns the partner of robot i in a world without crowds; `actual` (N,) are those of the step as it was."""
    partner = actual[i]
    for j in range(len(path)):
        if j in (i, partner) or not touch(default_path[i], path[j]):
            continue
        if partner != NOBODY or actual[j] != NOBODY:
            return CROWD
        partner = j
    return partner


@kernel
def keep_apart(blocked, path, world, pair, pair_path, apart):
    """Finds the pairs of robots that touch no third robot, and whose motion does not depend on robots far away.

    Args:
        blocked: (height, width), 1 where a wall or rack stands.
        path: (B, N, S, 2) x, y of every robot after each substep of the step as it was [m].
        world: (M,) world of each pair.
        pair: (M, 2) the two robots.
        pair_path: (M, 2, S, 2) their paths where one of them does its default [m].
        apart: (M,) bool, written.
    """
    for m in range(len(world)):
        apart[m] = not (
            touch(pair_path[m, 0], pair_path[m, 1]) and _may_swap(blocked, pair_path[m, 0], pair_path[m, 1])
        )
        for j in range(path.shape[1]):
            if j != pair[m, 0] and j != pair[m, 1]:
                other = path[world[m], j]
                apart[m] &= not (touch(pair_path[m, 0], other) or touch(pair_path[m, 1], other))


@kernel
def touch(path, other):
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
