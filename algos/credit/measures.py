"""How good a credit is: whether it points where the team's reward points, and how much noise it carries.

Source: Agogino & Tumer 2008, "Analyzing and visualizing multiagent rewards in dynamic and stochastic domains".
Deviations: changes that move only one of credit and team reward count against factoredness, and those that move neither
do not count; learnability is a share from 0 to 1 and not a ratio, of means over all moments.
"""

from __future__ import annotations

import numpy as np

from ..core import Array

SMALLEST = 1e-6
"""Changes smaller than this share of the largest are rounding."""


def factoredness(of_credit: Array, of_team: Array, *, rounding: float = 0.0) -> float:
    """Returns the share of an agent's changes of action that its credit and its team's reward judge alike, 0 to 1.

    Both rise, or both fall. A change that moves only one of them is not judged alike; one that moves neither is left
    out.

    Args:
        of_credit: Change of an agent's credit when it alone acts otherwise, any shape.
        of_team: Change of the team's reward in the same cases.
        rounding: Changes up to this are none.

    Returns:
        The share; NaN if nothing ever changed.
    """
    credit, team = (np.sign(_rounded(change, rounding)) for change in (of_credit, of_team))
    moved = (credit != 0) | (team != 0)
    return float((credit == team)[moved].mean()) if moved.any() else float("nan")


def learnability(by_own: Array, by_others: Array, *, rounding: float = 0.0) -> float:
    """Returns the share of an agent's own action in what changes its credit: 0 to 1, one half if others count as much.

    Args:
        by_own: Change of an agent's credit when it alone acts otherwise, any shape.
        by_others: Change of its credit when all others act otherwise and it does not, the same cases.
        rounding: Changes up to this are none.

    Returns:
        Mean absolute change by itself over the sum of both; NaN if nothing changes at all.
    """
    own, others = (float(np.abs(_rounded(change, rounding)).mean()) for change in (by_own, by_others))
    return own / (own + others) if own + others > 0.0 else float("nan")


def correlation(credit: Array, exact: Array) -> float:
    """Returns the correlation of credits with the exact differences, -1 to 1; NaN where one of them does not vary."""
    if credit.size < 2 or not (credit.std() > 0.0 and exact.std() > 0.0):
        return float("nan")
    return float(np.corrcoef(credit.ravel(), exact.ravel())[0, 1])


def _rounded(change: Array, rounding: float) -> Array:
    """Returns changes without those that are nothing but rounding."""
    least = max(rounding, SMALLEST * np.abs(change).max(initial=0.0))
    return np.where(np.abs(change) > least, change, 0.0)
