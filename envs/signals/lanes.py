"""Kernels for lanes: vehicles lie in memory lane by lane, and in a lane from the first to the last.

So whom a vehicle follows is its neighbour in memory. `lane` says where each lane begins; one ends where the next
begins. Who changes lanes, enters or leaves makes those between move by one.

They call no others: numba would count references to every array that they pass on, atomically, at every call.

`who` says which vehicle lies at a place; beyond the last lane it holds the numbers that nobody has.

Axes: V places, Z lanes; all arrays are those of one world.
"""

from __future__ import annotations

from ..kernels import kernel


@kernel
def choose_lanes(lane, lanes, straight):
    """Fills each link's lane for who goes straight on next: the one that the fewest vehicles are in."""
    for link in range(len(straight)):
        best, fewest = link * lanes + lanes - 1, 1 << 30
        for z in range(link * lanes + 1, (link + 1) * lanes):
            if lane[z + 1] - lane[z] < fewest:
                best, fewest = z, lane[z + 1] - lane[z]
        straight[link] = best


@kernel
def close_up(values, begin, end, value):
    """Those behind `begin` up to `end` move up by one place, and a value takes the last."""
    for i in range(max(begin, 0), end):  # `max` tells LLVM that no index is negative: it moves many at a time
        values[i] = values[i + 1]
    values[end] = value


@kernel
def make_room(values, begin, end, value):
    """Those from `begin` to before `end` move back by one place, and a value takes the first."""
    for i in range(end, max(begin, 0), -1):
        values[i] = values[i - 1]
    values[begin] = value


@kernel
def begin_later(lane, begin, end, by):
    """The lanes from `begin` to before `end` begin so many places later."""
    for z in range(max(begin, 0), end):
        lane[z] += by
