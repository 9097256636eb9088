"""Measures of credit on the command line: at the end of a training, and in the evaluation of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import train
from algos.training import checkpoint

NEAR = ["--env", "rovers", "--env.n-rovers", "4", "--env.size", "8", "--env.max-steps", "20", "--algo.hidden", "8"]
SHORT = ["--n-worlds", "4", "--total-steps", "400", "--eval-episodes", "2", "--no-videos", "--quiet", "--threads", "1"]


def trained(log_dir: Path, credit: str, *words: str) -> Path:
    run = ["--algo", "mappo", "--algo.credit", credit, "--log-dir", str(log_dir), "--run-name", credit]
    assert train.main([*NEAR, *SHORT, *run, *words]) == 0
    return log_dir / credit


def evaluated(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert train.main(["--evaluate", str(folder), "--episodes", "2", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)["policies"]


def credit_of(policy: dict[str, Any]) -> dict[str, Any]:
    return {name: number for name, number in policy.items() if name.startswith("credit/")}


@pytest.mark.parametrize("credit", ["learned", "difference"])
def test_an_evaluation_says_how_good_the_credit_is(
    tmp_path: Path, credit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A learned one comes out of the checkpoint, and has the numbers that it had at the end of the training."""
    folder = trained(tmp_path, credit, "--algo.rollout-steps", "16")
    at_the_end = json.loads((folder / "evaluation.json").read_text())
    found = credit_of(at_the_end["learned"])
    assert set(found) == {"credit/factoredness", "credit/learnability", "credit/correlation"}
    assert found["credit/factoredness"] == {"mean": 1.0, "low": None, "high": None}
    assert (found["credit/correlation"]["mean"] > 0.999) == (credit == "difference")
    assert credit_of(at_the_end["random"]) == {}
    row = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert {name: row[name] for name in found} == {name: number["mean"] for name, number in found.items()}
    assert credit_of(evaluated(folder, capsys)["learned"]) == found

    assert train.main(["--evaluate", str(folder), "--episodes", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[-3] == ["credit/factoredness", "1", "-", "-"]
    elsewhere = evaluated(folder, capsys, "--env.max-steps", "10")
    assert credit_of(elsewhere["learned"]) == {}, "these are not the worlds that it learned in"


def test_returns_are_no_credit_that_an_evaluation_could_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(tmp_path, "coma")
    assert credit_of(json.loads((folder / "evaluation.json").read_text())["learned"]) == {}
    assert credit_of(evaluated(folder, capsys)["learned"]) == {}


def test_a_policy_is_evaluated_without_its_credit_where_only_that_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(tmp_path, "learned")
    path, content = checkpoint.load_latest(folder / "checkpoints")
    del content["algo"]["joint"]
    checkpoint.save(path, content)
    assert train.main(["--evaluate", str(folder), "--episodes", "2"]) == 0
    said = capsys.readouterr()
    assert "credit/" not in said.out
    assert "no measures of credit: " in said.err
    assert "does not restore the whole algorithm: 'joint'" in said.err
