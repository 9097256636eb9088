"""Peer policy distillation: who teaches whom on toys with known answers, and what learners learn of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch.distributions import Categorical, Normal, kl_divergence

import train
from algos.core import Spec
from algos.maddpg import IddpgConfig, Maddpg
from algos.mappo import IppoConfig, Mappo
from algos.nets.lesson import Tried, divergence_of_discrete, divergence_of_gaussians, mixture, moments
from algos.nets.variation import Variation
from algos.peers.config import PeersConfig
from algos.peers.exchange import copy_of, move
from algos.peers.lead import leads, trusted, weights
from algos.peers.returns import Returns
from algos.peers.school import School
from algos.peers.tutor import Tutor, merit_of
from algos.training import checkpoint
from algos.training.random_play import Stream, drive

ALL = ~np.eye(3, dtype=bool)


def test_divergences_are_those_of_torch() -> None:
    p, logits = torch.tensor([[0.2, 0.8, 0.0]]), torch.tensor([[0.3, -0.1, 2.0]])
    log_q = logits.log_softmax(-1)
    torch.testing.assert_close(
        divergence_of_discrete(p, log_q), kl_divergence(Categorical(p), Categorical(logits=logits))
    )
    mean, variance, other, log_std = (torch.tensor([[x, y]]) for x, y in ((1, 2), (0.25, 4), (0.5, -1), (0.1, -0.2)))
    expected = kl_divergence(Normal(mean, variance.sqrt()), Normal(other, log_std.exp())).sum(-1)
    torch.testing.assert_close(divergence_of_gaussians(mean, variance, other, log_std), expected)


def test_one_lesson_has_the_gradient_of_all_teachers() -> None:
    shares = torch.tensor([[0.25], [0.75]])  # (K, N)
    chances = torch.tensor([[[0.9, 0.1]], [[0.3, 0.7]]])  # (K, N, A)
    logits = torch.tensor([[0.4, -0.2]], requires_grad=True)
    one = divergence_of_discrete(mixture(chances, shares), logits.log_softmax(-1)).sum()
    every = torch.zeros(()) + sum(
        (share * divergence_of_discrete(p, logits.log_softmax(-1))).sum()
        for share, p in zip(shares, chances, strict=True)
    )
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits)[0] for loss in (one, every)))
    mean, variance = torch.tensor([[[1.0]], [[-2.0]]]), torch.tensor([[[0.5]], [[2.0]]])
    own, log_std = torch.tensor([[0.3]], requires_grad=True), torch.tensor([[0.2]], requires_grad=True)
    one = divergence_of_gaussians(*moments(mean, variance, shares), own, log_std).sum()
    every = torch.zeros(()) + sum(
        (share * divergence_of_gaussians(m, v, own, log_std)).sum()
        for share, m, v in zip(shares, mean, variance, strict=True)
    )
    for of_one, of_every in zip(
        torch.autograd.grad(one, (own, log_std)), torch.autograd.grad(every, (own, log_std)), strict=True
    ):
        torch.testing.assert_close(of_one, of_every)


def test_a_lead_must_be_sure() -> None:
    lead = leads(np.array([0.0, 10.0, np.nan]), np.array([3.0, 4.0, np.inf]))
    assert lead[0, 1] == 10.0 - 5.0
    assert lead[1, 0] == -10.0 - 5.0
    assert lead[0, 2] == lead[2, 0] == -np.inf


def test_weights_follow_the_lead_and_fall_to_zero_with_it() -> None:
    trust = np.array([[1.0], [1.0], [0.5]])
    found = weights(np.array([[0, 2.0, 8.0], [-2, 0, 6], [-8, -6, 0]]), ALL, trust, 4.0, most=2, strength=3.0)
    assert found.tolist() == [[0.0, 1.5, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]
    one = weights(np.array([[0, 2.0, 8.0], [-2, 0, 6], [-8, -6, 0]]), ALL, trust, 4.0, most=1, strength=3.0)
    assert one.tolist() == [[0.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]
    falls = [
        weights(
            leads(np.array([mean, 10.0]), np.ones(2)),
            ~np.eye(2, dtype=bool),
            np.ones((2, 1)),
            4.0,
            most=1,
            strength=1.0,
        )
        for mean in (0.0, 5.0, 7.0, 9.0, 10.0)
    ]
    taught = [found[0, 1] for found in falls]
    assert taught[0] == 1.0
    assert sorted(taught, reverse=True) == taught
    assert taught[-2:] == [0.0, 0.0]


def test_a_refusal_is_no_teacher() -> None:
    may = ALL.copy()
    may[0, 2] = False
    found = weights(np.array([[0, 2.0, 8.0], [-2, 0, 6], [-8, -6, 0]]), may, np.ones((3, 1)), 4.0, most=1, strength=1.0)
    assert found[0].tolist() == [0.0, 0.5, 0.0]


def test_a_learner_that_is_hurt_trusts_its_teachers_less() -> None:
    gain, error, nearer = np.array([-3.0, -3.0, 3.0, np.nan]), np.full(4, 2.0), np.array([0.1, -0.1, 0.1, 0.1])
    taught, unknown = np.zeros((4, 4), bool), np.full((4, 4), np.nan)
    taught[:, :2] = True
    found = trusted(np.full((4, 4), 0.5), taught, gain, error, nearer, unknown)
    assert found[0].tolist() == pytest.approx([0.25, 0.25, 0.55, 0.55])
    assert found[1:].ravel().tolist() == pytest.approx([0.55] * 12)
    assert (trusted(np.ones((4, 4)), taught, gain, np.full(4, 4.0), nearer, unknown) == 1.0).all()  # it may be chance


def test_a_teacher_that_one_would_lose_by_following_is_trusted_less() -> None:
    """Unless the learner's return surely rises."""
    taught, merit = ~np.eye(2, dtype=bool), np.array([[0.0, -0.1], [-0.1, 0.0]])
    gain, error, nearer = np.array([0.5, 3.0]), np.ones(2), np.full(2, np.nan)
    assert trusted(np.ones((2, 2)), taught, gain, error, nearer, merit).tolist() == [[1.0, 0.5], [1.0, 1.0]]


