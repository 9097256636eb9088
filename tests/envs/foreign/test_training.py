"""Training on foreign environments: the values that are learned, and the command line from end to end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_toys import Endless, Leaving
from toys import train as learn

import train
from algos.core import spec_of
from algos.mappo import Mappo, MappoConfig
from algos.training import checkpoint
from envs import adapters

ROOT = Path(__file__).parents[3]
SPREAD = ["--env", "mpe2.simple_spread_v3", "--algo", "mappo"]
TINY = ["--n-worlds", "4", "--algo.hidden", "8", "--algo.rollout-steps", "8", "--algo.no-anneal", "--threads", "1"]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tail(history: list[dict[str, float]], name: str) -> float:
    return float(np.mean([update[name] for update in history[-5:]]))


@pytest.mark.parametrize("options", [{}, {"credit": "team"}])
def test_a_time_limit_of_a_foreign_environment_is_bootstrapped(options: dict[str, Any]) -> None:
    """1 a step for ever is worth 10 with gamma = 0.9, and 20 to a team of two; read as death, 2.7 or 5.4."""
    env = adapters.vector(Endless, 16, 0)
    config = MappoConfig(rollout_steps=16, lr=3e-3, minibatches=2, hidden=(32,), gamma=0.9, **options)
    history = learn(env, Mappo(spec_of(env), config, seed=0), 40)
    assert tail(history, "value_mean") == pytest.approx(20.0 if "credit" in options else 10.0, rel=0.07)


def test_death_in_a_foreign_environment_cuts_the_value_and_dead_rows_are_ignored() -> None:
    """Staying is worth 2, leaving 1 and not 1 + 0.9 V. Dead agents have rewards of a million and NaN observations."""
    env = adapters.vector(Leaving, 16, 0)
    config = MappoConfig(rollout_steps=16, lr=3e-3, minibatches=2, hidden=(32,), gamma=0.9)
    history = learn(env, Mappo(spec_of(env), config, seed=0), 40)
    assert all(np.isfinite(list(update.values())[:-1]).all() for update in history)
    assert tail(history, "value_mean") == pytest.approx(2.0, abs=0.1)
    assert tail(history, "return") > 1.95


def command(folder: Path, *words: str) -> list[str]:
    return [*words, *TINY, "--quiet", "--eval-episodes", "2", "--log-dir", str(folder), "--run-name", "run"]


def test_train_go_on_and_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = command(tmp_path, *SPREAD, "--env.N", "2", "--env.local_ratio=0.25", "--env.n-workers", "1")
    assert train.main([*words, "--total-steps", "200", "--eval-every", "100"]) == 0
    folder = tmp_path / "run"
    config = json.loads((folder / "config.json").read_text())
    assert config["env"].pop("version").startswith("mpe2 ")
    assert config["env"] == {
        "name": "mpe2.simple_spread_v3",
        "task": None,
        "options": {
            "n_workers": 1,
            "n_copies": 1,
            "time_limit": 0,
            "image_size": 64,
            "frame_stack": 4,
            "grayscale": True,
            "seeds": 0,
            "N": "2",
            "local_ratio": "0.25",
        },
    }
    assert config["agents"] == ["agent_0", "agent_1"]
    assert config["spec"]["obs_dim"] == 12
    assert set(json.loads((folder / "evaluation.json").read_text())) == {"learned", "random"}
    assert capsys.readouterr().err == ""

    assert train.main(["--resume", str(folder), "--total-steps", "300", "--quiet"]) == 0
    said = "train.py: worlds of a foreign environment cannot be saved: they start new episodes\n"
    assert capsys.readouterr().err == said
    path, content = checkpoint.load_latest(folder / "checkpoints")
    assert path.name == "step-000000000300.pt"
    assert content["env"]["episode"].min() >= 3  # 300 steps of 4 worlds, 25 an episode

    film = tmp_path / "out.gif"
    assert train.main(["--evaluate", str(folder), "--episodes", "3", "--json", "--video", str(film)]) == 0
    first = capsys.readouterr().out
    found = json.loads(first)["policies"]
    assert set(found) == {"learned", "random"}
    assert found["random"]["length"]["mean"] == 25
    from PIL import Image

    with Image.open(film) as picture:
        assert picture.n_frames > 5  # pyright: ignore[reportAttributeAccessIssue]
    assert train.main(["--evaluate", str(folder), "--episodes", "3", "--json"]) == 0
    assert capsys.readouterr().out == first, "the same episodes again"


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["--env", "mpe2.simple_adversary_v3", "--algo", "mappo"], 120),
        (["--env", "mpe2.simple_speaker_listener_v4", "--algo", "ippo", "--algo.gru", "4"], 120),
        pytest.param(
            ["--env", "butterfly/knights_archers_zombies_v11", "--env.spawn_delay", "1", "--algo", "mappo"],
            800,
            marks=pytest.mark.slow,
        ),
        (["--env", "gymnasium:CartPole-v1", "--env.n-copies", "3", "--algo", "ippo", "--algo.share", "none"], 120),
        (["--env", "foreign_toys:Painted", "--env.image-size", "8", "--env.ends", "((2, 'leave'), None, None)"], 120),
    ],
)
def test_whatever_agents_do_it_trains_without_special_flags(words: list[str], steps: int, tmp_path: Path) -> None:
    words = words if "--algo" in words else [*words, "--algo", "mappo"]
    assert train.main(command(tmp_path, *words, "--env.n-workers", "1", "--total-steps", str(steps))) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite([row["train/value_loss"] for row in rows if "train/value_loss" in row]).all()
    assert any("train/policy_loss" in row for row in rows)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["algo"]["options"]["share"] == ("none" if "none" in words else "group")


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--env.M", "3"], r"unknown option --env.M \(did you mean --env.N\?\)"),
        (["--env.max-cycle", "3"], r"unknown option --env.max-cycle \(did you mean --env.max-cycles\?\)"),
        (["--env.N", "x"], r"--env mpe2.simple_spread_v3 cannot be played with \{'N': 'x'\}: TypeError: "),
        (["--env.n-workers", "-1"], "--env.n-workers is -1; it must be a whole number of at least 0"),
        (["--env.frame-stack", "many"], "--env.frame-stack: 'many' is not a whole number"),
        (
            ["--env", "mpe2.simple_spred_v3"],
            "--env mpe2.simple_spred_v3: unknown module of mpe2: .*did you mean 'simple_spread_v3'",
        ),
        (
            ["--env", "no_such_thing.v1"],
            "--env no_such_thing.v1: there is no module 'no_such_thing', neither in the current folder",
        ),
        (
            ["--env", "sisl/pursuit_v5", "--env.x-siz", "9"],
            "--env sisl/pursuit_v5: unknown option of sisl/pursuit_v5: 'x_siz'.*'x_size'",
        ),
        (["--env", "wharehouse"], "--env wharehouse: unknown environment.*did you mean warehouse?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main([*argv, "--algo", "mappo"] if "--env" in argv else [*SPREAD, *argv]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(rf"train\.py: .*{line}.*\n", said.err), said.err
    assert not list(tmp_path.iterdir()), "nothing is left behind by a mistake"


def test_help_shows_the_keys_of_the_constructor(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main([*SPREAD, "--help"])
    said = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    assert "--env.N VALUE Passed to the constructor. (default: 3)" in said
    assert "--env.local-ratio VALUE Passed to the constructor. (default: 0.5)" in said
    assert "--env.n-copies INT Copies of a single-agent Gymnasium environment" in said


def test_a_worker_that_dies_twice_ends_the_run_with_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command(tmp_path, "--env", "foreign_toys:Breaks", "--env.n-workers", "2", "--algo", "mappo")
    assert train.main([*words, "--total-steps", "1e5"]) == 1
    folder = tmp_path / "run"
    said = capsys.readouterr().err.splitlines()
    again = [line for line in said if "was started again, and its worlds start new episodes" in line]
    assert 1 <= len(again) <= 2
    assert all("ArithmeticError: the sky is falling" in line for line in again)
    assert sum(line.startswith("Traceback") for line in said) == len(again) + 1
    steps = checkpoint.load_latest(folder / "checkpoints")[1]["run"]["steps"]
    assert steps > 0
    end = r"train\.py: worker \d \(worlds .*\) died in world \d, step \d .* with reset\(seed=\d+\): ArithmeticError: .*"
    assert re.fullmatch(rf"{end}; what was learned is saved, resume with: python .* --resume {folder}", said[-1]), said[
        -1
    ]

    assert train.main(["--resume", str(folder), "--quiet"]) == 1
    assert checkpoint.load_latest(folder / "checkpoints")[1]["run"]["steps"] > steps
    assert train.main(["--evaluate", str(folder), "--episodes", "200"]) == 1
    assert re.match(r"train\.py: worker \d .* died ", capsys.readouterr().err.splitlines()[-1])


def test_ctrl_c_saves_and_ends_all_processes(tmp_path: Path) -> None:
    words = command(tmp_path, *SPREAD, "--env.n-workers", "2", "--total-steps", "1e9", "--save-every", "40")
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, str(ROOT / "train.py"), *words], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while len(checkpoint.listing(folder / "checkpoints")) < 2:
        assert time.monotonic() < deadline, "no checkpoint within four minutes"
        assert process.poll() is None
        time.sleep(0.05)
    workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(workers) == 2
    for worker in workers:  # a terminal's Ctrl-C would not even reach them
        os.kill(worker, signal.SIGINT)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "interrupted at step" in said
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
