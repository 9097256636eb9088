"""Maps and routes, against what IC3Net's code (commit 69b7e0c) makes."""

from __future__ import annotations

import numpy as np
import pytest

from envs.traffic_junction.routes import PLANS, entries_of, n_symbols, network_of, routes_of

WEST_FIRST = [18, 17, 27, 9, 19, 26, 20]
EAST_FIRST = [18, 25, 19, 17, 16, 26, 11]
LENGTHS = {
    "easy": [[7], [7]],
    "medium": [[14, 13, 15]] * 4,
    "hard": [
        WEST_FIRST,
        EAST_FIRST,
        EAST_FIRST,
        WEST_FIRST,
        EAST_FIRST,
        WEST_FIRST,
        WEST_FIRST,
        EAST_FIRST,
    ],
}
SUMS = {"easy": 5964, "medium": 1070336, "hard": 55564464}
"""Of (number of the route + 1) (number of the cell + 1) (7 row + 13 column), over all cells of its routes."""


@pytest.mark.parametrize("level", sorted(PLANS))
def test_routes_and_their_numbers_are_those_of_the_published_code(level: str) -> None:
    routes = routes_of(PLANS[level])
    assert [[len(route) for route in some] for some in routes] == LENGTHS[level]
    found = sum(
        (r + 1) * (k + 1) * (7 * row + 13 * column)
        for r, route in enumerate(route for some in routes for route in some)
        for k, (row, column) in enumerate(route)
    )
    assert found == SUMS[level]


@pytest.mark.parametrize(("level", "entries", "each"), [("easy", 2, 1), ("medium", 4, 3), ("hard", 8, 7)])
def test_there_are_2_12_and_56_routes(level: str, entries: int, each: int) -> None:
    assert entries_of(level) == (entries, each)
    network = network_of(level, 1)
    assert len(network.path) == entries * each
    assert len({tuple(route) for route in network.path.tolist()}) == entries * each


def test_a_car_from_above_turns_right_to_the_left_edge() -> None:
    straight, right, left = routes_of(PLANS["medium"])[0]
    assert straight == [(row, 6) for row in range(14)]
    assert right == [(row, 6) for row in range(7)] + [(6, column) for column in range(5, -1, -1)]
    assert left == [(row, 6) for row in range(8)] + [(7, column) for column in range(7, 14)]


@pytest.mark.parametrize("level", sorted(PLANS))
def test_every_route_leads_from_rim_to_rim_cell_by_cell(level: str) -> None:
    last = PLANS[level].size - 1
    for route in (route for some in routes_of(PLANS[level]) for route in some):
        cells = np.array(route)
        assert (np.abs(np.diff(cells, axis=0)).sum(axis=1) == 1).all()
        assert len(set(route)) == len(route)
        assert {0, last} & set(route[0])
        assert {0, last} & set(route[-1])
        assert all({0, last}.isdisjoint(cell) for cell in route[1:-1])


@pytest.mark.parametrize(("level", "cells", "crossings"), [("easy", 13, 1), ("medium", 52, 4), ("hard", 128, 16)])
def test_roads_and_crossings(level: str, cells: int, crossings: int) -> None:
    network = network_of(level, 0)
    assert len(network.row) == cells
    assert network.crossing.sum() == crossings
    assert (network.row[0], network.column[0]) != (0, 0), "where the published game keeps cars that have left"
    assert set(network.path[network.path >= 0].tolist()) == set(range(cells)), "there is no road without a route"
    entries = {route[0] for some in routes_of(PLANS[level]) for route in some}
    assert (network.behind < 0).sum() == crossings + len(entries)


def test_cars_in_a_roundabout_go_first_and_on_the_easy_map_those_from_the_right() -> None:
    network = network_of("medium", 0)
    cell = {(int(r), int(c)): k for k, (r, c) in enumerate(zip(network.row, network.column, strict=True))}
    assert network.rival[cell[6, 6]] == cell[6, 7]  # traffic turns counterclockwise
    assert network.rival[cell[7, 6]] == cell[6, 6]
    assert network.rival[cell[5, 6]] == -1
    assert network.approach[cell[5, 6]]
    assert not network.approach[cell[5, 7]], "it leads out"
    easy = network_of("easy", 0)
    (crossing,) = np.flatnonzero(easy.crossing)
    rival = easy.rival[crossing]
    assert (easy.row[rival], easy.column[rival]) == (3, 2)


@pytest.mark.parametrize(("level", "classes"), [("easy", 15), ("medium", 59), ("hard", 147)])
def test_classes_of_the_published_encoding(level: str, classes: int) -> None:
    assert n_symbols(level) == classes
    network = network_of(level, 1)
    assert network.symbol.max() < classes - 1, "the last one counts cars"
    assert (network.symbol[network.seen < 0] == classes - 3).all(), "no road"


def test_two_cells_of_the_easy_map_have_odd_classes_as_published() -> None:
    network = network_of("easy", 0)
    symbol = {
        (int(r), int(c)): int(s) for r, c, s in zip(network.row, network.column, network.symbol[:, 0], strict=True)
    }
    assert [symbol[3, column] for column in (0, 1, 2, 4, 5, 6)] == [0, 1, 2, 4, 5, 6]
    assert [symbol[row, 3] for row in range(7)] == list(range(7, 14))


def test_nobody_may_write_into_the_tables() -> None:
    with pytest.raises(ValueError, match="read-only"):
        network_of("easy", 1).path[0, 0] = 1
