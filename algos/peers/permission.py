"""Who may learn from whom.

`all`         everybody from everybody
`groups`      agents of a group from each other
`adjacency`   those that it can hear in any of the worlds when the exchange is made
FILE          a JSON file: {"agent": ["those it may learn from", ...], ...}; agents that are not named learn from nobody

Axes: P learners, B worlds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core import Array

WORDS = ("all", "groups", "adjacency")


class Permission:
    """Says who may learn from whom."""

    def __init__(self, rule: str, agents: Sequence[str], groups: Sequence[Sequence[int]]) -> None:
        """Reads the rule.

        Args:
            rule: One of `WORDS`, or the path of a file.
            agents: (P,) names of the learners.
            groups: Indices of the learners by group.

        Raises:
            ValueError: The file cannot be read, or does not fit the agents; the message is one line.
        """
        n = len(agents)
        self._heard = rule == "adjacency"
        self._may = ~np.eye(n, dtype=bool)
        if rule == "groups":
            group_of = -1 - np.arange(n)  # an agent in no group is alone
            for index, members in enumerate(groups):
                group_of[list(members)] = index
            self._may &= group_of[:, None] == group_of
        elif rule not in WORDS:
            self._may &= _from_file(Path(rule), agents)

    def now(self, adjacency: Array) -> Array:
        """Returns (P, P) bool; [j, i]: j may learn from i.

        Args:
            adjacency: (B, P, P) bool, [b, j, i]: j can hear i; read by the rule `adjacency` only.
        """
        return self._may & adjacency.any(axis=0) if self._heard else self._may


def _from_file(path: Path, agents: Sequence[str]) -> Array:
    where = f"permission is {str(path)!r}"
    allowed = f"it must be {', '.join(WORDS)} or a JSON file"
    try:
        read: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{where}; {allowed}, and that file cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{where}; {allowed}, and that file holds no JSON: {error}") from None
    if not isinstance(read, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in read.values()
    ):
        raise ValueError(f'{where}; the file must hold {{"agent": ["those it may learn from"]}}')
    unknown = sorted({*read, *(name for names in read.values() for name in names)}.difference(agents))
    if unknown:
        raise ValueError(f"{where}; it names {', '.join(unknown)}, but the agents are {', '.join(agents)}")
    may = np.zeros((len(agents), len(agents)), bool)
    index = {name: i for i, name in enumerate(agents)}
    for name, others in read.items():
        may[index[name], [index[other] for other in others]] = True
    return may
