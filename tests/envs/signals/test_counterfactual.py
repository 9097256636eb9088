"""Counterfactuals equal whole steps in which the signal keeps its phase, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.conformance.play import random_actions
from envs.signals import TASKS, Signals
from envs.signals.heuristic import heuristic
from envs.signals.state import PHASE

CASES: dict[str, dict[str, Any]] = {
    **{task: {"task": task} for task in TASKS},
    "pressure": {"reward_kind": "pressure", "lanes": 3},
    "dark": {"n_blackouts": 2, "blackout_seconds": 60.0, "min_green": 0.0},
}


@pytest.mark.parametrize("case", CASES)
def test_equals_steps_in_which_the_signal_keeps_its_phase(case: str) -> None:
    given = dict(CASES[case])
    task = given.pop("task", None)
    plain = envs.make("signals", task, max_steps=30, **given)
    env = envs.make("signals", task, counterfactual="hold", max_steps=30, **given)
    assert isinstance(env, Signals)
    policy, rng, differ = heuristic(env), np.random.default_rng(2), 0
    state, step = env.reset((1, 2, 3))
    for t in range(env.max_steps + 1):
        action = random_actions(env, step, rng) if t % 3 else policy(state)
        before = state
        state, step = env.step(before, action)
        assert step.counterfactual is not None
        assert step.counterfactual.dtype == np.float32
        for i in range(len(env.agents)):
            kept = action.copy()
            kept[:, i] = before.signal[:, i, PHASE]
            reference = plain.step(before, kept)[1].team_reward
            assert step.counterfactual[:, i].tobytes() == reference.tobytes()
            differ += int((reference != step.team_reward).sum())
    assert differ > 10
