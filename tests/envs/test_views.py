"""The views against the counting environment, whose deaths, births, masks and difference rewards are known."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from counting import Counting

import envs
from algos.core import VectorEnv, spec_of
from envs.batch_checks import differences, random_actions
from envs.core import ended, take_worlds
from envs.parallel import ParallelView
from envs.vector import VectorView


def play(view: ParallelView, action: int, steps: int) -> Any:
    shown: Any = None
    for _ in range(steps):
        shown = view.step(dict.fromkeys(view.agents, action))
    return shown


def test_an_agent_is_shown_its_death_once_and_then_left_out() -> None:
    view = ParallelView(Counting(max_steps=100))
    view.reset(seed=0)
    limits = view._state.limit[0]  # (N,) the counters that kill
    first = int(np.argmin(limits))
    obs, reward, terminated, truncated, infos = play(view, 1, int(np.ceil(limits[first])))
    name = f"counter_{first}"
    assert terminated == {agent: agent == name for agent in view.possible_agents}
    assert not any(truncated.values())
    assert reward[name] == 1.0
    assert infos[name]["cost"] == 1.0
    assert name not in view.agents
    assert set(obs) == set(view.possible_agents)
    obs, *_ = play(view, 1, 1)
    assert name not in obs
    assert list(obs) == view.agents


def test_the_time_limit_truncates_and_terminates_nobody() -> None:
    view = ParallelView(Counting(max_steps=4))
    view.reset(seed=0)
    _, _, terminated, truncated, _ = play(view, 0, 4)
    assert truncated == dict.fromkeys(view.possible_agents, True)
    assert terminated == dict.fromkeys(view.possible_agents, False)
    assert view.agents == []
    assert view.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(RuntimeError, match="over"):
        view.step({"counter_0": 0})


def test_an_agent_born_later_appears_without_reward() -> None:
    view = ParallelView(Counting(late=True))
    view.reset(seed=0)
    assert view.agents == ["counter_0", "counter_1"]
    play(view, 1, 2)
    obs, reward, *_ = play(view, 1, 1)
    assert view.agents == ["counter_0", "counter_1", "counter_2"]
    assert list(obs) == view.agents
    assert reward == {"counter_0": 1.0, "counter_1": 1.0, "counter_2": 0.0}


def test_an_agent_born_in_the_last_step_is_not_shown() -> None:
    view = ParallelView(Counting(late=True, max_steps=3))
    view.reset(seed=0)
    play(view, 1, 2)
    obs, _, _, truncations, _ = play(view, 1, 1)
    assert view.agents == []
    assert list(obs) == ["counter_0", "counter_1"]
    assert all(truncations.values())


def test_infos_name_neighbors_metrics_and_masks() -> None:
    view = ParallelView(Counting())
    _, infos = view.reset(seed=0)
    assert infos["counter_0"]["neighbors"] == ("counter_1", "counter_2")
    *_, infos = view.step({"counter_0": 2, "counter_1": 0, "counter_2": 1})
    assert infos["counter_0"]["neighbors"] == ("counter_2",)
    assert infos["counter_2"]["neighbors"] == ("counter_0", "counter_1")
    assert infos["counter_1"]["metrics"] == {"total": 3.0, "deaths": 0.0}
    assert infos["counter_1"]["team_reward"] == 9.0
    assert infos["counter_1"]["action_mask"].tolist() == [1, 1, 1]
    assert view.adjacency().tolist() == [[False, False, True], [False, False, True], [True, True, False]]


def test_a_mask_closes_when_the_action_would_kill() -> None:
    view = ParallelView(Counting(max_steps=100))
    view.reset(seed=0)
    while True:
        *_, infos = play(view, 1, 1)
        remaining = view._state.limit[0, 0] - view._state.counter[0, 0]
        assert infos["counter_0"]["action_mask"].tolist() == [1, 1, int(remaining > 2)]
        if remaining <= 2:
            break


@pytest.mark.parametrize(
    ("reward", "expected"),
    [("individual", [2.0, 0.0, 1.0]), ("team", [9.0] * 3), ("difference", [9.0 - 1.0, 0.0, 9.0 - 4.0])],
)
def test_rewards_of_a_known_step(reward: Any, expected: list[float]) -> None:
    view = ParallelView(Counting(), reward=reward)
    view.reset(seed=0)
    actions = {"counter_0": 2, "counter_1": 0, "counter_2": 1}
    assert list(view.counterfactual_rewards(actions).values()) == [8.0, 0.0, 5.0]
    _, paid, *_ = view.step(actions)
    assert list(paid.values()) == expected


def test_counterfactual_rewards_do_not_move_the_world() -> None:
    one, other = ParallelView(Counting()), ParallelView(Counting())
    one.reset(seed=0)
    other.reset(seed=0)
    one.counterfactual_rewards(dict.fromkeys(one.agents, 2))
    play(one, 1, 1)
    play(other, 1, 1)
    assert np.array_equal(one.state(), other.state())


class Plain(Counting):
    counterfactual = None  # type: ignore[assignment] - an environment that does not offer it


def test_difference_rewards_need_counterfactuals() -> None:
    with pytest.raises(ValueError, match="counterfactuals"):
        ParallelView(Plain(), reward="difference")
    view = ParallelView(Plain())
    view.reset(seed=0)
    with pytest.raises(ValueError, match="counterfactuals"):
        view.counterfactual_rewards(dict.fromkeys(view.agents, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counter_1": 3}, "counter_1 is 3"),
        ({"counter_1": 1.0}, "counter_1 is 1.0"),
        ({"counter_1": None}, "counter_1 is None"),
        ({"counter_9": 1}, r"unknown agents \['counter_9'\]"),
    ],
)
def test_a_wrong_action_is_named(change: dict[str, Any], message: str) -> None:
    view = ParallelView(Counting())
    view.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        view.step({**dict.fromkeys(view.agents, 0), **change})
    play(view, 0, 1)  # nothing is lost


@pytest.mark.parametrize("value", [[0.5], np.array([0.5]), np.array([0.5], np.float32)])
def test_continuous_actions_come_as_lists_or_arrays(value: Any) -> None:
    view = ParallelView(Counting(continuous=True))
    view.reset(seed=0)
    _, reward, *_ = view.step(dict.fromkeys(view.agents, value))
    assert reward == dict.fromkeys(view.possible_agents, 0.5)


@pytest.mark.parametrize("value", [0.5, [[0.5]], [0.5, 0.5], [np.nan], [2.1], ["a"], None])
def test_continuous_actions_of_other_shape_or_value_are_refused(value: Any) -> None:
    view = ParallelView(Counting(continuous=True))
    view.reset(seed=0)
    with pytest.raises(ValueError, match="counter_1"):
        view.step({**dict.fromkeys(view.agents, 0.5 * np.ones(1)), "counter_1": value})


def test_spaces_are_one_object_an_agent_with_a_stream_of_its_own() -> None:
    view = ParallelView(Counting())
    spaces = [view.action_space(agent) for agent in view.possible_agents]
    assert len({id(space) for space in spaces}) == 3
    spaces[0].seed(1)
    expected = [spaces[0].sample() for _ in range(20)]
    spaces[0].seed(1)
    spaces[1].seed(2)
    spaces[1].sample()
    assert [spaces[0].sample() for _ in range(20)] == expected


def test_without_a_seed_episodes_differ_and_follow_the_last_seed() -> None:
    limits = []
    for _ in range(2):
        view = ParallelView(Counting())
        view.reset(seed=3)
        for _ in range(2):
            view.reset()
            limits.append(view._state.limit.tolist())
    assert limits[:2] == limits[2:]
    assert limits[0] != limits[1]
    fresh = [ParallelView(Counting()) for _ in range(2)]
    for view in fresh:
        view.reset()
    assert fresh[0]._state.limit.tolist() != fresh[1]._state.limit.tolist()


def test_the_window_opens_follows_and_closes() -> None:
    pygame = pytest.importorskip("pygame")
    view = ParallelView(Counting(), render_mode="human")
    view.reset(seed=0)
    assert pygame.display.get_init()
    play(view, 2, 2)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    assert np.array_equal(shown, view.env.render(view._state))
    copy = pickle.loads(pickle.dumps(view))
    assert copy._window is None
    view.close()
    view.close()
    assert not pygame.display.get_init()


def test_a_vector_view_is_a_vector_env() -> None:
    view: VectorEnv = VectorView(Counting(), 2)  # pyright checks the protocol
    spec = spec_of(view)
    assert (spec.n_agents, spec.obs_dim, spec.state_dim, spec.groups) == (3, 3, 7, ((0, 1, 2),))


def run(view: VectorView, steps: int, seed: int = 0) -> list[tuple[Any, Any, Any]]:
    rng = np.random.default_rng(seed)
    step = view.reset(seed)
    made = []
    for _ in range(steps):
        final, step = view.step(random_actions(view.env, step, rng))
        made.append((final, step, view.full_episodes))
    return made


def test_final_keeps_the_end_and_next_is_the_beginning() -> None:
    view = VectorView(Counting(max_steps=5), 3)
    view.reset(0)
    action = np.zeros((3, 3), np.int64)
    for _ in range(4):
        final, following = view.step(action)
        assert final is following
    final, following = view.step(action)
    assert final.truncated.all()
    assert not following.truncated.any()
    assert (final.obs[:, :, 2] == 1.0).all()
    assert (following.obs[:, :, 2] == 0.0).all()
    assert view.full_episodes.all()


def test_only_worlds_that_ended_begin_anew() -> None:
    for final, following, _ in run(VectorView(Counting(max_steps=30), 4), 200):
        over = ended(final)
        if over.any() and not over.all():
            assert np.array_equal(final.obs[~over], following.obs[~over])
            assert np.array_equal(final.metrics["total"][~over], following.metrics["total"][~over])
            assert not following.metrics["total"][over].any()
            return
    pytest.fail("no step in which only some worlds ended")


def test_a_restart_changes_no_state_that_somebody_has_kept() -> None:
    """States kept before a restart stay as they were, and the other worlds go on as the environment alone would."""
    view = envs.vector("signals", 64, "grid-4x4", stagger=True)
    shown = view.reset(0)
    rng, restarted = np.random.default_rng(0), 0
    for _ in range(12):
        before, saved = view.batch_state, view.state_dict()
        kept = type(before)(*(part.copy() for part in before))
        action = random_actions(view.env, shown, rng)
        final, shown = view.step(action)
        after, again = view.env.step(before, action)
        assert not differences(before, kept)
        assert not differences(kept, saved["state"].values())
        over = final.truncated
        restarted += int(over.sum())
        assert not differences(again._replace(truncated=over), final)
        assert not differences(take_worlds(view.batch_state, ~over), take_worlds(after, ~over))
        assert (view.batch_state.step[over] == 0).all()
        assert not shown.truncated.any()
    assert restarted > 1


def test_a_world_does_not_depend_on_how_many_there_are() -> None:
    few, many = VectorView(Counting(), 2), VectorView(Counting(), 5)
    one, other = few.reset(7), many.reset(7)
    rng = np.random.default_rng(0)
    for _ in range(60):
        assert np.array_equal(one.obs, other.obs[:2])
        action = random_actions(many.env, other, rng)
        _, one = few.step(action[:2])
        _, other = many.step(action)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**32, 2**63 + 11, 2**100 + 7])
def test_episodes_are_seeded_by_seed_world_and_episode(seed: int) -> None:
    seen: list[int] = []

    class Listening(Counting):
        def reset(self, seeds: Any) -> Any:
            seen.extend(seeds)
            return super().reset(seeds)

    view = VectorView(Listening(max_steps=1), 3)
    view.reset(seed)
    view.step(np.zeros((3, len(view.agents)), np.int64))
    names = [[seed, world, episode] for episode in range(2) for world in range(3)]
    assert seen == [int(np.random.SeedSequence(name).generate_state(1, np.uint64)[0]) for name in names]


def test_stagger_spreads_the_ends_and_says_which_episodes_are_whole() -> None:
    worlds, limit = 4, 12
    view = VectorView(Counting(max_steps=limit), worlds, stagger=True)
    view.reset(0)
    hold = np.zeros((worlds, 3), np.int64)
    cut, whole = [], []
    for step in range(1, 2 * limit + 1):
        final, _ = view.step(hold)
        cut += [(step, int(world)) for world in np.flatnonzero(final.truncated & ~view.full_episodes)]
        whole += [(step, int(world)) for world in np.flatnonzero(view.full_episodes)]
        assert not final.terminated.any()  # cut short is truncated: its value is bootstrapped
    assert cut == [(3, 0), (6, 1), (9, 2)]
    assert whole == [(12, 3), (15, 0), (18, 1), (21, 2), (24, 3)]


def test_stagger_reaches_every_world_when_there_are_more_worlds_than_steps() -> None:
    view = VectorView(Counting(max_steps=3), 10, stagger=True)
    view.reset(0)
    ends = [int(ended(view.step(np.zeros((10, 3), np.int64))[0]).sum()) for _ in range(4)]
    assert ends == [3, 3, 4, 3]  # first episodes of 1, 1, 1, 2, 2, 2, 3, 3, 3, 3 steps, then whole ones of 3


def test_loading_refuses_what_does_not_fit() -> None:
    view = VectorView(Counting(), 2)
    view.reset(0)
    saved = view.state_dict()
    with pytest.raises(ValueError, match="n_worlds"):
        VectorView(Counting(), 3).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"state\.counter"):
        VectorView(Counting(n_agents=4), 2).load_state_dict(saved)
    damaged = {**saved, "step": {"obs": saved["step"]["obs"]}}
    with pytest.raises(ValueError, match="another version"):
        VectorView(Counting(), 2).load_state_dict(damaged)


def test_what_is_saved_stays_as_it_was() -> None:
    view = VectorView(Counting(), 2, stagger=True)
    view.reset(0)
    view.step(np.zeros((2, 3), np.int64))
    saved = view.state_dict()
    before = pickle.dumps(saved)
    for _ in range(30):
        view.step(np.zeros((2, 3), np.int64))
    assert pickle.dumps(saved) == before


@pytest.mark.parametrize("worlds", [0, -1, 1.5, True, "4"])
def test_the_number_of_worlds_is_checked(worlds: Any) -> None:
    with pytest.raises(ValueError, match="n_worlds"):
        VectorView(Counting(), worlds)


def test_a_view_must_be_reset_first() -> None:
    view = VectorView(Counting(), 2)
    for call in (lambda: view.step(np.zeros((2, 3), np.int64)), view.render, view.state_dict, lambda: view.batch_state):
        with pytest.raises(RuntimeError, match="reset"):
            call()
    with pytest.raises(ValueError, match="seed"):
        view.reset(-1)
    first = view.reset(2**70)  # any integer
    assert not differences(first, view.reset(2**70))
