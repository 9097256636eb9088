"""Which agents can reach each other: partitions and range.

Axes: N agents. Links are [i, j]: agent i hears agent j.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import Array


class Cut(NamedTuple):
    """A partition."""

    start: int  # first step in which it holds
    end: int  # first step in which it does not any more
    open: Array  # (N, N) bool, links that it leaves


def cuts_of(partition: Iterable[Any], agents: Sequence[str]) -> list[Cut]:
    """Reads partitions.

    Args:
        partition: (start, end, groups) each, with groups of names of agents; those that are in none make one more.
        agents: (N,) all names.

    Raises:
        ValueError: One is not of this form, names an unknown agent, or names an agent twice.
    """
    cuts = []
    for one in partition:
        try:
            start, end, groups = one
            groups = [list(group) if not isinstance(group, str) else [group] for group in groups]
            fits = 0 <= start < end
        except (TypeError, ValueError):
            raise ValueError(f"partition {one!r}: give (start, end, groups of agents)") from None
        if not fits:
            raise ValueError(f"partition from step {start} to {end}: give 0 <= start < end")
        names = [name for group in groups for name in group]
        unknown = [name for name in names if name not in agents]
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if unknown or twice:
            what = f"unknown agents {unknown}" if unknown else f"{', '.join(twice)} more than once"
            raise ValueError(f"partition from step {start} to {end} names {what}; agents are {list(agents)}")
        group_of = np.full(len(agents), -1)
        for number, group in enumerate(groups):
            group_of[[agents.index(name) for name in group]] = number
        cuts.append(Cut(start, end, group_of[:, None] == group_of))  # agents in no group make one more
    return cuts


def uncut(cuts: Iterable[Cut], step: int, n_agents: int) -> Array:
    """Returns (N, N) bool: links that no partition cuts in this step."""
    links = np.ones((n_agents, n_agents), bool)
    for cut in cuts:
        if cut.start <= step < cut.end:
            links &= cut.open
    return links


def in_range(positions: Mapping[str, Any], agents: Sequence[str], reach: float) -> Array:
    """Returns (N, N) bool: agents at most `reach` apart; those without a position reach nobody.

    Args:
        positions: x, y by agent.
        agents: (N,) all names.
        reach: In the units of positions.
    """
    nowhere = (np.nan, np.nan)
    place = np.array([np.asarray(positions.get(name, nowhere), np.float64)[:2] for name in agents])  # (N, 2)
    apart = np.linalg.norm(place[:, None] - place, axis=2)  # (N, N)
    return apart <= reach  # False for NaN
