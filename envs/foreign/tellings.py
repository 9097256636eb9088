"""News of the worlds of one process beside their rows: names of metrics that came late, and lines for the user.

Names of metrics are collected while the environment is looked at (`layout.probe`) and have a column each in
`Frame.metrics`. A name that comes later gets one of `SPARE` columns behind them, numbered by the process that met it;
whoever reads the board learns the name in that process's answer. So a step needs no agreement between processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from ..core import Array

ABSENT = math.nan
"""A metric that was not told at a moment."""
SPARE = 64
"""Columns for metrics that come late; further names are left out, and said so."""


@dataclass
class News:
    """News that is told once."""

    metrics: list[str] = field(default_factory=list)
    """Names that got the next spare columns, in this order."""
    lines: dict[str, str] = field(default_factory=dict)  # by what they are about

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.metrics or self.lines)


class Tellings:
    """Columns of metrics by name, and the news that nobody has fetched yet.

    Args:
        metrics: (M,) the names that were there when the environment was looked at.
        sheets: `Frame.metrics` of this process's worlds, (W, M + SPARE) each.
    """

    def __init__(self, metrics: tuple[str, ...], sheets: Sequence[Array]) -> None:
        self.columns = {name: column for column, name in enumerate(metrics)}
        self._first = len(metrics)
        self._sheets = sheets
        self._said: set[str] = set()
        self._news = News()

    def say(self, what: str, line: str) -> None:
        """Tells the user a line, once for every `what`."""
        if what not in self._said:
            self._said.add(what)
            self._news.lines[what] = line

    def give_column(self, name: str, moment: str) -> None:
        """Gives a metric that came late a column, and says so."""
        column = len(self.columns)
        if column - self._first >= SPARE:
            self.say("room", f"metric {name!r} came late, as did {SPARE} others before: there is no room for more")
            return
        self.columns[name] = column
        for sheet in self._sheets:
            sheet[:, column] = ABSENT
        self._news.metrics.append(name)
        self.say(f"metric {name}", f"metric {name!r} came late, in {moment}; where a metric is absent it is NaN")

    def news(self) -> News | None:
        """Returns what is new since the last call; None for nothing."""
        if not self._news:
            return None
        news, self._news = self._news, News()
        return news


def numbers(told: Any) -> dict[str, float]:
    """The numbers in a dict of metrics, by name; {} for what is no dict. What is no number is left out."""
    if not isinstance(told, Mapping):
        return {}
    return {str(name): float(value) for name, value in told.items() if is_number(value)}


def is_number(value: Any) -> bool:
    """Whether it is a number, or numpy's idea of one."""
    if isinstance(value, (Real, np.bool_)):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"


class MetricNames:
    """Which metric of which world is in which column, for whoever reads the board; see above.

    Args:
        first: (M,) names that have the same column in all worlds.
    """

    def __init__(self, first: tuple[str, ...]) -> None:
        self._first = first
        self._late: dict[str, None] = {}  # in the order in which they came
        self._places: dict[int, tuple[list[int], list[str]]] = {}  # by a block's first row: its rows, its late names

    def assign(self, rows: Sequence[int], names: Sequence[str] | None) -> None:
        """The block of these rows gave its next spare columns to these names; None: it forgot all it gave."""
        if names is None:
            self._places.pop(rows[0], None)
            return
        self._places.setdefault(rows[0], (list(rows), []))[1].extend(names)
        self._late |= dict.fromkeys(names)

    def remember(self, names: Iterable[str]) -> None:
        """Names that were met before are there from now on, NaN until they come again."""
        self._late |= dict.fromkeys(name for name in names if name not in self._first)

    def read(self, sheet: Array) -> dict[str, Array]:
        """(B,) numbers by name, out of `Frame.metrics` (B, M + SPARE); copies."""
        found = {name: sheet[:, column].copy() for column, name in enumerate(self._first)}
        for name in self._late:
            found[name] = np.full(len(sheet), ABSENT)
        for rows, names in self._places.values():
            for column, name in enumerate(names, start=len(self._first)):
                found[name][rows] = sheet[rows, column]
        return found

    def complete(self, told: Mapping[str, Array], n_worlds: int) -> dict[str, Array]:
        """(B,) numbers of all names, NaN for those that are not told."""
        absent = np.full(n_worlds, ABSENT)
        return {n: np.array(told.get(n, absent), np.float64) for n in (*self._first, *self._late)}
