"""The bargain of `duopoly-2` and its equilibrium."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edge_market_scenes import make

from envs.edge_market import bargain


def linear() -> tuple[Any, Any]:
    """Chatterjee and Samuelson's equilibrium for uniform types."""
    grid = bargain.GRID
    return np.where(grid >= 0.25, 2 / 3 * grid + 1 / 12, grid), np.where(grid <= 0.75, 2 / 3 * grid + 1 / 4, grid)


def test_the_known_equilibrium_has_no_regret() -> None:
    outcome = bargain.judge(*linear(), bargain.value_chances(0.0))
    assert abs(outcome.regret) < 2e-3
    assert outcome.efficiency == pytest.approx(27 / 32, abs=0.01)
    assert outcome.trade == pytest.approx(9 / 32, abs=0.01)
    assert outcome.buyer == pytest.approx(outcome.seller, abs=1e-3)


def test_the_truth_is_regretted_in_a_bargain() -> None:
    outcome = bargain.judge(bargain.GRID, bargain.GRID, bargain.value_chances(0.0))
    assert outcome.efficiency == pytest.approx(1.0)
    assert outcome.regret > 0.1


@pytest.mark.parametrize("mean", [0.0, 0.7])
def test_an_equilibrium_is_found(mean: float) -> None:
    found = bargain.solve(mean)
    assert found.outcome.regret < 0.03
    assert 0.75 < found.outcome.efficiency < 0.9
    trades = bargain.GRID > 0.5
    assert (found.bid[trades] < bargain.GRID[trades]).all(), "buyers shade their bids"


def test_best_responses_are_best() -> None:
    rng = np.random.default_rng(0)
    asks, chances = rng.random(40), rng.dirichlet(np.ones(40))
    best, gain = bargain.best_bids(asks, chances)
    for g in (10, 50, 90):
        value = bargain.GRID[g]
        tries = [(chances * (asks <= p + 1e-12) * (value - 0.5 * (p + asks))).sum() for p in bargain.PRICES]
        assert gain[g] == pytest.approx(max(tries))
        assert tries[round(float(best[g]) * 200)] == pytest.approx(max(tries))
    bids = rng.random(40)
    best, gain = bargain.best_asks(bids, chances)
    for g in (10, 50, 90):
        cost = bargain.GRID[g]
        tries = [(chances * (bids >= p - 1e-12) * (0.5 * (p + bids) - cost)).sum() for p in bargain.PRICES]
        assert gain[g] == pytest.approx(max(tries))


def test_duopoly_is_that_bargain() -> None:
    """Constant markups played in the world bring what `judge` says of them, per meeting of a buyer and a seller."""
    env = make("duopoly-2")
    config, markup = env.config, 0.12
    action = np.zeros((256, 2, 6), np.float32)
    action[..., 0], action[..., 1], action[..., 2] = -2 * markup, 2 * markup, -1.0  # the price scale is 1/2
    state, _ = env.reset(range(256))
    buyers = sellers = met = traded = 0.0
    for _ in range(config.max_steps):
        buys = state.n_held > 0
        meets = buys.sum(axis=1) == 1
        state, step = env.step(state, action)
        buyers += step.reward[meets][buys[meets]].sum()
        sellers += step.reward[meets][~buys[meets]].sum()
        assert not step.reward[~meets].any()
        met += meets.sum()
        traded += (state.partner >= 0).sum()
    grid = bargain.GRID
    expected = bargain.judge(
        np.maximum(grid - markup, 0.0), grid + markup, bargain.value_chances(bargain.mean_tasks(config))
    )
    assert met / (256 * config.max_steps) == pytest.approx(bargain.meetings(config), rel=0.05)
    assert traded / met == pytest.approx(expected.trade, rel=0.04)
    assert buyers / met == pytest.approx(expected.buyer, rel=0.08)
    assert sellers / met == pytest.approx(expected.seller, rel=0.08)
