"""Odd environments of others: each kind is accepted, or refused in one line that says what came and what would do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import odd_toys
import pytest
from gymnasium.spaces.utils import flatten

import train
from envs import adapters
from envs.foreign import find
from envs.foreign.spaces import Observations
from envs.foreign.vector import ForeignVector

ROOT = Path(__file__).parent.parent
TOYS = re.escape(str(ROOT / "tests" / "odd_toys.py"))
AT = rf"\({TOYS}:\d+\)"

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    # Shapes that would be scrambled
    ("Turned", {}, r"observation of agent_0 has shape \(3, 2\), its space is Box\(0.0, 9.0, \(2, 3\), float32\)"),
    ("Flat", {}, r"observation of agent_0 has shape \(6,\), its space is Box\(0.0, 9.0, \(2, 3\), float32\)"),
    ("TurnedInside", {}, r"observation of agent_0, part 1, entry 'map' has shape \(3, 2\), its space is .*\(2, 3\)"),
    ("Sideways", {}, r"observation of agent_0 has shape \(30, 20, 3\), its space says \(20, 30, 3\)"),
    ("StateTurns", {}, r"state\(\) has shape \(3, 2\), at first it had \(2, 3\)"),
    ("Beyond", {}, r"observation of agent_0 is -1, its space is Discrete\(4\)"),
    ("Lacks", {}, r"observation of agent_0 has no entry 'there', its space is Dict"),
    # Rewards
    ("Vector", {}, r"reward of agent_0 has shape \(3,\); it must be one number: wrap"),
    ("Word", {}, r"reward of agent_0 is 'much'; it must be a number"),
    ("OneForAll", {}, r"rewards of step\(\) are a float for all agents; a dict of one entry an agent is expected"),
    ("Lists", {"pays": "two"}, r"2 rewards came for 3 agents"),
    ("Lists", {"pays": "vector"}, r"reward of agent_0 has shape \(2,\); it must be one number"),
    # What is returned
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
    ("OldGym", {}, r"the constructor gave a OldGym; .*gymnasium.Env; it is one of the older gym, which shimmy turns"),
    # Exceptions
    ("Asserts", {}, rf"its defaults: AssertionError: \[\] {AT}"),
    ("Exits", {}, rf"its defaults: SystemExit: no licence {AT}"),
    ("Fails", {}, rf"its defaults: ValueError: the door is shut {AT}"),
    ("Panics", {}, rf"its defaults: Panic: index out of bounds {AT}"),
    ("Shuts", {"how": "refused"}, r"reward of agent_0 has shape \(3,\)"),
    # Names that keep changing, and turns
    ("Traffic", {"respawn": True}, r"agent 'agent3' is not among those that the spaces name: .*allow_respawn=False"),
    ("Traffic", {"turns": True}, r"agent 'agent1' was not observed in every step, .*does not train on games of turns"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_what_cannot_be_served_is_refused_in_one_line(name: str, options: dict[str, Any], message: str) -> None:
    workers = int(name == "Shuts")  # that one would end this process
    with pytest.raises(ValueError, match=message) as raised:
        adapters.prepare(f"odd_toys:{name}", n_workers=workers, **options)
    assert "\n" not in str(raised.value)


ACCEPTED: list[tuple[str, dict[str, Any], tuple[str, ...], str]] = [
    ("Column", {}, ("agent_0", "agent_1"), ""),
    ("Choosy", {}, ("agent_0", "agent_1"), ""),
    ("Words", {}, ("agent_0", "agent_1"), "without a fixed length are left out: 'mission' of agent_0, agent_1"),
    ("FewSeeds", {"seeds": 10}, ("agent_0", "agent_1"), ""),
    ("Lists", {}, ("agent_0", "agent_1", "agent_2"), "one reward for all: every agent gets it"),
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
    with pytest.raises(adapters.WorkerError, match=r"observation of agent_0 has shape \(3, 2\)"):
        view.reset(0)


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


# Names


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A current folder with modules of its own, which is not on the path."""
    (tmp_path / "ff_mine.py").write_text("from ff_beside import Team\n\n\nclass Maze(Team):\n    pass\n")
    (tmp_path / "ff_beside.py").write_text("from odd_toys import Team\n")
    (tmp_path / "ff_broken.py").write_text("import odd_toys\n\nsize = int('many')\n")
    (tmp_path / "ff_typo.py").write_text("class Maze(:\n")
    (tmp_path / "ff_ends.py").write_text("print('hello')\nraise SystemExit('usage: ff_ends')\n")
    (tmp_path / "ff_needs.py").write_text("import ff_no_such_thing\n")
    (tmp_path / "ff_shadowed.py").write_text("import envs.maze\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("ff_")]:
        del sys.modules[name]


@pytest.mark.usefixtures("_folder")
def test_a_module_in_the_current_folder_is_found_by_us_and_by_workers() -> None:
    view = adapters.vector("ff_mine:Maze", 2, 1)
    view.reset(0)
    assert view.agents == ("agent_0", "agent_1")
    view.close()


IMPORTS = [
    (
        "ff_nobody:Maze",
        r"no module 'ff_nobody', neither in the current folder \(.*\) nor installed; change to the folder",
    ),
    ("ff_nobody.maze_v0", r"no module 'ff_nobody', neither in the current folder"),
    ("rware_nobody:x", r"no module 'rware_nobody', neither"),
    ("ff_broken:Maze", r"ff_broken cannot be imported: ValueError: invalid literal .*'many' \(.*ff_broken.py:3\)"),
    ("ff_typo:Maze", r"ff_typo cannot be imported: SyntaxError: invalid syntax \(.*ff_typo.py:1\)"),
    ("ff_ends:Maze", r"ff_ends cannot be imported: SystemExit: usage: ff_ends \(.*ff_ends.py:2\)"),
    ("ff_needs:Maze", r"ff_needs needs 'ff_no_such_thing', which is not installed: ModuleNotFound.*ff_needs.py:1\)"),
    ("ff_shadowed:Maze", r"needs 'envs.maze', but 'envs' is another package here, .*envs"),
    ("ff_mine:Mze", r"the module has no 'Mze', .*near: ff_mine:Maze"),
    ("ff_mine.Maze", r"ff_mine.Maze is no module; did you mean ff_mine:Maze\?"),
    ("ff_mine", r"offers none of parallel_env, env and raw_env; did you mean ff_mine:Maze\?"),
    ("ff_mine.py:Maze", r"'ff_mine.py:Maze' names a file; name its module, .*: ff_mine:Maze"),
    ("./worlds/maze.py", r"names a file; name its module, from the folder that holds it: worlds.maze:NAME"),
    ("ff_mine:", r"'ff_mine:' is incomplete"),
    ("odd_toys:an_instance", r"odd_toys:an_instance is a Team, not a class or function that builds an environment"),
    ("gymnasium.CartPole-v1", r"gymnasium.CartPole-v1 is no module; did you mean gymnasium:CartPole-v1\?"),
    ("ALE/Pong-v5", r"did you mean ale_py:ALE/Pong-v5\?"),
    ("mpe2.simple_spread", r"offers none .*; did you mean mpe2.simple_spread_v3\?"),
    ("mpe2", r"offers none .*; name one of its environments, such as mpe2.simple_spread_v3"),
]


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize(("name", "message"), IMPORTS)
def test_what_cannot_be_imported_is_one_line_that_is_safe_to_follow(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        adapters.prepare(name, n_workers=0)
    assert "\n" not in str(raised.value)
    assert "pip install" not in str(raised.value)
    assert capsys.readouterr().out == ""


def test_packages_that_are_known_may_be_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(find.hints.KNOWN, "ff_known", "ff-known")
    with pytest.raises(ValueError, match=r"package 'ff_known' is not installed \(pip install ff-known\)"):
        find.find("ff_known:Maze")


def test_a_module_that_is_only_an_attribute_is_found() -> None:
    assert adapters.prepare("odd_toys.inner", n_workers=0).layout.agents == ("agent_0", "agent_1")


def test_a_game_of_turns_is_not_told_to_install_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chess", None)
    for name in [name for name in sys.modules if name.startswith("pettingzoo.classic.chess")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("pettingzoo.classic.chess_v6", "classic/chess_v6"):
        with pytest.raises(
            ValueError, match=r"is a game of turns; Coterie trains on environments in which all"
        ) as raised:
            adapters.prepare(name, n_workers=0)
        assert "pip" not in str(raised.value)


HINTS = [
    ("CartPole-v1", r"did you mean gymnasium:CartPole-v1\?"),
    ("cartpole-v1", r"did you mean gymnasium:CartPole-v1\?"),
    ("LunarLander", r"did you mean gymnasium:LunarLander-v3\?"),
    ("pursuit", r"did you mean sisl/pursuit_v5\?"),
    ("lbforaging", r"lbforaging is a package with many; name one of them, such as lbforaging:Foraging-8x8-2p-3f-v3"),
    ("Foraging-8x8-2p-3f-v3", r"did you mean lbforaging:Foraging-8x8-2p-3f-v3\?"),
    ("rware-tiny-2ag-v2", r"did you mean rware:rware-tiny-2ag-v2\?"),
    ("simple_spread", r"did you mean mpe2.simple_spread_v3\?"),
    ("pursuit_v5", r"did you mean sisl/pursuit_v5\?"),
    ("ff_mine", r"ff_mine.py, name a class or function in it as ff_mine:NAME"),
    ("wharehouse", r"allowed: .*\(did you mean warehouse\?\)"),
]


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize(("name", "message"), HINTS)
def test_a_name_without_its_form_is_pointed_to_it(name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--env", name, "--algo", "mappo"]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(rf"train\.py: --env {name}: unknown environment; .*{message}.*\n", said), said


@pytest.mark.usefixtures("_folder")
def test_the_command_finds_the_current_folder_and_keys_called_like_ours(tmp_path: Path) -> None:
    """In a process of its own, whose path has the folder of the command and not the current one."""
    code = f"import sys\n\nsys.path.append({str(ROOT / 'tests')!r})\nfrom odd_toys import Team\n\n\n"
    code += "class Maze(Team):\n    def __init__(self, name='x', help=1):\n        super().__init__()\n"
    (tmp_path / "ff_keys.py").write_text(code + "        assert name == 'maze', name\n")
    words = ["--env", "ff_keys:Maze", "--env.name", "maze", "--algo", "ippo", "--total-steps", "8", "--n-worlds", "2"]
    words += ["--algo.hidden", "4", "--algo.rollout-steps", "4", "--eval-episodes", "0", "--threads", "1", "--quiet"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words], capture_output=True, text=True, cwd=tmp_path, timeout=240
    )
    assert done.returncode == 0, done.stderr


def test_a_key_that_no_constructor_can_have_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--env", "odd_toys:FilmedBehind", "--env.class", "3", "--algo", "ippo"]) == 2
    assert "--env.class: no constructor has a key of that name" in capsys.readouterr().err


def test_keys_that_gymnasium_has_too_reach_the_constructor() -> None:
    gymnasium.register("OddNamed-v0", entry_point="odd_toys:Keyed")
    try:
        adapters.prepare("odd_toys:OddNamed-v0", n_workers=0, id="x", name="maze")
    finally:
        del gymnasium.registry["OddNamed-v0"]


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


@pytest.mark.parametrize("toy", [odd_toys.DrawsInMode, odd_toys.ListsInMode])
def test_environments_that_take_the_mode_where_they_draw_are_asked_so(toy: Any) -> None:
    view = here(toy)
    assert (view.render() == 9).all()
    assert view.render().shape == (4, 6, 3)


def test_dicts_by_agent_draw() -> None:
    film = adapters.prepare("odd_toys:Grid", n_workers=0).maker()(1)
    film.reset(0)
    assert film.render().shape == (4, 6, 3)
