"""NaN and infinity end a run in one line, before anything is saved over the last good checkpoint."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streams import SPECS
from toys import Match, Toy

from algos.core import spec_of
from algos.mappo import Mappo, MappoConfig
from algos.training import checkpoint
from algos.training.evaluation import evaluate, random_policy
from algos.training.finite import NonFiniteError, check_learning, check_saved, check_step
from algos.training.schedule import Schedule
from algos.training.session import Session, run
from train import main

SMALL = MappoConfig(rollout_steps=16, minibatches=2, hidden=(16,))


class Broken(Match):
    """`Match`, but the environment gives `value` once in `field`, for agent 1 in world 3, in its 40th step."""

    def __init__(self, field: str, value: float, at: int = 40) -> None:
        super().__init__()
        self.field, self.value, self.at, self.count = field, value, at, 0

    def step(self, action: Any) -> Any:
        self.count += 1
        final, following = super().step(action)
        if self.count != self.at:
            return final, following
        where = (3, 1) if self.field in ("obs", "reward", "cost") else (3,)
        step = following if self.field == "obs" else final
        broken = np.array(getattr(step, self.field), dtype=np.float32)
        broken[where] = self.value
        step = step._replace(**{self.field: broken})
        return (final, step) if self.field == "obs" else (step, following)


def trained(env: Toy, folder: Path, **options: Any) -> Any:
    (folder / "checkpoints").mkdir(parents=True)
    algo = Mappo(spec_of(env), SMALL, seed=0)
    schedule = Schedule(total_steps=3200, eval_episodes=0, **options)
    return run(Session(env, algo, schedule, folder=folder, seed=0, make_env=lambda n: Match(n), quiet=True))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("reward", math.nan, "reward nan of toy_1 in world 3"),
        ("reward", math.inf, "reward inf of toy_1 in world 3"),
        ("obs", -math.inf, "observation -inf of toy_1 in world 3"),
        ("cost", math.nan, "cost nan of toy_1 in world 3"),
        ("team_reward", math.nan, "team reward nan in world 3"),
    ],
)
def test_what_an_environment_says_that_is_not_finite_ends_the_run(field, value, said, tmp_path):
    with pytest.raises(NonFiniteError, match=said) as error:
        trained(Broken(field, value), tmp_path, save_every=320)
    assert "step 624" in str(error.value)
    path, content = checkpoint.load_latest(tmp_path / "checkpoints")
    check_saved(content["algo"])  # the last finite policy is kept
    assert content["run"]["steps"] == 320, path


def test_an_evaluation_does_not_count_what_is_not_finite(tmp_path):
    env = Broken("reward", math.nan, at=1)
    with pytest.raises(NonFiniteError, match="reward nan of toy_1 in world 3"):
        evaluate(env, random_policy(env), 64)


def test_entries_of_dead_agents_may_hold_anything():
    env = Match()
    step = env.reset(0)
    alive = step.alive.copy()
    alive[3, 1] = False
    obs, reward = step.obs.copy(), step.reward.copy()
    obs[3, 1] = reward[3, 1] = math.nan
    step = step._replace(alive=alive, obs=obs, reward=reward)
    check_step(step, step, alive, env.agents)
    with pytest.raises(NonFiniteError, match="toy_1 in world 3"):
        check_step(step, step, np.ones_like(alive), env.agents)


def test_large_numbers_whose_sum_is_too_large_are_finite():
    env = Match()
    step = env.reset(0)
    step = step._replace(obs=np.full_like(step.obs, 3e38, dtype=np.float32))
    check_step(step, step, step.alive, env.agents)


@pytest.mark.parametrize("algo", ["mappo", "ippo", "maddpg"])
@pytest.mark.parametrize("options", [[], ["--env.continuous"]])
def test_a_diverging_run_ends_in_one_line_and_keeps_the_last_good_checkpoint(algo, options, tmp_path, capsys):
    if algo == "maddpg":
        steep = ["--algo.critic-lr", "1e6"]
    else:  # within the range of a step size, it takes many layers that are not bounded
        steep = ["--algo.lr", "1e6", "--algo.activation", "relu", "--algo.hidden", *["16"] * 8]
    words = ["--env", "spread", *options, "--algo", algo, *steep, "--total-steps", "8000", "--n-worlds", "16"]
    words += ["--log-dir", str(tmp_path), "--run-name", "x", "--quiet", "--no-videos", "--save-every", "400"]
    assert main(words) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "learning has diverged" in said[0]
    assert "step" in said[0]
    for path in (tmp_path / "x" / "checkpoints").glob("*.pt"):
        check_saved(checkpoint.load(path)["algo"])


def test_a_parameter_that_is_not_finite_is_named():
    policy = Mappo(SPECS[0], SMALL, seed=0).policy
    check_learning({"loss": 1.0}, policy)
    with torch.no_grad():
        dict(policy.named_parameters())["trunk.layers.0.bias"][0, 3] = math.inf
    with pytest.raises(NonFiniteError, match=r"parameter trunk\.layers\.0\.bias of the policy is not finite"):
        check_learning({"loss": 1.0}, policy)
    with pytest.raises(NonFiniteError, match=r"entropy is nan"):
        check_learning({"entropy": math.nan}, policy)


def test_a_checkpoint_that_is_not_finite_is_neither_played_nor_gone_on_with(tmp_path, capsys):
    words = ["--env", "spread", "--algo", "mappo", "--total-steps", "400", "--n-worlds", "16", "--no-videos"]
    words += ["--eval-episodes", "0", "--log-dir", str(tmp_path), "--run-name", "x", "--quiet"]
    assert main(words) == 0
    folder = tmp_path / "x"
    path, content = checkpoint.load_latest(folder / "checkpoints")
    content["algo"]["policy"]["trunk.layers.0.bias"].fill_(math.nan)
    checkpoint.save(path, content)  # as a version that did not look at what it saved
    capsys.readouterr()
    for words in (["--evaluate", str(folder), "--episodes", "1"], ["--resume", str(folder), "--total-steps", "1600"]):
        assert main([*words, "--quiet"]) == 2
        out, said = capsys.readouterr()
        assert out == ""
        assert len(said.splitlines()) == 1
        assert f"{path.name} holds numbers that are not finite: policy.trunk.layers.0.bias" in said


def test_nothing_that_is_not_finite_is_saved():
    with pytest.raises(NonFiniteError, match=r"critic\.0\.weight is not finite"):
        check_saved({"policy": {"w": torch.ones(2)}, "critic": [{"weight": torch.tensor([1.0, math.nan])}]})
