"""How good a credit is: whether it points where the team's reward points, and how much noise it carries.

Source: Agogino & Tumer 2008, "Analyzing and visualizing multiagent rewards in dynamic and stochastic domains".
Deviation: changes that move only one of credit and team reward count against factoredness.
"""

from __future__ import annotations

import numpy as np

from ..core import Array

SMALLEST = 1e-6
"""Changes smaller than this share of the largest are rounding."""


def factoredness(of_credit: Array, of_team: Array) -> float:
    """Returns the share of an agent's changes of action that its credit and its team's reward judge alike, 0 to 1.

    Both rise, or both fall. A change that moves only one of them is not judged alike; one that moves neither is left
    out.

    Args:
        of_credit: Change of an agent's credit when it alone acts otherwise, any shape.
        of_team: Change of the team's reward in the same cases.

    Returns:
        The share; NaN if nothing ever changed.
    """
    credit, team = (np.sign(change) * _matters(change) for change in (of_credit, of_team))
    moved = (credit != 0) | (team != 0)
    return float((credit == team)[moved].mean()) if moved.any() else float("nan")


def learnability(by_own: Array, by_others: Array) -> float:
    """Returns how much more an agent's credit depends on its own action than on those of all others.

    Args:
        by_own: Change of an agent's credit when it alone acts otherwise, any shape.
        by_others: Change of its credit when all others act otherwise and it does not, the same cases.

    Returns:
        The ratio of mean absolute changes: infinite if the others change nothing, NaN if nothing changes at all.
    """
    own, others = float(np.abs(by_own).mean()), float(np.abs(by_others).mean())
    if others == 0.0:
        return float("inf") if own > 0.0 else float("nan")
    return own / others


def correlation(credit: Array, exact: Array) -> float:
    """Returns the correlation of credits with the exact differences, -1 to 1; NaN where one of them does not vary."""
    if credit.size < 2 or not (credit.std() > 0.0 and exact.std() > 0.0):
        return float("nan")
    return float(np.corrcoef(credit.ravel(), exact.ravel())[0, 1])


def _matters(change: Array) -> Array:
    return np.abs(change) > SMALLEST * np.abs(change).max(initial=0.0)
