"""The means that a configuration asks for are those of the draws; impossible ones are refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edge_market_scenes import make, roll
from scipy import stats

import envs
from envs.edge_market import rates
from envs.edge_market.start import _poisson, _poisson_from
from envs.edge_market.state import ARRIVES, NOBODY, WORK, State, X
from envs.intersection.state import DUE
from envs.signals.config import CONTROL_STEP
from envs.signals.start import start

WORLDS = 600


def agrees(values: Any, asked: float) -> None:
    """A sample's mean is what was asked, to within four standard errors, and these are small enough to tell."""
    error = np.std(values) / np.sqrt(len(values))
    assert error < 0.03 * asked, "too few to tell"
    assert np.mean(values) == pytest.approx(asked, abs=4.0 * error + 1e-12)


def loads(env: Any, state: State) -> Any:
    """(B,) work that arrives in the slots of an episode over what all nodes together can do on average."""
    config = env.config
    here = state.task_int[..., ARRIVES] < config.max_steps
    able = config.max_steps * config.slot_seconds * config.n_nodes * config.cpu
    return np.where(here, state.task[..., WORK].astype(float), 0.0).sum(axis=1) / able


@pytest.mark.parametrize(
    ("asked", "worlds"),
    [
        ({}, 300),
        ({"slot_seconds": 5.0, "max_steps": 40}, 60),
        ({"work": 0.04, "max_steps": 40}, 60),
        ({"task": "bursty-8"}, WORLDS),
        ({"task": "bursty-8", "max_steps": 60}, WORLDS),
        ({"task": "bursty-8", "max_steps": 5}, 2000),
        ({"burst": 20.0, "load": 1.5}, WORLDS),
        ({"burst": 20.0, "load": 1.5, "n_nodes": 2, "burst_seconds": 1000.0, "max_steps": 20}, 6000),
        ({"burst": 6.0, "burst_seconds": 0.2, "max_steps": 60}, WORLDS),
        ({"cpu": 1000.0, "slot_seconds": 1.0, "max_steps": 3}, 40),
    ],
    ids=str,
)
def test_as_much_work_arrives_as_asked(asked: dict[str, Any], worlds: int) -> None:
    env = make(**asked)
    state, _ = env.reset(range(worlds))
    agrees(loads(env, state), env.config.load)
    arrived = (state.task_int[..., ARRIVES] <= env.config.max_steps).sum(axis=1)
    assert arrived.max() < state.task_int.shape[1], "a schedule that is full may have been cut"


def test_bursts_begin_as_they_go_on() -> None:
    """Also in the first slots, the mean and the variance of arrivals are those of any slot."""
    env = make("bursty-8", max_steps=100, imbalance=0.0)
    state, _ = env.reset(range(3000))
    counts = np.zeros((3000, 101))
    for b, tasks in enumerate(state.task_int):
        np.add.at(counts[b], tasks[tasks[:, ARRIVES] <= 100, ARRIVES], 1)
    for part in (counts[:, :1], counts[:, 1:6], counts[:, 90:]):
        agrees(part.mean(axis=1), 8 * env.params.arrivals)
    first, later = counts[:, 0].var(), counts[:, 50:].var(axis=0).mean()
    assert first == pytest.approx(later, rel=0.15)


@pytest.mark.parametrize("mean", [0.05, 0.34, 8.5, 49.0, 51.0, 300.0, 1e4, 1e6])
def test_poisson_numbers_are_those_of_their_distribution(mean: float) -> None:
    u = np.append(np.random.default_rng(0).random(500), [0.0, 1.0 - 2.0**-53])
    first, chance = _poisson_from(mean)
    drawn = np.array([_poisson(mean, first, chance, x) for x in u])
    away = 1e-7 * np.sqrt(mean)  # a number changes at its u, which rounding moves a little
    low, high = stats.poisson.ppf(u - away, mean), stats.poisson.ppf(np.minimum(u + away, 1.0), mean)
    inside = (u > 1e-6) & (u < 1.0 - 1e-6)
    assert (low[inside] <= drawn[inside]).all()
    assert (drawn[inside] <= high[inside]).all()
    assert np.isfinite(drawn).all()
    assert abs(drawn[-2:] - mean).max() < 12.0 * np.sqrt(mean) + 25.0


@pytest.mark.parametrize(("failures", "slots"), [(0.5, 200), (5.0, 200), (10.0, 200), (3.0, 20), (1.0, 1), (5.0, 10)])
def test_nodes_fail_as_often_as_asked(failures: float, slots: int) -> None:
    env = make(failures=failures, max_steps=slots, n_nodes=16)
    state, _ = env.reset(range(WORLDS))
    fell = (state.up[:, :-1] & ~state.up[:, 1:]).sum(axis=(1, 2)) / 16
    agrees(fell, failures)
    assert state.up[:, 0].all()


def test_failures_last_a_tenth_of_the_episode() -> None:
    env = make(failures=1.0, max_steps=400, n_nodes=16)
    state, _ = env.reset(range(200))
    back = (~state.up[:, :-1] & state.up[:, 1:]).sum()
    assert back / (~state.up[:, :-1]).sum() == pytest.approx(1.0 / 40.0, rel=0.05)


@pytest.mark.parametrize(("falls", "slots"), [(0.01, 50), (0.5, 7), (1.0, 200)])
def test_failures_are_counted_by_the_chain(falls: float, slots: int) -> None:
    """The closed form against the chain itself, step by step."""
    rises, works, expected = 0.1, 1.0, 0.0
    for _ in range(slots):
        expected += falls * works
        works = works * (1.0 - falls) + (1.0 - works) * rises
    assert rates.failures_of(falls, rises, slots) == pytest.approx(expected)


