"""Counterfactuals equal whole steps with the agent's default action, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.conformance.play import random_actions
from envs.core import Array, ended
from envs.intersection import TASKS, Intersection, steps
from envs.intersection.config import DECELERATION
from envs.intersection.motion import Orders
from envs.intersection.state import ARRIVED, CRASHED, DRIVING, DUE, PENDING, State, copied

CASES: dict[str, dict[str, Any]] = {
    **{task: {"task": task} for task in TASKS},
    "continuous": {"task": "busy-16", "continuous": True, "lanes": 2},
    "crowded": {"n_vehicles": 20, "flow": 20_000.0, "approach": 25.0, "entry_speed": 9.0, "exit_length": 15.0},
    "crowded with liars": {"n_vehicles": 8, "n_liars": 8, "intent": "declared", "flow": 20_000.0, "n_emergency": 3},
    "one alone": {"n_vehicles": 1, "flow": 100.0},
    "alone among liars": {"n_vehicles": 2, "n_liars": 12, "intent": "declared", "flow": 20_000.0},
}


def simulated(env: Intersection, state: State, orders: Orders, i: int) -> tuple[State, Array]:
    """The worlds after a step in which agent i does its default action, and the team's reward (B,)."""
    orders = orders._replace(accel=orders.accel.copy())
    orders.accel[:, i] = -DECELERATION
    if env.config.counterfactual == "absent":
        status = state.status.copy()
        status[:, i] = np.where(status[:, i] == DRIVING, ARRIVED, status[:, i])  # without having been paid for it
        state = state._replace(status=status)
    after, outcome = copied(state), env._no_outcome(state)
    steps.advance(env._traffic, env._weights, env.network, state, after, orders, outcome)
    return after, outcome.team_reward


@pytest.mark.parametrize("default", ["stop", "absent"])
@pytest.mark.parametrize("case", CASES)
def test_equals_steps_with_the_default_action(case: str, default: str) -> None:
    given = dict(CASES[case])
    env = envs.make("intersection", given.pop("task", None), counterfactual=default, **given)
    assert isinstance(env, Intersection)
    rng, others = np.random.default_rng(6), 0
    crashed, waited, arrived = False, False, False
    state, step = env.reset((1, 2, 3, 4))
    while not ended(step).all():
        action = random_actions(env, step, rng)
        if not env.config.continuous:  # mostly full throttle, so that some get far
            action = np.where(rng.random(action.shape) < 0.4, 4, action)
        before, orders = state, env._decode(state, action)
        state, step = env.step(before, action)
        assert step.counterfactual is not None
        for i in range(env.n_agents):
            after, reference = simulated(env, before, orders, i)
            assert step.counterfactual[:, i].tobytes() == reference.astype(np.float32).tobytes()
            others += int((np.delete(after.status, i, axis=1) != np.delete(state.status, i, axis=1)).sum())
        crashed |= bool((state.status == CRASHED).any())
        arrived |= bool((state.status == ARRIVED).any())
        waited |= bool(((state.status == PENDING) & (state.car[..., DUE] < 0.5 * state.step[:, None])).any())
    _, step = env.step(state, random_actions(env, step, rng))  # nobody is alive, or the time limit is past
    assert step.counterfactual is not None
    assert np.isfinite(step.counterfactual).all()
    assert arrived
    if "crowded" in case or case == "busy-16":
        assert crashed
        assert waited
        assert others > 0  # an agent's default action decides on others' crashes and entries
