"""The policy of one learner of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import train
from algos import load_policy

FAST = [
    "--algo.hidden",
    "8",
    "--n-worlds",
    "4",
    "--eval-episodes",
    "0",
    "--no-videos",
    "--quiet",
    "--total-steps",
    "200",
]


def trained(folder: Path, *words: str) -> Path:
    assert train.main([*words, *FAST, "--log-dir", str(folder), "--run-name", "run"]) == 0
    return folder / "run"


@pytest.mark.parametrize(
    "words",
    [
        ("--env", "gymnasium:CartPole-v1", "--env.n-copies", "3", "--algo", "ippo", "--algo.rollout-steps", "16"),
        ("--env", "spread", "--algo", "maddpg", "--algo.warm-up", "40", "--algo.batch", "16"),
        (
            "--env",
            "spread",
            "--env.continuous",
            "--algo",
            "mappo",
            "--algo.rollout-steps",
            "16",
            "--algo.obs-norm",
            "on",
        ),
    ],
)
def test_a_learner_acts_alone_as_it_does_among_the_others(words: tuple[str, ...], tmp_path: Path) -> None:
    run = trained(tmp_path, *words, "--algo.share", "none")
    together = load_policy(run)
    rng = np.random.default_rng(0)
    shape = (4,) if "gymnasium:CartPole-v1" in words else together.spec.obs_shape
    alone = [load_policy(run, learner=i) for i in range(3)]
    assert [policy.agents for policy in alone] == [(name,) for name in together.agents]
    differ = False
    for _ in range(20):
        seen = rng.standard_normal(shape).astype(np.float32)
        actions = together.act(dict.fromkeys(together.agents, seen))
        differ |= len({np.asarray(action).tobytes() for action in actions.values()}) > 1
        for policy, (name, action) in zip(alone, actions.items(), strict=True):
            np.testing.assert_allclose(policy.act({name: seen})[name], action, rtol=1e-5, atol=1e-6)
    assert differ


def test_what_is_no_learner_is_refused(tmp_path: Path) -> None:
    run = trained(tmp_path / "none", "--env", "spread", "--algo", "ippo", "--algo.share", "none")
    with pytest.raises(ValueError, match="learner is 3; allowed are 0 to 2"):
        load_policy(run, learner=3)
    shared = trained(tmp_path / "all", "--env", "spread", "--algo", "ippo")
    with pytest.raises(ValueError, match="learner is 0, but agents of this run share parameters: leave it out"):
        load_policy(shared, learner=0)
