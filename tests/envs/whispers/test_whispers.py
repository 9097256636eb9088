"""Symbols, sources and pay are as the manual says, and nobody sees what it has to name."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import envs
from envs.whispers.picture import HEADER, SIDE
from envs.whispers.start import sources
from envs.whispers.state import NOBODY


def run(env: Any, worlds: int, seed: int = 0) -> tuple[Any, list[Any], list[Any]]:
    """Plays whole random episodes; returns the states before each step, the actions and the steps."""
    rng, (state, _) = np.random.default_rng(seed), env.reset(range(worlds))
    states, actions, steps = [], [], []
    for _ in range(env.max_steps):
        states.append(state)
        actions.append(rng.integers(env.action_space.n, size=(worlds, len(env.agents))))
        state, step = env.step(state, actions[-1])
        steps.append(step)
    return states, actions, steps


def test_an_agent_is_paid_for_the_symbol_that_its_source_holds_in_this_step() -> None:
    env = envs.make("whispers", "whispers-4-slow", n_agents=3, source_persistence=0.8)
    for state, action, step in zip(*run(env, 20), strict=True):
        for world, i in itertools.product(range(20), range(3)):
            now = state.step[world]
            wanted = state.symbol[world, now, state.source[world, now, i]]
            assert step.reward[world, i] == (action[world, i] == wanted)
        np.testing.assert_allclose(step.team_reward, step.reward.mean(axis=1))


def test_a_speaker_earns_what_its_listener_does_and_its_action_has_no_effect() -> None:
    env = envs.make("whispers", game="listener", n_agents=6)
    assert env.agents == tuple(f"{role}_{k}" for role in ("speaker", "listener") for k in range(3))
    states, actions, steps = run(env, 30)
    for state, action, step in zip(states, actions, steps, strict=True):
        source = state.source[:, 0]
        assert (source[:, :3] == NOBODY).all()
        assert (np.sort(source[:, 3:], axis=1) == [0, 1, 2]).all()
        np.testing.assert_array_equal(np.take_along_axis(step.reward, source[:, 3:], axis=1), step.reward[:, 3:])
        other = action.copy()
        other[:, :3] = (other[:, :3] + 1) % 4
        again = env.step(state, other)[1]
        np.testing.assert_array_equal(again.reward, step.reward)
        np.testing.assert_array_equal(again.obs, step.obs)
    assert 0.2 < np.mean([step.reward.mean() for step in steps]) < 0.3
    assert {tuple(source) for source in states[0].source[:, 0, 3:].tolist()} == set(itertools.permutations(range(3)))


def test_observations_are_laid_out_as_documented() -> None:
    n, v = 4, 5
    for game in ("reference", "listener"):
        env = envs.make("whispers", game=game, n_symbols=v, persistence=0.5)
        state, step = env.reset(range(8))
        for _ in range(3):
            now = int(state.step[0])
            symbol, source = state.symbol[:, now], state.source[:, now]
            for world, i in itertools.product(range(8), range(n)):
                sees, asks = game == "reference" or i < 2, source[world, i] != NOBODY
                own = np.eye(v)[symbol[world, i]] * sees
                whose = np.eye(n)[source[world, i]] * asks
                np.testing.assert_array_equal(step.obs[world, i], np.concatenate([np.eye(n)[i], own, whose]))
                rows = step.state[world].reshape(n, v + n)
                np.testing.assert_array_equal(rows[i], np.concatenate([own, whose]))
            state, step = env.step(state, np.zeros((8, n), int))
        assert (step.adjacency == ~np.eye(n, dtype=bool)).all()


@pytest.mark.parametrize("persistence", [0.0, 0.6, 0.9, 1.0])
def test_symbols_stay_with_their_persistence_and_are_uniform(persistence: float) -> None:
    worlds, v = 2000, 4
    state, _ = envs.make("whispers", persistence=persistence, n_symbols=v).reset(range(worlds))  # type: ignore[misc]
    symbol: Any = state.symbol
    for t in (0, 1, 50):
        shares = np.bincount(symbol[:, t].ravel(), minlength=v) / symbol[:, t].size
        np.testing.assert_allclose(shares, 1 / v, atol=0.02)
    stayed = (symbol[:, 1:] == symbol[:, :-1]).mean()
    assert stayed == pytest.approx(persistence + (1 - persistence) / v, abs=0.005)
    following = (symbol[:, 2:] == symbol[:, :-2]).mean()
    assert following == pytest.approx(1 / v + (1 - 1 / v) * persistence**2, abs=0.01)
    if persistence == 0.0:  # successive symbols and those of different agents are independent
        pairs = np.bincount((v * symbol[:, 1:] + symbol[:, :-1]).ravel(), minlength=v * v)
        np.testing.assert_allclose(pairs / pairs.sum(), 1 / v**2, atol=0.003)
        assert (symbol[..., 0] == symbol[..., 1]).mean() == pytest.approx(1 / v, abs=0.01)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_derangements_are_equally_likely(n: int) -> None:
    possible = [p for p in itertools.permutations(range(n)) if all(k != i for i, k in enumerate(p))]
    draws = 20_000
    chance = np.random.default_rng(n).random((draws, 2 * n))
    found = sources(chance, 0, (draws, 1, n), 1.0, False)[:, 0]
    counts = dict.fromkeys(possible, 0)
    for row in found.tolist():
        counts[tuple(row)] += 1  # KeyError: not a derangement
    expected = draws / len(possible)
    assert all(abs(count - expected) < 5 * np.sqrt(expected) + 1e-9 for count in counts.values()), counts


def test_sources_of_large_games_are_derangements_and_reach_everybody() -> None:
    state: Any = envs.make("whispers", n_agents=64).reset(range(300))[0]
    source = state.source[:, 0].astype(int)
    assert (np.sort(source, axis=1) == np.arange(64)).all()
    assert (source != np.arange(64)).all()
    reached = np.zeros((64, 64))
    np.add.at(reached, (np.tile(np.arange(64), 300), source.ravel()), 1)
    assert reached.max() < 25  # 4.8 are expected
    assert (reached > 0).mean() > 0.95


def test_sources_stay_unless_asked_to_change() -> None:
    still: Any = envs.make("whispers").reset(range(50))[0]
    assert (still.source == still.source[:, :1]).all()
    state: Any = envs.make("whispers", source_persistence=0.75, n_agents=8).reset(range(500))[0]
    changed = (state.source[:, 1:] != state.source[:, :-1]).any(axis=2)
    assert changed.mean() == pytest.approx(0.25, abs=0.01)  # of 14,833 derangements hardly one comes twice
    assert (np.sort(state.source, axis=2) == np.arange(8)).all()
    assert (state.source != np.arange(8)).all()


def test_sources_of_successive_steps_are_independent() -> None:
    state: Any = envs.make("whispers", source_persistence=0.0).reset(range(800))[0]
    _, which = np.unique(state.source @ 4 ** np.arange(4), return_inverse=True)
    which = which.reshape(800, 51)  # index of one of the 9 derangements of four agents
    assert which.max() == 8
    for lag in (1, 2, 3):
        pairs = np.bincount((9 * which[:, lag:] + which[:, :-lag]).ravel(), minlength=81)
        np.testing.assert_allclose(pairs / pairs.sum(), 1 / 81, atol=0.003)


@pytest.mark.parametrize("game", ["reference", "listener"])
def test_full_information_is_always_right(game: str) -> None:
    options: dict[str, Any] = {"game": game, "n_agents": 6, "persistence": 0.4, "source_persistence": 0.9}
    env, policy = envs.make("whispers", **options), envs.heuristic("whispers", **options)
    state, step = env.reset(range(10))
    while not step.truncated.any():
        state, step = env.step(state, policy(state))
        assert (step.reward == 1.0).all()
    assert (step.metrics["share_right"] == 1.0).all()


def test_metrics_are_means_over_the_episode() -> None:
    env = envs.make("whispers", max_steps=12)
    steps = run(env, 5)[2]
    paid = np.array([step.reward for step in steps], np.float64)
    np.testing.assert_allclose(steps[-1].metrics["share_right"], paid.mean(axis=(0, 2)))
    np.testing.assert_allclose(steps[-1].metrics["share_right_now"], paid[-1].mean(axis=1))


def test_what_an_agent_sees_tells_nothing_of_what_it_has_to_name() -> None:
    env = envs.make("whispers")
    state: Any
    state, step = env.reset(range(4000))
    own = step.obs[:, 0, 4:8].argmax(axis=1)
    wanted = state.symbol[np.arange(4000), 0, state.source[:, 0, 0]]
    pairs = np.bincount(4 * own + wanted, minlength=16) / 4000
    np.testing.assert_allclose(pairs, 1 / 16, atol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"game": "listener", "n_agents": 5}, "n_agents=5 is odd, .* give an even number"),
        ({"game": "chess"}, "game='chess' is not known"),
        ({"n_agents": 1}, "n_agents=1 is out of range"),
        ({"persistence": 1.5}, "persistence=1.5 is out of range"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        envs.make("whispers", **options)


@pytest.mark.parametrize("n", [2, 64])
def test_pictures_of_few_and_of_many(n: int) -> None:
    env = envs.make("whispers", n_agents=n, n_symbols=64)
    state, _ = env.reset([0])
    first = env.render(state)
    assert first.shape == (HEADER + SIDE, SIDE, 3)
    state, _ = env.step(state, np.zeros((1, n), int))
    assert (env.render(state) != first).any()
