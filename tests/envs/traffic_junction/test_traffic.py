"""The rules of a step: driving, leaving, entering, and what is charged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from traffic_junction_scenes import BRAKE, GAS, act, junction, place_on, scene

from envs.traffic_junction.state import BORN, BRAKED, NAME, PLACE, ROUTE

DOWN, UP, EAST, WEST = 0, 3, 6, 9
"""Routes of medium that go straight on."""


def arrivals(env: Any, state: Any, *choices: int) -> Any:
    """Lets cars arrive in the next step, at each entry one with this route or, with -1, none."""
    arriving = state.arriving.copy()
    arriving[0, state.step[0]] = choices
    return state._replace(arriving=arriving)


def test_gas_drives_to_the_next_cell_and_brake_stays() -> None:
    env = junction()
    state, step = env.step(scene(env, [(DOWN, 2), (WEST, 4)]), act(env, GAS, BRAKE))
    assert state.car[0, :2, PLACE].tolist() == [3, 4]
    assert state.car[0, :2, BRAKED].tolist() == [0, 1]
    assert step.metrics["brakes"][0] == 0.5
    assert step.obs[0, :2, 2].tolist() == [0.0, 1.0]


def test_time_is_charged_more_the_longer_a_car_has_been_there() -> None:
    env = junction()
    state = scene(env, [(DOWN, 2)], step=10, age=3)
    for tau in (4, 5, 6):
        state, step = env.step(state, act(env, GAS))
        assert step.reward[0, 0] == pytest.approx(-0.01 * tau)
        assert step.team_reward[0] == pytest.approx(-0.01 * tau)
    assert not step.cost.any()
    assert step.metrics["success"][0] == 1.0


def test_a_car_leaves_by_the_last_cell_of_its_route_without_a_charge() -> None:
    env = junction()
    state = scene(env, [(DOWN, 13), (UP, 2)], step=20, age=16)
    state, step = env.step(state, act(env, BRAKE, GAS))
    assert step.alive[0, :2].all()
    state, step = env.step(state, act(env, GAS, GAS))
    assert step.terminated[0].tolist() == [True] + [False] * (env.n_agents - 1)
    assert step.alive[0, :2].tolist() == [False, True]
    assert step.reward[0, 0] == 0.0
    assert not step.obs[0, 0].any()
    assert step.metrics["throughput"][0] == 1
    assert step.metrics["delay"][0] == 18 - 14
    assert state.car[0, 0, NAME] == 1, "those that stay keep their order"
    assert not state.car[0, 1:].any()


def test_cars_in_one_cell_are_charged_in_every_step_and_drive_on() -> None:
    env = junction()
    into = place_on(env, DOWN, (6, 6)), place_on(env, WEST, (6, 6))
    state = scene(env, [(DOWN, into[0] - 1), (WEST, into[1] - 1), (UP, 1)])
    state, step = env.step(state, act(env, GAS, GAS, GAS))
    assert step.reward[0, :3] == pytest.approx([-10.01, -10.01, -0.01])
    assert step.team_reward[0] == pytest.approx(-20.03)
    assert step.cost[0, :3].tolist() == [1, 1, 0]
    assert step.alive[0, :3].all()
    state, step = env.step(state, act(env, BRAKE, BRAKE, GAS))
    assert step.reward[0, :2] == pytest.approx([-10.02, -10.02])
    state, step = env.step(state, act(env, GAS, GAS, GAS))
    assert step.reward[0, :2] == pytest.approx([-0.03, -0.03])
    assert not step.cost.any()
    assert (step.metrics["crashes"][0], step.metrics["success"][0]) == (4, 0)


def test_cars_may_swap_places_as_roads_do_not_let_them_meet() -> None:
    """Only cells count: a car that moves into the cell which another leaves does not crash."""
    env = junction()
    state = scene(env, [(DOWN, 3), (DOWN, 2)])
    _, step = env.step(state, act(env, GAS, GAS))
    assert not step.cost.any()


def test_cars_enter_entry_by_entry_until_the_roads_are_full() -> None:
    env = junction(n_cars=4)
    state = arrivals(env, scene(env, [(DOWN, 3), (UP, 4)]), -1, 2, 0, 1)
    state, step = env.step(state, act(env))
    assert state.car[0, :4, ROUTE].tolist() == [DOWN, UP, UP + 2, EAST]
    assert state.car[0, :4, NAME].tolist() == [0, 1, 2, 3]
    assert state.car[0, :4, BORN].tolist() == [0, 0, 1, 1]
    assert step.alive[0].sum() == 4
    assert step.obs[0, 3, :2].tolist() == [0.0, pytest.approx(7 / 13)]


def test_a_car_that_leaves_makes_room_in_the_same_step() -> None:
    env = junction(n_cars=1)
    state, step = env.step(arrivals(env, scene(env, [(DOWN, 13)]), -1, -1, -1, 0), act(env, GAS))
    assert state.car[0, 0].tolist() == [1, WEST, 0, 1, 0]
    assert step.alive[0, :3].tolist() == [False, True, False]


def test_who_stands_in_an_entry_is_hit_and_the_newcomer_is_not_charged_itself() -> None:
    env = junction()
    state = arrivals(env, scene(env, [(DOWN, 0)]), 0, -1, -1, -1)
    state, step = env.step(state, act(env, BRAKE))
    assert step.reward[0, :2] == pytest.approx([-10.01, 0.0])
    assert step.team_reward[0] == pytest.approx(-20.01)
    assert step.cost[0, :2].tolist() == [1, 1]
    assert step.metrics["crashes"][0] == 2


def test_a_world_is_never_empty() -> None:
    env = junction()
    first, step = env.reset(range(50))
    assert (step.alive.sum(axis=1) == 1).all()
    assert len(set(first.car[:, 0, ROUTE].tolist())) > 5
    state = scene(env, [(DOWN, 13)], step=7)
    after, step = env.step(state, act(env, GAS))
    assert step.alive[0, :3].tolist() == [False, True, False]
    assert after.car[0, 0].tolist() == [1, state.spare[0, 8], 0, 8, 0]
    kept, step = env.step(arrivals(env, state, -1, -1, 2, -1), act(env, GAS))
    assert kept.car[0, :2, ROUTE].tolist() == [EAST + 2, 0], "one that arrives is enough"


def test_when_names_run_out_no_more_cars_enter() -> None:
    env = junction()
    state = scene(env, [(DOWN, 3), (UP, 4)])
    state = state._replace(born=np.array([env.n_agents - 1], np.int32))
    after, step = env.step(arrivals(env, state, 0, 1, 2, 0), act(env))
    assert after.live[0] == 3
    assert step.alive[0, -1]


def test_only_the_time_limit_ends_an_episode() -> None:
    env = junction("easy-0")
    state, step = env.reset([3, 4])
    for t in range(1, env.max_steps + 1):
        state, step = env.step(state, np.ones((2, env.n_agents), int))
        assert step.truncated.tolist() == [t == 20] * 2
    assert step.metrics["crashes"].min() > 0
    assert not step.metrics["throughput"].any()


def test_without_a_car_its_partner_does_not_crash() -> None:
    env = junction(counterfactual="absent")
    into = place_on(env, DOWN, (6, 6)), place_on(env, WEST, (6, 6))
    state = scene(env, [(DOWN, into[0] - 1), (WEST, into[1] - 1), (UP, 1)])
    _, step = env.step(state, act(env, GAS, GAS, GAS))
    assert step.counterfactual is not None
    assert step.counterfactual[0, :4] == pytest.approx([-0.02, -0.02, -20.02, -20.03])


def test_charges_are_those_of_the_config() -> None:
    env = junction(time_charge=0.5, crash_charge=3.0)
    _, step = env.step(scene(env, [(DOWN, 2), (DOWN, 2)]), act(env))
    assert step.reward[0, :2] == pytest.approx([-3.5, -3.5])
