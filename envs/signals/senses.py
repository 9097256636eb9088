"""Kernels for what signals measure, observe and hear, and what a centralised critic sees.

Axes: B worlds, N agents, O observation, S global state. Layouts are those of the package's docstring.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..intersection.roads import STRAIGHT
from ..kit.kernels import borrowing, kernel
from .config import CONTROL_STEP
from .following import CAR, JAM_GAP, SLOW
from .lights import is_dark
from .network import LENGTH, N_MOVEMENTS, N_PHASES
from .state import ARRIVED, COME, COUNT, ENTERED, LANE, PHASE, SINCE, TURNS

MANY = 25.0
"""Vehicles that count as one in observations; a lane of 150 m holds 22."""
_ONE_OF_MANY = 1.0 / MANY
LONG = 20.0
"""Times t [s] are shown as t / (t + LONG)."""
DETECTOR = 40.0
"""Vehicles so near to their line extend an actuated green [m]."""
QUEUE, ARRIVING, NEARBY, BEYOND, LOSS = range(5)
"""Planes of a survey: by movement, vehicles that stand before the line, that roll towards it, those of both within
`DETECTOR`; vehicles on the link that the movement leads to; and what those of the first two have lost."""
OWN, PER_NEIGHBOUR, STATE_PER_SIGNAL = 36, 8, 32
N_OBS = OWN + 4 * PER_NEIGHBOUR


class Senses(NamedTuple):
    """What the kernels need of a `Config`, as plain numbers."""

    lanes: int
    change: float  # yellow and all-red [s]
    min_green: float
    max_steps: int


@borrowing
def survey(lanes, net, n_vehicles, speed, chain, lost, b, out):
    """Counts the vehicles of world b into `counts_for`'s out, zeros before: the planes above but for `NEARBY`.

    Those on roads out of the network are counted beyond the first N. What they have lost is given by place, (V,).
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


@borrowing
def survey_nearby(net, n_vehicles, position, chain, b, out):
    """As `survey`, the plane `NEARBY`."""
    line, road, begin = net.line, net.road, len(net.line)
    for i in range(begin, begin + n_vehicles[b]):
        z = chain[b, i, LANE]
        movement = 3 * (road[z] & 3) + (chain[b, i, TURNS] & 3)
        out[road[z] >> 2, NEARBY, movement] += position[b, i] > line[z] - DETECTOR


@kernel
def counts_for(net):
    """Room for a `survey`: (K // 4 + 1, 5, 12) for K links, of which the first 4 N lead to crossings."""
    return np.zeros((len(net.link) // 4 + 1, 5, N_MOVEMENTS))


@borrowing
def pressure_of(counts, c):
    """Vehicles on the way to a crossing less those on the roads out of it, from a `survey`."""
    total = 0.0
    for m in range(N_MOVEMENTS):
        total += counts[c, QUEUE, m] + counts[c, ARRIVING, m]
        if m % 3 == STRAIGHT:  # each road out once
            total -= counts[c, BEYOND, m]
    return total


@borrowing
def loss_of(counts, c):
    """What vehicles on the way to a crossing have lost, from a `survey`."""
    total = 0.0
    for m in range(N_MOVEMENTS):
        total += counts[c, LOSS, m]
    return total


@borrowing
def _queue_of(counts, c, axis):
    """Vehicles that stand before a crossing from east and west (0), or north and south (1), from a `survey`."""
    total = 0.0
    for turn in range(3):
        total += counts[c, QUEUE, 3 * axis + turn] + counts[c, QUEUE, 3 * axis + turn + 6]
    return total


@borrowing
def _soft(seconds):
    return seconds / (seconds + LONG)


@borrowing
def sense(senses, net, counts, signal, entered, dark, step, b, obs, adjacency, overview, mask):
    """Everything seen and heard in world b.

    Args:
        senses: The `Senses`.
        net: The `Network`.
        counts: Of `survey`.
        signal: (B, N, 6).
        entered: (B, E, 2).
        dark: (B, N, 2).
        step: (B,).
        b: Which world.
        obs: (B, N, O) float32 zeros, written, as are the next three.
        adjacency: (B, N, N) False.
        overview: (B, S) float32 zeros.
        mask: (B, N, 4) False.
    """
    links, target, near, entry = net.link, net.target, net.near, net.entry
    n, ready, now = len(target), senses.change + senses.min_green, step[b] * CONTROL_STEP
    for c in range(n):
        own, at, failed = obs[b, c], STATE_PER_SIGNAL * c, is_dark(dark, b, c, now)
        for m in range(N_MOVEMENTS):
            own[m] = min(counts[c, QUEUE, m] * _ONE_OF_MANY, 1.0)
            own[N_MOVEMENTS + m] = min(counts[c, ARRIVING, m] * _ONE_OF_MANY, 1.0)
        phase, since = int(signal[b, c, PHASE]), signal[b, c, SINCE]
        own[24 + phase] = 1.0
        own[28] = 1.0 if since < senses.change else 0.0
        own[29] = _soft(since)
        own[30] = 1.0 if failed else 0.0
        for heading in range(4):
            room = links[target[c, heading], LENGTH] * senses.lanes
            vehicles = counts[c, BEYOND, 3 * heading + STRAIGHT]
            own[31 + heading] = min(vehicles * (CAR + JAM_GAP) / room, 1.0)
        own[35] = min(signal[b, c, ARRIVED] * _ONE_OF_MANY, 1.0)
        for k in range(31):
            overview[b, at + k] = own[k]
        for heading in range(4):
            j = near[c, heading]
            if j < 0:
                continue
            base = OWN + PER_NEIGHBOUR * heading
            own[base] = 1.0
            if failed or is_dark(dark, b, j, now):
                own[base + 1] = 1.0
                continue
            adjacency[b, c, j] = True
            own[base + 2 + int(signal[b, j, PHASE])] = 1.0
            own[base + 6] = min(_queue_of(counts, j, 0) * _ONE_OF_MANY, 1.0)
            own[base + 7] = min(_queue_of(counts, j, 1) * _ONE_OF_MANY, 1.0)
        for k in range(N_PHASES):
            mask[b, c, k] = (k == phase) | ((since >= ready) & (not failed))
    for e in range(len(entry)):
        waiting = STATE_PER_SIGNAL * (entry[e] // 4) + 31
        outside = (entered[b, e, COME] - entered[b, e, ENTERED]) / MANY
        overview[b, waiting] = min(overview[b, waiting] + outside, 1.0)
    overview[b, STATE_PER_SIGNAL * n] = min(step[b] / senses.max_steps, 1.0)
