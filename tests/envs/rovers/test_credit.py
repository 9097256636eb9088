"""Team reward, counterfactual and own finds against whole ways, simulated and scored again without each rover."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rovers_scenes import chosen, field, objective, own_finds, play, scene

import envs
from envs.kit.shapley import shapley

SMALL: list[dict[str, Any]] = [
    {"coupling": 1},
    {"coupling": 2},
    {"coupling": 3},
    {"coupling": 1, "continuous": True, "speed": 2.5, "min_distance": 0.5},
    {"coupling": 2, "continuous": True, "radius": 6.0},
    {"coupling": 5},
    {"coupling": 1, "n_rovers": 1},
]
SIZES: dict[str, Any] = {
    "n_rovers": 5, "n_pois": 6, "size": 8.0, "start_size": 5.0, "radius": 2.5, "max_steps": 15,
    "counterfactual": "absent",
}  # fmt: skip
cases = pytest.mark.parametrize("options", SMALL, ids=str)


def ways_of(states: list[Any], world: int) -> Any:
    """(T, N, 2) places after each step."""
    return np.array([state.position[world] for state in states[1:]])


def summed(rewards: Iterable[Any]) -> Any:
    """The sum over steps, in float64."""
    return np.sum(np.array(list(rewards), np.float64), axis=0)


@cases
def test_rewards_of_an_episode_are_the_objective_of_the_whole_ways(options: dict[str, Any]) -> None:
    env = field(**{**SIZES, **options})
    states, _, steps = play(env, range(6))
    team, own = summed(step.team_reward for step in steps), summed(step.reward for step in steps)
    for world in range(6):
        ways, poi = ways_of(states, world), states[0].poi[world]
        assert team[world] == pytest.approx(objective(env.config, ways, poi), abs=1e-5)
        assert steps[-1].metrics["score"][world] == pytest.approx(team[world] / poi[:, 2].sum(), abs=1e-5)
        for i in range(len(env.agents)):
            assert own[world, i] == pytest.approx(own_finds(env.config, ways, poi, i), abs=1e-5)
    assert (team > 0).any(), "something must be found"


@cases
def test_what_a_rover_adds_is_the_objective_less_that_of_a_world_without_it(options: dict[str, Any]) -> None:
    """The others are simulated again, in an environment that has one rover less."""
    env = field(**{**SIZES, **options})
    n = len(env.agents)
    states, actions, steps = play(env, range(6), seed=1)
    added = summed(step.team_reward for step in steps)[:, None] - summed(
        step.counterfactual for step in steps
    )  # (B, N)
    fewer = field(
        **{**SIZES, **options, "n_rovers": max(n - 1, 1), "coupling": min(env.config.coupling, max(n - 1, 1))}
    )
    for i in range(n):
        others = [j for j in range(n) if j != i]
        state, _ = fewer.reset(range(6))
        ways = []
        if others:
            state = state._replace(position=states[0].position[:, others], poi=states[0].poi)
            for action in actions:
                state, _ = fewer.step(state, action[:, others])
                ways.append(state.position)
        for world in range(6):
            poi = states[0].poi[world]
            whole = objective(env.config, ways_of(states, world), poi)
            without = objective(env.config, [places[world] for places in ways], poi)
            assert added[world, i] == pytest.approx(whole - without, abs=1e-5)
    assert np.ptp(added) > 0.01, "rovers must differ"


@pytest.mark.parametrize("coupling", [1, 2, 3])
def test_every_step_of_it_is_the_rise_without_the_rover(coupling: int) -> None:
    """Not only the sum: after every step the rises so far are the objective so far, with and without each rover."""
    env = field(**{**SIZES, "coupling": coupling, "n_rovers": 4})
    states, _, steps = play(env, range(3), seed=2)
    for t in range(1, len(states)):
        team = summed(step.team_reward for step in steps[:t])
        without = summed(step.counterfactual for step in steps[:t])
        for world in range(3):
            ways, poi = ways_of(states[: t + 1], world), states[0].poi[world]
            assert team[world] == pytest.approx(objective(env.config, ways, poi), abs=1e-5)
            for i in range(4):
                others = np.delete(ways, i, axis=1)
                assert without[world, i] == pytest.approx(objective(env.config, others, poi), abs=1e-5)


@pytest.mark.parametrize("coupling", [1, 2, 3])
def test_without_a_rover_nothing_depends_on_it_to_the_last_bit(coupling: int) -> None:
    env = field(coupling=coupling, n_rovers=6, size=10.0, counterfactual="absent", max_steps=12)
    rng = np.random.default_rng(3)
    for i in range(6):
        one, _ = env.reset(range(4))
        other = one
        for _ in range(12):
            action = chosen(env, rng, 4)
            changed = action.copy()
            changed[:, i] = chosen(env, rng, 4)[:, i]
            (one, step), (other, again) = env.step(one, action), env.step(other, changed)
            assert step.counterfactual[:, i].tobytes() == again.counterfactual[:, i].tobytes()
            assert one.absent[:, :, i].tobytes() == other.absent[:, :, i].tobytes()


def test_credit_is_taken_back_when_another_finds_it_too() -> None:
    env = field(n_rovers=2, n_pois=1, counterfactual="absent")
    state = scene(env, [[9.0, 10.0], [15.0, 10.0]], [[10.0, 10.0, 1.0]])
    added, overlap = [], 0.0
    for _ in range(5):  # the first stands on the point after a step, and drives on; the second comes later
        state, step = env.step(state, np.array([[2, 1]]))
        added.append(step.team_reward[0] - step.counterfactual[0])
        overlap = step.metrics["overlap"][0]
    # In the third step the second rover is 2 m away, in the fourth 1 m.
    np.testing.assert_allclose(added, [[1.0, 0.0], [0.0, 0.0], [-0.5, 0.0], [-0.5, 0.0], [0.0, 0.0]])
    assert overlap == pytest.approx(2.0)


def test_both_of_a_pair_are_credited_with_all_that_it_finds_and_a_third_only_with_what_it_improves() -> None:
    env = field(n_rovers=3, n_pois=1, coupling=2, counterfactual="absent")
    state = scene(env, [[9.0, 10.0], [12.0, 10.0], [17.0, 10.0]], [[10.0, 10.0, 0.8]])
    stay = np.zeros((1, 3), int)
    state, step = env.step(state, stay)
    assert step.team_reward[0] == pytest.approx(0.8 / 1.5), "the mean of 1 m and 2 m"
    np.testing.assert_allclose(step.team_reward - step.counterfactual[0], [0.8 / 1.5, 0.8 / 1.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(step.reward[0], [0.8 / 1.5, 0.8 / 1.5, 0.0], atol=1e-6)
    state = state._replace(position=np.array([[[9.0, 10.0], [12.0, 10.0], [12.4, 10.0]]]))
    state, step = env.step(state, stay)
    assert step.team_reward[0] == 0.0
    np.testing.assert_allclose(step.counterfactual[0], [0.8 / 2.2, 0.8 / 1.7, 0.0], atol=1e-6)
    assert step.reward[0, 2] == pytest.approx(0.8 / 1.7), "with the nearest other"


def test_nobody_observes_beyond_the_radius_or_gains_below_the_least_distance() -> None:
    env = field(n_rovers=1, n_pois=1, radius=3.0, counterfactual="absent")
    stay = np.zeros((1, 1), int)
    for away, closeness in ((3.01, 0.0), (2.99, 1 / 2.99), (1.0, 1.0), (0.2, 1.0), (0.0, 1.0)):
        _, step = env.step(scene(env, [[10.0 + away, 10.0]], [[10.0, 10.0, 0.7]]), stay)
        assert step.team_reward[0] == pytest.approx(0.7 * closeness, rel=1e-6)
        assert step.reward[0, 0] == step.team_reward[0]
        assert step.counterfactual[0, 0] == 0.0


def test_the_places_at_the_start_do_not_count() -> None:
    env = field(n_rovers=1, n_pois=1)
    _, step = env.step(scene(env, [[10.0, 10.0]], [[10.0, 10.0, 1.0]]), np.array([[2]]))
    assert step.team_reward[0] == 1.0, "still within the least distance"
    far = field(n_rovers=1, n_pois=1, speed=5.0)
    _, step = far.step(scene(far, [[10.0, 10.0]], [[10.0, 10.0, 1.0]]), np.array([[2]]))
    assert step.team_reward[0] == 0.0


def test_the_option_fills_the_step_and_the_view_pays_the_difference_without_it() -> None:
    plain, asked = field(), field(counterfactual="absent")
    state, step = plain.reset([5])
    assert step.counterfactual is None
    assert not asked.reset([5])[1].counterfactual.any()
    action = np.full((1, 16), 2)
    shown = asked.step(state, action)[1]
    np.testing.assert_array_equal(plain.counterfactual(state, action), shown.counterfactual)
    assert plain.step(state, action)[1].counterfactual is None
    view = envs.parallel_env("rovers", reward="difference")
    view.reset(seed=5)
    paid = view.step(dict.fromkeys(view.agents, 2))[1]
    np.testing.assert_allclose(list(paid.values()), (shown.team_reward[:, None] - shown.counterfactual)[0])
    assert max(paid.values()) > 0


def played(**options: Any) -> tuple[Any, list[Any], list[Any]]:
    """Returns rovers, and the states before and the steps of an episode of actions of chance."""
    env, rng = field(**options), np.random.default_rng(3)
    state, _ = env.reset([1, 2, 3])
    states, steps = [state], []
    for _ in range(env.max_steps):
        state, step = env.step(state, rng.integers(5, size=(3, env.config.n_rovers)))
        states.append(state)
        steps.append(step)
    return env, states, steps


@pytest.mark.parametrize("n_rovers", [1, 5, 8])
def test_shapley_values_are_those_of_all_coalitions(n_rovers: int) -> None:
    _, states, steps = played(n_rovers=n_rovers, size=8.0, counterfactual="shapley")
    total = sum(step.team_reward[:, None] - step.counterfactual for step in steps)
    last = states[-1]

    def worth(members: NDArray[np.bool_]) -> NDArray[np.float64]:
        closest = np.where(members[:, :, None, :], last.own[:, None], 0.0).max(axis=3)  # (B, C, P)
        return (closest * last.poi[:, None, :, 2]).sum(axis=2)

    np.testing.assert_allclose(total, shapley(worth, last.step, n_rovers, orders=2), atol=1e-4)
    assert np.abs(total).max() > 0.5


def test_shapley_values_sum_to_the_teams_reward_in_every_step() -> None:
    env, states, steps = played(size=12.0, counterfactual="shapley")
    for before, step in zip(states, steps, strict=False):
        share = step.team_reward[:, None] - step.counterfactual
        np.testing.assert_allclose(share.sum(1), step.team_reward, atol=1e-5)
        assert np.isfinite(env.counterfactual(before, np.zeros((3, 16), int))).all()
    assert sum(step.team_reward.sum() for step in steps) > 1


def test_the_view_pays_shapley_values() -> None:
    view = envs.parallel_env("rovers", reward="shapley", size=8.0)
    view.reset(seed=5)
    paid, team = np.zeros(16), 0.0
    for _ in range(5):
        _, reward, _, _, infos = view.step(dict.fromkeys(view.agents, 2))
        paid += list(reward.values())
        team += infos["rover_0"]["team_reward"]
    assert paid.sum() == pytest.approx(team, abs=1e-5)
    assert team > 0


def test_shapley_values_of_more_rovers_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match=r"closed form for coupling=1 only.*give counterfactual='absent'"):
        field(coupling=2, counterfactual="shapley")
