"""A mean, share or rate of nothing is NaN in the data, "-" in tables and in no mean."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

import envs
from algos.training.evaluation import Evaluation, evaluate, summary, table
from envs.edge_market.state import OWN_ARRIVED, OWN_DONE, SCORES
from envs.intersection.state import CRASHED
from envs.kit.paint import figure

ALWAYS = {
    "warehouse": {"contacts", "deadlock_seconds", "energy", "deadline_misses"},
    "spread": {"collisions", "covered_now"},
    "intersection": {"success", "crash_rate", "min_ttc", "min_pet", "longest_wait"},
    "signals": set(),
    "edge_market": {"welfare", "cold_starts", "payments_balance"},
    "traffic_junction": {"success", "crashes", "throughput", "brakes"},
    "rovers": {"score", "observed_share", "found_share"},
    "whispers": set(),
}
"""Counts, sums and extremes, which are defined before anything has happened."""
SOMETHING = {
    "warehouse": {"orders_per_hour", "idle_share"},
    "spread": {"landmark_distance", "covered_share"},
    "intersection": {"throughput"},
    "signals": {"queue", "throughput", "spillback"},
    "edge_market": {"utilisation", "overload_share"},
    "traffic_junction": {"cars"},
    "rovers": set(),
    "whispers": {"share_right", "share_right_now"},
}
"""Metrics that are defined once time has passed, even if nothing has happened."""
WIDTH = SCORES + 4
"""Of a strategy on the default market."""
NEVER: dict[str, dict[str, Any]] = {
    "warehouse": {},
    "spread": {},
    "intersection": {"intent": "declared"},
    "signals": {},
    "edge_market": {"load": 0.0},
    "traffic_junction": {},
    "rovers": {},
    "whispers": {},
}


def defined(metrics: Any) -> set[str]:
    assert not any(np.isinf(value).any() for value in metrics.values())
    return {name for name, value in metrics.items() if not np.isnan(value).any()}


@pytest.mark.parametrize("name", sorted(envs.ENVS))
def test_nothing_has_happened_at_the_start(name: str) -> None:
    env = envs.make(name, **NEVER[name])
    come = {"delay", "stops"}  # of vehicles that have come at once, where there are any
    assert defined(env.reset([0])[1].metrics) - come == ALWAYS[name]


def test_without_a_delivery_nobody_knows_how_long_one_takes_or_how_fair_they_are() -> None:
    env = envs.make("warehouse", "tiny-2", max_steps=30)
    state, step = env.reset([0, 1])
    while not step.truncated.any():
        state, step = env.step(state, np.zeros(state.alive.shape, int))
    assert defined(step.metrics) == ALWAYS["warehouse"] | SOMETHING["warehouse"]


def test_where_nobody_arrives_or_announces_nothing_is_fair_or_honest() -> None:
    env = envs.make("intersection", "quiet-4", max_steps=20, intent="declared")
    state, step = env.reset([0])
    while not step.truncated.any():
        state, step = env.step(state, np.zeros((1, 4), int))  # all brake
    assert {"fairness", "honesty", "emergency_delay"} == set(step.metrics) - defined(step.metrics)


def test_where_all_due_have_crashed_there_is_no_delay() -> None:
    env = envs.make("intersection", "quiet-4")
    state, _ = env.reset([0])
    state = state._replace(status=np.full_like(state.status, CRASHED))
    metrics = env.step(state, np.zeros((1, 4), int))[1].metrics
    assert math.isnan(metrics["delay"][0])
    assert metrics["crash_rate"][0] == 1.0


def test_signals_without_a_vehicle_have_no_delay() -> None:
    env = envs.make("signals", "single", flow=1.0, max_steps=2)
    state, step = env.reset([0])
    assert not state.entered.any()
    state, step = env.step(state, np.zeros((1, 1), int))
    assert defined(step.metrics) == SOMETHING["signals"]


def test_fairness_of_a_market_counts_only_nodes_with_tasks() -> None:
    env = envs.make("edge_market", load=0.0)
    state, _ = env.reset([0])
    state, step = env.step(state, np.zeros((1, 8, WIDTH)))
    assert defined(step.metrics) == ALWAYS["edge_market"] | SOMETHING["edge_market"]
    account = state.account.copy()
    account[0, :2, OWN_ARRIVED], account[0, 0, OWN_DONE] = 4, 4  # of two nodes that asked one is served
    _, step = env.step(state._replace(account=account), np.zeros((1, 8, WIDTH)))
    assert step.metrics["fairness"][0] == pytest.approx(0.5)


def test_no_bound_no_share_of_it() -> None:
    env = envs.make("edge_market", "duopoly-2", bound=True)
    state, _ = env.reset([0])
    for bound, known in ((-1.0, False), (0.0, False), (2.0, True)):
        _, step = env.step(state._replace(bound=np.full_like(state.bound, bound)), np.zeros((1, 2, SCORES + 2)))
        assert math.isfinite(step.metrics["bound_share"][0]) == known


def test_means_and_tables_leave_them_out() -> None:
    values = np.array([[1.0, math.nan, math.nan], [3.0, 4.0, math.nan]])
    found = {"learned": Evaluation(("return", "fairness", "never"), values)}
    assert found["learned"].mean("fairness") == 4.0
    rows = {line.split()[0]: line.split()[1:] for line in table(found).splitlines()[1:]}
    assert rows["never"] == ["-"]
    assert rows["fairness"][0] == "4"
    assert summary(found)["learned"]["never"]["mean"] is None


def test_an_evaluation_of_a_policy_that_never_delivers_says_so() -> None:
    view = envs.vector("warehouse", 2, "tiny-2", max_steps=5)
    found = evaluate(view, lambda obs: np.zeros(obs.alive.shape, int), 2)  # type: ignore[arg-type]
    assert found is not None
    assert math.isnan(found.mean("cycle_time"))
    assert any(line.split() == ["fairness", "-"] for line in table({"idle": found}).splitlines())


def test_equal_episodes_have_equal_infos_where_metrics_are_undefined() -> None:
    one, other = (envs.parallel_env("warehouse").reset(seed=0)[1] for _ in range(2))
    told = one["robot_0"]["metrics"]["fairness"]
    assert isinstance(told, float)
    assert math.isnan(told)
    assert np.isnan(np.array([told, 1.0])).tolist() == [True, False]
    assert one == other
    assert data_equivalence(one, other)
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert told != 0.0
    assert told != 1


def test_counters_show_a_dash() -> None:
    assert (figure(math.nan, 1, " s"), figure(2.04, 1, " s"), figure(1234.5)) == ("-", "2.0 s", "1234")
