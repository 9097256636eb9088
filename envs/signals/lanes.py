"""Kernels for lanes, which are rings of vehicles.

Every lane has a *phantom*: an imaginary vehicle that stands just beyond its line, or wherever else the first vehicle
must stop. It closes a ring: the first vehicle follows the phantom, each other vehicle the one ahead, and the phantom
the last vehicle, or itself in an empty lane. So the vehicle ahead is an index, no vehicle moves in memory when another
one enters, leaves or changes lanes, and no lane is a special case. Lane z's phantom is at place z.

Indices are unsigned, here and in `sight` and `traffic`: numba checks signed ones for negative values at every access.

Axes: V places, those of the Z phantoms first; all arrays are those of one world.
"""

from __future__ import annotations

from ..kit.kernels import kernel
from ..roads.crossing import STRAIGHT
from .state import COUNT, FOLLOWER, LANE, LEADER


@kernel
def join(chain, i, z):
    """Makes vehicle i the last of lane z."""
    last = chain[z, LEADER]
    chain[i, LEADER], chain[i, FOLLOWER], chain[i, LANE] = last, z, z
    chain[last, FOLLOWER] = chain[z, LEADER] = i
    chain[z, COUNT] += 1


@kernel
def leave(chain, z):
    """Takes the first vehicle out of lane z."""
    first = chain[z, FOLLOWER]
    behind = chain[first, FOLLOWER]
    chain[z, FOLLOWER], chain[behind, LEADER] = behind, z
    chain[z, COUNT] -= 1


@kernel
def change_place(chain, i, to):
    """Moves the vehicle at place i to an empty place."""
    chain[chain[i, LEADER], FOLLOWER] = chain[chain[i, FOLLOWER], LEADER] = to
    for k in range(chain.shape[1]):
        chain[to, k], chain[i, k] = chain[i, k], 0


@kernel
def choose_lanes(chain, lanes, lane_for):
    """Writes each link's lane for going straight on next into lane_for (K, 3): the one with the fewest vehicles."""
    for link in range(len(lane_for)):
        best = link * lanes + 1
        for z in range(link * lanes + 2, (link + 1) * lanes):
            if chain[z, COUNT] < chain[best, COUNT]:
                best = z
        lane_for[link, STRAIGHT] = best
