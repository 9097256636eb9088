"""Runs whose learners exchange parameters: what is told and what is refused; resumed runs go on bit for bit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import train
from algos.training import checkpoint
from algos.training.random_play import same

HERE = ["--env", "gymnasium:CartPole-v1", "--env.n-workers", "1"]
FAST = ["--algo.hidden", "8", "--n-worlds", "4", "--eval-episodes", "0", "--no-videos", "--quiet"]
ROLLOUT = ["--algo", "ippo", "--algo.rollout-steps", "8", "--algo.minibatches", "2"]
SHARING = ["--algo.share", "none", "--env.n-copies", "3", "--peers.share-every", "4"]


def trained(folder: Path, name: str, *words: str, env: Sequence[str] = HERE) -> Path:
    where = ["--total-steps", "1200", "--log-dir", str(folder), "--run-name", name]
    assert train.main([*env, *FAST, *ROLLOUT, *words, *where]) == 0
    return folder / name


def last(run: Path) -> Any:
    return checkpoint.load_latest(run / "checkpoints", warn=print)[1]


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "peers.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("share", ["ucb", "pbt"])
def test_every_exchange_is_told_with_what_came_of_it(tmp_path: Path, share: str) -> None:
    run = trained(tmp_path, share, *SHARING, "--peers.share", share)
    told = lines(run)
    exchanges = [line for line in told if line["kind"] == share]
    outcomes = [line for line in told if line["kind"] == "outcome"]
    assert exchanges
    assert outcomes
    agents = {f"learner_{i}" for i in range(3)}
    for line in exchanges:
        assert {line["from"], line["to"]} <= agents
        assert line["from"] != line["to"]
        assert line["moved"] > 0.0
    for line in outcomes:
        assert any(line["of"] == one["step"] and line["to"] == one["to"] for one in exchanges)
        assert line["helped"] == (line["after"] > line["before"])
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(row.get("peers/exchanges", 0) for row in rows) > 0
    variation = last(run)["algo"]["variation"]
    if share == "pbt":
        assert len(set(variation["pace"].tolist())) > 1
    else:
        assert variation is None


@pytest.mark.parametrize("share", ["ucb", "pbt"])
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path: Path, share: str) -> None:
    words = ("--env", "spread", *SHARING[:2], *SHARING[4:], "--peers.share", share, "--save-every", "400")
    whole, part = (trained(tmp_path, name, *words, env=()) for name in ("whole", "part"))
    newest = sorted((part / "checkpoints").glob("step-*.pt"))[-1]
    newest.unlink()  # as if it had been killed before the last save
    assert train.main(["--resume", str(part), "--quiet"]) == 0
    assert lines(part) == lines(whole)
    ours, theirs = last(part), last(whole)
    for name in ("policy", "critic", "value_norm"):
        for key, value in theirs["algo"][name].items():
            assert torch.equal(ours["algo"][name][key], value)
    assert same(ours["companion"], theirs["companion"])


def test_independent_learners_exchange_nothing(tmp_path: Path) -> None:
    run = trained(tmp_path, "alone", *SHARING, "--peers.share", "independent")
    plain = trained(tmp_path, "plain", *SHARING[:4])
    assert not (run / "peers.jsonl").exists()
    for key, value in last(plain)["algo"]["policy"].items():
        assert torch.equal(last(run)["algo"]["policy"][key], value)


def test_one_learner_is_the_plain_algorithm(tmp_path: Path) -> None:
    one = trained(tmp_path, "one", "--algo.share", "none", "--peers.share", "ucb")
    plain = trained(tmp_path, "plain")
    for name in ("policy", "critic", "value_norm"):
        for key, value in last(plain)["algo"][name].items():
            assert torch.equal(last(one)["algo"][name][key], value)


def test_what_is_not_permitted_is_refused_and_told(tmp_path: Path) -> None:
    may = tmp_path / "may.json"
    may.write_text(json.dumps({"learner_0": ["learner_1"]}))
    told = lines(trained(tmp_path, "run", *SHARING, "--peers.share", "ucb", "--peers.permission", str(may)))
    assert any(line["kind"] == "refused" for line in told)
    assert all((line["from"], line["to"]) == ("learner_1", "learner_0") for line in told if line["kind"] == "ucb")


def test_the_run_keeps_who_may_learn_from_whom(tmp_path: Path) -> None:
    may = tmp_path / "may.json"
    may.write_text(json.dumps({"learner_0": ["learner_1"]}))
    words = (*SHARING, "--peers.share", "pbt", "--peers.permission", str(may), "--algo.no-value-norm")
    run = trained(tmp_path, "run", *words)
    may.unlink()
    assert train.main(["--resume", str(run), "--total-steps", "2400", "--quiet"]) == 0
    told = lines(run)
    assert {(line["from"], line["to"]) for line in told if line["kind"] == "pbt"} <= {("learner_1", "learner_0")}
    assert any(line["kind"] == "refused" for line in told)


def test_off_policy_learners_resume_bit_for_bit(tmp_path: Path) -> None:
    words = [
        "--env",
        "spread",
        "--algo",
        "iddpg",
        "--algo.share",
        "none",
        "--algo.warm-up",
        "100",
        "--algo.batch",
        "16",
    ]
    words += [*FAST, "--peers.share", "ucb", "--peers.share-every", "4", "--save-every", "400", "--save-replay"]
    for name in ("whole", "part"):
        where = ["--total-steps", "1200", "--log-dir", str(tmp_path), "--run-name", name]
        assert train.main([*words, *where]) == 0
    sorted((tmp_path / "part" / "checkpoints").glob("step-*.pt"))[-1].unlink()
    assert train.main(["--resume", str(tmp_path / "part"), "--quiet"]) == 0
    assert lines(tmp_path / "part") == lines(tmp_path / "whole")
    ours, theirs = last(tmp_path / "part"), last(tmp_path / "whole")
    for key, value in theirs["algo"]["policy"].items():
        assert torch.equal(ours["algo"]["policy"][key], value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--env.n-copies", "3", "--peers.share", "ucb"], "--peers.share is 'ucb', but the 3 agents share parameters"),
        (
            [*SHARING, "--peers.share", "ucb", "--peers.permission", "nobody"],
            "--peers.permission is 'nobody'; it",
        ),
        ([*SHARING, "--peers.share", "ubc"], "--peers.share ubc: allowed: none, independent, ucb, pbt, seac"),
        ([*SHARING, "--peers.share-tau", "0"], "--peers.share-tau is 0.0"),
        ([*SHARING, "--algo.agent-id", "--peers.share", "ucb"], "leave agent_id out"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert train.main([*HERE, *FAST, *ROLLOUT, *words, "--log-dir", str(tmp_path)]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert said in told[0]


def test_the_best_learner_by_validation_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in FAST if word not in ("--eval-episodes", "0", "--quiet")]
    words += [*ROLLOUT, *SHARING, "--peers.share", "independent", "--eval-episodes", "2", "--eval-every", "300"]
    assert train.main([*HERE, *words, "--total-steps", "400", "--log-dir", str(tmp_path), "--run-name", "run"]) == 0
    told = capsys.readouterr().out
    best = last(tmp_path / "run")["companion"]["best"]
    assert f"best learner (learner_{best})" in told
    assert train.main(["--evaluate", str(tmp_path / "run"), "--episodes", "5", "--json", "--quiet"]) == 0
    policies = json.loads(capsys.readouterr().out)["policies"]
    assert list(policies)[:2] == ["learned", f"best learner (learner_{best})"]
    assert policies[f"best learner (learner_{best})"]["return"]["mean"] > 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    found = next(row for row in rows if "eval/return_of_best_learner" in row)
    mean = next(row["eval/return"] for row in rows if "eval/return" in row and row["step"] == found["step"])
    assert found["eval/return_of_best_learner"] >= mean
