"""The schedules of worlds, and how many names they need."""

from __future__ import annotations

import numpy as np
import pytest
from traffic_junction_scenes import junction

from envs.traffic_junction.config import TASKS
from envs.traffic_junction.start import most_arrivals, start


@pytest.mark.parametrize(("task", "rate", "routes"), [("easy-0", 0.3, 1), ("medium-0", 0.2, 3), ("hard-0", 0.05, 7)])
def test_cars_arrive_at_the_rate_on_every_route_alike(task: str, rate: float, routes: int) -> None:
    state = start(TASKS[task], range(1000))
    arriving = state.arriving
    n = arriving.size
    assert (arriving >= 0).mean() == pytest.approx(rate, abs=5 * (rate * (1 - rate) / n) ** 0.5)
    share = np.bincount(arriving[arriving >= 0], minlength=routes) / (arriving >= 0).sum()
    assert len(share) == routes
    assert share == pytest.approx(np.full(routes, 1 / routes), abs=5 * (1 / routes / (n * rate)) ** 0.5)
    assert set(np.unique(state.spare)) == set(range(routes * arriving.shape[2]))
    entries = (arriving >= 0).mean(axis=(0, 1))
    assert entries == pytest.approx(np.full(len(entries), rate), rel=0.1)


def test_the_rate_of_an_episode_is_drawn_if_asked_for() -> None:
    env = junction("medium-1", least_rate_share=0.25)
    state, step = env.reset(range(2000))
    assert state.rate.min() == pytest.approx(0.05, abs=0.001)
    assert state.rate.max() == pytest.approx(0.2, abs=0.001)
    assert state.rate.mean() == pytest.approx(0.125, abs=0.004)
    come = (state.arriving >= 0).mean(axis=(1, 2))
    assert np.corrcoef(state.rate, come)[0, 1] > 0.7
    assert step.state[:, -3] == pytest.approx(state.rate)
    assert (junction("medium-1").reset(range(9))[0].rate == 0.2).all()


@pytest.mark.parametrize(("task", "names"), [("easy-1", 15), ("medium-1", 40), ("hard-1", 62)])
def test_names_last_for_the_worst_episode(task: str, names: int) -> None:
    env = junction(task)
    assert env.n_agents == len(env.agents) == names
    state, _ = env.reset(range(1000))
    for _ in range(env.max_steps):
        state, _ = env.step(state, np.zeros((1000, names), int))
    assert names >= state.born.max() > 0.6 * names


def test_the_chance_that_names_run_out_is_as_small_as_promised() -> None:
    """A simulation of the worst case: every car takes the shortest route and never brakes."""
    import envs.traffic_junction.start as start_module

    config = TASKS["hard-1"]
    rng = np.random.default_rng(0)
    worlds, shortest = 20_000, 9
    count, life = np.ones(worlds, int), np.full(worlds, shortest)
    for _ in range(config.max_steps):
        life -= 1
        come = rng.binomial(8, config.arrival_rate, worlds)
        come = np.maximum(come, life == 0)
        count += come
        life[come > 0] = shortest
    before = start_module.OVERFLOW
    try:
        start_module.OVERFLOW = 0.01
        most = most_arrivals.__wrapped__(config)
    finally:
        start_module.OVERFLOW = before
    assert (count > most).mean() < 0.0125
    assert (count > most - 1).mean() > 0.0075


def test_without_arrivals_there_is_one_car_at_a_time() -> None:
    env = junction("hard-1", arrival_rate=0.0)
    assert env.n_agents == 1 + 80 // 9
    state, step = env.reset(range(20))
    for _ in range(80):
        assert (step.alive.sum(axis=1) == 1).all()
        state, step = env.step(state, np.zeros((20, env.n_agents), int))
    assert step.metrics["cars"] == pytest.approx(np.ones(20))


def test_with_a_rate_of_1_someone_arrives_everywhere() -> None:
    state = start(TASKS["hard-1"].__class__(arrival_rate=1.0), range(3))
    assert state.arriving.min() == 0
    assert state.arriving.max() == 2
