"""Kernels for lanes: vehicles lie in memory lane by lane, and in a lane from the first to the last.

So whom a vehicle follows is its neighbour in memory. `lane` says where each lane begins; one ends where the next
begins. Who changes lanes, enters or leaves makes those between move by one.

These kernels call no others: numba would count references to every array that they pass on, atomically, at every call.

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
def change_up(position, speed, lost, who, lane, z, into, there):
    """The first vehicle of a lane becomes the last of a later one, at a position; what it has lost is counted anew."""
    at, to = int(lane[z]), lane[into + 1] - 1
    v, vehicle = speed[at], who[at]
    for i in range(max(at, 0), to):  # `max` tells LLVM that no index is negative: it moves many at a time
        position[i], speed[i], lost[i], who[i] = position[i + 1], speed[i + 1], lost[i + 1], who[i + 1]
    position[to], speed[to], lost[to], who[to] = there, v, 0.0, vehicle
    for y in range(max(z + 1, 0), into + 1):
        lane[y] -= 1


@kernel
def change_down(position, speed, lost, who, lane, z, into, there):
    """The first vehicle of a lane becomes the last of an earlier one, as in `change_up`."""
    at, to = int(lane[z]), int(lane[into + 1])
    v, vehicle = speed[at], who[at]
    for i in range(at, max(to, 0), -1):
        position[i], speed[i], lost[i], who[i] = position[i - 1], speed[i - 1], lost[i - 1], who[i - 1]
    position[to], speed[to], lost[to], who[to] = there, v, 0.0, vehicle
    for y in range(max(into + 1, 0), z + 1):
        lane[y] += 1


@kernel
def enter(position, speed, lost, who, lane, z, there, v):
    """A new vehicle becomes the last of a lane. Returns its number."""
    at, n = int(lane[z + 1]), int(lane[-1])
    vehicle = who[n]
    for i in range(n, max(at, 0), -1):
        position[i], speed[i], lost[i], who[i] = position[i - 1], speed[i - 1], lost[i - 1], who[i - 1]
    position[at], speed[at], lost[at], who[at] = there, v, 0.0, vehicle
    for y in range(max(z + 1, 0), len(lane)):
        lane[y] += 1
    return vehicle


@kernel
def leave(position, speed, lost, who, lane, z):
    """The first vehicle of a lane is gone; its number is free again."""
    at, n = int(lane[z]), lane[-1] - 1
    vehicle = who[at]
    for i in range(max(at, 0), n):
        position[i], speed[i], lost[i], who[i] = position[i + 1], speed[i + 1], lost[i + 1], who[i + 1]
    position[n], speed[n], lost[n], who[n] = 0.0, 0.0, 0.0, vehicle
    for y in range(max(z + 1, 0), len(lane)):
        lane[y] -= 1
