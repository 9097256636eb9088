"""Counterfactuals of one slot equal whole slots without the node, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.conformance.play import random_actions
from envs.edge_market import TASKS, EdgeMarket
from envs.edge_market.absence import welfare_without_each
from envs.edge_market.env import Play
from envs.edge_market.heuristic import heuristic
from envs.edge_market.state import CLEARING_RULES, NOBODY, Array, State, copied
from envs.edge_market.work import sum_welfare

CASES: dict[str, dict[str, Any]] = {
    **{f"task {task}": {"task": task} for task in TASKS},
    **{f"rule {rule}": {"rule": rule, "n_nodes": 12, "load": 1.2} for rule in CLEARING_RULES},
    # Links so fast and work so small that much is sold, done and paid for within a slot.
    "sold and done": {"rule": "vcg", "n_nodes": 10, "bandwidth": 500.0, "latency": 0.0, "slot_seconds": 1.0},
    "one price": {"rule": "uniform", "n_nodes": 10, "bandwidth": 500.0, "latency": 0.0, "slot_seconds": 1.0},
    "often down": {"rule": "mcafee", "n_nodes": 8, "failures": 4.0, "partition": 0.5, "n_models": 6, "load": 2.0},
    "swamped": {"rule": "posted", "n_nodes": 6, "load": 12.0, "partition": 0.3},
    "few models": {"n_nodes": 6, "n_models": 8, "load_rate": 1.0, "discrete": True},
}


def simulated(env: EdgeMarket, state: State, strategy: Array) -> Array:
    """The others' welfare from whole slots without each node, (B, N) float64."""
    welfare, one = np.empty(state.n_held.shape), np.empty(len(state.step))
    for i in range(len(env.agents)):
        play = Play(strategy, np.full(len(state.step), i, np.int32))
        _, reward, _, exchange = env._advance(state, play)
        sum_welfare(reward, exchange, play.absent, one)
        welfare[:, i] = one
    return welfare


@pytest.mark.parametrize("policy", ["random", "truthful"])
@pytest.mark.parametrize("case", CASES)
def test_equals_slots_without_the_node(case: str, policy: str) -> None:
    given = dict(CASES[case])
    env = envs.make("edge_market", given.pop("task", None), counterfactual="absent", max_steps=60, **given)
    assert isinstance(env, EdgeMarket)
    act, rng, matters = heuristic(env, policy) if policy != "random" else None, np.random.default_rng(4), 0
    state, step = env.reset((5, 6, 7))
    for _ in range(env.max_steps):
        action = random_actions(env, step, rng) if act is None else act(state)
        strategy = env.strategy(state, action)
        reference, found = simulated(env, state, strategy), np.empty(state.n_held.shape)
        welfare_without_each(env.params, state, copied(state), strategy, found)
        assert found.tobytes() == reference.tobytes()
        state, step = env.step(state, action)
        assert step.counterfactual is not None
        assert step.counterfactual.tobytes() == reference.astype(np.float32).tobytes()
        # A node's absence changes more than its own profit: trades, and what others are paid.
        matters += int((np.abs(step.team_reward[:, None] - step.reward - reference) > 1e-4).sum())
    assert matters > 0
    if case in ("sold and done", "one price"):
        assert matters > 50
    assert (state.partner == NOBODY).any()


def test_writes_into_nothing_that_is_kept() -> None:
    env = envs.make("edge_market", "partition-16", counterfactual="absent", max_steps=20)
    plain = envs.make("edge_market", "partition-16", max_steps=20)
    rng = np.random.default_rng(8)
    state, step = env.reset((1, 2))
    for _ in range(20):
        action = random_actions(env, step, rng)
        before = [value.tobytes() for value in state]
        after, step = env.step(state, action)
        assert [value.tobytes() for value in state] == before
        same, _ = plain.step(state, action)
        assert [value.tobytes() for value in same] == [value.tobytes() for value in after]
        state = after
