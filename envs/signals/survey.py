"""Kernels that count vehicles by crossing and movement, for rewards, observations and hand-written policies.

Axes: N crossings, V places, Z lanes, K links, 12 movements.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import kernel
from ..roads.crossing import STRAIGHT
from .following import SLOW
from .network import N_MOVEMENTS
from .state import COUNT, LANE, TURNS

DETECTOR = 40.0
"""Vehicles this near to their line extend an actuated green [m]."""
QUEUE, ARRIVING, NEARBY, BEYOND, LOSS = range(5)
"""Planes of a survey, by movement: vehicles that stand before the line; vehicles that roll towards it; vehicles of both
kinds within `DETECTOR`; vehicles on the link that the movement leads to; time that those of the first two planes have
lost."""


@kernel
def survey(lanes, net, n_vehicles, speed, chain, lost, b, out):
    """Fills all planes but `NEARBY` for world b.

    Args:
        lanes: Lanes per link.
        net: The `Network`.
        n_vehicles: The field of the `State`.
        speed: The field of the `State`.
        chain: The field of the `State`.
        lost: (V,) time that the vehicles have lost.
        b: The world.
        out: Zeros from `counts_for`, written. Vehicles on roads out of the network are counted in rows beyond N.
    """
    road, target, begin = net.road, net.target, len(net.line)
    for k in range(n_vehicles[b]):
        i = np.uint32(begin + k)
        link = road[chain[b, i, LANE]]
        c, movement = np.uint32(link >> 2), np.uint32(3 * (link & 3) + (chain[b, i, TURNS] & 3))
        out[c, np.uint32(speed[b, i] >= SLOW), movement] += 1.0  # `QUEUE` or `ARRIVING`
        out[c, LOSS, movement] += lost[i]
    for c in range(len(target)):
        for heading in range(4):
            link, count = target[c, heading], 0
            for z in range(link * lanes, (link + 1) * lanes):
                count += chain[b, z, COUNT]
            for turn in range(3):
                out[c, BEYOND, 3 * (heading + turn - 1 & 3) + turn] = count


@kernel
def survey_nearby(net, n_vehicles, position, chain, b, out):
    """Fills the plane `NEARBY` for world b; see `survey`."""
    line, road, begin = net.line, net.road, len(net.line)
    for i in range(begin, begin + n_vehicles[b]):
        z = chain[b, i, LANE]
        movement = 3 * (road[z] & 3) + (chain[b, i, TURNS] & 3)
        out[road[z] >> 2, NEARBY, movement] += position[b, i] > line[z] - DETECTOR


@kernel
def counts_for(net):
    """Returns zeros for a `survey`: (K // 4 + 1, 5, 12) for K links, of which the first 4 N lead to crossings."""
    return np.zeros((len(net.link) // 4 + 1, 5, N_MOVEMENTS))


@kernel
def pressure_of(counts, c):
    """Returns the pressure of crossing c: vehicles on the way to it less those on the roads out of it."""
    total = 0.0
    for m in range(N_MOVEMENTS):
        total += counts[c, QUEUE, m] + counts[c, ARRIVING, m]
        if m % 3 == STRAIGHT:  # each road out once
            total -= counts[c, BEYOND, m]
    return total


@kernel
def loss_of(counts, c):
    """Returns the time that vehicles on the way to crossing c have lost."""
    total = 0.0
    for m in range(N_MOVEMENTS):
        total += counts[c, LOSS, m]
    return total


@kernel
def queue_of(counts, c, axis):
    """Returns how many vehicles stand before crossing c from east and west (axis 0) or north and south (1)."""
    total = 0.0
    for turn in range(3):
        total += counts[c, QUEUE, 3 * axis + turn] + counts[c, QUEUE, 3 * axis + turn + 6]
    return total
