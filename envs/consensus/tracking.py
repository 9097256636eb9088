"""Agreement on means of what changes all the time: nodes correct their estimates by what they measure.

In every step each node i that takes part measures its own m_i and corrects its estimate x_i of the mean,

    x_i <- x_i + (m_i(t) - m_i(t - 1)) + pull (m_i(t) - x_i)        with changes
    x_i <- x_i + pull (m_i(t) - x_i)                                without

before the nodes exchange estimates by a rule of agreement. With changes, rules that keep the mean keep the sum of x_i -
m_i, which is zero at first, so the mean of the estimates is that of the measurements. A node that drops out takes its
x_i - m_i with it and brings it back. The pull lets fade what liars have added to the sum.

A trimmed mean keeps no sum. Where changes are skew (a queue jumps up and falls slowly), it would trim the jumps and not
the falls. So it goes with the pull alone. Estimates are then weighted means of what honest nodes have measured, within
their range, while no node hears more liars than are trimmed; they follow within about 1 / pull steps.

Source: Spanos, Olfati-Saber and Murray 2005, "Dynamic consensus for mobile networks", for the changes; Friedkin and
Johnsen 1990, "Social influence and opinions", for the pull alone.

Axes: B worlds, N nodes, V values of a node.
"""

from __future__ import annotations

import math

from ..kit.kernels import kernel


@kernel
def correct(pull, changes, first, awake, own, measured, agreed):
    """Corrects estimates by what nodes measure.

    Args:
        pull: Share by which an estimate moves to the node's own measurement.
        changes: Whether changes are added.
        first: (B,) bool, whether the world has just begun: estimates are the measurements.
        awake: (B, N) bool; others keep their estimate and measurement.
        own: (B, N, V), what nodes measure now.
        measured: (B, N, V), what they measured last; written.
        agreed: (B, N, V), their estimates; written.
    """
    for b in range(len(own)):
        for i in range(own.shape[1]):
            if not awake[b, i]:
                continue
            for v in range(own.shape[2]):
                now, estimate = own[b, i, v], agreed[b, i, v]
                if first[b]:
                    estimate = now
                elif changes:
                    estimate += now - measured[b, i, v]
                agreed[b, i, v] = estimate + pull * (now - estimate)
                measured[b, i, v] = now


@kernel
def judge(scale, counts, measured, agreed, apart, off):
    """Adds up how well estimates agree, and how far their mean is from the truth: root mean squares over the values.

    Args:
        scale: (V,), unit in which deviations of a value are judged.
        counts: (B, N) bool, the nodes that are judged, and whose measurements are the truth.
        measured: (B, N, V).
        agreed: (B, N, V).
        apart: (B,), added to: standard deviation of the estimates over nodes.
        off: (B,), added to: distance of their mean from the mean of the measurements.

    Worlds in which no node counts are left as they are.
    """
    n_values = agreed.shape[2]
    for b in range(len(agreed)):
        spread, bias = 0.0, 0.0
        for v in range(n_values):
            total, squares, truth, count = 0.0, 0.0, 0.0, 0
            for i in range(agreed.shape[1]):
                if counts[b, i]:
                    total += agreed[b, i, v]
                    truth += measured[b, i, v]
                    count += 1
            mean = total / max(count, 1)
            for i in range(agreed.shape[1]):
                if counts[b, i]:
                    squares += (agreed[b, i, v] - mean) ** 2
            spread += squares / max(count, 1) / scale[v] ** 2
            bias += (mean - truth / max(count, 1)) ** 2 / scale[v] ** 2
        apart[b] += math.sqrt(spread / n_values)
        off[b] += math.sqrt(bias / n_values)
