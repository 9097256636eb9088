"""Selective sharing of parameters: who takes whose.

`ucb`, UCB-guided selective parameter sharing: with k episodes so far, learner i is rated

    UCB_i(k) = m_i + c sqrt(log k / n_i)

where n_i is 1 and the number of exchanges in which its parameters have been taken. Learner j takes those of the
learner i that is rated highest, if UCB_i > lambda UCB_j. Source: the rule of an anonymous paper on UCB-guided sharing
(2024), after Auer et al. 2002, "Finite-time analysis of the multiarmed bandit problem" (UCB1).

Deviation: m_i is the mean return scaled to 0 for the worst learner of the population and 1 for the best one. With
returns as they are, a lambda above 1 would mean the contrary where they are negative, since 2 x -100 is less than -100,
and c would mean another thing in every environment. And nobody takes from a learner whose mean return is not above its
own: the bonus, which is greater than all differences of scaled returns at first, decides between better ones only.
Otherwise all would soon take a bad learner's parameters, because nobody has taken them yet.

`pbt`, population-based training: the worst learners take the parameters of the best, and go on with other options.
Source: Jaderberg et al. 2017, "Population based training of neural networks": truncation selection, and a perturbation
by 0.8 or 1.2.

Axes: P learners.
"""

from __future__ import annotations

import numpy as np

from ..core import Array

NOBODY = -1
"""The source of a learner that keeps its own parameters."""
FACTORS = (0.8, 1.2)
"""Factors by which an option of a learner changes that has taken another's parameters."""
TRUNCATED = 0.2
"""Share of the learners that take, and of those that are taken from; at least one each."""


def upper_bounds(normalised: Array, taken: Array, episodes: int, c: float) -> Array:
    """Returns UCB_i of every learner, (P,).

    Args:
        normalised: (P,) mean returns, from 0 for the worst to 1 for the best.
        taken: (P,) int, exchanges in which the parameters of each have been taken.
        episodes: k, episodes of each learner so far.
        c: Weight of the bonus for learners that have seldom been taken.
    """
    return normalised + c * np.sqrt(np.log(max(episodes, 1)) / (1 + taken))


def best_rated(
    bounds: Array, mean: Array, may: Array, factor: float, *, believed: Array | None = None
) -> tuple[Array, Array]:
    """Returns whose parameters each learner takes.

    Args:
        bounds: (P,) ratings, or (P, P) where each learner rates the others by itself, [j, i] for i as j sees it.
        mean: (P,) mean returns; NaN where none is known.
        may: (P, P) bool; [j, i]: j may take from i.
        factor: lambda, how many times as high as one's own a rating must be.
        believed: (P, P) bool; [j, i]: what i says of its return counts for j. None: everybody is believed.

    Returns:
        (P,) int sources, `NOBODY` where a learner keeps its own; and (P,) int, the source that it would have taken from
        had it been allowed to, `NOBODY` where that is no other.
    """
    sources, refused = np.full(len(bounds), NOBODY), np.full(len(bounds), NOBODY)
    for j, rated in enumerate(np.broadcast_to(bounds, may.shape)):
        others = mean > mean[j]  # False for NaN
        if believed is not None:
            others &= believed[j]
        wanted = _highest(rated, others)
        allowed = _highest(rated, others & may[j])
        if allowed != NOBODY and rated[allowed] > factor * rated[j]:
            sources[j] = allowed
        if wanted not in (NOBODY, allowed) and rated[wanted] > factor * rated[j]:
            refused[j] = wanted
    return sources, refused


def truncation(
    mean: Array, may: Array, generator: np.random.Generator, *, believed: Array | None = None
) -> tuple[Array, Array]:
    """Returns whose parameters each learner takes in population-based training.

    Args:
        mean: (P,) mean returns; NaN for learners of which none is known yet.
        may: (P, P) bool; [j, i]: j may take from i.
        generator: Chooses among the best.
        believed: See `best_rated`; a learner chooses among the best of those that it believes.

    Returns:
        (P,) int sources, and (P,) int refused ones, see `best_rated`.
    """
    sources, refused = np.full(len(mean), NOBODY), np.full(len(mean), NOBODY)
    order = np.argsort(mean, kind="stable")[: np.isfinite(mean).sum()]  # NaN comes last
    if len(order) < 2:
        return sources, refused
    n = min(max(round(TRUNCATED * len(order)), 1), len(order) // 2)
    for j in order[:n]:
        best = (order if believed is None else order[believed[j, order]])[-n:]
        better = best[mean[best] > mean[j]]
        allowed = better[may[j, better]]
        if len(allowed):
            sources[j] = generator.choice(allowed)
        elif len(better):
            refused[j] = better[-1]
    return sources, refused


def _highest(bounds: Array, among: Array) -> int:
    """Returns the index of the highest rating among some learners, the first of equals; `NOBODY` among none."""
    return int(np.where(among, bounds, -np.inf).argmax()) if among.any() else NOBODY
