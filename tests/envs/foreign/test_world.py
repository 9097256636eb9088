"""Rows of foreign environments: endings, births, spaces that differ, masks, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import Counting
from foreign_toys import Differ, Endless, Listed, Masked, Painted, Scripted, Single, Turns
from gymnasium.spaces import Box, Discrete, Graph

from envs import adapters
from envs.core import Step
from envs.foreign.parallel import Copies
from envs.foreign.seeds import episode_seed
from envs.foreign.vector import ForeignVector
from envs.parallel import ParallelView


def here(env: Any, n_worlds: int = 1, **options: Any) -> ForeignVector:
    """Returns a vector that is stepped in this process."""
    view = adapters.vector(env, n_worlds, 0, **options)
    view.reset(0)
    return view


def inside(view: ForeignVector, world: int = 0) -> Any:
    """Returns the environment of a world."""
    return view._crew._worlds[world].env  # pyright: ignore


def play(view: ForeignVector, steps: int, action: Any = 0) -> list[tuple[Step, Step]]:
    """Repeats the same action."""
    shape = (view.n_worlds, len(view.agents), *(view.action_space.shape or ()))
    kind = np.float32 if isinstance(view.action_space, Box) else np.int64
    return [view.step(np.full(shape, action, kind)) for _ in range(steps)]


def test_an_agent_that_dies_terminates_once_and_then_shows_nothing() -> None:
    view = here(Scripted, ends=((2, "die"), None, None))
    (_, one), (final, two), (_, three) = play(view, 3, 1)
    assert one.alive.tolist() == [[True, True, True]]
    assert final.terminated.tolist() == [[True, False, False]]
    assert final.alive.tolist() == [[False, True, True]]
    assert final.reward.tolist() == [[1.0, 11.0, 21.0]]
    assert final.team_reward.tolist() == [33.0]
    assert not final.truncated.any()
    assert not final.obs[0, 0].any()
    assert three.terminated.tolist() == [[False, False, False]]
    assert three.reward.tolist() == [[0.0, 11.0, 21.0]]
    assert two.adjacency[0].tolist() == [[False] * 3, [False, False, True], [False, True, False]]


@pytest.mark.parametrize("how", ["leave", "vanish"])
def test_an_agent_truncated_alone_leaves_without_dying(how: str) -> None:
    view = here(Scripted, ends=((2, how), None, None))
    final, following = play(view, 2)[-1]
    assert final.alive.tolist() == following.alive.tolist() == [[False, True, True]]
    assert not final.terminated.any()
    assert not final.truncated.any()
    assert following.obs[0, 0].tolist() == [0.0, 0.0, 0.0]
    assert following.obs[0, 1].tolist() == final.obs[0, 1].tolist()
    if how == "leave":
        assert final.obs[0, 0, :2].tolist() == [1.0, 2.0]  # the last observation, to bootstrap from


def test_the_time_limit_truncates_the_world_and_terminates_nobody() -> None:
    view = here(Scripted, limit=3, ends=((2, "die"), None, None))
    final, following = play(view, 3)[-1]
    assert final.truncated.tolist() == [True]
    assert not final.terminated.any()
    assert final.alive.tolist() == [[False, True, True]]
    assert final.obs[0, :, 1].tolist() == [0.0, 3.0, 3.0]
    assert following.alive.tolist() == [[True, True, True]]
    assert following.obs[0, :, 1].tolist() == [0.0, 0.0, 0.0]
    assert not following.truncated.any()
    assert not following.reward.any()
    assert view.full_episodes.tolist() == [True]


def test_a_world_in_which_all_died_is_over_but_not_truncated() -> None:
    view = here(Scripted, n=2, ends=((1, "die"), (2, "die")))
    final, following = play(view, 2)[-1]
    assert final.terminated.tolist() == [[False, True]]
    assert not final.truncated.any()
    assert not final.alive.any()
    assert following.alive.all()


def test_death_at_the_limit_is_distinguished_from_truncation_by_it() -> None:
    view = here(Scripted, n=2, limit=3, ends=((3, "die"), None))
    final, _ = play(view, 3)[-1]
    assert final.terminated.tolist() == [[True, False]]
    assert final.truncated.tolist() == [True]
    assert final.alive.tolist() == [[False, True]]


def test_terminated_and_truncated_at_once_is_death() -> None:
    view = here(Scripted, n=2, ends=((2, "die"), None), both=True)
    final, _ = play(view, 2)[-1]
    assert final.terminated.tolist() == [[True, False]]


def test_the_last_ones_leaving_truncate_the_world() -> None:
    view = here(Scripted, n=2, ends=((1, "leave"), (2, "leave")))
    (first, _), (second, following) = play(view, 2)
    assert not first.truncated.any()
    assert second.truncated.tolist() == [True]
    assert second.alive.tolist() == [[False, True]]
    assert following.alive.all()


def test_a_late_agent_is_masked_until_it_comes_and_paid_from_then_on() -> None:
    view = here(Scripted, born=(0, 0, 2))
    assert view.step(np.zeros((1, 3), np.int64))[1].alive.tolist() == [[True, True, False]]
    final, born = play(view, 1)[0]
    assert born.alive.all()
    assert final.reward.tolist() == [[0.0, 10.0, 0.0]]  # the environment said 99
    assert born.obs[0, 2, :2].tolist() == [3.0, 2.0]
    assert play(view, 1)[0][0].reward.tolist() == [[0.0, 10.0, 20.0]]


def test_an_agent_that_is_gone_must_not_come_back() -> None:
    view = here(Scripted, ends=((2, "die"), None, None), back=4)
    play(view, 3)
    with pytest.raises(adapters.WorkerError, match=r"world 0, step 4 .*'agent_0' was gone and came back"):
        play(view, 1)


def test_dead_agents_that_stay_in_the_list_get_an_idle_action() -> None:
    view = here(Scripted, ends=((2, "die"), None, None), keeps_dead=True)
    finals = [final for final, _ in play(view, 4, 3)]
    assert [final.terminated[0, 0] for final in finals] == [False, True, False, False]
    assert [final.reward[0, 0] for final in finals] == [3.0, 3.0, 0.0, 0.0]
    assert [sent["agent_0"] for sent in inside(view).sent] == [3, 3, 0, 0]


class Secretive(Scripted):
    """Has a limit in no known attribute."""

    @property
    def max_cycles(self) -> None:
        return None

    @max_cycles.setter
    def max_cycles(self, limit: int) -> None:
        self.secret = limit

    def step(self, actions: dict[str, Any]) -> Any:
        self.ends = tuple(end or (self.secret, "die") for end in self.ends)
        return super().step(actions)


def test_a_limit_that_kills_is_set_right_by_naming_it() -> None:
    options = {"limit": 3, "limit_kills": True, "ends": ((2, "die"), None, None)}
    final, _ = play(here(Secretive, **options), 3)[-1]
    assert final.terminated.tolist() == [[False, True, True]]
    assert not final.truncated.any()
    final, _ = play(here(Secretive, **options, time_limit=3), 3)[-1]
    assert not final.terminated.any()
    assert final.truncated.tolist() == [True]
    assert final.alive.tolist() == [[False, True, True]]


def test_a_time_limit_of_the_adapter_cuts_what_would_go_on() -> None:
    view = here(Scripted, limit=8, time_limit=3)
    assert view.max_steps == 3
    assert [final.truncated[0] for final, _ in play(view, 6)] == [False, False, True] * 2
    assert view.full_episodes.all()


def test_the_state_is_used_where_it_says_more_than_the_observations() -> None:
    view = here(Scripted, state=True, ends=((2, "die"), None, None))
    assert view.state_space.shape == (4,)
    finals = [final for final, _ in play(view, 3)]
    assert [final.state[0].tolist() for final in finals] == [[1, 1, 1, 1], [2, 0, 1, 1], [3, 0, 1, 1]]
    assert here(Scripted).state_space.shape == (0,)
    assert here(Scripted).reset(0).state.shape == (1, 0)


class Joint(Scripted):
    def state(self) -> Any:
        return np.concatenate([self.seen([agent])[agent] for agent in self.possible_agents])


class Fails(Scripted):
    def state(self) -> Any:
        raise KeyError("no idea")


class Gallery(Scripted):
    def state(self) -> Any:
        return np.zeros((64, 64, 3), np.uint8)


class FailsLater(Scripted):
    """Fails in `state()` after a death, as multiwalker does, which reads the positions of fallen walkers."""

    def state(self) -> Any:
        if len(self.agents) < len(self.possible_agents):
            raise AttributeError("nobody there")
        return super().state()


def test_a_state_that_fails_after_a_death_is_left_out_and_after_the_end_is_not_asked_for() -> None:
    some = here(FailsLater, state=True, ends=((3, "die"), None, None))
    assert some.state_space.shape == (0,)
    assert "state() fails (AttributeError: nobody there" in some.notes[0]
    everybody = here(FailsLater, state=True, ends=((3, "die"),) * 3)
    assert everybody.state_space.shape == (4,)
    finals = [final for final, _ in play(everybody, 4)]
    assert [final.state[0, 0] for final in finals] == [1, 2, 0, 1]


def test_a_state_that_is_the_joint_observation_fails_or_is_a_picture_is_left_out() -> None:
    joint, fails, gallery = here(Joint), here(Fails), here(Gallery)
    assert joint.state_space.shape == fails.state_space.shape == gallery.state_space.shape == (0,)
    assert joint.notes == ()
    assert "state() fails (KeyError" in fails.notes[0]
    assert "picture" in gallery.notes[0]


def test_seeds_are_of_the_run_the_world_and_the_episode() -> None:
    view = here(Scripted, 3, limit=2)
    seen = [[inside(view, w).seed for w in range(3)]]
    play(view, 2)
    seen.append([inside(view, w).seed for w in range(3)])
    assert seen == [[episode_seed(0, w, e) for w in range(3)] for e in range(2)]
    assert len({seed for row in seen for seed in row}) == 6
    assert all(0 <= seed < 2**31 for row in seen for seed in row)
    view.reset(1)
    assert inside(view).seed == episode_seed(1, 0, 0) != episode_seed(0, 0, 0)


def test_stagger_spreads_first_episodes_and_does_not_count_them() -> None:
    view = adapters.vector(Scripted, 4, 0, limit=8, stagger=True)
    view.reset(0)
    ends, whole = [], []
    for _ in range(16):
        final, _ = view.step(np.zeros((4, 3), np.int64))
        assert not final.terminated.any()
        ends.append(np.flatnonzero(final.truncated).tolist())
        whole.append(np.flatnonzero(view.full_episodes).tolist())
    assert [worlds for worlds in ends if worlds] == [[0], [1], [2], [3], [0], [1], [2], [3]]
    assert [worlds for worlds in whole if worlds] == [[3], [0], [1], [2], [3]]


def test_groups_are_names_without_their_numbers() -> None:
    names = ("adversary_0", "agent_0", "agent_1", "wolf", "adversary_12")
    assert here(Scripted, names=names).groups == ((0, 4), (1, 2), (3,))
    assert here(Scripted, names=("first_0", "second_0")).groups == ((0,), (1,))
    assert here(Scripted, names=("0", "1")).groups == ((0, 1),)


def test_observations_that_differ_are_flattened_and_padded() -> None:
    view = here(Differ)
    step = view.reset(0)
    assert view.observation_space.shape == (4,)
    assert step.obs[0].tolist() == [[0.5, 0.5, 0, 0], [1, 2, 3, 0], [0, 0, 0, 1]]
    assert view.observation_space.low.tolist() == [-1, -1, 0, 0]
    assert view.observation_space.high.tolist() == [9, 9, 9, 1]


def test_choices_that_differ_are_numbered_and_masked() -> None:
    view = here(Differ)
    assert view.action_space == Discrete(8)
    step = view.reset(0)
    assert step.action_mask is not None
    assert step.action_mask.sum(-1).tolist() == [[5, 8, 6]]
    view.step(np.array([[0, 6, 5]]))
    last = inside(view).last
    assert last["scout_0"] == 2
    assert last["tank_0"].tolist() == [1, 1, 0]
    assert last["tank_1"].tolist() == [1, 2]
    with pytest.raises(adapters.WorkerError, match="action of scout_0 is 5; it has 5 choices: obey the mask"):
        view.step(np.array([[5, 0, 0]]))


def test_every_choice_is_reached_exactly_once() -> None:
    view = here(Differ)
    for agent in range(3):
        decode, space = view._layout.actions.decode, Differ.kinds["choice"][view.agents[agent]]
        mask = view.reset(0).action_mask
        assert mask is not None
        choices = [decode(agent, number) for number in np.flatnonzero(mask[0, agent])]
        assert all(space.contains(choice) for choice in choices)
        assert len({str(choice) for choice in choices}) == len(choices)


def test_boxes_that_differ_are_stretched_to_each_ones_bounds() -> None:
    view = here(Differ, kind="box")
    assert view.action_space == Box(-1.0, 1.0, (4,), np.float32)
    assert view.reset(0).action_mask is None
    view.step(np.array([[[0.5, 9, 9, 9], [-1, 0, 1, 2], [1, 0.1, 9, 9]]], np.float32))
    last = inside(view).last
    assert last["scout_0"].tolist() == [2.5]
    assert last["tank_0"].tolist() == [[0.0, 0.5], [1.0, 1.0]]
    assert last["tank_1"].tolist() == [1, 5]


class Equal(Differ):
    kinds = {"box": dict.fromkeys(("scout_0", "tank_0", "tank_1"), Box(-2.0, 6.0, (1,), np.float32))}


def test_equal_boxes_stay_as_they_are() -> None:
    view = here(Equal, kind="box")
    assert view.action_space == Box(-2.0, 6.0, (1,), np.float32)
    view.step(np.array([[[5.5], [-2.0], [0.25]]], np.float32))
    assert [action.tolist() for action in inside(view).last.values()] == [[5.5], [-2.0], [0.25]]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("mixed", "tank_0 acts in Box.* and scout_0 in Discrete"),
        ("text", r"action space of scout_0 is Tuple\(Discrete\(2\)\); allowed are Discrete, Box"),
        ("huge", "combinations; at most 512"),
        ("endless", "its bounds must be finite"),
    ],
)
def test_unsupported_actions_are_refused_in_one_line(kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adapters.prepare(Differ, n_workers=0, kind=kind)


class Sees(Differ):
    seen = {**Differ.seen, "tank_1": Graph(Discrete(2), None)}


def test_unsupported_observations_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"observation space of tank_1 is Graph.*no fixed length"):
        adapters.prepare(Sees, n_workers=0)
    with pytest.raises(ValueError, match=r"observation of scout_0 has shape \(3,\), its space is Box"):
        adapters.prepare(Differ, n_workers=0, shape=3)
    with pytest.raises(ValueError, match=r"observation of scout_0 has shape \(1,\)"):  # not broadcast
        adapters.prepare(Differ, n_workers=0, shape=1)
    with pytest.raises(ValueError, match="has no possible_agents"):
        adapters.prepare(Scripted, n_workers=0, names=(), n=0)
    with pytest.raises(ValueError, match="turn-based game"):
        adapters.prepare(Turns, n_workers=0)
    with pytest.raises(ValueError, match="the constructor gave a dict"):
        adapters.prepare(dict, n_workers=0)


@pytest.mark.parametrize("where", ["infos", "dict"])
def test_masks_are_read_wherever_they_are(where: str) -> None:
    view = here(Masked, where=where)
    step = view.reset(0)
    assert view.observation_space.shape == (1,)
    for clock in range(16):
        assert step.action_mask is not None
        assert step.action_mask[0, 0].tolist() == [clock % 7 % 3 == action for action in range(3)]
        assert step.action_mask[0, 1].all()  # a mask that allows nothing is read as allowing all
        assert step.obs[0, 0, 0] == clock % 7
        _, step = view.step(step.action_mask.argmax(-1))  # the toy refuses all other actions


def test_masks_that_come_too_late_or_too_long_are_named() -> None:
    view = here(Masked, where="late")
    with pytest.raises(adapters.WorkerError, match="'action_mask' that was not there before"):
        play(view, 6)
    with pytest.raises(ValueError, match=r"action mask of agent_0 has shape \(4,\); \(3,\) is expected"):
        adapters.prepare(Masked, n_workers=0, length=4)


def test_our_own_environment_shows_the_same_through_pettingzoo() -> None:
    """Infos have everything: masks, neighbours, costs, the team's reward, metrics; there are births and deaths."""

    def made() -> ParallelView:
        return ParallelView(Counting(late=True, max_steps=30))

    view, env = here(made, 2), Counting(late=True, max_steps=30)
    rng, episodes = np.random.default_rng(0), [0, 0]
    state, shown = env.reset([episode_seed(0, w, 0) for w in range(2)])
    step, deaths, ends = view.reset(0), 0, 0
    for _ in range(120):
        for name in ("obs", "alive", "adjacency", "metrics"):
            assert repr(getattr(step, name)) == repr(getattr(shown, name)), name
        assert np.array_equal(step.action_mask[step.alive], shown.action_mask[shown.alive])  # pyright: ignore
        action = rng.integers(0, 3, (2, 3))
        state, shown = env.step(state, action)
        final, step = view.step(action)
        for name in ("obs", "reward", "team_reward", "cost", "terminated", "alive", "metrics", "adjacency"):
            assert repr(getattr(final, name)) == repr(getattr(shown, name)), name
        # Through PettingZoo a limit that truncates no live agent does not show.
        assert np.array_equal(final.truncated, shown.truncated & shown.alive.any(1))
        deaths += int(final.terminated.sum())
        over = final.truncated | ~final.alive.any(1)
        for world in np.flatnonzero(over).tolist():
            ends += 1
            episodes[world] += 1
            fresh_state, fresh = env.reset([episode_seed(0, world, episodes[world])])
            for old, new in zip(state, fresh_state, strict=True):
                old[world] = new[0]
            for name in ("obs", "alive", "adjacency"):
                getattr(shown, name)[world] = getattr(fresh, name)[0]
            shown.action_mask[world] = fresh.action_mask[0]  # pyright: ignore
            for name, values in shown.metrics.items():
                values[world] = fresh.metrics[name][0]
    assert deaths > 10
    assert ends > 5


