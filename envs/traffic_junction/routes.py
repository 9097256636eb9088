"""The maps and the routes through them, numbered as in IC3Net's code.

A cell is (row, column), counted from the upper left corner. Traffic keeps to the right.

Axes: R routes, L cells of the longest route, K road cells, W cells that a car sees.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import Array

Cell = tuple[int, int]
STRAIGHT, RIGHT, LEFT = range(3)
"""Turns, in the order in which routes are numbered."""
DOWN, UP, EAST, WEST = (1, 0), (-1, 0), (0, 1), (0, -1)
"""Headings as changes of row and column."""


class Plan(NamedTuple):
    """The size of a map, its roads and its arrivals."""

    size: int
    """Rows, and columns."""
    lanes: tuple[tuple[int, ...], ...]
    """Each road's lanes: rows of the roads across; the same numbers are the columns of the roads down."""
    entries: tuple[tuple[Cell, Cell], ...]
    """First cell and heading of each entry, in the order in which cars arrive there."""
    turns: int
    """How many crossings a car turns at; beyond them it goes straight on. 0: no car ever turns."""


PLANS = {
    "easy": Plan(7, ((3,),), (((0, 3), DOWN), ((3, 0), EAST)), 0),
    "medium": Plan(14, ((6, 7),), (((0, 6), DOWN), ((13, 7), UP), ((7, 0), EAST), ((6, 13), WEST)), 1),
    "hard": Plan(
        18,
        ((4, 5), (12, 13)),
        (
            ((0, 4), DOWN),
            ((0, 12), DOWN),
            ((5, 0), EAST),
            ((13, 0), EAST),
            ((17, 5), UP),
            ((17, 13), UP),
            ((4, 17), WEST),
            ((12, 17), WEST),
        ),
        2,
    ),
}
"""The map of each difficulty."""


class Network(NamedTuple):
    """The tables of a map that kernels read. Nobody may write into them."""

    path: Array  # (R, L) int16 the road cells of each route in order, then -1
    length: Array  # (R,) int16 their number
    row: Array  # (K,) int16 row of each road cell
    column: Array  # (K,) int16 its column
    crossing: Array  # (K,) bool: it lies where roads cross
    rival: Array  # (K,) int16 the cell that has the right of way into a cell of a crossing; -1 elsewhere
    approach: Array  # (K,) bool: it is on a lane that leads to a crossing
    behind: Array  # (K,) int16 the cell from which a cell of a lane is entered; -1 for entries and in crossings
    seen: Array  # (K, W) int16 road cells that are seen from each road cell, row by row; -1 where there is no road
    symbol: Array  # (K, W) int16 the class of each of them in the published encoding


def routes_of(plan: Plan) -> list[list[list[Cell]]]:
    """Returns the routes from each entry as lists of cells.

    A route is a turn at the first crossing, then a turn at the second one, in the order straight, right, left. One that
    leads off the map before the second crossing is listed once.
    """
    found = []
    for entry, heading in plan.entries:
        routes: list[list[Cell]] = []
        for turns in _choices(plan.turns):
            route = _drive(plan, entry, heading, turns)
            if route not in routes:
                routes.append(route)
        found.append(routes)
    return found


def _choices(n: int) -> Iterable[tuple[int, ...]]:
    return np.ndindex(*(3,) * n)


def _drive(plan: Plan, cell: Cell, heading: Cell, turns: tuple[int, ...]) -> list[Cell]:
    """Returns the cells from an entry to the rim of the map."""
    lines = {line for lanes in plan.lanes for line in lanes}
    path, left = [cell], list(turns)
    inside = False
    while True:
        cell = (cell[0] + heading[0], cell[1] + heading[1])
        if not (0 <= cell[0] < plan.size and 0 <= cell[1] < plan.size):
            return path
        path.append(cell)
        entered = not inside
        inside = cell[0] in lines and cell[1] in lines
        if not (inside and entered) or not left:
            continue
        turn = left.pop(0)
        if turn == RIGHT:
            heading = (heading[1], -heading[0])
        elif turn == LEFT:  # across the crossing's near half first
            cell = (cell[0] + heading[0], cell[1] + heading[1])
            path.append(cell)
            heading = (-heading[1], heading[0])


