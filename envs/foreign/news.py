"""News of the worlds of one process: names of metrics that appear late, and lines for the user.

The names of metrics are collected in the first look (`layout.probe`), and each has a column in `Frame.metrics`. A name
that appears later gets one of `SPARE` columns after them, numbered by the process that found it. The process reports
the name with its next answer, so processes need not agree on columns within a step.
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
"""Value of a metric that the environment did not report in a step."""
SPARE = 64
"""Number of columns for metrics that appear late; further names are left out, and a line says so."""


@dataclass
class News:
    """Things that a process reports once."""

    metrics: list[str] = field(default_factory=list)
    """Names that got the next spare columns, in this order."""
    lines: dict[str, str] = field(default_factory=dict)
    """Lines for the user, by topic."""

    def __bool__(self) -> bool:
        """Returns whether there are any news."""
        return bool(self.metrics or self.lines)


class Reporter:
    """Gives columns to metrics, and collects the news of one process.

    Args:
        metrics: (M,) the names that were found in the first look.
        sheets: `Frame.metrics` of this process's worlds, (W, M + SPARE) each.
    """

    def __init__(self, metrics: tuple[str, ...], sheets: Sequence[Array]) -> None:
        self.columns = {name: column for column, name in enumerate(metrics)}
        self._first = len(metrics)
        self._sheets = sheets
        self._said: set[str] = set()
        self._news = News()

    def say(self, what: str, line: str) -> None:
        """Adds a line for the user, once for every topic `what`."""
        if what not in self._said:
            self._said.add(what)
            self._news.lines[what] = line

    def give_column(self, name: str, moment: str) -> None:
        """Gives a column to a metric that appears late, and reports it."""
        column = len(self.columns)
        if column - self._first >= SPARE:
            self.say("room", f"metric {name!r} appeared late, after {SPARE} others: no column is left, it is left out")
            return
        self.columns[name] = column
        for sheet in self._sheets:
            sheet[:, column] = ABSENT
        self._news.metrics.append(name)
        self.say(f"metric {name}", f"metric {name!r} appeared late, in {moment}; it is NaN where it is absent")

    def news(self) -> News | None:
        """Returns the news since the last call; None for none."""
        if not self._news:
            return None
        news, self._news = self._news, News()
        return news


def numbers(told: Any) -> dict[str, float]:
    """Returns the numbers in a dict of metrics, by name; leaves out other values, and all if `told` is not a dict."""
    if not isinstance(told, Mapping):
        return {}
    return {str(name): float(value) for name, value in told.items() if is_number(value)}


def is_number(value: Any) -> bool:
    """Returns whether a value is a number, one of numpy's included."""
    if isinstance(value, (Real, np.bool_)):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"


class MetricNames:
    """Knows which metric of which world is in which column of the board; see above.

    Args:
        first: (M,) names that have the same column in all worlds.
    """

    def __init__(self, first: tuple[str, ...]) -> None:
        self._first = first
        self._late: dict[str, None] = {}  # in the order in which they came
        self._places: dict[int, tuple[list[int], list[str]]] = {}  # by a block's first row: its rows, its late names

    def assign(self, rows: Sequence[int], names: Sequence[str] | None) -> None:
        """Notes that the block of these rows gave its next spare columns to `names`; None: its process began anew."""
        if names is None:
            self._places.pop(rows[0], None)
            return
        self._places.setdefault(rows[0], (list(rows), []))[1].extend(names)
        self._late |= dict.fromkeys(names)

    def remember(self, names: Iterable[str]) -> None:
        """Adds names that are known from before; they are NaN until they appear again."""
        self._late |= dict.fromkeys(name for name in names if name not in self._first)

    def read(self, sheet: Array) -> dict[str, Array]:
        """Returns copies of the metrics, (B,) by name, from `Frame.metrics` (B, M + SPARE)."""
        found = {name: sheet[:, column].copy() for column, name in enumerate(self._first)}
        for name in self._late:
            found[name] = np.full(len(sheet), ABSENT)
        for rows, names in self._places.values():
            for column, name in enumerate(names, start=len(self._first)):
                found[name][rows] = sheet[rows, column]
        return found

    def complete(self, told: Mapping[str, Array], n_worlds: int) -> dict[str, Array]:
        """Returns (B,) numbers for all names, NaN for those that are not in `told`."""
        absent = np.full(n_worlds, ABSENT)
        return {n: np.array(told.get(n, absent), np.float64) for n in (*self._first, *self._late)}
