"""Policies written by hand, actions and settings, and the bound on what any policy makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edge_market_scenes import make, roll

import envs
from envs.edge_market import HEURISTICS
from envs.edge_market.bound import welfare_bound
from envs.edge_market.config import Config
from envs.edge_market.env import READY_MADE
from envs.edge_market.heuristic import heuristic
from envs.edge_market.metrics import METRICS
from envs.edge_market.state import (
    LEVELS,
    SPEED,
    VALUE,
    WORK,
)


@pytest.mark.parametrize("kind", HEURISTICS)
@pytest.mark.parametrize("discrete", [False, True])
def test_every_heuristic_acts(kind: str, discrete: bool) -> None:
    env = make(heuristic=kind, discrete=discrete, max_steps=30)
    act = envs.heuristic("edge_market", heuristic=kind, discrete=discrete, max_steps=30)
    state, step = env.reset(range(3))
    for _ in range(30):
        state, step = env.step(state, act(state))
    sold = step.metrics["offloaded_share"]
    assert (sold == 0).all() if kind == "local" else (sold > 0).any()


def test_discrete_actions_are_the_box_actions_they_name() -> None:
    box, discrete = make(), make(discrete=True)
    state, _ = roll(box, range(2), 30)
    for number, values in enumerate(READY_MADE.values()):
        action = np.zeros((2, 8, 8), np.float32)
        action[..., :4] = values
        strategy = box.strategy(state, action)
        assert discrete.strategy(state, np.full((2, 8), number)) == pytest.approx(strategy, abs=1e-6)


def test_scores_of_models_speak_only_where_they_are_decided() -> None:
    env = make()
    state, _ = env.reset([0])
    action = np.zeros((1, 8, 8), np.float32)
    action[..., 4:] = 0.6, -0.6, 0.7, -0.7
    assert (env.strategy(state, action)[..., 4:] == [0.0, 0.0, 1.0, -1.0]).all()
    action[..., 4:] = 0.6 * np.random.default_rng(0).uniform(-1, 1, (8, 4))
    calm, trembling = env.step(state, action), env.step(state, np.zeros_like(action))
    assert calm[1].team_reward == trembling[1].team_reward


def test_there_is_no_other_heuristic() -> None:
    with pytest.raises(ValueError, match="heuristic is 'best'; give one of truthful, proportional, greedy, local"):
        heuristic(make(), "best")


# Allowed settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rule": "dutch"}, "rule='dutch' is not known: give one of posted, uniform, mcafee, vcg"),
        ({"n_nodes": 1}, "n_nodes=1 is out of range: give a value from 2"),
        ({"n_nodes": 2.5}, "n_nodes=2.5 is a float"),
        ({"load": float("nan")}, "load=nan is out of range"),
        ({"memory": 2.0}, "memory=2.0 may not hold the largest model, 3 GB"),
        ({"energy_low": 0.9}, "energy_low=0.9 is above energy_high=0.45"),
        ({"bound": 1}, "bound=1 is a int"),
    ],
)
def test_mistakes_are_named_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Config(**wrong)


def test_bad_actions_are_refused_in_one_line() -> None:
    env = make()
    state, _ = env.reset([0])
    with pytest.raises(ValueError, match=r"give floats of shape \[1, 8, 8\]"):
        env.step(state, np.zeros((1, 8, 4)))
    with pytest.raises(
        ValueError, match=r"outside Box\(-1, 1\): give 8 numbers from -1 to 1, all finite \(two markups"
    ):
        env.step(state, np.full((1, 8, 8), 1.5))
    with pytest.raises(ValueError, match=r"outside Discrete\(8\): give an integer from 0 to 7 \(alone; truthful"):
        make(discrete=True).step(state, np.full((1, 8), 8))


# The bound


def test_no_policy_makes_more_than_the_bound() -> None:
    env = make(n_nodes=4, max_steps=50)
    state, _ = env.reset(range(4))
    bound = welfare_bound(env.config, state)
    for kind in (*HEURISTICS, None):
        _, step = roll(env, range(4), 50, kind)
        assert (step.metrics["welfare"] <= bound + 1e-6).all()
    best = roll(env, range(4), 50, "greedy")[1].metrics["welfare"]
    assert (best > 0.4 * bound).all(), "a bound so far off says nothing"


def test_the_bound_is_exact_where_there_is_nothing_to_decide() -> None:
    """Plenty of room, no neighbours, one model: all is done at home, and costs its energy."""
    env = make(
        load=0.02,
        latency=60.0,
        n_models=1,
        model_size=1.0,
        energy_churn=0.0,
        max_steps=100,
        deadline=4.0,
        work_spread=0.0,
    )
    state, _ = env.reset(range(3))
    bound = welfare_bound(env.config, state)
    energy = env.config.energy_low + (env.config.energy_high - env.config.energy_low) * state.energy[:, 0] / LEVELS
    for b in range(3):
        arrives, origin, _ = state.task_int[b].T
        speed = state.node[b, origin, SPEED]
        done = arrives * 0.2 + state.task[b, :, WORK] / speed <= 20.0  # the rest is cut by the time limit
        worth = state.task[b, :, VALUE] - energy[b, origin] * state.task[b, :, WORK]
        whole = worth[done].sum()
        assert whole - 1e-6 <= bound[b] <= worth[arrives <= 100].sum() + 1e-6
    _, step = roll(env, range(3), 100, "local")
    assert step.metrics["welfare"] == pytest.approx(bound, rel=0.02)


def test_the_share_of_the_bound_is_reported_where_it_is_asked_for() -> None:
    env = make("duopoly-2", bound=True, max_steps=20)
    state, step = env.reset([0, 1])
    assert "bound_share" in step.metrics
    state, step = roll(env, [0, 1], 20, "truthful")
    assert step.metrics["bound_share"] == pytest.approx(step.metrics["welfare"] / state.bound)
    assert (step.metrics["bound_share"] > 0.1).all()  # the bound lets both sell at once, and all their tasks
    assert (step.metrics["bound_share"] <= 1.0 + 1e-9).all()
    assert "bound_share" not in make().reset([0])[1].metrics
    assert set(METRICS) == set(make().reset([0])[1].metrics)
