"""Chances per slot and sizes of schedules, from the averages that a `Config` asks for.

All are functions of plain numbers, and tests hold the means of drawn worlds to them.
"""

from __future__ import annotations

import math

BUSY_SHARE = 0.25
"""Share of the time that a node is in its busy state: calm spells last three times as long."""
DOWN_SHARE = 0.1
"""Share of the episode that a failure lasts on average; at least a slot."""
MOST_MEGABYTES = 128
"""Largest size of the numbers drawn for a world and of its schedule [MB], for many worlds are sampled at once."""
PER_TASK = 5
"""Uniform numbers drawn for each task."""


def pace_when_calm(burst: float) -> float:
    """Returns the arrival rate in the calm state over the mean rate; in the busy state it is `burst` times that."""
    return 1.0 / (1.0 - BUSY_SHARE + BUSY_SHARE * burst)


def task_room(rate: float, n_nodes: int, slots: int, burst: float, burst_slots: float, imbalance: float) -> int:
    """Returns K, the number of tasks that is exceeded in one of 10^8 worlds.

    Args:
        rate: Mean number of tasks of a node in a slot.
        n_nodes: N.
        slots: Slots in which tasks arrive.
        burst: Arrival rate in the busy state over that in the calm state.
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
    """Returns the size of a world [MB]: its tasks, and of each node and slot random numbers, price and fault."""
    return (tasks * (8 * PER_TASK + 23) + n_nodes * slots * (8 * numbers_a_slot + 2)) / 1e6


def failures_of(falls: float, rises: float, slots: int) -> float:
    """Returns the mean number of failures in `slots` slots of a node that works at first.

    At the end of a slot it fails with the chance `falls`, and comes back with `rises`.
    """
    share = rises / (falls + rises)  # of the time that it works in the long run
    fading = 1.0 - falls - rises  # of the distance to that share, a slot
    worked = share * slots + (1.0 - share) * (1.0 - fading**slots) / (falls + rises)
    return falls * worked


def rise_of(slots: int) -> float:
    """Returns the chance that a failed node comes back at the end of a slot."""
    return min(1.0, 1.0 / (DOWN_SHARE * slots))


def most_failures(slots: int) -> float:
    """Returns the largest possible mean number of failures of a node in an episode, for failures do not overlap."""
    return failures_of(1.0, rise_of(slots), slots)


def fall_of(failures: float, slots: int) -> float:
    """Returns the chance that a working node fails at the end of a slot, by bisection."""
    low, high, rises = 0.0, 1.0, rise_of(slots)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if failures_of(middle, rises, slots) < failures:
            low = middle
        else:
            high = middle
    return high if failures > 0.0 else 0.0
