"""A map is its content: what becomes of the file it came from changes no world, picture or run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from warehouse_scenes import YARD, gap_to_walls, same_bytes

import envs
from algos import load_policy
from envs.warehouse import Config, Warehouse
from envs.warehouse import layout as maps
from envs.warehouse.physics import CHASSIS_RADIUS

OPEN = YARD.replace("R", ".").replace(".S", "RS", 1)
"""Other racks in other places, of the same size."""


def made(layout: str, n_robots: int = 6) -> Warehouse:
    env = envs.make("warehouse", layout=layout, n_robots=n_robots)
    assert isinstance(env, Warehouse)
    return env


def played(env: Any, steps: int = 120) -> list[Any]:
    """States under full-speed actions, which meet every wall there is."""
    state, step = env.reset([0, 1])
    rng, seen = np.random.default_rng(0), []
    for _ in range(steps):
        state, step = env.step(state, rng.choice([1, 1, 2, 3], state.alive.shape))
        seen.append((state, step))
    return seen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "yard.txt"
    path.write_text(YARD, encoding="utf-8")
    return path


def test_an_edited_map_is_another_warehouse_and_the_first_stays(path: Path) -> None:
    first = made(str(path))
    before = played(first)
    path.write_text(OPEN, encoding="utf-8")
    second = made(str(path))
    seen = played(second)
    assert same_bytes(tuple(seen[-1]), tuple(played(made(OPEN))[-1]))
    assert min(gap_to_walls(second, state.body[:, :, :2]).min() for state, _ in seen) > CHASSIS_RADIUS - 0.05
    assert same_bytes(tuple(before[-1]), tuple(played(first)[-1]))
    last = seen[-1][0]
    assert np.array_equal(second.render(last), made(OPEN).render(last))


def test_a_map_may_be_gone_before_the_first_step(path: Path) -> None:
    env = made(str(path))
    heuristic = envs.heuristic("warehouse", layout=str(path), n_robots=6)
    path.unlink()
    states = played(env)
    assert same_bytes(tuple(states[-1]), tuple(played(made(YARD))[-1]))
    heuristic(states[-1][0])
    env.render(states[-1][0])


def test_a_configuration_holds_the_map_and_not_its_path(path: Path) -> None:
    config = Config(layout=str(path))
    assert config == Config(layout=YARD) == Config(layout=config.layout)
    assert config.layout == YARD.strip("\n")
    assert Config(layout="procedural:16x12:7").layout == "procedural:16x12:7"
    assert Config().layout == "small"


def test_tables_of_a_map_cannot_be_changed_for_all_others() -> None:
    with pytest.raises(ValueError, match="read-only"):
        made("small").layout.blocked[1, 1] = 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00", "not of text"),
        (b"small", "without a map in it: a map has only the symbols"),
        (b"", "without a map in it: .*rectangle"),
        (YARD.replace("S", ".").encode(), "without a map in it: .*no station"),
        (YARD.replace("#S", ".S", 1).encode(), r"closed all round .* line 7 has '\.' at its place 1"),
        (None, "Is a directory"),
    ],
)
def test_a_file_without_a_map_is_refused_in_one_line(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "map"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        Config(layout=str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["a" * 5000, "no\0where"])
def test_names_that_no_file_can_have_are_refused_too(name: str) -> None:
    with pytest.raises(ValueError, match="is not known"):
        Config(layout=name)


def test_what_editors_leave_around_a_map_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbf" + YARD.replace("\n", "\r\n").encode())
    assert maps.load(str(path)) is maps.load(YARD)
    assert maps.load(YARD.replace("\n", "\r\n")) is maps.load(YARD)


def test_a_run_needs_its_map_no_more(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import train

    options = ["--env", "warehouse", "--env.layout", str(path), "--env.n-robots", "2", "--env.max-steps", "20"]
    options += ["--algo", "mappo", "--algo.hidden", "8", "--algo.rollout-steps", "4", "--n-worlds", "2", "--quiet"]
    options += ["--eval-episodes", "2", "--threads", "1", "--log-dir", str(tmp_path), "--run-name", "run"]
    assert train.main([*options, "--total-steps", "16"]) == 0
    path.unlink()
    run = tmp_path / "run"
    kept = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert kept["env"]["options"]["layout"] == YARD.strip("\n")
    assert train.main(["--evaluate", str(run), "--episodes", "2"]) == 0
    assert train.main(["--resume", str(run), "--total-steps", "32", "--quiet"]) == 0
    assert load_policy(run).agents == ("robot_0", "robot_1")
    assert "cycle_time" in capsys.readouterr().out