def test_each_copy_ends_by_itself_and_the_world_waits_for_the_last() -> None:
    view = here(Single, 2, n_copies=3)
    assert view.agents == ("learner_0", "learner_1", "learner_2")
    assert view.groups == ((0, 1, 2),)
    assert "no time limit" in view.notes[0]
    step = view.reset(0)
    lengths = step.obs[:, :, 0].astype(int)  # (2, 3)
    assert len(np.unique(lengths)) > 2
    clock = np.zeros(2, int)
    for _ in range(30):
        final, step = view.step(np.zeros((2, 3), np.int64))
        clock += 1
        for world in range(2):
            assert (final.terminated[world] == (lengths[world] == clock[world])).all()
            assert (final.alive[world] == (lengths[world] > clock[world])).all()
            if clock[world] == lengths[world].max():
                lengths[world], clock[world] = step.obs[world, :, 0], 0
                assert step.alive[world].all()
    with pytest.raises(ValueError, match="n_copies is 2, but the environment has agents of its own"):
        adapters.prepare(Scripted, n_workers=0, n_copies=2)


def test_copies_are_shown_beside_each_other() -> None:
    copies = Copies([Single(render_mode="rgb_array") for _ in range(3)])
    copies.reset(seed=0)
    copies.step(dict.fromkeys(copies.agents, 0))
    frame = copies.render()
    assert frame.shape == (16, 24, 3)
    assert frame[:8].min() == 1
    assert not frame[8:, 12:].any()