@pytest.mark.parametrize("partition", [0.25, 0.4, 1.0])
def test_a_partition_lasts_as_long_as_asked(partition: float) -> None:
    env = make("partition-16", partition=partition, max_steps=8)
    state, step = env.reset(range(1000))
    agrees(state.cut[:, :8].mean(axis=1), partition)
    west = state.node[..., X] < 0.5 * env.params.side
    across = west[:, :, None] != west[:, None, :]
    assert not (step.adjacency & across)[state.cut[:, 0]].any()
    assert (step.adjacency & across)[~state.cut[:, 0]].any() or partition == 1.0
    for b, i, d in zip(*np.nonzero(state.neighbor != NOBODY), strict=True):
        j = state.neighbor[b, i, d]
        assert state.heard[b, i, d, 2] < 0.0 or not (state.cut[b, 0] and west[b, i] != west[b, j]), "heard over a cut"


def test_the_share_of_the_bound_is_undefined_where_the_bound_is_not_positive() -> None:
    env = make(load=0.0, bound=True, max_steps=5)
    _, step = roll(env, range(2), 3)
    assert np.isnan(step.metrics["bound_share"]).all()
    env = make(load=0.5, work=1.0, slot_seconds=0.2, max_steps=20, bound=True, n_nodes=2, deadline=0.1)  # all too late
    state, step = roll(env, range(4), 20)
    assert (state.bound < 0.0).any()
    assert (np.isnan(step.metrics["bound_share"]) == (state.bound <= 0.0)).all()


def test_latencies_are_reported_up_to_the_longest_deadline() -> None:
    """Of tasks that take so long that all 48 bins of the shipped tasks lie below."""
    env = make(n_nodes=2, cpu=0.05, load=3.0, deadline=80.0, deadline_spread=0.0, max_steps=600, work_spread=0.0)
    state, step = roll(env, range(3), 600, "local")
    assert (state.latency.sum(axis=1) > 0).all()
    assert (
        step.metrics["latency_p50"] > 20.0 * 0.92
    ).all()  # alone a task takes 13 to 40 s; few are done without a wait
    assert (step.metrics["latency_p99"] <= 80.0 * 1.09).all()


# The neighbours of the kind, in the other environments


@pytest.mark.parametrize("asked", [{}, {"peak": 6.0, "max_steps": 24}, {"flow": 20.0, "imbalance": 1.0}], ids=str)
def test_as_many_vehicles_come_to_entries_as_asked(asked: dict[str, Any]) -> None:
    env: Any = envs.make("signals", **asked)
    state = start(env.config, env.network, range(400))
    come = ((state.due >= 0.0) & (state.due < env.max_steps * CONTROL_STEP)).sum(axis=(1, 2))
    hours = env.max_steps * CONTROL_STEP / 3600.0
    agrees(come / hours / state.due.shape[1], env.config.flow)
    assert np.isinf(state.due[:, :, -1]).all(), "a schedule that is full may have been cut"


@pytest.mark.parametrize("task", ["cross-8", "liar-8"])
def test_vehicles_come_to_the_intersection_at_the_rate_asked(task: str) -> None:
    env: Any = envs.make("intersection", task)
    state, _ = env.reset(range(2000))
    last = state.car[:, :, DUE].max(axis=1)
    agrees(last / (env.n_cars - 1), 3600.0 / env.config.flow)


@pytest.mark.parametrize("rush", [1.0, 2.5])
def test_as_many_orders_come_as_asked(rush: float) -> None:
    env: Any = envs.make("warehouse", rush=rush, backlog=3)
    state, _ = env.reset(range(300))
    come = (state.order_release <= env.max_steps).sum(axis=1) - 3
    agrees(come, env.config.orders_per_hour * env.max_steps * env.step_seconds / 3600.0)


@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("edge_market", {"load": 20.0, "cpu": 5625.0}, "36,216,098 tasks, 2,282 MB a world, where 128 MB fit: lower"),
        ("edge_market", {"n_nodes": 1024, "max_steps": 30_000, "load": 0.0}, "MB a world, where 128 MB fit"),
        ("edge_market", {"failures": 20.0}, "do not fit into max_steps=200.*give at most 10.43"),
        ("edge_market", {"failures": 6.0, "max_steps": 10}, "give at most 5"),
        ("edge_market", {"burst": 2.0, "burst_seconds": 0.1}, "less than a slot"),
        ("edge_market", {"byzantine": 0.05}, "no whole node: give 0, or at least 0.125"),
        ("edge_market", {"cartel": 0.01}, "no whole node"),
        ("signals", {"flow": 3600.0, "max_steps": 10_000, "columns": 32}, "5,000,000 fit: lower flow"),
        ("warehouse", {"orders_per_hour": 1e6, "max_steps": 1_000_000}, "55,555,564 orders.*2,000,000 fit"),
    ],
)
def test_what_cannot_fit_is_refused_in_one_line(name: str, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        envs.config(name, **asked)  # before anything is allocated
    assert "\n" not in str(caught.value)


def test_all_that_may_be_asked_of_failures_can_be_had() -> None:
    for slots in (1, 7, 50, 1000):
        most = rates.most_failures(slots)
        assert rates.failures_of(rates.fall_of(most, slots), rates.rise_of(slots), slots) == pytest.approx(most)
        assert make(failures=0.99 * most, max_steps=slots).params.falls <= 1.0
