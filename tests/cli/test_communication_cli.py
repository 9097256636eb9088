"""Communication from the command line: its options, their mistakes, and evaluations that change what a policy meets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import envs
import train
from algos import load_policy
from algos.cli import evaluating
from algos.core import NOTHING
from algos.nets.actor import Actor
from algos.training import runfolder
from algos.training.policy import Policy
from algos.training.run_record import misfit
from envs.whispers.optimum import over_episode

TALK = ["--env", "whispers", "--algo", "mappo", "--algo.comm", "attention"]
SHORT = ["--n-worlds", "8", "--eval-episodes", "0", "--no-videos", "--quiet", "--threads", "1"]


def run(tmp_path: Path, *words: str, name: str = "run", steps: int = 400) -> Path:
    where = ["--log-dir", str(tmp_path), "--run-name", name, "--total-steps", f"{steps}"]
    assert train.main([*words, *SHORT, *where]) == 0
    return tmp_path / name


def evaluated(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert train.main(["--evaluate", str(folder), "--episodes", "2", "--json", "--quiet", *words]) == 0
    return json.loads(capsys.readouterr().out)["policies"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--channel.los", "1"], r"unknown option --channel\.los \(did you mean --channel\.loss\?\)"),
        (["--channel.loss", "3"], r"--channel\.loss is 3\.0; allowed are 0 to 1"),
        (["--channel.entries", "3"], r"--channel\.entries is 3; attention splits them .* give a multiple of 2"),
        (
            ["--channel.range", "5"],
            r"--channel\.range 5 needs to know where agents are, .* do not say: leave it at 0",
        ),
        (
            ["--algo.comm-graph", "knn-2"],
            r"--algo\.comm-graph 'knn-2' needs to know where agents are, .* do not say: use 'env' or 'full'",
        ),
        (["--channel.burst", "3"], r"--channel\.burst is 3, but loss is 0"),
        (["--channel.least", "3"], r"--channel\.least is 3, but change is 0"),
        (
            ["--algo.comm", "none", "--algo.comm-rounds", "2"],
            r"--algo\.comm-rounds is 2, but comm is 'none', so nobody",
        ),
        (["--channel.partition", "9-2:0|1"], r"--channel\.partition is '9-2:0\|1'; write steps and groups"),
        (["--channel.partition", "1-2:1|9"], r"--channel\.partition names agent 9; there are agents 0 to 3"),
        (["--algo.comm-graph", "ring"], r"--algo\.comm-graph is 'ring'; allowed are env, full, knn-K and radius-R"),
        (["--algo.comm-gate", "--channel.loss", "0.1"], r"--algo\.comm-gate needs a medium that remembers nothing"),
        (["--algo.channel", "3"], r"unknown option --algo\.channel"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main([*TALK, *words]) == 2
    said = capsys.readouterr()
    assert re.fullmatch(rf"train\.py: {line}.*\n", said.err), said.err
    assert not list(tmp_path.iterdir())


def test_the_medium_is_kept_with_the_run_and_its_scalars_are_written(tmp_path: Path) -> None:
    folder = run(tmp_path, *TALK, "--channel.loss", "0.25", "--channel.bits", "4", "--channel.entries", "8")
    channel = json.loads((folder / "config.json").read_text())["algo"]["options"]["channel"]
    assert (channel["loss"], channel["bits"], channel["entries"]) == (0.25, 4, 8)
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["comm/bits"] == 8 * 4 * last["comm/messages"]
    assert 0 < last["comm/heard"] <= 1
    assert last["comm/age"] > 0
    assert "comm/influence" in last


def test_an_evaluation_may_sever_the_channel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path, *TALK, "--algo.minibatches", "2", steps=30_000)
    heard = evaluated(folder, capsys)["learned"]["share_right"]["mean"]
    severed = evaluated(folder, capsys, "--channel.loss", "1")["learned"]["share_right"]["mean"]
    assert heard > 0.8
    assert severed < 0.45
    with pytest.raises(ValueError, match=r"channel\.entries is 8; networks trained with 32 cannot"):
        load_policy(folder, channel={"entries": 8})
    with pytest.raises(ValueError, match=r"channel\.los is not known; did you mean loss"):
        load_policy(folder, channel={"los": 1})
    config = json.loads((folder / "config.json").read_text())
    for damaged in ({"loss": 7}, {"los": 1}, 3):
        config["algo"]["options"]["channel"] = damaged
        (folder / "config.json").write_text(json.dumps(config))
        assert train.main(["--evaluate", str(folder), "--episodes", "2"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    silent = run(tmp_path, *TALK[:4], name="silent")
    with pytest.raises(ValueError, match="this policy does not talk"):
        load_policy(silent, channel={"loss": 1.0})
    assert train.main(["--evaluate", str(silent), "--channel.loss", "1"]) == 2


def test_an_evaluation_may_be_in_another_world_with_more_agents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--env", "traffic_junction", "--env.task", "easy-1", "--algo", "mappo", "--algo.comm", "graph"]
    folder = run(tmp_path, *words)
    assert len(load_policy(folder).agents) == 15
    long = evaluated(folder, capsys, "--env.max-steps", "40")  # more cars arrive: there are names for 30
    assert long["learned"]["length"]["mean"] == 40
    assert long["random"]["throughput"]["mean"] > evaluated(folder, capsys)["random"]["throughput"]["mean"]
    assert train.main(["--evaluate", str(folder), "--env.task", "medium-1"]) == 2
    assert "the environment has changed: its observations have shape" in capsys.readouterr().err
    apart = run(tmp_path, *words, "--algo.share", "none", name="apart")
    assert train.main(["--evaluate", str(apart), "--env.max-steps", "40"]) == 2
    assert "only a policy that is the same for all" in capsys.readouterr().err


def test_a_film_shows_who_listens_to_whom(tmp_path: Path) -> None:
    from PIL import Image

    sizes = []
    for name, words in (("talks", TALK), ("silent", TALK[:4])):
        folder, film = run(tmp_path, *words, "--env.max-steps", "4", name=name), tmp_path / f"{name}.gif"
        assert train.main(["--evaluate", str(folder), "--episodes", "1", "--video", str(film), "--quiet"]) == 0
        with Image.open(film) as image:
            sizes.append(image.size)
    assert sizes[0][0] > sizes[1][0]
    assert sizes[0][1] == sizes[1][1]


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Returns the line with which an evaluation is refused."""
    capsys.readouterr()
    assert train.main(["--evaluate", str(folder), "--episodes", "2", "--quiet", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_medium_that_a_policy_cannot_meet_is_refused_by_the_name_of_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = run(tmp_path, *TALK, name="plain")
    rounded = run(
        tmp_path, *TALK, "--channel.bits", "4", "--channel.loss", "0.2", "--channel.learned-decay", name="rounded"
    )
    for folder, words, line in (
        (plain, ["--channel.range", "2"], "--channel.range 2 needs to know where agents are, .*: leave it at 0"),
        (plain, ["--channel.partition", "0-3:0,9"], "--channel.partition names agent 9; there are agents 0 to 3"),
        (plain, ["--channel.entries", "8"], "--channel.entries is 8; networks trained with 32 cannot"),
        (plain, ["--channel.bits", "4"], "--channel.bits is 4; networks trained with 0 cannot be run with it"),
        (
            plain,
            ["--channel.curriculum", "0.5", "--channel.loss", "0.1"],
            "--channel.curriculum is 0.5; a medium tightens in",
        ),
        (plain, ["--channel.burst", "3"], "--channel.burst is 3, but loss is 0"),
        (rounded, ["--channel.bits", "0"], "--channel.bits is 0; networks trained with 4 cannot be run with it"),
        (rounded, ["--channel.decay", "0.5"], "--channel.decay is 0.5; this policy has learned its own"),
    ):
        said = refused(folder, capsys, *words)
        assert re.fullmatch(rf"train\.py: {line}.*", said), said
    evaluated(rounded, capsys, "--channel.bits", "16")
    load_policy(rounded, channel={"bits": 2})


def test_a_policy_is_evaluated_in_the_medium_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However far the curriculum of its training was when its checkpoint was written."""
    words = ["--channel.loss", "1", "--channel.curriculum", "0.5", "--save-every", "200"]
    folder = run(tmp_path, *TALK, *words)
    for path in sorted((folder / "checkpoints").glob("step-*.pt"))[1:]:
        path.unlink()  # what is left was written when nothing was lost yet
    policy = load_policy(folder)
    env = envs.parallel_env("whispers")
    observations, infos = env.reset(seed=0)
    policy.act(observations, infos)
    assert set(policy._memory["age"].unique().tolist()) == {NOTHING}
    deaf = evaluated(folder, capsys)["learned"]
    severed = evaluated(folder, capsys, "--channel.loss", "1")["learned"]
    assert deaf == severed


def test_distances_are_those_of_the_world_in_which_a_policy_is_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A world twice as large: the same numbers in observations are twice as far apart."""
    words = ["--env", "rovers", "--env.size", "30", "--algo", "mappo", "--algo.comm", "mean"]
    folder = run(tmp_path, *words, "--algo.comm-graph", "radius-10")
    assert scale_of(load_policy(folder)) == 15.0
    found: list[float] = []

    def spied(*args: Any, **kwargs: Any) -> Any:
        policy = load_policy(*args, **kwargs)
        found.append(scale_of(policy))
        return policy

    monkeypatch.setattr(evaluating, "load_policy", spied)
    evaluated(folder, capsys)
    evaluated(folder, capsys, "--env.size", "60")
    evaluated(folder, capsys, "--env.size", "60", "--env.n-rovers", "4")
    assert found == [15.0, 30.0, 30.0]
    record = runfolder.read_config(folder)
    elsewhere = replace(record.spec, pose_scale=7.0)
    assert not misfit(record, record.spec, record.agents)
    assert (
        "its observations hold positions at (8, 9) in units of 7; the run was trained with (8, 9) in units of 15"
        in (misfit(record, elsewhere, record.agents))
    )
    silent = replace(record, algo=replace(record.algo, options={}))
    assert not misfit(silent, elsewhere, record.agents)
    with pytest.raises(ValueError, match=r"do not hold the position of their agent, and those of the training held it"):
        load_policy(folder, spec=replace(record.spec, pose=()))


def scale_of(policy: Policy) -> float:
    acting = policy._acting
    assert isinstance(acting, Actor)
    assert acting.conversation is not None
    return acting.conversation.scale


@pytest.mark.slow
def test_attention_comes_close_to_the_optimum_through_losses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the preset, 120,000 steps: within 0.03 of the closed form, and nobody can do better."""
    words = [*TALK, "--env.task", "whispers-4-slow", "--channel.loss", "0.2", "--eval-episodes", "0", "--no-videos"]
    where = ["--log-dir", str(tmp_path), "--run-name", "long", "--quiet", "--threads", "1"]
    assert train.main([*words, *where]) == 0
    found = evaluated(tmp_path / "long", capsys, "--episodes", "200")["learned"]["share_right"]["mean"]
    optimum = over_episode(50, 4, persistence=0.9, loss=0.2)
    assert optimum - 0.03 < found < optimum + 0.01
