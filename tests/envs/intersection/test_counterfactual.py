"""Counterfactuals equal whole steps with the agent's default action, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.conformance.play import random_actions
from envs.core import ended
from envs.intersection import TASKS, Intersection
from envs.intersection.config import DECELERATION
from envs.intersection.state import ARRIVED, CRASHED, DRIVING, DUE, PENDING

CASES: dict[str, dict[str, Any]] = {
    **{task: {"task": task} for task in TASKS},
    "continuous": {"task": "busy-16", "continuous": True, "lanes": 2},
    "crowded": {"n_vehicles": 20, "flow": 20_000.0, "approach": 25.0, "entry_speed": 9.0, "exit_length": 15.0},
    "crowded with liars": {"n_vehicles": 8, "n_liars": 8, "intent": "declared", "flow": 20_000.0, "n_emergency": 3},
    "one alone": {"n_vehicles": 1, "flow": 100.0},
    "alone among liars": {"n_vehicles": 2, "n_liars": 12, "intent": "declared", "flow": 20_000.0},
}


def fate_of_others(env: Intersection, state: Any, action: Any, i: int, default: str) -> Any:
    """The next status of all but agent i, had it done its default action; (B, V)."""
    orders = env._decode(state, action)
    if default == "absent":
        status = state.status.copy()
        status[:, i] = np.where(status[:, i] == DRIVING, ARRIVED, status[:, i])
        state = state._replace(status=status)
    orders.accel[:, i] = -DECELERATION
    after, _ = env._advance(state, orders)
    return np.delete(after.status, i, axis=1)


@pytest.mark.parametrize("default", ["stop", "absent"])
@pytest.mark.parametrize("case", CASES)
def test_equals_steps_with_the_default_action(case: str, default: str) -> None:
    given = dict(CASES[case])
    env = envs.make("intersection", given.pop("task", None), counterfactual=default, **given)
    assert isinstance(env, Intersection)
    rng, steps, others = np.random.default_rng(6), 0, 0
    crashed, waited, arrived = False, False, False
    state, step = env.reset((1, 2, 3, 4))
    while not ended(step).all():
        action = random_actions(env, step, rng)
        if not env.config.continuous:  # mostly full throttle, so that some get far
            action = np.where(rng.random(action.shape) < 0.4, 4, action)
        reference = env._simulate_each(state, env._decode(state, action))
        before = state
        state, step = env.step(before, action)
        assert step.counterfactual is not None
        assert step.counterfactual.tobytes() == reference.tobytes()
        steps += 1
        i = steps % env.n_agents
        others += int((fate_of_others(env, before, action, i, default) != np.delete(state.status, i, axis=1)).sum())
        crashed |= bool((state.status == CRASHED).any())
        arrived |= bool((state.status == ARRIVED).any())
        waited |= bool(((state.status == PENDING) & (state.car[..., DUE] < 0.5 * state.step[:, None])).any())
    state, step = env.step(state, action)  # nobody is alive, or the time limit is past
    assert step.counterfactual is not None
    assert np.isfinite(step.counterfactual).all()
    assert steps > 10
    assert arrived
    if "crowded" in case or case == "busy-16":
        assert crashed
        assert waited
        assert others > 0  # an agent's default action decides on others' crashes and entries
