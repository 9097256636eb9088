"""Evaluation: which episodes count, how sure the mean is, and statistics of episodes against a plain loop."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from counting import Counting
from toys import Match

from algos.core import Action, Obs
from algos.training import evaluation
from algos.training.episodes import EpisodeStatistics, returns_of_groups
from algos.training.evaluation import compare, evaluate, mean_interval, random_policy, worlds_for
from envs.vector import VectorView


def greedy_counter(obs: Obs) -> Action:
    """Adds one each step: an agent lives as many steps as its limit says."""
    return np.ones(obs.alive.shape, dtype=np.int64)


def test_exactly_the_first_episodes_of_every_world_count() -> None:
    """Against worlds stepped one at a time: short episodes must not be favoured."""
    n_worlds, n_episodes = 4, 10
    found = evaluate(VectorView(Counting(max_steps=1000), n_worlds), greedy_counter, n_episodes, seed=7)
    assert found is not None
    lengths: list[list[int]] = [[] for _ in range(n_worlds)]
    env = VectorView(Counting(max_steps=1000), n_worlds)
    step, steps = env.reset(7), np.zeros(n_worlds, int)
    while min(map(len, lengths)) < 3:
        final, step = env.step(np.ones(step.alive.shape, np.int64))
        steps += 1
        for world in np.flatnonzero(~final.alive.any(axis=1)):
            lengths[world].append(int(steps[world]))
            steps[world] = 0
    expected = [lengths[k % n_worlds][k // n_worlds] for k in range(n_episodes)]
    assert len(set(expected)) > 3, "the episodes must differ in length for this test to mean anything"
    assert found.values[:, found.columns.index("length")].tolist() == expected
    assert found.columns == ("return", "team_return", "length", "cost", "total", "deaths")
    assert (found.values[:, found.columns.index("deaths")] == 3).all()


def test_statistics_of_episodes_equal_a_plain_loop() -> None:
    env = VectorView(Counting(late=True), 5)
    step = env.reset(3)
    groups = {"return_even": [0, 2], "return_odd": [1]}
    statistics = EpisodeStatistics(5, 3, ("total", "deaths", "return_odd"), groups=groups, window=7)
    sums = [np.zeros(3) for _ in range(5)]
    returns: list[float] = []
    even: list[float] = []
    rng = np.random.default_rng(0)
    for _ in range(60):
        final, step = env.step(rng.integers(0, 2, size=step.alive.shape))
        over = final.truncated | ~final.alive.any(axis=1)
        statistics.add(final, over)
        for world in range(5):
            sums[world] += final.reward[world]
            if over[world]:
                returns.append(float(np.mean(sums[world])))
                even.append(float(np.mean(sums[world][::2])))
                sums[world] = np.zeros(3)
    assert statistics.finished == len(returns) > 7
    assert statistics.means()["return"] == pytest.approx(np.mean(returns[-7:]))
    assert statistics.mean_return() == pytest.approx(np.mean(returns[-7:]))
    assert statistics.means()["return_even"] == pytest.approx(np.mean(even[-7:]))
    assert statistics.columns == (
        "return",
        "team_return",
        "length",
        "cost",
        "return_even",
        "return_odd",
        "total",
        "deaths",
    )


def test_groups_are_called_after_their_agents() -> None:
    agents = ("adversary_0", "adversary_1", "agent_0")
    assert returns_of_groups(agents, ((0, 1), (2,))) == {"return_adversary": [0, 1], "return_agent": [2]}
    assert returns_of_groups(agents, ((0, 1, 2),)) == {}
    assert returns_of_groups(agents, ((0,), (1,), (2,))) == {
        "return_adversary_0": [0],
        "return_adversary_1": [1],
        "return_agent_0": [2],
    }


def test_episodes_cut_short_by_the_view_are_not_counted() -> None:
    env = VectorView(Counting(max_steps=12), 6, stagger=True)
    step = env.reset(0)
    statistics = EpisodeStatistics(6, 3, tuple(step.metrics))
    for _ in range(30):
        final, step = env.step(np.zeros(step.alive.shape, np.int64))
        statistics.add(final, final.truncated, env.full_episodes)
    assert statistics.finished > 0
    assert statistics.means()["length"] == 12


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    trials = 300
    hits = 0
    for _ in range(trials):
        mean, low, high = mean_interval(rng.normal(5.0, 2.0, size=60), resamples=1000)
        assert low < mean < high
        hits += low <= 5.0 <= high
    assert 0.90 < hits / trials < 0.985


def test_the_interval_of_a_normal_mean_has_the_known_width() -> None:
    values = np.random.default_rng(2).normal(0.0, 1.0, size=400)
    mean, low, high = mean_interval(values)
    standard_error = values.std() / math.sqrt(len(values))
    assert mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.05)
    assert mean_interval(values) == (mean, low, high)


def test_undefined_numbers_are_left_out_and_constants_have_no_width() -> None:
    assert mean_interval(np.array([2.0, np.nan, 2.0])) == (2.0, 2.0, 2.0)
    assert all(math.isnan(number) for number in mean_interval(np.array([np.nan])))
    assert mean_interval(np.array([3.0])) == (3.0, 3.0, 3.0)


def test_policies_are_compared_on_the_same_episodes() -> None:
    found = compare(
        lambda n: VectorView(Counting(), n), {"a": random_policy, "b": random_policy, "c": lambda _: greedy_counter}, 9
    )
    assert found is not None
    np.testing.assert_array_equal(found["a"].values, found["b"].values)
    assert not np.array_equal(found["a"].values, found["c"].values)
    lines = evaluation.table(found).splitlines()
    assert lines[0].split() == ["a", "b", "c"]
    assert [line.split()[0] for line in lines[1:]] == list(found["a"].columns)
    plain = json.loads(json.dumps(evaluation.summary(found), allow_nan=False))
    assert plain["c"]["total"]["mean"] == pytest.approx(found["c"].mean("total"))


def test_random_takes_allowed_actions_only_and_all_of_them() -> None:
    """The toy asserts that no forbidden action comes."""
    env = Match(64, masked=True)
    found = evaluate(env, random_policy(env), 640)
    assert found is not None
    assert 0.25 < found.mean("return") < 0.6


def test_evaluation_can_be_given_up() -> None:
    asked = iter([False, False, True])
    assert evaluate(VectorView(Counting(), 2), greedy_counter, 4, stop=lambda: next(asked)) is None
    with pytest.raises(ValueError, match="at least 1"):
        evaluate(VectorView(Counting(), 2), greedy_counter, 0)


def test_worlds_are_shared_out_evenly() -> None:
    assert [worlds_for(n) for n in (1, 20, 64, 65, 100, 1000)] == [1, 20, 64, 33, 50, 63]


def test_evaluation_seeds_start_where_training_seeds_end() -> None:
    """Training allows seeds below, and a view's episode depends on (seed, world, episode) alone."""
    train, test = VectorView(Counting(), 8), VectorView(Counting(), 8)
    train.reset(2**31 - 1)
    test.reset(evaluation.FIRST_SEED)
    assert not np.isin(train.batch_state.limit, test.batch_state.limit).any()


def test_the_interval_of_very_many_values_is_the_normal_one_and_not_resampled() -> None:
    values = np.random.default_rng(0).exponential(size=5_001)
    mean, low, high = mean_interval(values, resamples=1)
    assert mean == values.mean()
    few = mean_interval(values[:-1])
    assert (low, high) == pytest.approx(few[1:], abs=0.1 * (few[2] - few[1]))
    wide = mean_interval(values, level=0.99)
    assert wide[1] < low < high < wide[2]
