"""An environment that differs from the one a run was trained in: order of agents, sizes, version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from run_folders import change, spread

import train
from algos import load_policy
from algos.core import spec_of
from algos.training import checkpoint, runfolder
from envs import adapters


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Named(ParallelEnv):
    """Pays each agent 1 a step for its own action: 0 for `left`, 1 for `right`. Observations do not tell them apart."""

    metadata = {"name": "named_v0"}
    right = {"left": 0, "right": 1, "third": 2}

    def __init__(self, order: tuple[str, ...] = ("left", "right"), size: int = 2, wide: int = 3) -> None:
        self.possible_agents = list(order)
        self.size, self.wide = size, wide
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Box:
        return Box(0.0, 1.0, (self.size,), np.float32)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(self.wide)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.clock = self.possible_agents[:], 0
        return self.look(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        self.clock += 1
        over, acted = self.clock >= 5, self.agents
        paid = {agent: float(action == self.right[agent]) for agent, action in actions.items()}
        self.agents = [] if over else acted
        return self.look(), paid, dict.fromkeys(acted, False), dict.fromkeys(acted, over), {a: {} for a in acted}

    def look(self) -> dict[str, Any]:
        return {agent: np.ones(self.size, np.float32) for agent in self.possible_agents}


def taught(tmp_path: Path) -> Path:
    """A run in which each agent learned its own action with its own parameters."""
    words = ["--env", f"{__name__}:Named", "--env.n-workers", "0", "--env.order", "('left', 'right')"]
    words += ["--algo", "mappo", "--algo.share", "none", "--algo.hidden", "8", "--n-worlds", "2", "--total-steps", "8"]
    words += ["--eval-episodes", "0", "--no-videos", "--quiet"]
    assert train.main([*words, "--log-dir", str(tmp_path), "--run-name", "run"]) == 0
    folder = tmp_path / "run"
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS)
    assert content["whose"]["algorithm"] == "mappo"
    assert content["whose"]["network"]["share"] == "none"
    bias = content["algo"]["policy"]["trunk.head.bias"]  # (N, A)
    bias[0, 0] = bias[1, 1] = 9.0
    checkpoint.save(path, content)
    return folder


def evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> float:
    assert train.main(["--evaluate", str(folder), "--episodes", "3", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["policies"]["learned"]["return"]["mean"]


def test_agents_in_another_order_are_matched_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = taught(tmp_path)
    assert evaluated(folder, capsys) == 5.0
    change(folder, "env", "options", "order", value="('right', 'left')")
    assert evaluated(folder, capsys) == 5.0, "by position it is 0"
    # A resume too: the parameters of `left` learn from the experience of `left`.
    assert train.main(["--resume", str(folder), "--total-steps", "16", "--quiet"]) == 0
    assert runfolder.read_config(folder)["agents"] == ["left", "right"]
    assert evaluated(folder, capsys) == 5.0
    policy = load_policy(folder)
    env = Named(("right", "left"))
    observations, _ = env.reset()
    assert policy.act(observations) == {"right": 1, "left": 0}
    policy.player(agents=("left", "right"))
    with pytest.raises(ValueError, match="the worlds' agents are right, left; the policy's rows are left, right"):
        policy.player(agents=("right", "left"))


@pytest.mark.parametrize("order", ["('left', 'third')", "('left',)", "('left', 'right', 'third')"])
def test_other_agents_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], order: str) -> None:
    folder = taught(tmp_path)
    change(folder, "env", "options", "order", value=order)
    for words in (["--evaluate", str(folder)], ["--resume", str(folder), "--total-steps", "16"]):
        assert train.main(words) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "the environment's agents are left" in said
        assert "expected are left, right" in said


def test_rows_follow_the_order_that_is_asked_for() -> None:
    class Sized(Named):
        def observation_space(self, agent: str) -> Box:
            return Box(0.0, 1.0, (1 + self.right[agent],), np.float32)

        def action_space(self, agent: str) -> Discrete:
            return Discrete(2 + self.right[agent])

        def look(self) -> dict[str, Any]:
            return {agent: np.full(1 + self.right[agent], 1 + self.right[agent]) for agent in self.possible_agents}

    names = ("third", "left", "right")
    foreign = adapters.prepare(Sized, order=("right", "third", "left"), n_workers=0)
    vector, expected = (
        one.vector(1) for one in (foreign.in_order(names), adapters.prepare(Sized, order=names, n_workers=0))
    )
    assert vector.agents == expected.agents == names
    assert spec_of(vector) == spec_of(expected)
    assert vector.own_spaces["agents"] != expected.own_spaces["agents"]
    kinds = [[one.own_spaces["kinds"][kind] for kind in one.own_spaces["agents"]] for one in (vector, expected)]
    assert kinds[0] == kinds[1]
    one, other = vector.reset(0), expected.reset(0)
    np.testing.assert_array_equal(one.obs, other.obs)
    assert one.action_mask is not None
    assert other.action_mask is not None
    np.testing.assert_array_equal(one.action_mask, other.action_mask)
    for choice in ([2, 0, 1], [0, 1, 2]):
        final, _ = vector.step(np.array([choice]))
        np.testing.assert_array_equal(final.reward, expected.step(np.array([choice]))[0].reward)


def test_names_that_are_the_same_as_text_are_refused() -> None:
    class Twice(Named):
        right = {1: 0, "1": 1}

    with pytest.raises(ValueError, match="agents share the name 1; possible_agents must differ as text"):
        adapters.prepare(Twice, order=(1, "1"), n_workers=0)


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("size", "3", r"its observations have shape \(3,\); the run was trained with \(2,\)"),
        ("wide", "4", r"its action space is Discrete\(4\); the run was trained with Discrete\(3\)"),
    ],
)
def test_other_sizes_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, line: str
) -> None:
    import re

    folder = taught(tmp_path)
    change(folder, "env", "options", option, value=value)
    for words in (["--evaluate", str(folder)], ["--resume", str(folder), "--total-steps", "16"]):
        assert train.main(words) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert re.search(f"the environment has changed: {line}", said), said


def test_our_own_environment_that_changed_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spread(tmp_path)
    change(folder, "env", "version", value="spread_v9")
    change(folder, "env", "options", "n_agents", value=4)
    assert train.main(["--evaluate", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--env spread: the environment has changed (now spread_v0, then spread_v9): its agents are" in said


def test_another_version_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spread(tmp_path)
    change(folder, "env", "version", value="spread_v0")
    assert train.main(["--evaluate", str(folder), "--episodes", "2"]) == 0
    assert "the environment's version" not in capsys.readouterr().err
    change(folder, "env", "version", value="spread_v9")
    assert train.main(["--evaluate", str(folder), "--episodes", "2"]) == 0
    line = "the environment's version is not that of the run (now spread_v0, then spread_v9): results may differ"
    assert capsys.readouterr().err.count(line) == 1
    assert adapters.version_of("sisl/pursuit_v5").startswith("pettingzoo ")  # pyright: ignore[reportOptionalMemberAccess]
    assert adapters.version_of("gymnasium:CartPole-v1").startswith("gymnasium ")  # pyright: ignore[reportOptionalMemberAccess]
    assert adapters.version_of(f"{__name__}:Named") is None
