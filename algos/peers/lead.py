"""How much a learner is to learn from whom: by how far the other is ahead, as far as that is sure.

    lead_ji = m_i - m_j - z sqrt(e_i^2 + e_j^2)
    w_ji = strength * trust_ji * clip(lead_ji / scale, 0, 1)

with the mean returns m of both and their standard errors e. So a weight falls to zero as a learner catches up, and with
the teacher's lead where the world has changed. `scale` is the spread of single returns of the population: a teacher
that is ahead by as much as episodes differ teaches with full weight.

A learner that is hurt, whose return falls while it comes closer to its teachers, trusts them half as much from then on,
and regains its trust slowly while it is not. Likewise it trusts a teacher less that it would surely lose by following,
as its own experience says, unless its return surely rises. So a teacher that is not what it says loses its pupils.

Axes: P learners, T teachers from disk.
"""

from __future__ import annotations

import numpy as np

from ..core import Array

LOST, REGAINED = 0.5, 1.1
"""Factors of the trust of a learner that is hurt, and of one that is not."""
SURE = 1.0
"""z, the number of standard errors by which a lead or a fall must exceed zero."""


def leads(mean: Array, error: Array) -> Array:
    """Returns by how much i is surely ahead of j, (P, P) with [j, i]; negative where it is not, -inf if not known."""
    return leads_over(mean[None, :], error[None, :], mean, error)


def leads_over(of: Array, of_error: Array, mean: Array, error: Array) -> Array:
    """Returns by how much teachers are surely ahead of learners, (P, T), see `leads`.

    Args:
        of: (P or 1, T) mean returns of teachers in the place of each learner.
        of_error: (P or 1, T) their standard errors.
        mean: (P,) mean returns of the learners.
        error: (P,) their standard errors.
    """
    ahead = of - mean[:, None] - SURE * np.hypot(of_error, error[:, None])
    return np.where(np.isfinite(ahead), ahead, -np.inf)


def weights(lead: Array, may: Array, trust: Array, scale: float, *, most: int, strength: float) -> Array:
    """Returns how much each learner is to learn from each other, (P, P) with [j, i].

    Args:
        lead: (P, P), see `leads`; with T teachers from disk (P, P + T), and so are the weights.
        may: As `lead`, bool; [j, i]: j may learn from i.
        trust: From 0 to 1, as `lead`, or (P, 1) where a learner trusts all alike.
        scale: Lead at which the weight is full.
        most: Number of teachers of a learner, those with the greatest weight, of equals those with the greatest lead.
        strength: Full weight.
    """
    lead = np.where(may, lead, -np.inf)
    full = np.clip(lead / scale if scale > 0.0 else np.sign(lead), 0.0, 1.0)
    order = np.argsort(-lead, axis=1, kind="stable")
    heaviest = np.argsort(-np.take_along_axis(trust * full, order, 1), axis=1, kind="stable")
    rank = np.argsort(np.take_along_axis(order, heaviest, 1), axis=1, kind="stable")
    return np.where((rank < most) & (full > 0.0), strength * trust * full, 0.0)


def trusted(trust: Array, taught: Array, gain: Array, error: Array, nearer: Array, merit: Array) -> Array:
    """Returns the trust of learners after a look at what came of learning from others, (P, P) with [j, i].

    Args:
        trust: (P, P) before.
        taught: (P, P) bool; [j, i]: i has taught j since the last look.
        gain: (P,) change of the mean return since the last look; NaN where it is not known.
        error: (P,) its standard error.
        nearer: (P,) by how much the divergence from the teachers has fallen; NaN for learners without teachers.
        merit: (P, P) what learners would surely gain if they did as others; NaN where that is not known.
    """
    hurt = (gain < -SURE * error) & (nearer > 0.0)  # False for NaN
    misled = (merit < 0.0) & ~(gain > SURE * error)[:, None]
    return np.where(taught & (hurt[:, None] | misled), LOST * trust, np.minimum(REGAINED * trust, 1.0))