@pytest.mark.parametrize("apart", [False, True])
def test_lists_are_distributed_to_the_agents(apart: bool) -> None:
    view = here(Listed, apart=apart)
    assert view.agents == ("agent_0", "agent_1", "agent_2")
    finals = [view.step(np.array([[0, 1, 2]]))[0] for _ in range(4)]
    assert finals[0].reward.tolist() == [[0.0, 1.0, 2.0]]
    assert finals[0].cost.tolist() == [[0.0, 1.0, 2.0]]
    assert finals[0].obs[0].tolist() == [[0, 1], [1, 1], [2, 1]]
    died = [final.terminated[0].tolist() for final in finals]
    if apart:
        assert died == [[False] * 3, [True, False, False], [False, True, False], [False, False, True]]
        assert finals[2].reward.tolist() == [[0.0, 1.0, 2.0]]
        assert finals[3].reward.tolist() == [[0.0, 0.0, 2.0]]
        assert finals[3].cost.tolist() == [[0.0, 0.0, 2.0]]
    else:
        assert died == [[False] * 3] * 3 + [[True] * 3]


@pytest.mark.parametrize("gray", [False, True])
def test_pictures_are_what_supersuit_makes_of_them(gray: bool) -> None:
    supersuit = pytest.importorskip("supersuit")
    view = here(Painted, gray=gray, limit=6, image_size=16, frame_stack=3)
    assert view.observation_space == Box(0.0, 1.0, (3, 16, 16), np.float32)
    env = Painted(gray=gray, limit=6)
    if not gray:
        env = supersuit.color_reduction_v0(env, "full")
    env = supersuit.normalize_obs_v0(supersuit.dtype_v0(supersuit.resize_v1(env, 16, 16), np.float32), 0, 1)
    env = supersuit.frame_stack_v1(env, 3)
    for _ in range(2):
        theirs, _ = env.reset(seed=0)
        ours = view.reset(0)
        for _ in range(6):
            assert ours.obs.shape == (1, 3, 3 * 16 * 16)
            assert ours.obs.max() > 0.3
            for i, agent in enumerate(view.agents):
                expected = np.moveaxis(theirs[agent], -1, 0)
                assert np.array_equal(ours.obs[0, i].reshape(3, 16, 16), expected)
            theirs, *_ = env.step(dict.fromkeys(env.agents, 0))
            final, ours = play(view, 1)[0]
            ours = final


