"""Scripted cars: observations do not distinguish them from agents, and none vanishes but one that is in the way."""

from __future__ import annotations

from typing import Any

import numpy as np
from intersection_scenes import EAST, NORTH, STRAIGHT, crossing, route_of

import envs
from envs.core import ended
from envs.intersection.observe import Shown, observe
from envs.intersection.state import (
    ARRIVED,
    DRIVING,
    DUE,
    FINISHED,
    NEVER,
    OPENS,
    PENDING,
    POSITION,
    QUEUED,
    SPEED,
    State,
    copied,
)


def placed(env: Any, cars: dict[int, tuple[int, float, float]]) -> State:
    """Cars on the road, by index: heading, position on the route [m], speed; all others are gone."""
    state = copied(env.reset([0])[0])
    route = state.route.copy()
    state.status[:], state.car[0, :, OPENS], state.car[0, :, QUEUED] = ARRIVED, NEVER, NEVER
    for i, (heading, position, speed) in cars.items():
        route[0, i], state.status[0, i], state.leg[0, i] = route_of(env, heading, STRAIGHT), DRIVING, 0
        state.car[0, i, POSITION], state.car[0, i, SPEED] = position, speed
    return state._replace(route=route)


def test_observations_and_adjacency_do_not_reveal_scripted_cars() -> None:
    env = crossing(2, n_liars=1, intent="declared")
    me, other = (EAST, 30.0, 8.0), (NORTH, 35.0, 8.0)
    shown = [env._shown(placed(env, {0: me, i: other})) for i in (1, 2)]  # an agent, a scripted car
    assert shown[0][0][0, 0, 24] == 1.0, "the other is seen"
    assert np.array_equal(shown[0][0][0, 0], shown[1][0][0, 0])
    assert np.array_equal(shown[0][1][0, 0], shown[1][1][0, 0])


def test_among_liars_nobody_is_listed() -> None:
    """No agent hears another; without scripted cars the same agents do."""
    heard = {}
    for n_liars in (0, 2):
        env: Any = envs.make("intersection", "liar-8", n_liars=n_liars)
        policy, (state, step) = envs.heuristic("intersection", "liar-8", n_liars=n_liars), env.reset(range(8))
        heard[n_liars] = step.adjacency.sum()
        for _ in range(40):
            state, step = env.step(state, policy(state))
            heard[n_liars] += step.adjacency.sum()
    assert heard[2] == 0
    assert heard[0] > 0


def test_scripted_cars_are_written_into_no_row() -> None:
    """They have no column in `adjacency`: what lies behind it in memory stays as it is."""
    env = crossing(2, n_liars=3, intent="declared")
    state = placed(env, {1: (EAST, 30.0, 8.0), 2: (NORTH, 35.0, 8.0), 3: (NORTH, 20.0, 8.0), 4: (NORTH, 5.0, 8.0)})
    memory = np.ones(20, bool)
    obs, global_state = np.zeros((1, 2, *env.observation_space.shape), np.float32), np.zeros((1, 81), np.float32)
    memory[:4] = False
    shown = Shown(obs, memory[:4].reshape(1, 2, 2), global_state, np.zeros((10, 1)))
    observe(env._sensors, env.network, state, shown)
    assert memory[4:].all()


def test_only_a_car_in_the_way_of_an_entrant_turns_off() -> None:
    env = crossing(2, n_liars=4, intent="declared")
    cars = {2: (EAST, 46.0, 0.0), 3: (NORTH, 8.0, 0.0), 4: (EAST, 8.0, 0.0), 5: (EAST, 26.0, 0.0)}
    state = placed(env, cars)
    state.status[0, 1] = PENDING
    state.route[0, 1] = route_of(env, EAST, STRAIGHT)
    state.car[0, 1, DUE] = 100.0
    after, step = env.step(state, np.zeros((1, 2), np.int64))
    assert after.status[0, 1] == DRIVING, "no other agent is left, so it comes at once"
    assert step.alive[0].tolist() == [False, True]
    assert after.status[0, 2:].tolist() == [DRIVING, DRIVING, ARRIVED, DRIVING]
    assert after.car[0, 4, FINISHED] == 0.5


def test_scripted_cars_leave_by_the_exit_or_from_an_entrants_lane() -> None:
    """In whole episodes: one that turned off was on the lane of an agent that entered then, too near for it to stop."""
    env: Any = envs.make("intersection", "liar-8", n_vehicles=4, n_liars=16, flow=8000.0)
    rng, turned_off = np.random.default_rng(0), 0
    state, step = env.reset(range(256))
    n, end = env.n_agents, env.network.length
    distance = 9.0**2 / 9.0 + 0.5 * 9.0 + 4.8 + 1.0  # of one that enters and one that stands
    while not ended(step).all():
        over = ended(step)
        before, (state, step) = state, env.step(state, rng.integers(0, 30, (256, n)))
        gone = (before.status == DRIVING) & (state.status == ARRIVED) & (state.car[:, :, POSITION] < end[state.route])
        assert not gone[:, :n].any()
        entered = (before.status == PENDING) & (state.status == DRIVING)
        for b, j in zip(*np.nonzero(gone), strict=True):
            if over[b]:
                continue
            ways = state.route[b, np.flatnonzero(entered[b])]
            first = env.network.stretch[state.route[b, j], 0, 0]
            assert (env.network.stretch[ways, 0, 0] == first).any(), "it was on another lane"
            assert state.car[b, j, POSITION] < distance
            turned_off += 1
    assert turned_off > 0
