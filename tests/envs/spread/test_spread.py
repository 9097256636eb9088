"""Spread is mpe2's simple_spread, step by step, and what it adds is right."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from mpe2 import simple_spread_v3
from numpy.typing import NDArray

import envs
from envs import spread
from envs.core import Step
from envs.kit import paint
from envs.spread import Config, Spread
from envs.spread.motion import RADIUS
from envs.spread.picture import HEADER, SIDE, draw
from envs.spread.reward import CAPTURE, score
from envs.spread.state import State

CASES = [(1, 0.5, False), (2, 0.0, True), (3, 0.5, False), (3, 0.5, True), (5, 1.0, False), (8, 0.3, True)]
"""Agents, local_ratio, continuous actions."""


class Theirs:
    """mpe2's simple_spread with its agents as rows."""

    def __init__(self, n: int, ratio: float = 0.5, continuous: bool = False) -> None:
        self.env = simple_spread_v3.parallel_env(N=n, local_ratio=ratio, continuous_actions=continuous)
        self.env.reset(seed=0)
        self.inner: Any = self.env.unwrapped
        self.world, self.scenario = self.inner.world, self.inner.scenario

    def rows(self, by_agent: dict[str, Any]) -> NDArray[Any]:
        return np.array([by_agent[agent] for agent in self.env.possible_agents])

    def step(self, action: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], bool]:
        obs, reward, _, truncated, _ = self.env.step(dict(zip(self.env.possible_agents, action, strict=True)))
        return self.rows(obs), self.rows(reward), all(truncated.values())

    def place(self, state: State) -> None:
        for i, agent in enumerate(self.world.agents):
            agent.state.p_pos, agent.state.p_vel = state.position[0, i].copy(), state.velocity[0, i].copy()
        for k, landmark in enumerate(self.world.landmarks):
            landmark.state.p_pos = state.landmark[0, k].copy()

    def assert_same(self, state: State) -> None:
        for i, agent in enumerate(self.world.agents):
            np.testing.assert_allclose(state.position[0, i], agent.state.p_pos, rtol=0, atol=1e-12)
            np.testing.assert_allclose(state.velocity[0, i], agent.state.p_vel, rtol=0, atol=1e-12)


def actions(n: int, continuous: bool, rng: np.random.Generator) -> NDArray[Any]:
    return rng.random((n, 5), np.float32) if continuous else rng.integers(5, size=n)


def crowd(n: int, rng: np.random.Generator, width: float = 0.3) -> tuple[Spread, State]:
    """Agents and landmarks on top of each other, moving."""
    env = Spread(Config(n_agents=n))
    state, _ = env.reset([0])
    return env, state._replace(
        position=rng.normal(0.0, width, (1, n, 2)),
        velocity=rng.normal(0.0, 1.0, (1, n, 2)),
        landmark=rng.normal(0.0, width, (1, n, 2)),
    )


