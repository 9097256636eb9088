"""Odd foreign environments: each kind is accepted, or refused in one line that says what came and what is expected."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import odd_toys
import pytest
from gymnasium.spaces.utils import flatten

from envs import adapters
from envs.foreign.spaces import Observations
from envs.foreign.vector import ForeignVector

ROOT = Path(__file__).parents[3]
TOYS = re.escape(str(ROOT / "tests" / "helpers" / "odd_toys.py"))
AT = rf"\({TOYS}:\d+\)"

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    # Shapes that would be scrambled
    ("Turned", {}, r"observation of agent_0 has shape \(3, 2\), its space is Box\(0.0, 9.0, \(2, 3\), float32\)"),
    ("Flat", {}, r"observation of agent_0 has shape \(6,\), its space is Box\(0.0, 9.0, \(2, 3\), float32\)"),
    ("TurnedInside", {}, r"observation of agent_0, part 1, entry 'map' has shape \(3, 2\), its space is .*\(2, 3\)"),
    ("Sideways", {}, r"observation of agent_0 has shape \(30, 20, 3\), its space says \(20, 30, 3\)"),
    ("StateTurns", {}, r"state\(\) has shape \(3, 2\); before it had \(2, 3\)"),
    ("Beyond", {}, r"observation of agent_0 is -1, its space is Discrete\(4\)"),
    ("Lacks", {}, r"observation of agent_0 has no entry 'there', its space is Dict"),
    # Rewards
    ("Vector", {}, r"reward of agent_0 has shape \(3,\); it must be one number: wrap"),
    ("Word", {}, r"reward of agent_0 is 'much'; it must be a number"),
    (
        "OneForAll",
        {},
        r"rewards of step\(\) are a float for all agents; a dict with one entry for each agent is",
    ),
    (
        "Lists",
        {"pays": "two"},
        r"there are 2 rewards; each agent must get one, and there are 3: agent_0, agent_1, agent_2",
    ),
    ("Lists", {"pays": "vector"}, r"reward of agent_0 has shape \(2,\); it must be one number"),
    # Returned values
    (
        "Four",
        {},
        r"step\(\) gave a tuple of 4 \(dict, dict, dict, dict\); five dicts by agent are expected: observations",
    ),
    ("NoInfos", {}, r"reset\(\) gave a dict; two dicts by agent are expected: observations and infos"),
    ("OldSingle", {}, r"values to unpack.*reset\(\) must give 2 things and step\(\) 5.*the older gym gave 1 and 4"),
    (
        "FewSeeds",
        {},
        r"reset\(seed=1234567890\) does not: AssertionError: seed should be in \[0:10\).*the option seeds",
    ),
    # Spaces
    ("OlderSpaces", {}, r"observation space of agent_0 is a gym.spaces.box.Box, not one .*older gym: import gymnasium"),
    ("OlderActions", {}, r"action space of agent_0 is a gym.spaces.discrete.Discrete, not one of Gymnasium's spaces"),
    ("NoSpace", {}, r"observation space of agent_0 is a builtins.NoneType, not .* build it from gymnasium.spaces"),
    ("Robot", {}, r"action space of learner_0 is Dict.*allowed are Discrete, Box, MultiDiscrete and MultiBinary"),
    (
        "OldGym",
        {},
        r"the constructor gave a OldGym; .*gymnasium.Env; .* of the older gym, which shimmy converts",
    ),
    # Exceptions
    ("Asserts", {}, rf"its defaults: AssertionError: \[\] {AT}"),
    ("Exits", {}, rf"its defaults: SystemExit: no licence {AT}"),
    ("Fails", {}, rf"its defaults: ValueError: the door is shut {AT}"),
    ("Panics", {}, rf"its defaults: Panic: index out of bounds {AT}"),
    ("Shuts", {"how": "refused"}, r"reward of agent_0 has shape \(3,\)"),
    # Names that keep changing, and turns
    ("Traffic", {"respawn": True}, r"agent 'agent3' is not among those that the spaces name: .*allow_respawn=False"),
    ("Traffic", {"turns": True}, r"agent 'agent1' has no observation in some steps, .*not train on turn-based games"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_unsupported_environments_are_refused_in_one_line(name: str, options: dict[str, Any], message: str) -> None:
    workers = int(name == "Shuts")  # in this process it would end the tests
    with pytest.raises(ValueError, match=message) as raised:
        adapters.prepare(f"odd_toys:{name}", n_workers=workers, **options)
    assert "\n" not in str(raised.value)


ACCEPTED: list[tuple[str, dict[str, Any], tuple[str, ...], str]] = [
    ("Column", {}, ("agent_0", "agent_1"), ""),
    ("Choosy", {}, ("agent_0", "agent_1"), ""),
    ("Words", {}, ("agent_0", "agent_1"), "without a fixed length are left out: 'mission' of agent_0, agent_1"),
    ("FewSeeds", {"seeds": 10}, ("agent_0", "agent_1"), ""),
    ("Lists", {}, ("agent_0", "agent_1", "agent_2"), "one reward for all: every agent gets it"),
    ("PlainLists", {}, ("agent_0", "agent_1", "agent_2"), ""),
    ("Lists", {"pays": "each"}, ("agent_0", "agent_1", "agent_2"), ""),
    ("Grid", {}, ("0", "1"), ""),
    ("Grid", {"pays": "one"}, ("0", "1"), "one reward for all: every agent gets it"),
    ("Traffic", {}, ("agent0", "agent1", "agent2"), ""),
    ("Same", {}, ("red", "blue"), ""),
    ("Loose", {}, ("a", "b"), ""),
    ("Crowd", {}, tuple(f"agent_{i}" for i in range(6)), ""),
    ("Shuts", {"how": "missing"}, ("agent_0", "agent_1"), ""),
    ("Shuts", {"how": "exit"}, ("agent_0", "agent_1"), ""),
    ("Named", {"name": "maze", "n_worlds": 3, "stagger": True, "id": "x"}, ("agent_0", "agent_1"), ""),
    ("Outer.Inner", {}, ("agent_0", "agent_1"), ""),
    ("inner", {}, ("agent_0", "agent_1"), ""),
]


@pytest.mark.parametrize(("name", "options", "agents", "note"), ACCEPTED)
def test_what_is_odd_but_clear_is_accepted(
    name: str, options: dict[str, Any], agents: tuple[str, ...], note: str
) -> None:
    foreign = adapters.prepare(f"odd_toys:{name}", n_workers=0, **options)
    view = foreign.vector(2)
    view.reset(7)
    for _ in range(12):
        view.step(np.zeros((2, len(agents), *(view.action_space.shape or ())), view.action_space.dtype))
    view.close()
    assert view.agents == agents
    notes = [line for line in foreign.layout.notes if "no time limit" not in line]
    assert len(notes) == bool(note)
    assert note in " ".join(notes)


def here(env: Any, n_worlds: int = 1, **options: Any) -> ForeignVector:
    view = adapters.vector(env, n_worlds, 0, **options)
    view.reset(0)
    return view


def test_a_shape_that_changes_after_the_probe_is_refused_when_it_comes() -> None:
    view = adapters.vector(odd_toys.TurnedLater, 1, 0)
    with pytest.raises(adapters.WorkerError, match=r"observation of agent_0 has shape \(3, 2\)") as raised:
        view.reset(0)
    assert not raised.value.traceback, "a line says it all; a traceback of our own files helps nobody"


def test_a_list_with_a_reward_too_few_names_the_agents() -> None:
    def make() -> Any:
        env = odd_toys.Lists("each")
        made.append(env)
        return env

    made: list[Any] = []
    view = adapters.vector(make, 1, 0)
    view.reset(0)
    made[-1].pays = "two"
    line = "there are 2 rewards; each agent must get one, and there are 3: agent_0, agent_1, agent_2"
    with pytest.raises(adapters.WorkerError, match=line) as raised:
        view.step(np.zeros((1, 3), np.int64))
    assert not raised.value.traceback


def test_rows_of_every_space_are_gymnasiums_own() -> None:
    space = odd_toys.Choosy.seen
    space.seed(0)
    observations = Observations(["agent_0"], [space])
    row = np.full(observations.sizes[0], np.nan, np.float32)
    for _ in range(50):
        value = space.sample()
        observations.write(0, value, row)
        assert np.array_equal(row, np.asarray(flatten(space, value), np.float32))


def test_dicts_by_agent_are_read_as_they_are_meant() -> None:
    view = here(odd_toys.Grid)
    finals = [view.step(np.array([[1, 2]]))[0] for _ in range(4)]
    assert finals[0].obs.tolist() == [[[0.0, 1.0], [1.0, 1.0]]]
    assert finals[0].reward.tolist() == [[1.0, 12.0]]
    assert [final.terminated[0].tolist() for final in finals] == [[False] * 2, [True, False], [False] * 2, [False] * 2]
    assert [bool(final.truncated[0]) for final in finals] == [False, False, False, True]
    assert finals[2].alive.tolist() == [[False, True]]
    assert finals[2].reward.tolist() == [[0.0, 12.0]]


def test_dicts_by_agent_that_end_for_all_and_begin_late_are_read_as_they_are_meant() -> None:
    view = here(odd_toys.Traffic)
    finals = [view.step(np.zeros((1, 3, 2), np.float32))[0] for _ in range(5)]
    assert [final.alive[0].tolist() for final in finals[:3]] == [[True] * 3, [False, True, True], [False, True, True]]
    assert finals[1].terminated.tolist() == [[True, False, False]]
    assert finals[1].cost.tolist() == [[0.5, 0.5, 0.5]]
    assert [bool(final.truncated[0]) for final in finals] == [False] * 4 + [True]


@pytest.mark.parametrize(("toy", "options"), [(odd_toys.Lists, {}), (odd_toys.Grid, {"pays": "one"})])
def test_one_reward_for_a_team_is_every_agents_and_counts_once(toy: Any, options: dict[str, Any]) -> None:
    view = here(toy, **options)
    final, _ = view.step(np.zeros((1, len(view.agents)), np.int64))
    assert set(final.reward[0].tolist()) == {2.0}
    assert final.team_reward.tolist() == [2.0]


def test_seeds_stay_below_what_the_environment_takes() -> None:
    view = adapters.vector(odd_toys.FewSeeds, 20, 0, seeds=10)
    view.reset(0)
    for _ in range(9):
        view.step(np.zeros((20, 2), np.int64))
    assert "reset(seed=" in view._crew._worlds[3].where()  # pyright: ignore
    assert int(re.findall(r"seed=(\d+)", view._crew._worlds[3].where())[0]) < 10  # pyright: ignore


# Closing


@pytest.mark.parametrize(("how", "workers"), [("raise", 0), ("exit", 0), ("missing", 0), ("exit", 1)])
def test_a_close_that_fails_harms_nobody(how: str, workers: int) -> None:
    view = adapters.vector("odd_toys:Shuts", 2, workers, how=how)
    view.reset(0)
    view.step(np.zeros((2, 2), np.int64))
    view.close()


def test_a_close_that_ends_its_process_does_not_hide_what_was_seen() -> None:
    assert adapters.prepare("odd_toys:Shuts", how="kill").layout.agents == ("agent_0", "agent_1")


# Pictures


def modes(view: ForeignVector) -> list[Any]:
    return [world.env.unwrapped.render_mode for world in view._crew._worlds]  # pyright: ignore


def test_only_the_world_that_is_filmed_draws() -> None:
    make = adapters.prepare("odd_toys:Filmed", n_workers=0).maker()
    assert modes(make(3, stagger=True)) == modes(make(3)) == [None] * 3
    film = make(1)
    film.reset(0)
    assert modes(film) == ["rgb_array"]
    assert film.render().shape == (20, 30, 3)
    asked = adapters.vector("odd_toys:Filmed", 2, 0, render_mode="rgb_array")
    assert modes(asked) == ["rgb_array"] * 2


@pytest.mark.parametrize(
    ("how", "workers", "why"), [("raise", 0, "RuntimeError: there is no sc"), ("kill", 1, "code 5")]
)
def test_where_drawing_fails_the_world_is_built_without_it(how: str, workers: int, why: str) -> None:
    film = adapters.prepare("odd_toys:Filmed", n_workers=workers, how=how).maker()(1)
    film.reset(0)
    film.step(np.zeros((1, 3), np.int64))
    with pytest.raises(adapters.PictureError, match=rf"gives no picture: .*{why}"):
        film.render()
    film.close()


def test_drawing_that_ends_its_process_is_no_more_than_a_missing_picture() -> None:
    said: list[str] = []
    film = adapters.prepare("odd_toys:FilmedLater", n_workers=1).vector(1, film=True, notify=said.append)
    film.reset(0)
    for _ in range(2):
        assert film.render().shape == (20, 30, 3)
        film.step(np.zeros((1, 3), np.int64))
    with pytest.raises(adapters.PictureError, match=r"gives no picture: worker 0 .* exited with code 6"):
        film.render()
    film.step(np.zeros((1, 3), np.int64))
    assert len(said) == 1
    film.close()


def test_worlds_that_cannot_be_built_side_by_side_are_named() -> None:
    foreign = adapters.prepare("odd_toys:OnceOnly", n_workers=0, most=2)
    with pytest.raises(adapters.WorkerError, match=rf"died when it was built: AssertionError: there is one .* {AT}"):
        foreign.vector(2)


def test_ids_of_gymnasium_take_a_render_mode_even_where_their_constructor_takes_any_key() -> None:
    gymnasium.register("OddFilmed-v0", entry_point="odd_toys:FilmedBehind", max_episode_steps=5)
    try:
        foreign = adapters.prepare("odd_toys:OddFilmed-v0", n_workers=0, max_episode_steps=4)
        assert foreign.layout.notes == ()  # that key is known
        film = foreign.maker()(1)
        film.reset(0)
        assert film.render().shape == (4, 6, 3)
        assert modes(foreign.vector(2)) == [None, None]
    finally:
        del gymnasium.registry["OddFilmed-v0"]


@pytest.mark.parametrize("toy", [odd_toys.FilmedBehind, odd_toys.Silent])
def test_constructors_that_may_draw_are_tried_with_a_render_mode(toy: Any) -> None:
    film = adapters.prepare(toy, n_workers=0).vector(1, film=True)
    film.reset(0)
    assert film.render().shape == (4, 6, 3)


@pytest.mark.parametrize("toy", [odd_toys.DrawsInMode, odd_toys.ListsInMode])
def test_environments_that_take_the_mode_where_they_draw_are_asked_so(toy: Any) -> None:
    view = here(toy)
    assert (view.render() == 9).all()
    assert view.render().shape == (4, 6, 3)


def test_colours_from_0_to_1_do_not_make_a_black_picture() -> None:
    assert (here(odd_toys.Fractions).render() == 153).all()


def test_dicts_by_agent_draw() -> None:
    film = adapters.prepare("odd_toys:Grid", n_workers=0).maker()(1)
    film.reset(0)
    assert film.render().shape == (4, 6, 3)
