"""Routes through a network, their speed profiles and the tables of conflicts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from envs.intersection import TASKS, Config
from envs.intersection.network import (
    CROSSING,
    CURVATURE,
    ENTER,
    FREE_TIME,
    KIND,
    LEAVE,
    LIMIT,
    MOVEMENT,
    S0,
    SAMPLE,
    network_of,
)
from envs.intersection.spots import pose_at
from envs.roads.crossing import LEFT, RIGHT, STRAIGHT, conflicts, half_side, movements

EAST, NORTH, WEST, SOUTH = range(4)


def way(heading: int, turn: int, lanes: int = 1) -> int:
    return next(m for m, one in enumerate(movements(lanes)) if (one.heading, one.turn) == (heading, turn))


def test_routes_of_one_crossing_are_its_movements():
    network = network_of(Config())
    assert len(network.length) == 12
    assert sorted(set(np.round(network.share, 9).tolist())) == [0.0625, 0.125]
    h = half_side(1)
    assert network.length.max() == pytest.approx(50 + 2 * h + 25)


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_turns_have_their_shares_whatever_the_lanes(lanes):
    network = network_of(Config(lanes=lanes, left_share=0.25, right_share=0.15))
    turns = np.array([movements(lanes)[int(m)].turn for m in network.leg[:, 0, MOVEMENT]])
    shares = [network.share[turns == turn].sum() for turn in (LEFT, STRAIGHT, RIGHT)]
    assert shares == pytest.approx([0.25, 0.6, 0.15])


def test_after_the_first_crossing_the_turns_of_a_lane_share_what_they_have():
    network = network_of(Config(lanes=2, rows=1, columns=2, left_share=0.25, right_share=0.15))
    ways = movements(2)
    first, second = (np.array([ways[int(m)][:3] for m in network.leg[:, q, MOVEMENT]]) for q in (0, 1))
    both, totals = network.n_legs == 2, []
    for lane, shares in ((0, {LEFT: 0.25, STRAIGHT: 0.6}), (1, {STRAIGHT: 0.6, RIGHT: 0.15})):
        east = both & (first == (EAST, lane, STRAIGHT)).all(axis=1) & (network.leg[:, 0, CROSSING] == 0)
        totals.append(network.share[east].sum())
        for turn, share in shares.items():
            part = network.share[east & (second[:, 2] == turn)].sum() / network.share[east].sum()
            assert part == pytest.approx(share / sum(shares.values()))
    assert totals[0] == pytest.approx(totals[1])


@pytest.mark.parametrize("config", [Config(), TASKS["grid-2x2-24"], Config(lanes=2, rows=1, columns=2)], ids=str)
def test_routes_have_no_seams(config):
    network = network_of(config)
    assert network.share.sum() == pytest.approx(1.0)
    for p in range(len(network.length)):
        for seam in network.segment[p, 1:, S0]:
            if np.isfinite(seam):
                before, after = pose_at(network.segment, p, seam - 1e-7), pose_at(network.segment, p, seam)
                assert before == pytest.approx(after, abs=1e-6)


def test_a_grids_routes_visit_no_crossing_twice_and_name_shared_lanes_alike():
    network = network_of(TASKS["grid-2x2-24"])
    for p in range(len(network.length)):
        visited = network.leg[p, : network.n_legs[p], 0].tolist()
        assert len(set(visited)) == len(visited) <= 4
        sections = [z for z in network.stretch[p, :, 0].tolist() if z >= 0]
        assert len(set(sections)) == len(sections) == 2 * len(visited) + 1
        assert np.flatnonzero(network.section_start[p] >= 0.0).tolist() == sorted(int(z) for z in sections)


def test_curves_are_slow_and_braked_for_in_time():
    network = network_of(Config())
    for p in range(len(network.length)):
        for g in range(3):
            curvature = network.segment[p, g, CURVATURE]
            if curvature != 0.0:
                k = int(network.segment[p, g, S0] / SAMPLE) + 2
                assert network.profile[p, k, LIMIT] == pytest.approx(math.sqrt(3.0 / abs(curvature)))
        fall = -np.diff(network.profile[p, :, LIMIT] ** 2) / (2.0 * SAMPLE)
        assert fall.max() <= 2.0 + 1e-9


def test_free_times_are_those_of_constant_acceleration():
    network = network_of(Config())
    p = int(np.argmax(network.length))  # straight on
    up = (13.9**2 - 9.0**2) / (2 * 2.6)  # metres until the speed limit
    for s in (5.0, up, 60.0, 90.0):
        if s <= up:
            expected = (math.sqrt(81.0 + 2 * 2.6 * s) - 9.0) / 2.6
        else:
            expected = (13.9 - 9.0) / 2.6 + (s - up) / 13.9
        got = np.interp(s, SAMPLE * np.arange(network.profile.shape[1]), network.profile[p, :, FREE_TIME])
        assert got == pytest.approx(expected, abs=0.02)


def test_tables_of_zones_are_those_of_the_conflicts():
    network, clash = network_of(Config()), conflicts(1)
    for i, j in itertools.product(range(12), repeat=2):
        assert network.zone[i, j, KIND] == clash.kind[i, j]
        if clash.kind[i, j]:
            assert network.zone[i, j, ENTER] == clash.enter[i, j] < network.zone[i, j, LEAVE] == clash.leave[i, j]