@functools.lru_cache(maxsize=32)
def network_of(difficulty: str, vision: int) -> Network:
    """Returns the tables of a map for cars that see so far."""
    plan = PLANS[difficulty]
    routes = [route for routes in routes_of(plan) for route in routes]
    lines = np.array([line for lanes in plan.lanes for line in lanes])
    road = np.zeros((plan.size, plan.size), bool)
    road[lines] = road[:, lines] = True
    row, column = np.nonzero(road)
    index = np.full((plan.size + 2 * vision,) * 2, -1)  # with a margin, as cars see beyond the rim
    index[row + vision, column + vision] = np.arange(len(row))
    path = np.full((len(routes), max(map(len, routes))), -1)
    for r, route in enumerate(routes):
        path[r, : len(route)] = [index[i + vision, j + vision] for i, j in route]
    crossing = np.isin(row, lines) & np.isin(column, lines)
    width, symbols = 2 * vision + 1, _symbols(plan, vision)
    seen = [index[i : i + width, j : j + width].ravel() for i, j in zip(row, column, strict=True)]
    symbol = [symbols[i : i + width, j : j + width].ravel() for i, j in zip(row, column, strict=True)]
    network = Network(
        path=path.astype(np.int16),
        length=np.array([len(route) for route in routes], np.int16),
        row=row.astype(np.int16),
        column=column.astype(np.int16),
        crossing=crossing,
        rival=_rivals(path, crossing),
        approach=_approach(path, crossing),
        behind=_behind(path, crossing),
        seen=np.array(seen, np.int16),
        symbol=np.array(symbol, np.int16),
    )
    for table in network:
        table.setflags(write=False)
    return network


@functools.lru_cache(maxsize=8)
def entries_of(difficulty: str) -> tuple[int, int]:
    """Returns the number of entries of a map, and of the routes from each."""
    routes = routes_of(PLANS[difficulty])
    return len(routes), len(routes[0])


def n_symbols(difficulty: str) -> int:
    """Returns the number of classes of a cell in the published encoding: one for each road cell, and three more."""
    return _n_road_symbols(PLANS[difficulty]) + 3


def _n_road_symbols(plan: Plan) -> int:
    # IC3Net counts a row and a column less on its easy map, so that two of its road cells share numbers with "no road"
    # and with a class that is never used.
    lanes = sum(len(lanes) for lanes in plan.lanes)
    return 2 * lanes * (plan.size - (plan.turns == 0))


def _symbols(plan: Plan, margin: int) -> NDArray[np.int64]:
    """Returns the class of every cell: road by road, row by row, where later roads overwrite; around them no road."""
    none = _n_road_symbols(plan)
    symbol = np.full((plan.size, plan.size), none)
    number = 0
    for down in (False, True):
        for lanes in plan.lanes:
            n = len(lanes) * plan.size
            block = np.arange(number, number + n)
            if down:
                symbol[:, lanes] = block.reshape(plan.size, len(lanes))
            else:
                symbol[list(lanes)] = block.reshape(len(lanes), plan.size)
            number += n
    return np.pad(symbol, margin, constant_values=none)


def _origins(path: Array) -> dict[int, list[int]]:
    """Returns, for each road cell, the cells from which some route enters it."""
    origins: dict[int, list[int]] = {}
    for route in path.tolist():
        for a, b in itertools.pairwise(cell for cell in route if cell >= 0):
            if a not in origins.setdefault(b, []):
                origins[b].append(a)
    return origins


def _rivals(path: Array, crossing: Array) -> Array:
    """Returns the cell that has the right of way into each cell of a crossing, -1 elsewhere.

    It is the one in the same crossing where there is one, else that of the car that comes from the right.
    """
    rival = np.full(len(crossing), -1, np.int16)
    for cell, origins in _origins(path).items():
        if crossing[cell]:
            inside = [a for a in origins if crossing[a]]
            # Where there is none, on the easy map, cars that drive down have those that drive east to their right, and
            # cells are numbered from above.
            rival[cell] = inside[0] if inside else max(origins)
    return rival


def _approach(path: Array, crossing: Array) -> Array:
    found = np.zeros(len(crossing), bool)
    for route in path:
        last = np.flatnonzero((route >= 0) & crossing[route])[-1]
        found[route[:last]] = True
    return found & ~crossing


def _behind(path: Array, crossing: Array) -> Array:
    behind = np.full(len(crossing), -1, np.int16)
    for cell, origins in _origins(path).items():
        if not crossing[cell]:
            (behind[cell],) = origins
    return behind
