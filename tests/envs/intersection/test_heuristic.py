"""Right-of-way rules in scenes with known right answers, and over whole episodes."""

from __future__ import annotations

import numpy as np
import pytest
from intersection_scenes import EAST, LEFT, NORTH, RIGHT, STRAIGHT, WEST, crossing, scene

import envs
from envs.core import ended
from envs.intersection import heuristic
from envs.intersection.network import LINE
from envs.intersection.planner import RULES
from envs.intersection.state import ANNOUNCED, ARRIVED, BID, CLOSES, CRASHED, OPENS, POSITION, QUEUED


def order(env, state, limit=80):
    """The cars in the order in which they are halfway through the box; fails at a crash."""
    policy = heuristic(env)
    passed: list[int] = []
    for _ in range(limit):
        state, step = env.step(state, policy(state))
        assert (state.status != CRASHED).all()
        for i in range(env.n_agents):
            if state.car[0, i, POSITION] > env.network.leg[state.route[0, i], 0, LINE] + 8.0 and i not in passed:
                passed.append(i)
        if ended(step)[0]:
            break
    assert (state.status == ARRIVED).all()
    return passed


@pytest.mark.parametrize("rule", list(RULES))
def test_a_car_alone_goes_as_fast_as_it_may(rule):
    env = crossing(1, rule=rule)
    policy = heuristic(env)
    assert policy(scene(env, (EAST, LEFT, 30.0, 5.0))).tolist() == [[4]]


def test_the_priority_road_goes_first_whichever_car_came_first():
    env = crossing(2, rule="priority")
    assert order(env, scene(env, (NORTH, STRAIGHT, 12.0, 6.0), (EAST, STRAIGHT, 16.0, 9.0))) == [1, 0]
    assert order(env, scene(env, (EAST, STRAIGHT, 12.0, 6.0), (NORTH, STRAIGHT, 12.0, 9.0))) == [0, 1]


def test_left_turns_yield_to_the_opposite_side():
    env = crossing(2, rule="priority")
    assert order(env, scene(env, (EAST, LEFT, 10.0, 5.0), (WEST, STRAIGHT, 16.0, 9.0))) == [1, 0]


def test_a_long_gap_is_accepted():
    env = crossing(2, rule="priority")
    assert order(env, scene(env, (NORTH, STRAIGHT, 3.0, 5.0), (EAST, STRAIGHT, 47.0, 4.0))) == [0, 1]


def test_first_come_first_served():
    env = crossing(2, rule="first-come")
    cars = ((NORTH, STRAIGHT, 14.0, 6.0), (EAST, STRAIGHT, 14.0, 9.0))
    assert order(env, scene(env, *cars)) == [0, 1]
    state = scene(env, *cars)
    state.car[0, 0, QUEUED] = -5.0  # now it came last
    assert order(env, state) == [1, 0]


def test_a_reservation_lets_the_later_one_use_a_gap_that_first_come_leaves():
    """The first is far away and slow; the second could be gone before it comes."""
    cars = ((NORTH, STRAIGHT, 28.0, 2.0), (EAST, STRAIGHT, 12.0, 9.0))
    for rule, first in (("reservation", 1), ("first-come", 0)):
        env = crossing(2, rule=rule)
        assert order(env, scene(env, *cars))[0] == first


def test_the_auction_goes_to_the_emergency_vehicle():
    env = crossing(2, rule="auction", n_emergency=1)
    for urgent in (0, 1):
        state = scene(env, (NORTH, STRAIGHT, 14.0, 8.0), (EAST, STRAIGHT, 14.0, 8.0))
        state.emergency[0] = [urgent == 0, urgent == 1]
        assert order(env, state)[0] == urgent


def test_the_auction_goes_to_the_higher_announced_bid():
    env = crossing(2, rule="auction", intent="declared")
    for winner in (0, 1):
        state = scene(env, (NORTH, STRAIGHT, 14.0, 8.0), (EAST, STRAIGHT, 14.0, 8.0))
        state.car[0, :, OPENS], state.car[0, :, CLOSES], state.car[0, :, ANNOUNCED] = 1.0, 4.0, 100.0  # it stands
        state.car[0, winner, BID] = 1.0
        assert order(env, state)[0] == winner


@pytest.mark.parametrize("rule", list(RULES))
def test_paths_without_a_conflict_do_not_wait_for_each_other(rule):
    env = crossing(3, rule=rule)
    policy = heuristic(env)
    state = scene(env, (EAST, STRAIGHT, 14.0, 8.0), (WEST, STRAIGHT, 14.0, 8.0), (NORTH, LEFT, 48.0, 0.0))
    assert policy(state)[0, :2].tolist() == [4, 4]
    state = scene(env, (EAST, RIGHT, 20.0, 4.0), (WEST, RIGHT, 20.0, 4.0), (NORTH, RIGHT, 20.0, 4.0))
    assert policy(state)[0].tolist() == [4, 4, 4]


@pytest.mark.parametrize("task", ["cross-8", "grid-2x2-24"])
@pytest.mark.parametrize("rule", list(RULES))
def test_rules_bring_everybody_through(rule, task):
    env = envs.make("intersection", task, rule=rule)
    policy = envs.heuristic("intersection", task, rule=rule)
    state, step = env.reset(range(16))
    arrived, over = np.zeros(16), np.zeros(16, bool)
    for _ in range(env.max_steps):
        state, step = env.step(state, policy(state))
        now = ended(step) & ~over
        arrived[now] = step.metrics["success"][now]
        over |= now
    assert arrived.mean() == 1.0


def test_plans_are_actions_of_every_space():
    for options in ({}, {"continuous": True}, {"intent": "declared"}, {"intent": "declared", "continuous": True}):
        env = crossing(3, **options)
        policy = heuristic(env)
        state, _ = env.reset([0, 1])
        action = policy(state)
        assert all(env.action_space.contains(row) for world in action for row in world)
        env.step(state, action)


def test_honest_announcements_are_mostly_kept():
    env = envs.make("intersection", intent="declared", rule="reservation")
    policy = envs.heuristic("intersection", intent="declared", rule="reservation")
    state, step = env.reset(range(8))
    for _ in range(70):
        state, step = env.step(state, policy(state))
    assert step.metrics["honesty"].mean() > 0.8
