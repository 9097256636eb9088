"""The command line: options, readable mistakes, runs from end to end, signals."""

from __future__ import annotations

import errno
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
from commands import ROOT, options

import train
from algos.cli import ending
from algos.cli.options import UsageError, find, whole_number
from algos.training import checkpoint


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_numbers_of_steps_may_be_written_as_people_do() -> None:
    assert [whole_number(text) for text in ("2e6", "2_000", "7", "-1", "9007199254740993")] == [
        2_000_000,
        2000,
        7,
        -1,
        9007199254740993,
    ]
    for text in ("2.5", "many", "nan", "inf"):
        with pytest.raises(ValueError, match="not a whole number"):
            whole_number(text)


def test_options_are_found_before_they_are_parsed() -> None:
    assert find(["--env", "a", "--env.task=b"], "--env") == "a"
    assert find(["--env", "a", "--env.task=b"], "--env.task") == "b"
    assert find(["--env=a"], "--algo") is None
    with pytest.raises(UsageError, match="a value is missing"):
        find(["--env", "--algo"], "--env")


HERE = ["--env", "warehouse", "--algo", "mappo"]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--env", "wharehouse", "--algo", "mappo"], "--env wharehouse: unknown environment.*did you mean warehouse?"),
        (["--env", "warehouse", "--algo", "mapo"], "--algo mapo: unknown algorithm; .*mappo.*did you mean mappo?"),
        (["--algo", "mappo"], "--env is missing; allowed: .*warehouse"),
        ([*HERE, "--env.task", "medum-8"], "--env.task medum-8: unknown task of warehouse.*did you mean medium-8?"),
        ([*HERE, "--algo.lrr", "3"], r"unknown option --algo.lrr \(did you mean --algo.lr\?\)"),
        ([*HERE, "--algo.gae_lamda=3"], r"unknown option --algo.gae_lamda \(did you mean --algo.gae-lambda\?\)"),
        ([*HERE, "--algo.lr", "abc"], "--algo.lr: 'abc' is not a number"),
        ([*HERE, "--algo.lr", "-1"], "--algo.lr is -1.0; it must be a positive number"),
        ([*HERE, "--algo.hidden", "3", "x"], "--algo.hidden: '3 x' does not fit"),
        ([*HERE, "--total-steps", "2.5"], "--total-steps: '2.5' is not a whole number"),
        ([*HERE, "--total-steps", "0"], "--total-steps is 0; allowed are 1 to 1e15"),
        ([*HERE, "--seed", "-1"], "--seed is -1; allowed are 0 to 2147483647"),
        ([*HERE, "--env.dispatch", "nearst"], "--env.dispatch nearst: allowed: nearest, .*did you mean nearest?"),
        ([*HERE, "--env.n-robots", "4000"], "--env.n-robots=4000"),
        ([*HERE, "--env.n-robots", "900"], "--env.n-robots=900 do not fit layout"),
        ([*HERE, "--env.battery", "False"], "False: belongs to no option; a switch takes no value"),
        ([*HERE, "--device", "toaster"], "--device toaster: "),
        ([*HERE, "--seed"], "--seed: a value is missing"),
        ([*HERE, "--run-name", "a/b"], "--run-name is 'a/b'"),
        ([*HERE, "--log-dir", "/dev/null/runs"], "no run folder can be made in /dev/null/runs"),
        (["--resume", "no/such"], "no/such: there is no such folder"),
        (["--resume", "."], "is not a run folder"),
        (["--resume", ".", "--env.task", "x"], "unknown option --env.task"),
        (["--evaluate", "."], "is not a run folder"),
        (["--evaluate", ".", "--episodes", "0"], "--episodes is 0; allowed are 1 to 100000"),
        (["--evaluate", ".", "--checkpoint", "first"], "--checkpoint first: allowed: latest, best"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(rf"train\.py: .*{line}.*\n", said.err), said.err
    assert not list(tmp_path.iterdir()), "nothing is left behind by a mistake"


def test_help_shows_exactly_what_was_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    def help_of(*argv: str) -> str:
        with pytest.raises(SystemExit) as ended:
            train.main([*argv, "--help"])
        assert ended.value.code == 0
        return re.sub(r"[│\s]+", " ", capsys.readouterr().out)

    medium = help_of("--env", "warehouse", "--env.task", "medium-8", "--algo", "ippo")
    assert "--env.n-robots INT" in medium
    assert re.search(r"Number of robots, which are the agents\. \(default: 8\)", medium)
    assert re.search(r"--algo\.critic \{central,joint,local\}.{0,160}\(default: local\)", medium)
    assert "--total-steps INT" in medium
    assert re.search(r"Number of robots, which are the agents\. \(default: 2\)", help_of(*HERE, "--env.task", "tiny-2"))
    assert "--episodes INT" in help_of("--evaluate", "x")
    assert "--algo.lr" not in help_of("--evaluate", "x")
    assert "--total-steps INT" in help_of("--resume", "x")
    assert "--env {warehouse" in help_of()


def parameters(folder: Path) -> bytes:
    """The bytes of all parameters and of the optimiser, and everything else that learning depends on."""
    content = checkpoint.load_latest(folder / "checkpoints")[1]
    found: list[bytes] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                if key not in ("seconds", "progress"):
                    collect(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                collect(item)
        elif isinstance(value, torch.Tensor):
            found.append(value.numpy().tobytes())
        elif isinstance(value, np.ndarray):
            found.append(value.tobytes())
        else:
            found.append(repr(value).encode())

    collect(content)
    return b"|".join(found)


def test_train_extend_and_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(options(tmp_path, "--total-steps", "2e2", "--seed", "1", "--algo.lr", "1e-3")) == 0
    folder = tmp_path / "run"
    config = json.loads((folder / "config.json").read_text())
    assert config["env"]["task"] == "tiny-2"
    assert config["env"]["options"]["max_steps"] == 30
    assert config["algo"]["options"]["lr"] == 1e-3
    assert config["run"]["seed"] == 1
    assert config["run"]["threads"] == 1
    assert config["agents"] == ["robot_0", "robot_1"]
    assert config["code"]["packages"]["torch"] == torch.__version__
    assert {"git", "python", "platform", "command"} <= set(config["code"])
    comparison = json.loads((folder / "evaluation.json").read_text())
    assert set(comparison) == {"learned", "random", "heuristic"}
    assert [path.name for path in checkpoint.listing(folder / "checkpoints")][-1] == "step-000000000200.pt"

    # Another of the same name never writes into it; the same seed gives the same bytes.
    assert train.main(options(tmp_path, "--total-steps", "300", "--seed", "1", "--algo.lr", "1e-3")) == 0
    assert (tmp_path / "run-2").is_dir()
    capsys.readouterr()
    assert train.main(["--resume", str(folder)]) == 0
    assert "is finished: 200 of 200 steps are done" in capsys.readouterr().err
    assert train.main(["--resume", str(folder), "--total-steps", "300", "--quiet"]) == 0
    assert parameters(folder) == parameters(tmp_path / "run-2")

    capsys.readouterr()
    film = tmp_path / "out.gif"
    assert train.main(["--evaluate", str(folder), "--episodes", "5", "--json", "--video", str(film)]) == 0
    first = capsys.readouterr().out
    found = json.loads(first)["policies"]
    assert set(found) == {"learned", "random", "heuristic"}
    orders = found["heuristic"]["orders_per_hour"]
    assert orders["low"] <= orders["mean"] <= orders["high"]
    from PIL import Image, ImageSequence

    with Image.open(film) as picture:
        shown = [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]  # of equal ones only the first
    assert sum(shown) == 50 * (29 * 4 + 1), "four frames a step of 0.2 s, 30 steps, at the world's own speed"
    assert len(shown) > 30
    assert train.main(["--evaluate", str(folder), "--episodes", "5", "--json"]) == 0
    assert capsys.readouterr().out == first, "the same episodes, the same intervals"
    assert train.main(["--evaluate", str(folder), "--episodes", "5"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[1].split() == ["learned", "random", "heuristic"]
    assert any(line.startswith("orders_per_hour") for line in table)
    assert train.main(["--evaluate", str(folder), "--video", "out.avi"]) == 2
    assert "allowed: .gif, .mp4, .png" in capsys.readouterr().err

    # A saved policy drives the PettingZoo environment.
    example = [sys.executable, str(ROOT / "examples" / "drive_saved_policy.py"), str(folder)]
    done = subprocess.run(example, capture_output=True, text=True, check=True)
    assert re.search(r"robot_1: return -?[\d.]+\nmean return -?[\d.]+\n$", done.stdout)

    # Damage.
    newest = checkpoint.listing(folder / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert train.main(["--resume", str(folder), "--total-steps", "300", "--quiet"]) == 0
    assert "falling back to step-000000000200.pt" in capsys.readouterr().err
    assert parameters(folder) == parameters(tmp_path / "run-2")
    for path in (folder / "checkpoints").iterdir():
        path.write_bytes(b"no")
    assert train.main(["--resume", str(folder)]) == 2
    assert train.main(["--evaluate", str(folder)]) == 2
    assert capsys.readouterr().err.count("damaged") >= 2


def test_a_disk_that_stays_full_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint.write_atomically

    def full(path: Path, content: Any) -> None:
        if path.name not in ("config.json", "step-000000000000.pt"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    for module in (checkpoint, ending):
        monkeypatch.setattr(module, "write_atomically", full)
    assert train.main(options(tmp_path, "--total-steps", "64")) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "checkpoint at step 64 could not be saved: No space left on device" in said[0]
    assert "the last checkpoint could not be saved" in said[1]
    assert "evaluation.json" in said[2]
    checkpoint.load_latest(tmp_path / "run" / "checkpoints")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_signals(tmp_path: Path, number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever the signal comes, the resumed run ends with the bytes of one that was never interrupted."""
    folder = tmp_path / "run"
    command = [sys.executable, str(ROOT / "train.py"), *options(tmp_path, "--total-steps", "1e9", "--save-every", "40")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(checkpoint.listing(folder / "checkpoints")) < 2 or not (folder / "metrics.jsonl").exists():
        assert time.monotonic() < deadline, "no checkpoint within two minutes"
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert "Traceback" not in said
    steps = checkpoint.load_latest(folder / "checkpoints")[1]["run"]["steps"]
    if number != signal.SIGKILL:
        assert f"interrupted at step {steps:,}, saved; resume with: python " in said
        assert f"train.py --resume {folder}" in said
    total = str(steps + 100)
    assert train.main(["--resume", str(folder), "--total-steps", total, "--quiet"]) == 0
    assert train.main([*options(tmp_path, "--total-steps", total, "--save-every", "40"), "--run-name", "whole"]) == 0
    assert parameters(folder) == parameters(tmp_path / "whole")
    rows = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    whole = [json.loads(line)["step"] for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert rows == whole
