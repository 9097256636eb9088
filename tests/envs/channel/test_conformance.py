"""A channel around an environment is an environment: PettingZoo's tests, conversions and flat spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, Tuple
from parrots import Parrots
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec

import envs
from envs.channel import Channel
from envs.conformance.parallel import _strict
from envs.whispers.optimum import over_episode


def foreign(**options: Any) -> Any:
    return pytest.importorskip("mpe2.simple_spread_v3").parallel_env(**options)


MAKES: dict[str, Any] = {
    "spread": lambda: envs.parallel_env("spread"),
    "whispers": lambda: envs.parallel_env("whispers"),
    "intersection": lambda: envs.parallel_env("intersection", "quiet-4", max_cycles=60),  # late births and deaths
    "mpe2": foreign,
    "parrots": lambda: Parrots(dies={"parrot_1": 5}),
    "alone": lambda: Parrots(1),
}
wrapped = pytest.mark.parametrize("name", MAKES)
SETTINGS: dict[str, Any] = {"entries": 3, "bits": 4, "loss": 0.3, "burst": 2.0, "delay": (0, 2), "decay": 0.9}


@pytest.mark.parametrize("flat", [False, True])
@wrapped
def test_pettingzoo_accepts_it(name: str, flat: bool) -> None:
    with _strict() as tests:
        tests.parallel_api_test(Channel(MAKES[name](), flat=flat, **SETTINGS), num_cycles=150)


@pytest.mark.parametrize("name", ["spread", "mpe2"])
def test_it_converts_to_turns_and_back(name: str) -> None:
    env = Channel(MAKES[name](), flat=True, **SETTINGS)
    with _strict() as tests:
        tests.api_test(parallel_to_aec(env), num_cycles=60)
    back = aec_to_parallel(parallel_to_aec(Channel(MAKES[name](), **SETTINGS)))
    one, two = Channel(MAKES[name](), **SETTINGS), back
    seen, _ = one.reset(seed=3)
    again, _ = two.reset(seed=3)
    for _ in range(5):
        for agent in one.agents:
            for key, value in seen[agent].items():
                np.testing.assert_array_equal(value, again[agent][key])
        actions = {agent: one.action_space(agent).sample() for agent in one.agents}
        seen, again = one.step(actions)[0], two.step(actions)[0]


@pytest.mark.parametrize("flat", [False, True])
@wrapped
def test_observations_lie_in_their_spaces(name: str, flat: bool) -> None:
    env = Channel(MAKES[name](), flat=flat, **SETTINGS)
    observations, _ = env.reset(seed=1)
    for agent in env.possible_agents:
        env.action_space(agent).seed(0)
    for _ in range(25):
        for agent, seen in observations.items():
            assert env.observation_space(agent).contains(seen), seen
        observations, *_ = env.step({agent: env.action_space(agent).sample() for agent in env.agents})


def test_the_environment_within_is_not_disturbed() -> None:
    """Observations and rewards are those that the same actions bring without a channel."""
    alone, env = envs.parallel_env("spread"), Channel(envs.parallel_env("spread"), **SETTINGS)
    plain, (seen, _) = alone.reset(seed=2)[0], env.reset(seed=2)
    rng = np.random.default_rng(0)
    while env.agents:
        for agent in plain:
            np.testing.assert_array_equal(plain[agent], seen[agent]["observation"])
        chosen = {agent: int(rng.integers(5)) for agent in env.agents}
        said = {agent: rng.uniform(-1, 1, 3).astype(np.float32) for agent in env.agents}
        plain, reward, *_ = alone.step(chosen)
        seen, paid, *_ = env.step({a: {"action": chosen[a], "message": said[a]} for a in chosen})
        assert reward == paid
    np.testing.assert_array_equal(env.state(), alone.state())
    assert env.state_space == alone.state_space
    assert env.metadata == alone.metadata


@pytest.mark.parametrize("action", [Discrete(3, start=1), Box(-2.0, 5.0, (2, 2), np.float32)], ids=str)
def test_flat_spaces_hold_the_same(action: Any) -> None:
    pair = Channel(Parrots(action=action), **SETTINGS), Channel(Parrots(action=action), flat=True, **SETTINGS)
    (seen, _), (flat, _) = (env.reset(seed=0) for env in pair)
    rng = np.random.default_rng(0)
    size = 3 if isinstance(action, Discrete) else 4
    low = np.concatenate([-np.ones(3) if size == 3 else np.full(4, -2.0), -np.ones(3)])
    space: Any = pair[1].action_space("parrot_0")
    np.testing.assert_array_equal(space.low, low)
    for _ in range(10):
        for agent, parts in seen.items():
            np.testing.assert_array_equal(
                flat[agent], np.concatenate([parts["observation"], parts["heard"].ravel(), parts["age"] / 19])
            )
        nested, rows = {}, {}
        for agent in pair[0].agents:
            message = rng.uniform(-1, 1, 3).astype(np.float32)
            own = rng.uniform(-1, 1, size).astype(np.float32)
            choice = int(own.argmax()) + 1 if size == 3 else own.reshape(2, 2)
            nested[agent] = {"action": choice, "message": message}
            rows[agent] = np.concatenate([own, message])
        seen, flat = pair[0].step(nested)[0], pair[1].step(rows)[0]
        assert len({str(env.unwrapped.taken[-1]) for env in pair}) == 1  # type: ignore[attr-defined]


def test_what_cannot_be_flat_or_wrapped_is_refused() -> None:
    with pytest.raises(ValueError, match=r"flat=True needs actions in Box or Discrete; parrot_0 has .*use flat=False"):
        Channel(Parrots(action=MultiBinary(2)), flat=True)
    Channel(Parrots(action=Tuple((Discrete(2), Discrete(3)))))
    nameless = Parrots()
    nameless.possible_agents = []
    with pytest.raises(ValueError, match="Parrots has no possible_agents"):
        Channel(nameless)


@pytest.mark.parametrize("wrong", [[0.0] * 5, [0.0] * 5 + [1.5], [np.nan] + [0.0] * 5, "hello", None])
def test_wrong_flat_actions_are_refused(wrong: Any) -> None:
    env = Channel(Parrots(), entries=3, flat=True)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"(action|message) of parrot_1 is .*; give"):
        env.step({agent: wrong if agent == "parrot_1" else np.zeros(6) for agent in env.agents})


@pytest.mark.parametrize(("loss", "delay"), [(0.0, 0), (0.5, 0), (0.3, 2)])
def test_whispers_over_it_reach_their_optimum(loss: float, delay: int) -> None:
    """Agents say their symbol and name the last one heard, which is one step older than within the environment."""
    n, v, episodes = 4, 4, 40
    env = Channel(envs.parallel_env("whispers", "whispers-4-slow"), entries=v, loss=loss, delay=delay, memory=50)
    share = []
    for episode in range(episodes):
        observations, infos = env.reset(seed=episode)
        while env.agents:
            actions = {}
            for i, agent in enumerate(env.agents):
                own = observations[agent]["observation"]
                source = int(own[n + v :].argmax())
                word = observations[agent]["heard"][source - (source > i)]
                actions[agent] = {"action": int(word.argmax()), "message": own[n : n + v]}
            observations, _, _, _, infos = env.step(actions)
        share.append(infos["agent_0"]["metrics"]["share_right"])
    expected = over_episode(50, v, persistence=0.9, loss=loss, delay=delay + 1)
    assert np.mean(share) == pytest.approx(expected, abs=0.03)
