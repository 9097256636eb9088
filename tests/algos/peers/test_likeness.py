"""How much learners differ: known answers, and what a run shows of it without learning anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train
from algos.core import Spec
from algos.mappo import IppoConfig, Mappo
from algos.peers.exchange import copy_of, move
from algos.peers.likeness import Likeness
from algos.training import checkpoint
from algos.training.random_play import Stream, same

NAMES = ("a", "b", "c")


def three(**options: Any) -> tuple[Mappo, Stream]:
    spec = Spec(3, 5, 0, Discrete(4), ((0, 1, 2),))
    given: dict[str, Any] = {"hidden": (8,), "share": "none", "rollout_steps": 8, **options}
    return Mappo(spec, IppoConfig(**given), seed=0), Stream(spec, 100)


def test_divergences_are_those_of_the_definition() -> None:
    algo, stream = three()
    move(algo, 1, copy_of(algo, 0))
    with torch.no_grad():
        algo.policy.trunk.head.weights[0][2].mul_(100.0)
    likeness = Likeness(algo, NAMES, None)
    assert likeness.measured() == {}
    assert likeness.pictures() == {}
    likeness.remember(stream.now)
    told = likeness.measured()
    obs, mask = torch.from_numpy(stream.now.obs), torch.from_numpy(stream.now.action_mask)
    expected = np.zeros((3, 3))
    with torch.no_grad():
        for j in range(3):
            chances = []
            for i in range(3):
                seat = torch.zeros(100, 3, 5)
                seat[:, i] = obs[:, j]
                chances.append(algo.policy(seat).head[:, i].masked_fill(~mask[:, j], -1e30).log_softmax(-1))
            for i in range(3):
                expected[j, i] = float((chances[i].exp() * (chances[i] - chances[j])).sum(-1).mean())
    apart = expected[~np.eye(3, dtype=bool)]
    assert apart.max() > 0.01
    assert told["peers/divergence"] == pytest.approx(apart.mean(), abs=1e-5)
    assert told["peers/divergence_min"] == pytest.approx(0.0, abs=1e-6)  # of the twins
    assert told["peers/divergence_max"] == pytest.approx(apart.max(), abs=1e-5)
    assert likeness.pictures()["peers/divergences"].ndim == 3


def test_the_newest_moments_are_kept_and_saved() -> None:
    algo, stream = three()
    likeness, again = (Likeness(algo, NAMES, None) for _ in range(2))
    for _ in range(5):
        likeness.remember(stream.now)
        stream.step(np.zeros((100, 3), np.int64))
    kept = likeness.state_dict()
    assert sum(len(part[1]) for part in kept) == 300  # the fewest that are at least 256
    again.load_state_dict(kept)
    assert same(again.state_dict(), kept)
    assert again.measured() == likeness.measured()


@pytest.mark.parametrize("options", [{"gru": 4}, {"comm": "mean"}, {"agent_id": True}])
def test_policies_that_cannot_answer_for_others_are_not_compared(options: dict[str, Any]) -> None:
    algo, stream = three(**options)
    likeness = Likeness(algo, NAMES, None)
    likeness.remember(stream.now)
    assert likeness.measured() == {}


HERE = ["--env", "gymnasium:CartPole-v1", "--env.n-workers", "1", "--env.n-copies", "3", "--algo", "ippo", "--quiet"]
HERE += ["--algo.hidden", "8", "--algo.rollout-steps", "8", "--algo.minibatches", "2", "--algo.share", "none"]
HERE += ["--n-worlds", "4", "--eval-episodes", "2", "--eval-every", "300", "--total-steps", "400", "--no-videos"]


def test_a_run_shows_who_differs_from_whom_and_learns_nothing_else(tmp_path: Path) -> None:
    for name, words in (("compared", ["--peers.share", "independent"]), ("plain", [])):
        assert train.main([*HERE, *words, "--log-dir", str(tmp_path), "--run-name", name]) == 0
    ours, theirs = (
        checkpoint.load_latest(tmp_path / name / "checkpoints", warn=print)[1]["algo"]["policy"]
        for name in ("compared", "plain")
    )
    assert same(ours, theirs)
    rows = [json.loads(line) for line in (tmp_path / "compared" / "metrics.jsonl").read_text().splitlines()]
    row = next(row for row in rows if "peers/divergence" in row)
    assert 0.0 <= row["peers/divergence_min"] <= row["peers/divergence"] <= row["peers/divergence_max"]
    events = EventAccumulator(str(tmp_path / "compared"))
    events.Reload()
    shown = events.Images("peers/divergences")
    assert [image.step for image in shown] == [row["step"] for row in rows if "peers/divergence" in row]
    assert shown[0].encoded_image_string.startswith(b"\x89PNG")
    assert shown[0].width > 100
