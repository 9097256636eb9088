"""Runs of MADDPG: bit for bit with the replay in the checkpoint, honest without it, and from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from short_maddpg_runs import RUNS, start
from short_runs import saved
from streams import same

import train as command
from algos import load_policy


@pytest.mark.parametrize("case", RUNS)
@pytest.mark.parametrize("stops", [(3,), (17, 31), (0, 1)])
def test_with_its_replay_a_run_goes_on_bit_for_bit(tmp_path: Path, case: str, stops: tuple[int, ...]) -> None:
    start(tmp_path / "whole", case)
    for number, stop_after in enumerate((*stops, 10**9)):
        start(tmp_path / "parts", case, stop_after=stop_after, resume=number > 0)
    whole, parts = saved(tmp_path / "whole"), saved(tmp_path / "parts")
    assert "replay" in whole
    assert same(whole, parts)


def test_without_its_replay_a_run_says_so_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(tmp_path, "continuous", stop_after=17, save_replay=False)
    before = saved(tmp_path)
    assert "replay" not in before
    assert "replay" not in capsys.readouterr().err
    assert start(tmp_path, "continuous", resume=True, save_replay=False).finished
    said = [line for line in capsys.readouterr().err.splitlines() if "replay" in line]
    assert len(said) == 1
    assert "no replay" in said[0]
    after = saved(tmp_path)
    # 23 steps more, the first 6 of which fill the replay to its 24
    assert after["algo"]["gradient_steps"] - before["algo"]["gradient_steps"] == 23 - 5


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Train, go on, evaluate, play: discrete and continuous, with the size of the replay said once."""
    for name, words in {
        "discrete": ["--algo", "maddpg", "--algo.twin"],
        "box": ["--algo", "iddpg", "--env.continuous", "--save-replay"],
    }.items():
        tiny_run = ["--env", "spread", *words, "--n-worlds", "8", "--algo.hidden", "8", "--algo.warm-up", "80"]
        tiny_run += ["--algo.replay-size", "800", "--eval-episodes", "2", "--threads", "1", "--log-every", "100"]
        folder = tmp_path / name
        assert command.main([*tiny_run, "--total-steps", "240", "--log-dir", str(tmp_path), "--run-name", name]) == 0
        said = capsys.readouterr().err
        bytes_ = 800 * (4 * (2 * 54 + 3 + 1) + 10 + (24 if name == "discrete" else 60))
        assert said.count(f"replay: 800 steps in {bytes_:,} bytes on cpu") == 1
        assert command.main(["--resume", str(folder), "--total-steps", "400", "--quiet"]) == 0
        assert ("no replay" in capsys.readouterr().err) is (name == "discrete")
        assert command.main(["--evaluate", str(folder), "--episodes", "2", "--json"]) == 0
        policy = load_policy(folder)
        seen = {agent: np.zeros(18, np.float32) for agent in policy.agents}
        actions, drawn = policy.act(seen), [policy.act(seen, greedy=False) for _ in range(10)]
        if name == "box":
            assert all(np.all((a >= 0) & (a <= 1)) for a in actions.values())
            assert any(np.any(one["agent_0"] != actions["agent_0"]) for one in drawn)
        capsys.readouterr()
