"""What a `Config` asks for on average, turned into chances a slot and into room for what may come.

All are functions of plain numbers, and tests hold the means of drawn worlds to them.
"""

from __future__ import annotations

import math

BUSY_SHARE = 0.25
"""Of the time a node is in its busy state: a calm spell lasts three times as long."""
DOWN_SHARE = 0.1
"""Of the episode that a failure lasts on average; at least a slot."""
MOST_MEGABYTES = 128
"""For the numbers drawn for a world, and its schedule [MB]; many worlds are drawn at once."""
PER_TASK = 5
"""Uniform numbers for a task."""


def pace_when_calm(burst: float) -> float:
    """Arrival rate in the calm state over the mean rate; in the busy state it is `burst` times that."""
    return 1.0 / (1.0 - BUSY_SHARE + BUSY_SHARE * burst)


def task_room(rate: float, n_nodes: int, slots: int, burst: float, burst_slots: float, imbalance: float) -> int:
    """K: so many tasks that more come once in 10^8 worlds.

    Args:
        rate: Mean number of tasks of a node in a slot.
        n_nodes: N.
        slots: In which tasks arrive.
        burst: Rate when busy over that when calm.
        burst_slots: Mean length of a busy spell, at least 1.
        imbalance: Nodes' shares are uniform within this share of an equal one.
    """
    mean = rate * n_nodes * slots
    most = mean + 6.0 * math.sqrt(mean)
    if burst > 1.0:
        calm = pace_when_calm(burst)
        # The pace of a node is a Markov chain of two states, whose correlation falls by `fading` a slot.
        pace_variance = BUSY_SHARE * (1.0 - BUSY_SHARE) * (calm * (burst - 1.0)) ** 2
        fading = 1.0 - 1.0 / (burst_slots * (1.0 - BUSY_SHARE))
        left = 1.0 - fading
        summed = slots * (1.0 + fading) / left - 2.0 * fading * (1.0 - fading**slots) / left**2
        variance = mean + n_nodes * rate**2 * (1.0 + imbalance**2) * pace_variance * summed
        always_busy = mean * calm * burst
        most = min(mean + 7.0 * math.sqrt(variance), always_busy + 6.0 * math.sqrt(always_busy))
    return math.ceil(most) + 8


def megabytes(tasks: float, n_nodes: int, slots: int, numbers_a_slot: int) -> float:
    """What a world takes to draw and to keep [MB]: its tasks; for each node and slot some numbers, a price, a fault."""
    return (tasks * (8 * PER_TASK + 23) + n_nodes * slots * (8 * numbers_a_slot + 2)) / 1e6


def failures_of(falls: float, rises: float, slots: int) -> float:
    """Mean number of failures in so many slots of a node that works at first.

    At the end of a slot it fails with the chance `falls`, and comes back with `rises`.
    """
    share, fading = rises / (falls + rises), 1.0 - falls - rises  # works in the long run; how fast that is so
    worked = share * slots + (1.0 - share) * (1.0 - fading**slots) / (falls + rises)
    return falls * worked


def rise_of(slots: int) -> float:
    """The chance that a failed node comes back at the end of a slot."""
    return min(1.0, 1.0 / (DOWN_SHARE * slots))


def most_failures(slots: int) -> float:
    """The largest mean number of failures in an episode: each lasts a while, and one at a time."""
    return failures_of(1.0, rise_of(slots), slots)


def fall_of(failures: float, slots: int) -> float:
    """The chance that a node which works fails at the end of a slot, by bisection."""
    low, high, rises = 0.0, 1.0, rise_of(slots)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if failures_of(middle, rises, slots) < failures:
            low = middle
        else:
            high = middle
    return high if failures > 0.0 else 0.0
