"""Names of foreign environments: where they are found, and mistakes in one line that is safe to follow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import train
from envs import adapters
from envs.foreign import find

ROOT = Path(__file__).parents[3]


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A current folder with modules of its own, which is not on the path."""
    (tmp_path / "ff_mine.py").write_text("from ff_beside import Team\n\n\nclass Maze(Team):\n    pass\n")
    (tmp_path / "ff_beside.py").write_text("from odd_toys import Team\n")
    (tmp_path / "ff_broken.py").write_text("import odd_toys\n\nsize = int('many')\n")
    (tmp_path / "ff_holds.py").write_text("import types\n\ninner = types.ModuleType('ff_of_another_name')\n")
    (tmp_path / "ff_typo.py").write_text("class Maze(:\n")
    (tmp_path / "ff_ends.py").write_text("print('hello')\nraise SystemExit('usage: ff_ends')\n")
    (tmp_path / "ff_needs.py").write_text("import ff_no_such_thing\n")
    (tmp_path / "colorsys.py").write_text("from odd_toys import Team as Maze\n")  # Python has a module of that name
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
    ("gymnasium:CartPole", r"the module has no 'CartPole', .*near: gymnasium:CartPole-v1, "),
    ("ff_holds.inner:Maze", r"the module has no 'Maze', and Gymnasium says: Environment `Maze` doesn't exist$"),
    ("ff_mine:Mze", r"the module has no 'Mze', .*near: ff_mine:Maze"),
    ("ff_mine.Maze", r"ff_mine.Maze is no module; did you mean ff_mine:Maze\?"),
    ("ff_mine", r"offers none of parallel_env, env and raw_env; did you mean ff_mine:Maze\?"),
    ("ff_mine.py:Maze", r"'ff_mine.py:Maze' names a file; name its module, .*: ff_mine:Maze"),
    ("./worlds/maze.py", r"names a file; name its module, from the folder that holds it: worlds.maze:NAME"),
    ("worlds/maze:Maze", r"'worlds/maze:Maze' names a file; name its module, .*: worlds.maze:Maze"),
    ("ff_mine:", r"'ff_mine:' is incomplete"),
    (
        "colorsys:Maze",
        r"the module has no 'Maze', .*; colorsys is here .*colorsys.py, not what is in the current folder",
    ),
    ("mpe/simple_spread_v3", r"registry has no 'mpe/simple_spread_v3'; did you mean mpe2.simple_spread_v3\?"),
    (
        "odd_toys:an_instance",
        r"odd_toys:an_instance is of type Team, not a class or function that builds an environment",
    ),
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


def test_a_turn_based_game_gets_no_advice_to_install_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chess", None)
    for name in [name for name in sys.modules if name.startswith("pettingzoo.classic.chess")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("pettingzoo.classic.chess_v6", "classic/chess_v6"):
        with pytest.raises(
            ValueError, match=r"is a turn-based game; Coterie trains on environments in which all"
        ) as raised:
            adapters.prepare(name, n_workers=0)
        assert "pip" not in str(raised.value)


HINTS = [
    ("CartPole-v1", r"did you mean gymnasium:CartPole-v1\?"),
    ("cartpole-v1", r"did you mean gymnasium:CartPole-v1\?"),
    ("LunarLander", r"did you mean gymnasium:LunarLander-v3\?"),
    ("pursuit", r"did you mean sisl/pursuit_v5\?"),
    ("lbforaging", r"lbforaging is a package with many environments; name one, such as lbforaging:Foraging-"),
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
    """Runs in a process of its own, whose path has the folder of the command and not the current one."""
    code = f"import sys\n\nsys.path.append({str(ROOT / 'tests' / 'helpers')!r})\nfrom odd_toys import Team\n\n\n"
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
