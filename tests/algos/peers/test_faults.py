"""A peer that turns bad harms nobody: one that reports false returns, and one whose parameters become noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import Array, Match

import train
from algos.core import Obs, Transition, spec_of
from algos.mappo import IppoConfig, Mappo
from algos.nets.variation import Variation
from algos.peers.config import PeersConfig
from algos.peers.council import Council, accompany
from algos.peers.permission import Permission
from algos.peers.returns import Returns
from algos.peers.sharing import NOBODY, best_rated, truncation
from algos.peers.trial import Trials
from algos.training.random_play import same
from benchmarks.faults import Liar, Noisy, faulty

EVERY = {"ucb": {"share": "ucb", "share_every": 256}, "pbt": {"share": "pbt", "share_every": 256}}
UPDATES = 16
EVERY |= {"distill": {"distill": True, "distill_every": 256}}


class Lines:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, steps: int, line: dict[str, Any]) -> None:
        self.lines.append({"step": steps, **line})


def three(seed: int = 0) -> tuple[Match, Mappo]:
    env = Match(16, 3)
    options: dict[str, Any] = {"hidden": (16,), "share": "none", "rollout_steps": 16, "minibatches": 2, "anneal": False}
    return env, Mappo(spec_of(env), IppoConfig(lr=1e-2, **options), seed=seed)


def played(
    rule: str, fault: Callable[..., Any] | None = None, *, begins: int = 0, slow: bool = True, **options: Any
) -> tuple[Array, list[dict[str, Any]]]:
    """Trains three learners, of which the last never learns if it is `slow`, and turns bad after `begins` updates.

    Returns:
        (3,) mean returns over the last two updates, and the lines of the ledger.
    """
    env, algo = three()
    ledger: Any = Lines()
    config = PeersConfig(**{**EVERY[rule], **options})
    permission = Permission("all", env.agents, env.groups)
    council: Any = Council(config, algo, env.agents, permission, seed=0, ledger=ledger)
    if slow:
        algo.variation = algo.variation or Variation.equal(3, 0.99, algo.device)
        algo.variation.pace[2] = 0.0
    companion = council if fault is None else fault(council, algo, learner=2, since=256 * begins)
    step, ended, earned = env.reset(0), np.ones(16, bool), []
    for at in range(16 * UPDATES):
        algo.progress = at / (16 * UPDATES)
        obs = Obs(step.obs, step.state, step.adjacency, step.alive, None, ended)
        action = algo.act(obs)
        final, step = env.step(action)
        algo.observe(
            Transition(
                obs=obs,
                action=action,
                reward=final.reward,
                team_reward=final.team_reward,
                counterfactual=None,
                cost=final.cost,
                terminated=final.terminated,
                truncated=final.truncated,
                final=Obs(final.obs, final.state, final.adjacency, final.alive, None, ~ended),
                ended=ended,
            )
        )
        companion.after_step(16 * (at + 1), obs, final.reward.astype(np.float64), learned=bool(algo.update()))
        earned.append(final.reward.mean(0))
    return np.mean(earned[-32:], axis=0), ledger.lines


@pytest.mark.parametrize("rule", list(EVERY))
def test_a_liar_harms_nobody(rule: str) -> None:
    found, lines = played(rule, Liar)
    assert found[:2].min() >= 0.95  # the best return is 1
    assert found[2] < 0.4
    if rule != "distill":
        assert {line["from"] for line in lines if line["kind"] in ("returned", "distrusts")} == {"toy_2"}
        last = max(line["step"] for line in lines if line["kind"] == rule)
        assert last <= 256 * (UPDATES - 2)  # what cannot be judged before the end is not tried


def test_without_trials_all_follow_the_liar() -> None:
    found, _ = played("ucb", Liar, share_trial=False)
    assert found[:2].mean() < 0.7


@pytest.mark.parametrize("rule", list(EVERY))
def test_noise_harms_nobody(rule: str) -> None:
    found, _ = played(rule, Noisy, begins=8, slow=False)
    assert found.min() >= 0.95


def parameters(algo: Mappo) -> torch.Tensor:
    return torch.cat([adam.vector[adam.own] for adam in (algo.policy_adam, algo.critic_adam)], dim=1).clone()


def returns_of(*means: float) -> Returns:
    found = Returns(3, 8)
    found.add(np.array(means) + np.tile([[-1.0], [1.0]], (4, 1)))
    return found


@pytest.mark.parametrize(
    ("promised", "after", "back", "trust"),
    [
        (9.0, 9.0, False, 1.0),  # as promised
        (9.0, 5.0, False, 0.25),  # no harm, but no truth either
        (9.0, 1.0, True, 0.25),
        (9.0, 4.0, False, 0.25),
        (4.5, 4.0, False, 1.0),  # it may be chance
    ],
)
def test_a_learner_that_is_hurt_goes_back_and_one_that_is_deceived_trusts_less(
    promised: float, after: float, back: bool, trust: float
) -> None:
    algo = three()[1]
    algo.variation = Variation.equal(3, 0.99, algo.device)
    algo.variation.pace[0] = 0.7
    trials, returns = Trials(algo, 3), returns_of(4.0, promised, 0.0)
    before, remembered = parameters(algo), returns.of(0)
    trials.begin(0, 1, returns, whole=True)
    for adam in (algo.policy_adam, algo.critic_adam):
        adam.vector.add_(1.0)
    algo.variation.pace[0] = 2.0
    verdict = trials.judge(0, now := returns_of(after, promised, 0.0), running=0)
    assert (verdict.hurt, verdict.trust) == (back, trust)
    assert verdict.cheated == (trust < 1.0)
    assert trials.trust.tolist() == [[1.0, trust, 1.0], [1.0] * 3, [1.0] * 3]
    assert torch.equal(parameters(algo)[0], before[0] if back else before[0] + 1.0)
    assert torch.equal(parameters(algo)[1:], before[1:] + 1.0)
    assert algo.variation.pace.tolist() == pytest.approx([0.7 if back else 2.0, 1.0, 1.0])
    assert (now.of(0) == remembered).all() == (back or after == 4.0)


def test_who_takes_a_part_of_the_way_was_promised_nothing() -> None:
    algo = three()[1]
    trials = Trials(algo, 3)
    trials.begin(0, 1, returns_of(4.0, 9.0, 0.0), whole=False)
    assert trials.judge(0, returns_of(5.0, 9.0, 0.0), running=0) == (False, False, 1.0)


def test_trust_comes_back_slowly() -> None:
    trials = Trials(three()[1], 3)
    trials.trust[0, 1] = 0.25
    lost = 0
    while not trials.believed[0, 1]:
        trials.recover()
        lost += 1
    assert lost == 15
    assert trials.trust.max() == 1.0


def test_trials_go_on_from_their_state() -> None:
    algo = three()[1]
    trials, again = Trials(algo, 3), Trials(algo, 3)
    trials.begin(2, 1, returns_of(4.0, 9.0, 0.0), whole=True)
    trials.trust[1, 0] = 0.3
    again.load_state_dict(trials.state_dict())
    assert same(again.state_dict(), trials.state_dict())
    assert again.judge(2, returns_of(4.0, 9.0, -9.0), running=0).hurt


def test_those_that_are_not_believed_are_not_asked() -> None:
    believed = np.ones((3, 3), bool)
    believed[0, 2] = False
    mean, may = np.array([0.0, 1.0, 2.0]), ~np.eye(3, dtype=bool)
    sources, refused = best_rated(mean, mean, may, 1.0, believed=believed)
    assert sources.tolist() == [1, 2, NOBODY]
    assert refused.tolist() == [NOBODY] * 3  # nobody has forbidden it
    by_each = np.array([[0.0, 1.0, 0.0], [0.0, 3.0, 2.0], [0.0, 1.0, 2.0]])  # the second one rates itself higher
    assert best_rated(by_each, mean, may, 1.0)[0].tolist() == [1, NOBODY, NOBODY]
    assert truncation(mean, may, np.random.default_rng(0), believed=believed)[0].tolist() == [1, NOBODY, NOBODY]


def test_a_run_can_have_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algos.cli.new_run.accompany", faulty(accompany, Liar, learner=0))
    words = ["--env", "gymnasium:CartPole-v1", "--env.n-workers", "1", "--env.n-copies", "3", "--algo", "ippo"]
    words += ["--algo.share", "none", "--algo.hidden", "8", "--algo.rollout-steps", "8", "--algo.minibatches", "2"]
    words += ["--n-worlds", "4", "--total-steps", "3000", "--eval-episodes", "0", "--no-videos", "--quiet"]
    words += ["--peers.share", "ucb", "--peers.share-every", "4", "--log-dir", str(tmp_path), "--run-name", "run"]
    assert train.main(words) == 0
    told = [json.loads(line) for line in (tmp_path / "run" / "peers.jsonl").read_text().splitlines()]
    assert any((line["kind"], line.get("from")) == ("ucb", "learner_0") for line in told)
    assert not any(line.get("to") == "learner_0" for line in told)
    assert any((line["kind"], line.get("from")) == ("distrusts", "learner_0") for line in told)
