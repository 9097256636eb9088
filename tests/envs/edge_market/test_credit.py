"""The welfare that a node adds: Clarke's externality, and counterfactuals."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import envs
from envs.conformance.play import random_actions
from envs.edge_market import EdgeMarket
from envs.edge_market.heuristic import heuristic
from envs.edge_market.state import (
    DONE,
    LOADED,
    NOBODY,
    VALUE,
    State,
)


def make(**kw: Any) -> EdgeMarket:
    return envs.make("edge_market", kw.pop("task", None), **kw)  # pyright: ignore[reportReturnType]


def play(env: EdgeMarket, seeds: Any = (0, 1), act: Any = None) -> Any:
    """(state, action, next state, next step) to the time limit."""
    rng = np.random.default_rng(1)
    state, step = env.reset(seeds)
    for _ in range(env.max_steps):
        action = random_actions(env, step, rng) if act is None else act(state)
        following, step = env.step(state, action)
        yield state, action, following, step
        state = following


def one_slot(rule: str, seed_rate: float = 0.4) -> EdgeMarket:
    """Everything that is sold is done within the slot, what is not sold in it is worth nothing: see the next test."""
    return make(
        rule=rule,
        n_nodes=6,
        counterfactual="absent",
        slot_seconds=4.0,
        deadline=4.0,
        deadline_spread=0.0,
        latency=0.0,
        bandwidth=1e6,
        cpu=2.0,
        cpu_spread=0.0,
        work=4.0,
        work_spread=0.5,
        load=seed_rate,
        imbalance=1.0,
        n_models=2,
        model_size=1.0,
        memory=3.0,
        sale_seconds=4.0,
        max_steps=40,
    )


def single_offers(env: EdgeMarket, state: State) -> State:
    """The same world with nodes of at most one task each, which those without a model cannot do at home."""
    count = np.minimum(state.n_held, 1).astype(np.int32)
    held, queue = state.held.copy(), state.queue.copy()
    held[:, :, 1:], queue[:, :, 1:] = NOBODY, 0.0
    model = state.model.copy()
    model[..., LOADED] = (count == 0)[..., None]  # nodes with a task have no model, the others have all
    return state._replace(n_held=count, held=held, queue=queue, model=model)


def test_profit_under_vcg_is_what_a_node_adds_to_welfare() -> None:
    """Truthful bids, all done within the slot: what node i earns is G less the others' welfare without it."""
    env = one_slot("vcg")
    env.params = env.params._replace(load_rate=0.0)  # nothing is loaded, so a task at home is lost
    traded, checked = 0, 0
    for state, _, _, _ in play(env, seeds=range(6), act=heuristic(env, "greedy")):
        scene = single_offers(env, state)
        action = np.zeros((6, 6, 6), np.float32)
        action[..., 2] = -1.0  # keep nothing
        after, step = env.step(scene, action)
        # Arrivals at the end of the slot that find a full queue would be charged; there are none such here.
        assert step.counterfactual is not None
        own = step.team_reward[:, None] - step.counterfactual
        assert own == pytest.approx(step.reward, abs=2e-4)
        sold = after.partner != NOBODY
        traded += int(sold.sum())
        for b, i in zip(*np.nonzero(sold), strict=True):
            others = float(step.team_reward[b] - (scene.task[b, scene.held[b, i, 0], VALUE]))
            k = scene.held[b, i, 0]
            assert after.status[b, k] == DONE
            pays = float(scene.task[b, k, VALUE]) - float(step.reward[b, i])
            assert pays == pytest.approx(float(step.counterfactual[b, i]) - others, abs=2e-4)
            checked += 1
    assert traded > 60
    assert checked == traded


def test_profit_under_the_uniform_price_is_not() -> None:
    env = one_slot("uniform")
    env.params = env.params._replace(load_rate=0.0)
    gap = 0.0
    for state, _, _, _ in play(env, seeds=range(6), act=heuristic(env, "greedy")):
        action = np.zeros((6, 6, 6), np.float32)
        action[..., 2] = -1.0
        _, step = env.step(single_offers(env, state), action)
        assert step.counterfactual is not None
        gap = max(gap, np.abs(step.team_reward[:, None] - step.counterfactual - step.reward).max())
    assert gap > 0.1


@pytest.mark.parametrize("horizon", [1, 3])
def test_counterfactuals_are_factored(horizon: int) -> None:
    """G - counterfactual changes with a node's own action exactly as welfare over the horizon does.

    Over one slot the counterfactual itself does not depend on it, which is what the conformance checks ask for.
    """
    env, plain = make(counterfactual="absent", horizon=horizon, max_steps=40), make(max_steps=40)

    def welfare(state: State, action: Any) -> Any:
        total = np.zeros(len(action))
        for _ in range(horizon):
            state, step = plain.step(state, action)
            total += step.team_reward
        return total

    rng, moved = np.random.default_rng(3), 0.0
    for state, action, _, step in itertools.islice(play(env), 15, 25):
        assert step.counterfactual is not None
        for i in range(len(env.agents)):
            other = action.copy()
            other[:, i] = rng.uniform(-1.0, 1.0, other[:, i].shape)
            again = env.step(state, other)[1]
            assert again.counterfactual is not None
            if horizon == 1:
                assert again.counterfactual[:, i].tobytes() == step.counterfactual[:, i].tobytes()
            change_of_d = (again.team_reward - again.counterfactual[:, i]) - (
                step.team_reward - step.counterfactual[:, i]
            )
            change_of_g = welfare(state, other) - welfare(state, action)
            assert change_of_d == pytest.approx(change_of_g, abs=1e-5)
            moved += np.abs(change_of_g).sum()
    assert moved > 0.1


def test_over_a_longer_horizon_an_absent_node_leaves_the_others_alone() -> None:
    """Nodes without links neither gain nor lose by each other, so D is a node's own profit, up to the time limit."""
    env = make(counterfactual="absent", horizon=4, max_steps=30, latency=30.0)  # nothing arrives in time elsewhere
    for state, action, _, step in play(env):
        ahead, own = state, np.zeros(step.reward.shape)
        for _ in range(min(4, 30 - int(state.step[0]))):
            ahead, later = env.step(ahead, action)
            own += later.reward
        assert step.counterfactual is not None
        assert step.team_reward[:, None] - step.counterfactual == pytest.approx(own, abs=1e-3)
