"""The costs of waiting and crashing: no agent gains by ramming, and waiting outside counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intersection_scenes import EAST, KEEP, NORTH, SPEED_UP, STRAIGHT, act, crossing, route_of, scene

import envs
from envs.core import ended
from envs.intersection.state import CRASHED, DUE, PENDING


@pytest.mark.parametrize("rule", ["priority", "auction"])
def test_an_emergency_vehicle_does_not_gain_by_ramming(rule: str) -> None:
    earned = {}
    for rams in (False, True):
        env: Any = envs.make("intersection", "emergency-8")
        policy, (state, step) = envs.heuristic("intersection", "emergency-8", rule=rule), env.reset(range(192))
        urgent, total = state.emergency[:, :8], np.zeros(192)
        while not ended(step).all():
            over, action = ended(step), policy(state)
            if rams:
                action = np.where(urgent, SPEED_UP, action)
            state, step = env.step(state, action)
            total += np.where(over, 0.0, (step.reward * urgent).sum(axis=1))
        earned[rams] = total.mean()
        assert rams == ((state.status[:, :8] == CRASHED) & urgent).any()
    assert earned[True] < earned[False] - 1.0


def test_a_crash_costs_an_emergency_vehicle_as_many_times_as_its_time() -> None:
    env = crossing(2, n_emergency=1)
    state = scene(env, (EAST, STRAIGHT, 5.0, 10.0), (NORTH, STRAIGHT, 8.5, 10.0))
    state.emergency[0] = [True, False]
    step = None
    while step is None or not step.terminated.any():
        state, step = env.step(state, act(KEEP, KEEP))
    assert step.terminated.all()
    assert step.reward[0] == pytest.approx([-5.0 * 4.0, -4.0], abs=0.3)


@pytest.mark.parametrize(("urgent", "charge"), [(False, 0.05), (True, 0.25)])
def test_the_team_pays_for_agents_that_wait_outside(urgent: bool, charge: float) -> None:
    env = crossing(3, n_emergency=1, counterfactual="absent")
    state = scene(env, (EAST, STRAIGHT, 40.0, 0.0))  # it stands in the entry
    state.status[0, 1:] = PENDING
    state.car[0, 1:, DUE] = 0.0, 50.0  # the third is not due
    state.route[0, 1:] = route_of(env, EAST, STRAIGHT)
    state.emergency[0] = [not urgent, urgent, False]
    after, step = env.step(state, act(KEEP, KEEP, KEEP))
    assert (after.status[0, 1:] == PENDING).all()
    assert not step.reward[0, 1:].any(), "an agent that is not there earns nothing"
    assert step.team_reward[0] == pytest.approx(step.reward[0].sum() - charge)
    assert step.counterfactual is not None
    assert step.counterfactual[0, 0] == pytest.approx(0.0), "had it not been in the way, no agent would wait"


def test_the_team_earns_the_sum_where_nobody_waits_outside() -> None:
    env: Any = envs.make("intersection", "emergency-8")
    policy, (state, step) = envs.heuristic("intersection", "emergency-8"), env.reset(range(64))
    waited = 0
    for _ in range(40):
        state, step = env.step(state, policy(state))
        outside = (state.status == PENDING) & (state.car[:, :, DUE] <= 0.5 * state.step[:, None])
        charge = 0.05 * (outside * np.where(state.emergency, 5.0, 1.0)).sum(axis=1)
        assert step.team_reward == pytest.approx(step.reward.sum(axis=1) - charge, abs=1e-5)
        waited += outside.sum()
    assert waited > 0
