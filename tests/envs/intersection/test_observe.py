"""Observations of vehicles, entry by entry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from intersection_scenes import (
    EAST,
    KEEP,
    LEFT,
    NORTH,
    RIGHT,
    SOUTH,
    SPEED_UP,
    STRAIGHT,
    WEST,
    act,
    crossing,
    driven,
    scene,
)

import envs
from envs.intersection.observe import OWN, PER_CONFLICT, POINTS
from envs.intersection.state import ACCELERATED, SENT
from envs.roads.crossing import CROSS, MERGE, conflicts, half_side, movements

FIRST = OWN + POINTS
"""Where the first conflict begins."""


def soft(value: float, scale: float = 10.0) -> float:
    return value / (abs(value) + scale)


def way(heading: int, turn: int) -> int:
    return next(m for m, one in enumerate(movements(1)) if (one.heading, one.turn) == (heading, turn))


def test_the_page_tells_the_size_of_observations():
    for k in (0, 1, 4):
        assert crossing(2, n_conflicts=k).observation_space.shape == (24 + 16 * k,)
    assert crossing(3).state_space.shape == (16 * 3 + 1,)


def test_a_car_knows_itself_and_the_one_ahead():
    env = crossing(2)
    state = scene(env, (EAST, LEFT, 10.0, 4.0), (EAST, STRAIGHT, 22.0, 8.0))
    state.car[0, 1, ACCELERATED] = -2.25
    obs, _, *_ = env._shown(state)
    mine = obs[0, 1]
    assert mine[0] == pytest.approx(8.0 / 13.9)
    assert mine[1] == 1.0
    assert mine[2] == pytest.approx(-0.5)
    assert mine[3] == pytest.approx(soft(22.0))
    assert mine[4:8].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert mine[8] == pytest.approx(soft(22.0 + 2.4 + 2 * half_side(1) + 25.0))
    assert mine[9] == pytest.approx(soft(12.0 - 4.8))
    assert mine[10] == pytest.approx(-4.0 / 13.9)
    assert mine[11] == 1.0
    assert mine[14] == pytest.approx(64.0 / 9.0 / 22.0)
    clash, me = conflicts(1), way(EAST, STRAIGHT)
    points = np.unique(np.round(clash.at[me][np.isin(clash.kind[me], (CROSS, MERGE))], 1)).tolist()
    assert mine[OWN:FIRST] == pytest.approx([soft(p + 22.0 + 2.4) for p in points[:POINTS]])
    assert obs[0, 0, 4:7].tolist() == [1.0, 0.0, 0.0]
    assert obs[0, 0, 9:12].tolist() == [1.0, 0.0, 0.0]
    assert not obs[0, :, FIRST:].any()  # from one lane: nothing to negotiate


def test_the_car_ahead_is_seen_within_sensing_range():
    for reach, seen in ((12.5, 1.0), (11.5, 0.0)):
        env = crossing(2, sensing_range=reach)
        state = scene(env, (EAST, STRAIGHT, 10.0, 4.0), (EAST, STRAIGHT, 22.0, 8.0))
        assert env._shown(state)[0][0, 1, 11] == seen
        assert (env._shown(state)[0][0, 1, 9] == 1.0) == (not seen)


def test_a_conflict_is_described_relative_to_its_zone():
    env = crossing(2)
    state = scene(env, (EAST, STRAIGHT, 12.0, 6.0), (NORTH, STRAIGHT, 20.0, 10.0))
    obs, adjacency, *_ = env._shown(state)
    clash, me, other = conflicts(1), way(EAST, STRAIGHT), way(NORTH, STRAIGHT)
    own, its = clash.enter[me, other] + 14.4, clash.enter[other, me] + 22.4
    seen = obs[0, 0, FIRST : FIRST + PER_CONFLICT]
    assert seen[0] == 1.0
    assert seen[1:4] == pytest.approx([soft(own), soft(its), soft(clash.leave[other, me] + 22.4)])
    assert seen[4:6] == pytest.approx([soft(own / 6.0, 3.0), soft(its / 10.0, 3.0)])
    assert seen[6:9] == pytest.approx([10.0 / 13.9, (own / 6.0 - its / 10.0) / 5.0, -1.0])
    assert seen[9:12].tolist() == [1.0, 0.0, 1.0]  # from the right
    assert seen[12] == pytest.approx(soft(its / 10.0, 3.0))  # no acceleration: it keeps its speed
    assert seen[14] == 0.0
    assert obs[0, 1, FIRST + 9] == -1.0
    assert adjacency[0].tolist() == [[False, True], [True, False]]


def test_messages_grow_old_until_the_next():
    env = crossing(2, intent_period=3)
    state, ages = scene(env, (EAST, STRAIGHT, 28.0, 5.0), (NORTH, STRAIGHT, 28.0, 5.0)), []
    for _ in range(6):
        state, step = env.step(state, act(KEEP, KEEP))
        ages.append(round(5.0 * float(step.obs[0, 0, FIRST + 14]), 6))
    assert ages == [0.5, 1.0, 0.0, 0.5, 1.0, 0.0]


def test_without_intent_a_turn_is_hidden_until_it_shows():
    for before, intent, differs in ((5.0, "none", False), (5.0, "shared", True), (-3.0, "none", True)):
        env = crossing(2, intent=intent)
        seen = [
            env._shown(scene(env, (EAST, STRAIGHT, 10.0, 8.0), (WEST, turn, before, 3.0)))[0][0, 0, FIRST:]
            for turn in (LEFT, RIGHT)
        ]
        assert bool((seen[0] != seen[1]).any()) is differs, (before, intent)
        if intent == "none" and before > 0:
            assert seen[0][0] == 1.0  # it might turn left
            assert not seen[0][11:].any()


def test_without_intent_the_adjacency_does_not_reveal_the_turn():
    for intent, heard in (("none", [True, True]), ("shared", [True, False])):
        env = crossing(2, intent=intent)
        scenes = [scene(env, (EAST, STRAIGHT, 10.0, 8.0), (WEST, turn, 5.0, 3.0)) for turn in (LEFT, RIGHT)]
        assert [bool(env.adjacency(state)[0, 0, 1]) for state in scenes] == heard


def test_ranges_bound_what_is_heard_and_observed():
    cars = ((EAST, STRAIGHT, 30.0, 8.0), (SOUTH, STRAIGHT, 30.0, 8.0))
    for options, seen, told, hears in (
        ({}, 1.0, 1.0, True),
        ({"comm_range": 20.0}, 1.0, 0.0, False),
        ({"sensing_range": 20.0}, 0.0, 0.0, True),
    ):
        env = crossing(2, **options)
        obs, adjacency, *_ = env._shown(scene(env, *cars))
        assert (obs[0, 0, FIRST], obs[0, 0, FIRST + 11]) == (seen, told)
        assert adjacency[0, 0, 1] == hears


def test_at_a_blind_crossing_cars_are_heard_before_they_are_seen():
    config = envs.config("intersection", "blind-8")
    assert config == replace(envs.config("intersection"), intent="none", sensing_range=15.0)
    env: Any = envs.make("intersection", "blind-8", n_vehicles=2)
    for far, seen in ((20.0, 0.0), (-3.0, 1.0)):  # from the line; below 0 beyond it
        state = scene(env, (EAST, STRAIGHT, far, 6.0), (NORTH, STRAIGHT, far, 6.0))
        obs, adjacency, *_ = env._shown(state)
        assert adjacency[0].tolist() == [[False, True], [True, False]]
        assert obs[0, :, FIRST].tolist() == [seen, seen]
        assert not obs[0, :, FIRST + 11].any()  # nobody knows the other's intent


def test_a_car_that_has_left_the_zone_is_no_conflict_any_more():
    env = crossing(2)
    zone = conflicts(1).leave[way(NORTH, STRAIGHT), way(EAST, STRAIGHT)]
    for beyond, seen in ((-0.5, 1.0), (0.5, 0.0)):
        state = scene(env, (EAST, STRAIGHT, 10.0, 8.0), (NORTH, STRAIGHT, -(zone + beyond) - 2.4, 8.0))
        assert env._shown(state)[0][0, 0, FIRST] == seen


def test_announced_windows_are_observed_with_their_age():
    env = crossing(2, intent="declared")
    state = scene(env, (EAST, STRAIGHT, 40.0, 8.0), (NORTH, STRAIGHT, 40.0, 8.0))
    state, step = driven(env, state, SPEED_UP, KEEP + 5 * 1 + 15, steps=2)
    seen, own = step.obs[0, 0, FIRST : FIRST + PER_CONFLICT], step.obs[0, 1]
    assert seen[15] == own[19] == 1.0
    assert seen[12:14] == pytest.approx(own[17:19])
    assert seen[14] == pytest.approx(1.0 / 5.0)
    assert (state.car[0, :, SENT] >= 0.0).all()


def test_the_global_state_shows_the_cars_to_come():
    env = crossing(3, flow=1200.0)
    state, step = env.reset([0])
    rows = step.state[0, :48].reshape(3, 16)
    assert rows[0, 0] == 1.0
    assert rows[1:, 0].tolist() == [-1.0, -1.0]
    assert rows[1:, 1] == pytest.approx([soft(float(d), 3.0) for d in state.car[0, 1:, 3]])
    assert not np.any(rows[1:, 2:])
