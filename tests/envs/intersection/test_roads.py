"""Lanes, movements, conflict points and zones against closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from envs.intersection import TASKS, Config
from envs.intersection.config import LENGTH, WIDTH
from envs.intersection.roads import (
    CROSS,
    CROSSING,
    CURVATURE,
    DIVERGE,
    ENTER,
    FREE_TIME,
    KIND,
    LANE,
    LEAVE,
    LEFT,
    LIMIT,
    MERGE,
    MOVEMENT,
    NONE,
    RIGHT,
    S0,
    SAMPLE,
    STRAIGHT,
    Segment,
    conflicts,
    half_side,
    meet,
    movements,
    roads_of,
)
from envs.intersection.spots import pose_at

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
    half = 0.5 * (LENGTH + WIDTH)
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
def test_who_conflicts_with_whom(one, other, kind):
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
def test_who_waits_at_the_line_is_in_nobodys_way(lanes):
    clash = conflicts(lanes)
    apart = np.isin(clash.kind, (CROSS, MERGE))
    assert clash.enter[apart].min() > -0.5 * LENGTH


def test_routes_of_one_crossing_are_its_movements():
    roads = roads_of(Config())
    assert len(roads.length) == 12
    assert sorted(set(np.round(roads.share, 9).tolist())) == [0.0625, 0.125]
    h = half_side(1)
    assert roads.length.max() == pytest.approx(50 + 2 * h + 25)


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_turns_have_their_shares_whatever_the_lanes(lanes):
    roads = roads_of(Config(lanes=lanes, left_share=0.25, right_share=0.15))
    turns = np.array([movements(lanes)[int(m)].turn for m in roads.leg[:, 0, MOVEMENT]])
    shares = [roads.share[turns == turn].sum() for turn in (LEFT, STRAIGHT, RIGHT)]
    assert shares == pytest.approx([0.25, 0.6, 0.15])


def test_after_the_first_crossing_the_turns_of_a_lane_share_what_they_have():
    roads = roads_of(Config(lanes=2, rows=1, columns=2, left_share=0.25, right_share=0.15))
    ways = movements(2)
    first, second = (np.array([ways[int(m)][:3] for m in roads.leg[:, q, MOVEMENT]]) for q in (0, 1))
    both, totals = roads.n_legs == 2, []
    for lane, shares in ((0, {LEFT: 0.25, STRAIGHT: 0.6}), (1, {STRAIGHT: 0.6, RIGHT: 0.15})):
        east = both & (first == (EAST, lane, STRAIGHT)).all(axis=1) & (roads.leg[:, 0, CROSSING] == 0)
        totals.append(roads.share[east].sum())
        for turn, share in shares.items():
            part = roads.share[east & (second[:, 2] == turn)].sum() / roads.share[east].sum()
            assert part == pytest.approx(share / sum(shares.values()))
    assert totals[0] == pytest.approx(totals[1])


@pytest.mark.parametrize("config", [Config(), TASKS["grid-2x2-24"], Config(lanes=2, rows=1, columns=2)], ids=str)
def test_routes_have_no_seams(config):
    roads = roads_of(config)
    assert roads.share.sum() == pytest.approx(1.0)
    for p in range(len(roads.length)):
        for seam in roads.segment[p, 1:, S0]:
            if np.isfinite(seam):
                before, after = pose_at(roads.segment, p, seam - 1e-7), pose_at(roads.segment, p, seam)
                assert before == pytest.approx(after, abs=1e-6)


def test_a_grids_routes_visit_no_crossing_twice_and_name_shared_lanes_alike():
    roads = roads_of(TASKS["grid-2x2-24"])
    for p in range(len(roads.length)):
        visited = roads.leg[p, : roads.n_legs[p], 0].tolist()
        assert len(set(visited)) == len(visited) <= 4
        sections = [z for z in roads.stretch[p, :, 0].tolist() if z >= 0]
        assert len(set(sections)) == len(sections) == 2 * len(visited) + 1
        assert np.flatnonzero(roads.where[p] >= 0.0).tolist() == sorted(int(z) for z in sections)


def test_curves_are_slow_and_braked_for_in_time():
    roads = roads_of(Config())
    for p in range(len(roads.length)):
        for g in range(3):
            curvature = roads.segment[p, g, CURVATURE]
            if curvature != 0.0:
                k = int(roads.segment[p, g, S0] / SAMPLE) + 2
                assert roads.profile[p, k, LIMIT] == pytest.approx(math.sqrt(3.0 / abs(curvature)))
        fall = -np.diff(roads.profile[p, :, LIMIT] ** 2) / (2.0 * SAMPLE)
        assert fall.max() <= 2.0 + 1e-9


def test_free_times_are_those_of_constant_acceleration():
    roads = roads_of(Config())
    p = int(np.argmax(roads.length))  # straight on
    up = (13.9**2 - 9.0**2) / (2 * 2.6)  # metres until the speed limit
    for s in (5.0, up, 60.0, 90.0):
        if s <= up:
            expected = (math.sqrt(81.0 + 2 * 2.6 * s) - 9.0) / 2.6
        else:
            expected = (13.9 - 9.0) / 2.6 + (s - up) / 13.9
        got = np.interp(s, SAMPLE * np.arange(roads.profile.shape[1]), roads.profile[p, :, FREE_TIME])
        assert got == pytest.approx(expected, abs=0.02)


def test_tables_of_zones_are_those_of_the_conflicts():
    roads, clash = roads_of(Config()), conflicts(1)
    for i, j in itertools.product(range(12), repeat=2):
        assert roads.zone[i, j, KIND] == clash.kind[i, j]
        if clash.kind[i, j]:
            assert roads.zone[i, j, ENTER] == clash.enter[i, j] < roads.zone[i, j, LEAVE] == clash.leave[i, j]
