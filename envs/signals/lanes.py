"""Kernels for lanes: rings of vehicles.

Every lane has a *phantom*, a vehicle that stands just beyond its line, or wherever else what its first vehicle must not
pass is. It closes a ring: the first vehicle follows the phantom, each the one ahead, and the phantom the last vehicle,
or itself in an empty lane. So whom one follows is an index, nobody moves in memory when another one changes lanes,
enters or leaves, and no lane is a special case. Lane z's phantom is at place z.

Indices are unsigned, here and in `sight` and `traffic`: of signed ones numba asks at every access whether they are
negative.

Axes: V places, those of the Z phantoms first; all arrays are those of one world.
"""

from __future__ import annotations

from ..intersection.roads import STRAIGHT
from ..kit.kernels import borrowing
from .state import COUNT, FOLLOWER, LANE, LEADER


@borrowing
def join(chain, i, z):
    """Vehicle i becomes the last of lane z."""
    last = chain[z, LEADER]
    chain[i, LEADER], chain[i, FOLLOWER], chain[i, LANE] = last, z, z
    chain[last, FOLLOWER] = chain[z, LEADER] = i
    chain[z, COUNT] += 1


@borrowing
def leave(chain, z):
    """The first vehicle leaves lane z."""
    first = chain[z, FOLLOWER]
    behind = chain[first, FOLLOWER]
    chain[z, FOLLOWER], chain[behind, LEADER] = behind, z
    chain[z, COUNT] -= 1


@borrowing
def change_place(chain, i, to):
    """The vehicle at a place is at another from now on, and the place is empty."""
    chain[chain[i, LEADER], FOLLOWER] = chain[chain[i, FOLLOWER], LEADER] = to
    for k in range(chain.shape[1]):
        chain[to, k], chain[i, k] = chain[i, k], 0


@borrowing
def choose_lanes(chain, lanes, after):
    """Puts each link's lane for who goes straight on next into (K, 3): the one that the fewest vehicles are in."""
    for link in range(len(after)):
        best = link * lanes + 1
        for z in range(link * lanes + 2, (link + 1) * lanes):
            if chain[z, COUNT] < chain[best, COUNT]:
                best = z
        after[link, STRAIGHT] = best