def test_merit_is_the_mean_of_cut_weights_and_advantages_less_its_errors() -> None:
    tried = Tried(torch.zeros(4, 1), torch.tensor([[-1.0]] * 4), torch.tensor([[2.0], [-1.0], [-1.0], [99.0]]))
    there = torch.tensor([[True], [True], [True], [False]])
    log_prob = torch.tensor([[5.0], [-1.0], [-1.0 + np.log(0.5)], [5.0]])
    gains = np.array([4.0, -1.0, -0.5])
    slack = 3.0 * gains.std() / 3**0.5
    assert merit_of(log_prob, tried, there, learners=1).tolist() == [0.0]  # 0.83, but unsure by 3.9
    assert slack > gains.mean()
    many = Tried(*(field.repeat(100, 1) for field in tried))
    found = merit_of(log_prob.repeat(100, 1), many, there.repeat(100, 1), learners=1)
    assert found.tolist() == pytest.approx([gains.mean() - slack / 10.0], rel=1e-4)
    many = many._replace(advantage=-many.advantage)
    assert merit_of(log_prob.repeat(100, 1), many, there.repeat(100, 1), learners=1).tolist() == pytest.approx(
        [slack / 10.0 - gains.mean()], rel=1e-4
    )


def test_a_teacher_that_is_little_trusted_gives_way_to_one_that_is_less_ahead() -> None:
    trust = np.array([[1.0, 1.0, 0.2], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    found = weights(np.array([[0, 2.0, 80.0], [-2, 0, 6], [-8, -6, 0]]), ALL, trust, 4.0, most=1, strength=1.0)
    assert found.tolist() == [[0.0, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


SPACES: dict[str, Any] = {"discrete": Discrete(4), "box": Box(-1.0, 1.0, (2,), np.float32)}


def taught(space: str, **options: Any) -> tuple[Mappo, Stream]:
    spec = Spec(3, 5, 0, SPACES[space], ((0, 1, 2),))
    algo = Mappo(
        spec, IppoConfig(hidden=(16,), share="none", rollout_steps=16, lr=1e-2, anneal=False, **options), seed=0
    )
    stream = Stream(spec, 8)
    algo.begin(stream.now)
    return algo, stream


@pytest.mark.parametrize("space", list(SPACES))
@pytest.mark.parametrize("surer", [False, True])
def test_a_learner_comes_closer_to_its_teacher_alone(space: str, surer: bool) -> None:
    found = []
    for weight in (0.0, 3.0):
        algo, stream = taught(space, obs_norm="on")
        with torch.no_grad():  # a teacher with a taste of its own
            algo.policy.trunk.head.weights[0][2] *= 100.0
        algo.tutor = tutor = Tutor(algo, surer=surer)
        lesson = torch.zeros(3, 3)
        lesson[0, 2] = weight
        tutor.appoint(lesson)
        drive(algo, stream, 160)
        apart = tutor.matrix()
        assert apart is not None
        found.append(apart)
        assert torch.isfinite(tutor.divergence).tolist() == [weight > 0.0, False, False]
    without, taught_by = found
    assert without[0, 2] > 0.05
    assert taught_by[0, 2] < (0.8 if surer else 0.4) * without[0, 2]
    torch.testing.assert_close(taught_by[1, 2], without[1, 2])


def test_nobody_else_is_moved_by_a_lesson() -> None:
    found = []
    for strength in (0.0, 30.0):
        algo, stream = taught("discrete")
        algo.tutor = tutor = Tutor(algo, surer=False)
        lesson = torch.zeros(3, 3)
        lesson[0, 2] = strength
        tutor.appoint(lesson)
        drive(algo, stream, 16)
        found.append(algo.policy_adam.vector[algo.policy_adam.own].clone())
    assert not torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1:], found[1][1:], rtol=0, atol=1e-7)


def school(**options: Any) -> tuple[School, Mappo, list[Any]]:
    algo, stream = taught("discrete")
    made = School(PeersConfig(distill=True, **options), algo, ("a", "b", "c"))
    drive(algo, stream, 16)
    return made, algo, []


def returns_of(*means: float) -> Returns:
    found = Returns(3, 10)
    found.add(np.array(means) + np.tile([[-1.0], [1.0]], (5, 1)))
    return found


def test_a_school_tells_who_begins_and_stops_to_teach() -> None:
    made, _, told = school()
    may = ALL.copy()
    may[1, 2] = False
    scalars = made.look(returns_of(0.0, 5.0, 10.0), may, tell=told.append)
    lines = {(line["kind"], line["from"], line["to"]) for line in told}
    assert lines == {("teaches", "c", "a"), ("refused", "c", "b")}
    assert scalars["peers/taught"] == pytest.approx(1 / 3)
    told.clear()
    made.look(returns_of(9.9, 9.9, 10.0), may, tell=told.append)  # the world has changed: the lead is gone
    assert {(line["kind"], line["from"], line["to"]) for line in told} == {("stops", "c", "a")}


def test_learners_on_the_rise_need_no_teacher_on_a_plateau() -> None:
    made, _, told = school(distill_when="plateau")
    returns = returns_of(0.0, 5.0, 10.0)
    assert made.look(returns, ALL, tell=told.append)["peers/taught"] == pytest.approx(2 / 3)
    for _ in range(2):  # the first rises, the second does not
        returns.add(np.array([[4.0, 5.0, 10.0], [4.1, 5.1, 10.1]]))
    scalars = made.look(returns, ALL, tell=told.append)
    assert scalars["peers/taught"] == pytest.approx(1 / 3)


def test_learners_that_are_too_much_alike_are_not_taught_but_explore() -> None:
    options: dict[str, Any] = {"distill_floor": 1e6}
    algo, stream = taught("discrete")
    algo.variation = Variation.equal(3, 0.99, algo.device)
    made = School(PeersConfig(distill=True, **options), algo, ("a", "b", "c"))
    drive(algo, stream, 16)
    scalars = made.look(returns_of(0.0, 5.0, 10.0), ALL, tell=lambda _: None)
    assert scalars["peers/taught"] == 0.0
    assert algo.variation.openness.tolist() == [2.0] * 3


def test_copies_have_no_divergence() -> None:
    """Also where the deviation is no parameter but is set, and changes during a run."""
    spec = Spec(3, 5, 0, SPACES["box"], ((0, 1, 2),))
    config = IddpgConfig(hidden=(8,), share="none", warm_up=20, batch=16, policy_start=2)
    algo, stream = Maddpg(spec, config, seed=0), Stream(spec)
    algo.tutor = tutor = Tutor(algo, surer=False)
    algo.begin(stream.now)
    algo.progress = 0.9
    drive(algo, stream, 12)
    for j in (1, 2):
        move(algo, j, copy_of(algo, 0))
    apart = tutor.matrix()
    assert apart is not None
    assert apart.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"critic": "central", "credit": "team"}, "with credit 'team' all learners have one critic"),
        ({"critic": "joint", "obs_norm": "on"}, "give 'all', or local critics"),
    ],
)
def test_critics_that_cannot_be_compared_are_refused(options: dict[str, Any], words: str) -> None:
    algo, _ = taught("discrete", **options)
    with pytest.raises(ValueError, match=words):
        School(PeersConfig(distill=True, distill_states="surer"), algo, ("a", "b", "c"))


