"""Kernels for what signals measure, observe and hear, and what a centralised critic sees.

Axes: B worlds, N agents, O observation, S global state. Layouts are those of the package's docstring.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..intersection.roads import STRAIGHT
from ..kernels import kernel
from .config import CONTROL_STEP
from .following import CAR, JAM_GAP, SLOW
from .lights import is_dark
from .network import LENGTH, N_MOVEMENTS, N_PHASES
from .state import ARRIVED, COME, ENTERED, PHASE, SINCE

MANY = 25.0
"""Vehicles that count as one in observations; a lane of 150 m holds 22."""
LONG = 20.0
"""Times t [s] are shown as t / (t + LONG)."""
DETECTOR = 40.0
"""Vehicles so near to their line extend an actuated green [m]."""
QUEUE, ARRIVING, NEARBY, BEYOND = range(4)
"""Planes of a survey: by movement, vehicles that stand before the line, that roll towards it, those of both within
`DETECTOR`; and vehicles on the link that the movement leads to."""
OWN, PER_NEIGHBOUR, STATE_PER_SIGNAL = 36, 8, 32
N_OBS = OWN + 4 * PER_NEIGHBOUR


class Senses(NamedTuple):
    """What the kernels need of a `Config`, as plain numbers."""

    lanes: int
    change: float  # yellow and all-red [s]
    min_green: float
    max_steps: int


@kernel
def survey(lanes, net, position, speed, who, lane, turns, b, out):
    """Counts the vehicles of world b into out (N, 4, 12), zeros before: the planes above."""
    links, target = net.link, net.target
    n = len(target)
    for c in range(n):
        for heading in range(4):
            k = 4 * c + heading
            near = links[k, LENGTH] - DETECTOR
            for i in range(lane[b, k * lanes], lane[b, (k + 1) * lanes]):
                movement = 3 * heading + (turns[b, who[b, i]] & 3)
                out[c, QUEUE if speed[b, i] < SLOW else ARRIVING, movement] += 1.0
                if position[b, i] > near:
                    out[c, NEARBY, movement] += 1.0
        for m in range(N_MOVEMENTS):
            k = target[c, m // 3 + 1 - m % 3 & 3]
            out[c, BEYOND, m] = lane[b, (k + 1) * lanes] - lane[b, k * lanes]


@kernel
def pressure_of(counts, c):
    """Vehicles on the way to a crossing less those on the roads out of it, from counts (N, 4, 12)."""
    total = 0.0
    for m in range(N_MOVEMENTS):
        total += counts[c, QUEUE, m] + counts[c, ARRIVING, m]
        if m % 3 == STRAIGHT:  # each road out once
            total -= counts[c, BEYOND, m]
    return total


@kernel
def _soft(seconds):
    return seconds / (seconds + LONG)


@kernel
def sense(senses, net, counts, signal, entered, dark, step, b, obs, adjacency, overview, mask):
    """Everything seen and heard in world b.

    Args:
        senses: The `Senses`.
        net: The `Network`.
        counts: (N, 4, 12) of `survey`.
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
    failed, queue = np.empty(n, np.bool_), np.zeros((n, 2))
    for c in range(n):
        failed[c] = is_dark(dark, b, c, now)
        for m in range(N_MOVEMENTS):
            queue[c, m // 3 % 2] += counts[c, QUEUE, m]
    for c in range(n):
        at = STATE_PER_SIGNAL * c
        for m in range(N_MOVEMENTS):
            obs[b, c, m] = min(counts[c, QUEUE, m] / MANY, 1.0)
            obs[b, c, N_MOVEMENTS + m] = min(counts[c, ARRIVING, m] / MANY, 1.0)
        phase, since = int(signal[b, c, PHASE]), signal[b, c, SINCE]
        obs[b, c, 24 + phase] = 1.0
        obs[b, c, 28] = 1.0 if since < senses.change else 0.0
        obs[b, c, 29] = _soft(since)
        obs[b, c, 30] = 1.0 if failed[c] else 0.0
        for heading in range(4):
            room = links[target[c, heading], LENGTH] * senses.lanes
            vehicles = counts[c, BEYOND, 3 * heading + STRAIGHT]
            obs[b, c, 31 + heading] = min(vehicles * (CAR + JAM_GAP) / room, 1.0)
        obs[b, c, 35] = min(signal[b, c, ARRIVED] / MANY, 1.0)
        for k in range(31):
            overview[b, at + k] = obs[b, c, k]
        for heading in range(4):
            j = near[c, heading]
            if j < 0:
                continue
            base = OWN + PER_NEIGHBOUR * heading
            obs[b, c, base] = 1.0
            if failed[j] or failed[c]:
                obs[b, c, base + 1] = 1.0
                continue
            adjacency[b, c, j] = True
            obs[b, c, base + 2 + int(signal[b, j, PHASE])] = 1.0
            obs[b, c, base + 6] = min(queue[j, 0] / MANY, 1.0)
            obs[b, c, base + 7] = min(queue[j, 1] / MANY, 1.0)
        for k in range(N_PHASES):
            mask[b, c, k] = k == phase or (since >= ready and not failed[c])
    for e in range(len(entry)):
        waiting = STATE_PER_SIGNAL * (entry[e] // 4) + 31
        outside = (entered[b, e, COME] - entered[b, e, ENTERED]) / MANY
        overview[b, waiting] = min(overview[b, waiting] + outside, 1.0)
    overview[b, STATE_PER_SIGNAL * n] = min(step[b] / senses.max_steps, 1.0)
