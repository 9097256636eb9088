"""Counterfactuals equal whole steps without the car, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.core import ended
from envs.traffic_junction import TASKS, TrafficJunction
from envs.traffic_junction.config import Config
from envs.traffic_junction.state import NAME, State

CASES: dict[str, dict[str, Any]] = {
    **{task: {"task": task} for task in TASKS},
    "full": {"n_cars": 4, "arrival_rate": 0.9, "max_steps": 60},  # most cars that arrive find no room
    "empty": {"n_cars": 2, "arrival_rate": 0.01, "max_steps": 60},  # a world without a car is given one
    "one": {"n_cars": 1, "arrival_rate": 0.5},
}


def take_out(state: State, i: int) -> State:
    """The worlds without car i, if it is on the roads."""
    car, live = np.zeros_like(state.car), state.live.copy()
    for b, n in enumerate(state.live):
        others = state.car[b, :n][state.car[b, :n, NAME] != i]
        car[b, : len(others)], live[b] = others, len(others)
    return state._replace(car=car, live=live)


@pytest.mark.parametrize("gas", [0.3, 0.8])
@pytest.mark.parametrize("case", CASES)
def test_equals_steps_without_the_car(case: str, gas: float) -> None:
    given = dict(CASES[case])
    task = given.pop("task", None)
    plain = envs.make("traffic_junction", task, **given)
    env = envs.make("traffic_junction", task, counterfactual="absent", **given)
    assert isinstance(env, TrafficJunction)
    rng, seen = np.random.default_rng(1), set()
    state, step = env.reset((1, 2, 3, 4))
    while not ended(step).all():
        action = (rng.random(step.alive.shape) > gas).astype(np.int64)
        before, alive = state, step.alive
        state, step = env.step(before, action)
        assert step.counterfactual is not None
        for i in range(env.n_agents):
            reference = plain.step(take_out(before, i), action)[1].team_reward
            assert step.counterfactual[:, i].tobytes() == reference.tobytes()
        gained = (step.counterfactual - step.team_reward[:, None])[alive]
        seen |= {int(crashes) for crashes in np.round(gained / Config().crash_charge)}
    assert 0 in seen
    if case.startswith("medium"):
        assert {1, 2} <= seen  # one of many cars, and one of two, in a cell
    if case == "full":
        assert -2 in seen  # without it another car can enter, and crashes
    env.step(state, np.zeros((4, env.n_agents), np.int64))  # past the time limit