def test_policies_with_a_memory_cannot_answer_for_others() -> None:
    algo, _ = taught("discrete", gru=4)
    with pytest.raises(ValueError, match="needs policies that act on what they see now: leave out gru and comm"):
        Tutor(algo, surer=False)


def test_a_distilled_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    words = ["--env", "spread", "--env.local-ratio", "1", "--algo", "ippo", "--algo.share", "none", "--quiet"]
    words += ["--algo.rollout-steps", "8", "--algo.hidden", "8", "--algo.minibatches", "2", "--n-worlds", "4"]
    words += ["--peers.distill", "--peers.distill-every", "4", "--peers.window", "8", "--save-every", "400"]
    words += ["--eval-episodes", "0", "--no-videos"]
    for name in ("whole", "part"):
        assert train.main([*words, "--total-steps", "1600", "--log-dir", str(tmp_path), "--run-name", name]) == 0
    sorted((tmp_path / "part" / "checkpoints").glob("step-*.pt"))[-1].unlink()
    assert train.main(["--resume", str(tmp_path / "part"), "--quiet"]) == 0
    ours, theirs = (
        checkpoint.load_latest(tmp_path / name / "checkpoints", warn=print)[1] for name in ("part", "whole")
    )
    for key, value in theirs["algo"]["policy"].items():
        assert torch.equal(ours["algo"]["policy"][key], value)
    told = [json.loads(line) for line in (tmp_path / "whole" / "peers.jsonl").read_text().splitlines()]
    assert any(line["kind"] == "teaches" and line["step"] < 1200 for line in told)
    assert (tmp_path / "part" / "peers.jsonl").read_text() == (tmp_path / "whole" / "peers.jsonl").read_text()
