"""Resilient consensus by trimming: agreement within the honest values although some of those heard lie.

Axes: B worlds, N nodes, D link slots of a node, V values of a node.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import inlined, kernel


def most_liars(n_heard: int) -> int:
    """Returns how many liars a node can stand among those it hears: f such that it hears at least 3 f + 1."""
    return max(n_heard - 1, 0) // 3


def check_tolerance(n_heard: int, tolerance: int) -> None:
    """Raises a ValueError if nodes that hear so few cannot stand so many liars.

    Args:
        n_heard: How many others each node hears in a round, at least.
        tolerance: f, number of liars among those that a node hears.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance: {tolerance} is below 0; give the number of liars that a node may hear")
    if tolerance > most_liars(n_heard):
        raise ValueError(
            f"tolerance: {tolerance} liars need {3 * tolerance + 1} heard by each node (3 f + 1), and {n_heard} are "
            f"heard, which stand {most_liars(n_heard)}; let nodes hear more, or tolerate fewer"
        )


@kernel
def trimmed_round(active, heard, value, f, out):
    """Fills `out` as `trimmed` says."""
    n_worlds, n_nodes, n_slots = active.shape
    n_values = value.shape[2]
    ordered = np.empty(n_slots)
    for b in range(n_worlds):
        for i in range(n_nodes):
            for v in range(n_values):
                n_heard = _sort_heard(active, heard, (b, i, v), ordered)
                out[b, i, v] = _trimmed_mean(ordered, n_heard, value[b, i, v], f)


@inlined
def _sort_heard(active, heard, entry, ordered):
    """Sorts what a node heard about a value into `ordered`, by insertion, and returns how much it is."""
    b, i, v = entry
    count = 0
    for d in range(active.shape[2]):
        if not active[b, i, d] or not np.isfinite(heard[b, i, d, v]):
            continue
        new, place = heard[b, i, d, v], count
        while place > 0 and ordered[place - 1] > new:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = new
        count += 1
    return count


@inlined
def _trimmed_mean(ordered, n_heard, own, f):
    """Returns the mean of one's own value and of what was heard without the f highest and lowest beyond one's own."""
    first, last = 0, n_heard
    while first < min(f, n_heard) and ordered[first] < own:
        first += 1
    while last > max(n_heard - f, first) and ordered[last - 1] > own:
        last -= 1
    total = own
    for place in range(first, last):
        total += ordered[place]
    return total / (1 + last - first)


def trimmed(active: np.ndarray, heard: np.ndarray, value: np.ndarray, tolerance: int) -> np.ndarray:
    """Returns the values after a round of resilient consensus, (B, N, V).

    For each value alone: of what was heard that is above one's own value the f highest are dropped (all where there
    are fewer), and likewise the f lowest below it. The new value is the mean of one's own and of the rest. Whatever is
    not finite counts as not heard.

    With at most f liars among those that a node hears, its new value lies between the least and the greatest of the
    honest ones, whatever liars say, and to whom. Honest nodes come to agree if the graph is (2 f + 1)-robust; where
    each hears all others, 3 f + 1 heard are enough. The mean is not kept: what is trimmed is lost to it.

    Source: LeBlanc, Zhang, Koutsoukos and Sundaram 2013, "Resilient asymptotic consensus in robust networks", the
    algorithm W-MSR with equal weights.

    Args:
        active: (B, N, D) bool, whether something was heard over a slot; False in empty slots.
        heard: (B, N, D, V), what each node holds as said by its neighbour.
        value: (B, N, V).
        tolerance: f, see `check_tolerance`.
    """
    out = np.empty_like(value)
    trimmed_round(active, heard, value, tolerance, out)
    return out