def test_pictures_keep_size_and_colours_where_that_is_asked_for() -> None:
    view = here(Painted, image_size=0, frame_stack=1, grayscale=False)
    assert view.observation_space.shape == (3, 32, 48)
    step = view.reset(0)
    picture = step.obs[0, 0].reshape(3, 32, 48)
    assert np.allclose(picture[0, :4], 200 / 255)
    assert np.allclose(picture[1, :, :6], 100 / 255)
    assert not picture[2].any()


def test_late_agents_see_pictures_too() -> None:
    view = here(Painted, born=(0, 0, 2), ends=((3, "die"), None, None), image_size=8, frame_stack=2)
    shown = [following for _, following in play(view, 4)]
    assert [bool(step.obs[0, 2].any()) for step in shown] == [False, True, True, True]
    assert [bool(step.obs[0, 0].any()) for step in shown] == [True, True, False, False]
    assert not shown[1].obs[0, 2].reshape(2, 64)[0].any()  # before the first frame there are zeros


def test_it_draws_where_the_environment_does() -> None:
    view = here(Scripted, 2, render_mode="rgb_array")
    play(view, 3)
    assert np.array_equal(view.render(1), np.full((20, 30, 3), 21))
    with pytest.raises(adapters.PictureError, match="gives no picture"):
        here(Endless).render()


def test_actions_of_another_shape_or_kind_are_refused() -> None:
    view = here(Scripted, 2)
    for action in (np.zeros((2, 2), np.int64), np.zeros((2, 3)), np.zeros((1, 3), np.int64)):
        with pytest.raises(ValueError, match=r"actions are .*: give integers of shape \[2, 3\]"):
            view.step(action)


def test_what_was_returned_does_not_change_later() -> None:
    view = here(Scripted, 2, limit=3, state=True)
    kept = view.reset(0)
    before = [np.copy(part) for part in kept if isinstance(part, np.ndarray)]
    play(view, 5, 2)
    assert all(
        np.array_equal(a, b) for a, b in zip([p for p in kept if isinstance(p, np.ndarray)], before, strict=True)
    )
