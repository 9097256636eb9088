"""Lanes, movements, conflict points and zones of a crossing against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from envs.roads.arcs import Segment, meet
from envs.roads.cars import CAR_LENGTH, CAR_WIDTH
from envs.roads.crossing import (
    CROSS,
    DIVERGE,
    LANE,
    LEFT,
    MERGE,
    NONE,
    RIGHT,
    STRAIGHT,
    conflicts,
    half_side,
    movements,
)

EAST, NORTH, WEST, SOUTH = range(4)


def way(heading: int, turn: int, lanes: int = 1) -> int:
    return next(m for m, one in enumerate(movements(lanes)) if (one.heading, one.turn) == (heading, turn))


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_movements_have_the_lengths_of_lines_and_quarter_circles(lanes):
    h = half_side(lanes)
    for one in movements(lanes):
        expected = {
            STRAIGHT: 2 * h,
            LEFT: 0.5 * math.pi * (h + 0.5 * LANE),
            RIGHT: 0.5 * math.pi * (h - (lanes - 0.5) * LANE),
        }[one.turn]
        assert one.path.length == pytest.approx(expected)


@pytest.mark.parametrize("lanes", [1, 2])
def test_movements_lead_from_their_lane_into_the_right_lane(lanes):
    h = half_side(lanes)
    for one in movements(lanes):
        for heading, lane, place, side in (
            (one.heading, one.lane, one.path.at(0.0), -h),
            (one.exit_heading, one.exit_lane, one.path.at(one.path.length), h),
        ):
            angle = 0.5 * math.pi * heading
            aside = -(lane + 0.5) * LANE
            x = side * math.cos(angle) - aside * math.sin(angle)
            y = side * math.sin(angle) + aside * math.cos(angle)
            assert place[:2] == pytest.approx((x, y), abs=1e-9)
            assert math.cos(float(place[2]) - angle) == pytest.approx(1.0)


def test_two_straight_roads_meet_where_their_lanes_cross():
    ways, h = movements(1), half_side(1)
    east, north = ways[way(EAST, STRAIGHT)].path, ways[way(NORTH, STRAIGHT)].path
    # The eastbound lane is y = -LANE / 2, the northbound x = LANE / 2.
    assert meet(east, north) == [pytest.approx((h + 0.5 * LANE, h - 0.5 * LANE))]


def test_an_arc_meets_a_line_and_an_arc_in_closed_form():
    quarter = Segment(1.0, 0.0, 0.5 * math.pi, 1.0, 0.5 * math.pi)  # of the unit circle, from (1, 0) to (0, 1)
    diagonal = Segment(0.0, 0.0, 0.25 * math.pi, 0.0, 2.0)
    assert meet(quarter, diagonal) == [pytest.approx((0.25 * math.pi, 1.0))]
    other = Segment(0.0, 0.0, 0.0, 1.0, 0.5 * math.pi)  # around (0, 1): crosses at angles of 30 degrees
    assert meet(quarter, other) == [pytest.approx((math.pi / 6, math.pi / 3))]
    assert meet(diagonal, Segment(5.0, 0.0, 0.25 * math.pi, 0.0, 2.0)) == []
    assert meet(quarter, Segment(3.0, 0.0, 0.5 * math.pi, 0.0, 2.0)) == []


def test_the_zone_of_two_straight_roads_is_half_of_length_and_width_to_either_side():
    clash, h = conflicts(1), half_side(1)
    i, j = way(EAST, STRAIGHT), way(NORTH, STRAIGHT)
    half = 0.5 * (CAR_LENGTH + CAR_WIDTH)
    assert clash.kind[i, j] == CROSS
    assert clash.at[i, j] == pytest.approx(h + 0.5 * LANE)
    assert clash.enter[i, j] == pytest.approx(h + 0.5 * LANE - half, abs=0.11)  # slid every 0.1 m
    assert clash.leave[i, j] == pytest.approx(h + 0.5 * LANE + half, abs=0.11)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ((EAST, STRAIGHT), (WEST, STRAIGHT), NONE),
        ((EAST, LEFT), (WEST, LEFT), NONE),
        ((EAST, RIGHT), (WEST, RIGHT), NONE),
        ((EAST, LEFT), (WEST, STRAIGHT), CROSS),
        ((EAST, LEFT), (WEST, RIGHT), MERGE),
        ((EAST, STRAIGHT), (SOUTH, LEFT), MERGE),
        ((EAST, STRAIGHT), (SOUTH, STRAIGHT), CROSS),
        ((EAST, STRAIGHT), (EAST, LEFT), DIVERGE),
        ((EAST, STRAIGHT), (NORTH, RIGHT), MERGE),
        ((EAST, RIGHT), (NORTH, STRAIGHT), NONE),
    ],
)
def test_which_movements_conflict(one, other, kind):
    assert conflicts(1).kind[way(*one), way(*other)] == kind


@pytest.mark.parametrize("lanes", [1, 2])
def test_conflicts_are_mutual_and_the_same_from_every_side(lanes):
    clash = conflicts(lanes)
    n, quarter = len(clash.kind), len(clash.kind) // 4
    assert np.array_equal(clash.kind, clash.kind.T)
    turned = (np.arange(n) + quarter) % n
    assert np.array_equal(clash.kind[np.ix_(turned, turned)], clash.kind)
    same = clash.kind > 0
    assert np.allclose(clash.enter[np.ix_(turned, turned)][same], clash.enter[same], atol=0.11)
    assert np.allclose(clash.leave[np.ix_(turned, turned)][same], clash.leave[same], atol=0.11)


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_a_car_that_waits_at_the_line_is_in_no_zone(lanes):
    clash = conflicts(lanes)
    apart = np.isin(clash.kind, (CROSS, MERGE))
    assert clash.enter[apart].min() > -0.5 * CAR_LENGTH
