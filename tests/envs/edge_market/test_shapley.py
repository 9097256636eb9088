"""Shapley values of nodes equal their definition, over whole slots from which all but a coalition are absent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from coalitions import by_all_coalitions
from numpy.typing import NDArray

import envs
from envs.conformance.play import random_actions
from envs.edge_market import EdgeMarket
from envs.edge_market.heuristic import heuristic
from envs.edge_market.state import CLEARING_RULES, LOADED, NOBODY, READY, State
from envs.kit.shapley import EXACT

FAST = {"bandwidth": 500.0, "latency": 0.0, "slot_seconds": 1.0}  # much is sold, done and paid for within a slot
CASES: dict[str, dict[str, Any]] = {
    **{f"rule {rule}": {"rule": rule, "n_nodes": 6, "load": 1.2} for rule in CLEARING_RULES},
    "duopoly": {"task": "duopoly-2"},
    "sold and done": {"rule": "vcg", "n_nodes": 6, **FAST},
    "one price": {"rule": "uniform", "n_nodes": 6, **FAST},
    "often down": {"rule": "mcafee", "n_nodes": 6, "failures": 2.0, "partition": 0.4, "load": 3.0},
    "cut off": {"rule": "posted", "n_nodes": 6, "load": 3.0, "partition": 0.6},
    # Inputs of no size are there at once, so tasks that are sold now put off others that were sold before.
    "put off": {"rule": "uniform", "n_nodes": 6, "size": 0.0, "latency": 0.0, "load": 1.5, "slot_seconds": 0.5},
    "put off, posted": {
        "rule": "posted", "n_nodes": 6, "size": 0.0, "latency": 0.0, "slot_seconds": 0.4, "cpu_spread": 0.8,
        "imbalance": 1.0, "deadline": 3.0, "sale_seconds": 5.0, "n_models": 1, "load": 1.0,
    },
    "few models": {"n_nodes": 6, "n_models": 8, "load_rate": 1.0, "discrete": True},
}  # fmt: skip


def make(case: str, **more: Any) -> EdgeMarket:
    given = {**CASES[case], "max_steps": 25, **more}
    return envs.make("edge_market", given.pop("task", None), **given)  # pyright: ignore[reportReturnType]


def worth_in(plain: EdgeMarket) -> Any:
    """What coalitions earn by the public step: the others neither offer nor ask nor run, and do not count."""

    def worth(state: State, action: Any, members: NDArray[np.bool_]) -> Any:
        absent = ~members
        if plain.config.discrete:
            action[absent] = 0  # alone: offers nothing, and keeps all for itself
        else:
            action[absent, 2:4] = 1.0
        if plain.params.faulty:
            state.model[absent, :, LOADED] = 0.0  # nothing to run with, and the slot is too short to read it
            state.loading[absent] = [NOBODY, 0.0]
        else:
            queue = state.queue.copy()
            queue[absent, :, READY] = 1e9  # nothing to run
            state = state._replace(queue=queue)
        _, step = plain.step(state, action)
        return step.team_reward - (step.reward * absent).sum(axis=1)

    return worth


@pytest.mark.parametrize("policy", ["random", "truthful"])
@pytest.mark.parametrize("case", CASES)
def test_equals_all_coalitions(case: str, policy: str) -> None:
    env, plain, absent = make(case, counterfactual="shapley"), make(case), make(case, counterfactual="absent")
    n = len(env.agents)
    act, rng, matters, nulls = heuristic(env, policy) if policy != "random" else None, np.random.default_rng(4), 0, 0
    state, step = env.reset((5, 6, 7))
    for _ in range(env.max_steps):
        action = random_actions(env, step, rng) if act is None else act(state)
        expected, earned = by_all_coalitions(worth_in(plain), state, action, n)
        np.testing.assert_allclose(
            absent.counterfactual(state, action), earned[:, 2**n - 1 - 2 ** np.arange(n)], atol=1e-5
        )
        before = state
        state, step = env.step(before, action)
        assert step.counterfactual is not None
        found = step.team_reward[:, None].astype(float) - step.counterfactual
        np.testing.assert_allclose(found, expected, atol=5e-6)
        np.testing.assert_allclose(found.sum(axis=1), step.team_reward, atol=1e-5)  # nobody earns nothing
        np.testing.assert_array_equal(env.counterfactual(before, action), step.counterfactual)
        matters += int((np.abs(found - step.reward) > 1e-4).sum())
        for i in range(n):
            without = [code for code in range(2**n) if not code >> i & 1]
            null = (earned[:, without] == earned[:, [code | 1 << i for code in without]]).all(axis=1)
            assert np.abs(found[null, i]).max(initial=0.0) < 1e-6
            nulls += int(null.sum())
    assert matters > 0 or case == "duopoly", "a node's value must be another than its profit"
    assert nulls > 0


@pytest.mark.parametrize("rule", ["uniform", "vcg"])
def test_of_many_nodes_they_are_averaged_over_orders(rule: str) -> None:
    env: Any = envs.make(
        "edge_market", n_nodes=14, rule=rule, load=1.5, counterfactual="shapley", orders=4, max_steps=30
    )
    plain = envs.make("edge_market", n_nodes=14, rule=rule, load=1.5, max_steps=30)
    rng, differs = np.random.default_rng(1), 0
    state, step = env.reset((1, 2))
    for _ in range(env.max_steps):
        action = random_actions(env, step, rng)
        one, _ = env.step(type(state)(*(value[1:] for value in state)), action[1:])
        before = [value.tobytes() for value in state]
        after, step = env.step(state, action)
        assert [value.tobytes() for value in state] == before
        same, _ = plain.step(state, action)
        assert [value.tobytes() for value in same] == [value.tobytes() for value in after]
        assert [value[0].tobytes() for value in one] == [value[1].tobytes() for value in after]
        alone = env.counterfactual(type(state)(*(value[1:] for value in state)), action[1:])
        assert step.counterfactual is not None
        assert alone[0].tobytes() == step.counterfactual[1].tobytes()
        value = step.team_reward[:, None].astype(float) - step.counterfactual
        np.testing.assert_allclose(value.sum(axis=1), step.team_reward, atol=2e-5)
        differs += int((np.abs(value - step.reward) > 1e-4).sum())
        state = after
    assert differs > 0
    assert len(env.agents) > EXACT


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        ValueError, match="horizon is 3; counterfactual='shapley' divides the reward of one step: give 1"
    ):
        make("duopoly", counterfactual="shapley", horizon=3)
    with pytest.raises(ValueError, match="orders is 5; each order comes with its reverse: give an even number"):
        make("duopoly", counterfactual="shapley", orders=5)