@pytest.mark.parametrize(("n", "ratio", "continuous"), CASES)
def test_episodes_are_those_of_mpe2(n: int, ratio: float, continuous: bool) -> None:
    """Start, positions, velocities, observations, state, rewards and the end, over whole random episodes."""
    theirs, touched = Theirs(n, ratio, continuous), 0.0
    env = envs.make("spread", n_agents=n, local_ratio=ratio, continuous=continuous)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        obs, _ = theirs.env.reset(seed=seed)
        state, step = env.reset([seed])
        np.testing.assert_array_equal(step.obs[0], theirs.rows(obs))
        for _ in range(env.max_steps):
            action = actions(n, continuous, rng)
            seen, reward, truncated = theirs.step(action)
            state, step = env.step(state, action[None])
            theirs.assert_same(state)
            np.testing.assert_allclose(step.obs[0], seen, rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(step.state[0], theirs.env.state(), rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(step.reward[0], reward, rtol=1e-6)
            np.testing.assert_allclose(step.team_reward[0], reward.sum(), rtol=1e-6)
            assert step.truncated[0] == truncated
        touched += step.metrics["collisions"][0]
    assert touched > 0 or n == 1, "no agents met: contacts were not compared"


def test_crowds_are_those_of_mpe2() -> None:
    """From states set by hand, agents deep inside one another; cost and metrics too."""
    rng = np.random.default_rng(3)
    theirs = Theirs(6)
    for _ in range(30):
        env, state = crowd(6, rng, width=rng.choice([0.05, 0.3]))
        theirs.env.reset(seed=0)
        theirs.place(state)
        action = actions(6, False, rng)
        _, reward, _ = theirs.step(action)
        state, step = env.step(state, action[None])
        theirs.assert_same(state)
        np.testing.assert_allclose(step.reward[0], reward, rtol=1e-6)
        told = [theirs.scenario.benchmark_data(agent, theirs.world) for agent in theirs.world.agents]
        _, collisions, distance, covered = np.array(told).T  # (N,) each
        np.testing.assert_array_equal(step.cost[0], collisions)
        assert step.metrics["collisions"][0] == collisions.sum() / 2
        np.testing.assert_allclose(step.metrics["landmark_distance"][0], distance[0] / 6)
        np.testing.assert_allclose(step.metrics["covered_now"][0], covered[0] / 6)


def test_spaces_are_those_of_mpe2() -> None:
    """So that a policy trained on the one acts in the other."""
    for n, continuous in ((3, False), (4, True)):
        ours: Any = envs.parallel_env("spread", n_agents=n, continuous=continuous)
        theirs: Any = simple_spread_v3.parallel_env(N=n, continuous_actions=continuous)
        assert ours.possible_agents == theirs.possible_agents
        assert ours.observation_space("agent_0") == theirs.observation_space("agent_0")
        assert ours.action_space("agent_0") == theirs.action_space("agent_0")
        assert ours.state_space == theirs.state_space


def test_metrics_gather_over_the_episode() -> None:
    env = envs.make("spread", n_agents=5)
    state, step = env.reset(range(4))
    assert not step.metrics["collisions"].any()
    assert np.isnan([step.metrics[name] for name in ("landmark_distance", "covered_share")]).all()  # of no steps
    pairs, distance, covered = np.zeros((3, 4))
    rng = np.random.default_rng(0)
    for t in range(1, env.max_steps + 1):
        state, step = env.step(state, rng.integers(5, size=(4, 5)))
        apart = np.linalg.norm(state.landmark[:, :, None] - state.position[:, None], axis=3).min(axis=2)  # (B, L)
        pairs += step.cost.sum(axis=1) / 2
        distance += apart.mean(axis=1)
        covered += (apart < CAPTURE).mean(axis=1)
        np.testing.assert_allclose(step.metrics["collisions"], pairs)
        np.testing.assert_allclose(step.metrics["landmark_distance"], distance / t)
        np.testing.assert_allclose(step.metrics["covered_share"], covered / t)
        np.testing.assert_allclose(step.metrics["covered_now"], (apart < CAPTURE).mean(axis=1))


def test_without_an_agent_the_others_earn_what_mpe2_pays_them() -> None:
    rng = np.random.default_rng(1)
    theirs = Theirs(4)
    for _ in range(10):
        _, state = crowd(4, rng)
        env = Spread(Config(n_agents=4, counterfactual="absent"))
        after, step = env.step(state, actions(4, False, rng)[None])
        theirs.place(after)
        all_agents = list(theirs.world.agents)
        for i in range(4):
            theirs.world.agents = [agent for j, agent in enumerate(all_agents) if j != i]
            others = [theirs.scenario.reward(agent, theirs.world) for agent in theirs.world.agents]
            shared = theirs.scenario.global_reward(theirs.world)
            assert step.counterfactual is not None
            np.testing.assert_allclose(step.counterfactual[0, i], 0.5 * sum(others) + 3 * 0.5 * shared, rtol=1e-6)
        theirs.world.agents = all_agents


def test_without_its_only_agent_a_world_earns_nothing() -> None:
    env = envs.make("spread", n_agents=1, counterfactual="absent")
    state, _ = env.reset([0, 1])
    _, step = env.step(state, np.zeros((2, 1), np.int64))
    np.testing.assert_array_equal(step.counterfactual, np.zeros((2, 1)))


def test_agents_in_the_same_place_stay_finite() -> None:
    env, state = crowd(3, np.random.default_rng(0))
    state.position[:] = 0.25
    after, step = env.step(state, np.zeros((1, 3), np.int64))
    np.testing.assert_allclose(after.velocity, 0.75 * state.velocity)  # which way to push is undefined: none does
    assert np.isfinite(step.obs).all()


def test_a_swap_of_agents_swaps_what_they_see_and_earn() -> None:
    rng = np.random.default_rng(2)
    env, state = crowd(4, rng)
    order, action = np.array([2, 0, 3, 1]), actions(4, False, rng)[None]
    swapped = state._replace(position=state.position[:, order], velocity=state.velocity[:, order])
    _, step = env.step(state, action)
    _, mixed = env.step(swapped, action[:, order])
    np.testing.assert_allclose(mixed.reward, step.reward[:, order], rtol=1e-6)
    np.testing.assert_allclose(mixed.obs[:, :, :12], step.obs[:, order, :12], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_agents": 0}, r"n_agents=0 .* from 1 to 1000"),
        ({"n_agents": 2.5}, r"n_agents=2\.5 .* of type int"),
        ({"n_agents": True}, r"n_agents=True .* of type int"),
        ({"local_ratio": 1.5}, r"local_ratio=1\.5 .* from 0 to 1"),
        ({"local_ratio": float("nan")}, r"local_ratio=nan .* from 0 to 1"),
        ({"local_ratio": "half"}, r"local_ratio='half' .* of type float"),
        ({"max_steps": 0}, r"max_steps=0 .* from 1 to 1000000"),
        ({"continuous": 1}, r"continuous=1 .* of type bool"),
        ({"counterfactual": "stop"}, r"counterfactual='stop' .* none, absent"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        envs.make("spread", **given)
    assert "\n" not in str(caught.value)


def test_bad_actions_are_refused_in_one_line() -> None:
    env = envs.make("spread")
    state, _ = env.reset([0])
    with pytest.raises(
        ValueError, match=r"action 5 is outside Discrete\(5\): give an integer from 0 to 4 \(nothing, left"
    ):
        env.step(state, np.array([[0, 1, 5]]))
    with pytest.raises(ValueError, match=r"float64\[1, 3\]: give integers of shape \[1, 3\]"):
        env.step(state, np.zeros((1, 3)))


@pytest.mark.parametrize(("continuous", "least"), [(False, -7.8), (True, -6.5)])
def test_the_heuristic_is_worth_beating(continuous: bool, least: float) -> None:
    """Mean return per agent; doing nothing makes about -24, random actions -26.4."""
    env = envs.make("spread", continuous=continuous)
    act = envs.heuristic("spread", continuous=continuous)
    state, step = env.reset(range(300))
    total = np.zeros(300)
    for _ in range(env.max_steps):
        state, step = env.step(state, act(state))
        total += step.reward.mean(axis=1)
    assert total.mean() > least
    assert step.metrics["covered_now"].mean() > 0.9


# The picture


def scene(position: Any, landmark: Any) -> tuple[State, Step]:
    env = envs.make("spread", n_agents=len(position))
    state, step = env.reset([0])
    return state._replace(position=np.array([position], float), landmark=np.array([landmark], float)), step


def pixels(picture: NDArray[np.uint8], colour: paint.Colour) -> NDArray[Any]:
    """(K, 2) rows and columns below the header that have just this colour."""
    return np.argwhere((picture == colour).all(axis=2)[HEADER:])


def test_the_picture_shows_agents_where_they_are() -> None:
    state, _ = scene([[-0.5, 0.5], [0.5, -0.5]], [[0.9, 0.9], [-0.9, -0.9]])
    picture = draw(state, 0)
    assert picture.shape == (HEADER + SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    for i, (x, y) in enumerate(state.position[0]):
        found = pixels(picture, paint.agent_colour(i))
        scale = SIDE / 2 / 1.3
        assert len(found) > 0.7 * np.pi * (RADIUS * scale) ** 2
        np.testing.assert_allclose(found.mean(axis=0), [SIDE / 2 - scale * y, SIDE / 2 + scale * x], atol=3)


def test_the_view_widens_when_an_agent_goes_far() -> None:
    state, _ = scene([[-7.0, 9.0], [0.0, 0.0]], [[0.9, 0.9], [-0.9, -0.9]])
    picture = draw(state, 0)
    assert len(pixels(picture, paint.agent_colour(0))) > 20
    assert len(pixels(picture, paint.agent_colour(1))) > 20


def test_the_picture_shows_covered_landmarks_and_colliding_agents() -> None:
    apart, _ = scene([[-0.5, 0.5], [0.5, -0.5]], [[0.9, 0.9], [-0.9, -0.9]])
    covered, _ = scene([[-0.5, 0.5], [0.5, -0.5]], [[-0.5, 0.45], [-0.9, -0.9]])
    touching, _ = scene([[-0.5, 0.5], [-0.3, 0.5]], [[0.9, 0.9], [-0.9, -0.9]])

    def red(picture: NDArray[np.uint8]) -> int:
        wide = picture.astype(int)
        return int((wide[:, :, 0] - wide[:, :, 2] > 60).sum())

    one, other = paint.agent_colour(0), paint.agent_colour(1)
    assert paint.GOOD not in (one, other)
    assert len(pixels(draw(apart, 0), paint.GOOD)) == 0
    assert len(pixels(draw(covered, 0), paint.GOOD)) > 100
    assert red(draw(touching, 0)) > red(draw(apart, 0)) + 500


def test_the_module_offers_its_tasks() -> None:
    assert [spread.TASKS[name].n_agents for name in spread.TASKS] == [3, 5, 10]
    assert spread.TASKS[spread.DEFAULT_TASK] == Config()


def test_shapley_values_divide_what_is_earned() -> None:
    """By the definition, over all orders of three; they sum to the team's reward, whoever many there are."""
    rng = np.random.default_rng(2)
    for n in (3, 10):
        _, state = crowd(n, rng)
        env = Spread(Config(n_agents=n, counterfactual="shapley", orders=4))
        action = actions(n, False, rng)[None]
        after, step = env.step(state, action)
        assert step.counterfactual is not None
        share = step.team_reward[:, None] - step.counterfactual
        np.testing.assert_allclose(share.sum(1), step.team_reward, rtol=1e-5)
        np.testing.assert_array_equal(env.counterfactual(state, action), step.counterfactual)
        if n > 3:
            continue
        expected = np.zeros(n)
        for order in itertools.permutations(range(n)):
            earned = 0.0
            for count in range(1, n + 1):
                _, team, _, _ = score(after.position[:, sorted(order[:count])], after.landmark, 0.5)
                expected[order[count - 1]] += (team[0] - earned) / 6
                earned = team[0]
        np.testing.assert_allclose(share[0], expected, rtol=1e-5)


def test_orders_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="orders is 3; each order comes with its reverse: give an even number"):
        envs.make("spread", orders=3)


def test_rewards_that_do_not_fit_counterfactuals_are_refused() -> None:
    with pytest.raises(ValueError, match="reward='difference' does not fit counterfactual='shapley'; give reward='sh"):
        envs.parallel_env("spread", reward="difference", counterfactual="shapley")
    with pytest.raises(ValueError, match="reward='shapley' needs Shapley values, which signals does not give; allowed"):
        envs.parallel_env("signals", reward="shapley")
