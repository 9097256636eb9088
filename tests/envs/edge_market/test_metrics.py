"""Metrics of an episode, each counted a second time from states and steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edge_market_scenes import make

from envs.edge_market.heuristic import heuristic
from envs.edge_market.metrics import METRICS
from envs.edge_market.state import (
    ARRIVES,
    DONE,
    DROPPED,
    DUE,
    LATENCY_RATIO,
    MISSED,
    NOBODY,
    ORIGIN,
    PRICE,
    PRICE_COUNT,
    State,
)


class Episode:
    """Three worlds played to the end, and what happened in them."""

    def __init__(self, **kw: Any) -> None:
        self.env = make(**kw)
        act = heuristic(self.env, "truthful")
        state, step = self.env.reset(range(3))
        n_worlds, n_nodes = state.n_held.shape
        self.profit, self.cost = np.zeros((n_worlds, n_nodes)), np.zeros((n_worlds, n_nodes))
        self.finish: list[dict[int, int]] = [{} for _ in range(n_worlds)]  # slot in which each task was done
        self.prices: list[list[float]] = [[] for _ in range(n_worlds)]
        self.begun = np.zeros(n_worlds)  # models that began to be read
        for t in range(self.env.max_steps):
            after, step = self.env.step(state, act(state))
            self.profit += step.reward
            self.cost += step.cost
            self.begun += ((after.loading[..., 0] != NOBODY) & (state.loading[..., 0] == NOBODY)).sum(axis=1)
            for b in range(n_worlds):
                for k in np.flatnonzero((after.status[b] == DONE) & (state.status[b] != DONE)):
                    self.finish[b][int(k)] = t
                if after.totals[b, PRICE_COUNT] > state.totals[b, PRICE_COUNT]:
                    self.prices[b].append(float(after.tally[b, :, PRICE].mean()))
            state = after
        self.state: State = state
        self.metrics = step.metrics


@pytest.fixture(scope="module")
def episode() -> Episode:
    """An episode of a village with one market area, so that all nodes have one price; models take long to read."""
    return Episode(load=1.2, burst=4.0, model_spread=0.0)


def test_every_metric_is_looked_at_somewhere(episode: Episode) -> None:
    """Here, or in `test_edge_market_work` (welfare, payments_balance, utilisation)."""
    here = {"completion_rate", "miss_rate", "drop_rate", "latency_p50", "latency_p95", "latency_p99", "fairness"}
    here |= {"profit_gini", "price", "price_volatility", "offloaded_share", "cold_starts", "overload_share"}
    assert here | {"welfare", "payments_balance", "utilisation"} == set(METRICS) == set(episode.metrics)


def test_shares_of_tasks(episode: Episode) -> None:
    status = episode.state.status
    arrived = (status != DUE).sum(axis=1)
    for metric, fate in (("completion_rate", DONE), ("miss_rate", MISSED), ("drop_rate", DROPPED)):
        assert episode.metrics[metric] == pytest.approx((status == fate).sum(axis=1) / arrived)
    assert (episode.metrics["drop_rate"] > 0).any()


def test_latency_lies_where_tasks_were_done(episode: Episode) -> None:
    """A task done in slot t took from t to t + 1 slots less its arrival; bins are a sixth wide."""
    for b, finish in enumerate(episode.finish):
        arrives = np.array([episode.state.task_int[b, k, ARRIVES] for k in finish])
        slots = np.array(list(finish.values())) - arrives
        for metric, share in (("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99)):
            low = np.quantile(slots, share, method="inverted_cdf") * episode.env.step_seconds
            found = episode.metrics[metric][b]
            assert low / LATENCY_RATIO <= found <= (low + episode.env.step_seconds) * LATENCY_RATIO
        assert episode.metrics["latency_p50"][b] < episode.metrics["latency_p95"][b]


def test_fairness_is_jains_and_gini_that_of_profits(episode: Episode) -> None:
    state = episode.state
    for b in range(3):
        origin, status = state.task_int[b, :, ORIGIN], state.status[b]
        done = np.array([((origin == i) & (status == DONE)).sum() for i in range(8)])
        share = done / np.array([((origin == i) & (status != DUE)).sum() for i in range(8)])
        assert episode.metrics["fairness"][b] == pytest.approx(share.sum() ** 2 / (8 * (share**2).sum()))
        profit = np.maximum(episode.profit[b], 0.0)
        apart = np.abs(profit[:, None] - profit).mean()  # Gini's mean difference
        assert episode.metrics["profit_gini"][b] == pytest.approx(apart / (2 * profit.mean()), abs=1e-5)


def test_prices_are_those_of_slots_with_a_market(episode: Episode) -> None:
    for b, prices in enumerate(episode.prices):
        assert len(prices) > 20
        assert episode.metrics["price"][b] == pytest.approx(np.mean(prices))
        assert episode.metrics["price_volatility"][b] == pytest.approx(np.std(prices) / np.mean(prices))


def test_cold_starts_and_overload_are_counted(episode: Episode) -> None:
    """With scores of 0 nothing is read but for a task; what cost there is beside lost tasks is overload."""
    assert (episode.metrics["cold_starts"] == episode.begun).all()
    lost = ((episode.state.status == MISSED) | (episode.state.status == DROPPED)).sum(axis=1)
    overloaded = episode.cost.sum(axis=1) - lost
    assert (overloaded > 0).all()
    assert episode.metrics["overload_share"] == pytest.approx(overloaded / (8 * episode.env.max_steps))


def test_what_is_a_mean_of_nothing_is_undefined() -> None:
    env = make(load=0.0)
    state, step = env.reset([0])
    defined = {"welfare", "cold_starts", "payments_balance"}
    assert {name for name, value in step.metrics.items() if not np.isnan(value[0])} == defined
    _, step = env.step(state, np.zeros((1, len(env.agents), *(env.action_space.shape or ()))))
    defined |= {"utilisation", "overload_share"}
    assert {name for name, value in step.metrics.items() if not np.isnan(value[0])} == defined
