"""Parameters that move from one learner to another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from algos.core import Obs, Spec
from algos.maddpg import IddpgConfig, Maddpg
from algos.mappo import IppoConfig, Mappo
from algos.nets.flat_adam import FlatAdam
from algos.peers.exchange import copy_of, move
from algos.training.random_play import Stream, drive

SPACES: dict[str, Any] = {"ippo": Discrete(4), "iddpg": Box(-1.0, 1.0, (2,), np.float32)}


def trained(name: str) -> tuple[Any, Stream]:
    """Returns an algorithm of three learners after a few updates."""
    spec = Spec(3, 5, 0, SPACES[name], ((0, 1, 2),))
    algo: Any
    if name == "ippo":
        algo = Mappo(spec, IppoConfig(hidden=(8,), share="none", rollout_steps=8, obs_norm="on"), seed=0)
    else:
        config = IddpgConfig(hidden=(8,), share="none", warm_up=20, batch=16, policy_start=2, obs_norm="on")
        algo = Maddpg(spec, config, seed=0)
    stream = Stream(spec)
    algo.begin(stream.now)
    drive(algo, stream, 24)
    return algo, stream


def everybody_sees_the_same(stream: Stream) -> Obs:
    obs = stream.now
    same = np.repeat(obs.obs[:, :1], 3, axis=1)
    mask = None if obs.action_mask is None else np.ones_like(obs.action_mask)
    return obs._replace(obs=same, alive=np.ones_like(obs.alive), action_mask=mask)


@pytest.mark.parametrize("name", list(SPACES))
def test_a_learner_becomes_another_and_nobody_else_changes(name: str) -> None:
    algo, stream = trained(name)
    obs = everybody_sees_the_same(stream)
    before = algo.policy.heads(obs, {})[0].clone()
    third = copy_of(algo, 2)
    moved = move(algo, 0, copy_of(algo, 1))
    after = algo.policy.heads(obs, {})[0]
    assert moved > 0.0
    assert torch.equal(after[:, 1:], before[:, 1:])
    torch.testing.assert_close(after[:, 0], before[:, 1])
    assert not torch.allclose(before[:, 0], before[:, 1])
    for kind in ("parameters", "moments"):
        for one, other in zip(getattr(copy_of(algo, 0), kind), getattr(copy_of(algo, 1), kind), strict=True):
            assert torch.equal(one, other)
        for one, other in zip(getattr(copy_of(algo, 2), kind), getattr(third, kind), strict=True):
            assert torch.equal(one, other)
    assert algo.value_norm.mean[0] == algo.value_norm.mean[1] != algo.value_norm.mean[2]


@pytest.mark.parametrize(("moments", "like"), [("copy", "other"), ("keep", "mine"), ("reset", "zero")])
def test_the_optimiser_is_dealt_with_as_asked(moments: Any, like: str) -> None:
    algo, _ = trained("ippo")
    mine, other = copy_of(algo, 0), copy_of(algo, 1)
    move(algo, 0, other, moments=moments)
    for now, one, two in zip(copy_of(algo, 0).moments, mine.moments, other.moments, strict=True):
        assert torch.equal(now, {"mine": one, "other": two, "zero": torch.zeros_like(one)}[like])


def test_moments_that_are_reset_begin_as_at_the_start() -> None:
    """Adam corrects moments for their own age: under a constant gradient a step is one learning rate long."""
    rows = torch.nn.Linear(2, 3, bias=False)
    rows.n_sets = 3  # type: ignore[assignment]
    adam = FlatAdam(rows, lr=0.1, eps=1e-12, max_grad_norm=1e9, learners=3)
    for _ in range(50):
        adam.step(rows.weight.sum())
    for numbers in adam.of_learners()[1]:
        numbers.values[1 if numbers.own is None else numbers.own[1]] = 0.0
    for _ in range(30):
        before = rows.weight.detach().clone()
        adam.step(rows.weight.sum())
        torch.testing.assert_close(before - rows.weight.detach(), torch.full((3, 2), 0.1), rtol=1e-3, atol=0.0)


def test_a_soft_copy_goes_part_of_the_way() -> None:
    algo, _ = trained("ippo")
    mine, other = copy_of(algo, 0), copy_of(algo, 1)
    moved = move(algo, 0, other, tau=0.25)
    now = copy_of(algo, 0)
    for at, one, two in zip(now.parameters, mine.parameters, other.parameters, strict=True):
        torch.testing.assert_close(at, 0.75 * one + 0.25 * two)
    squares = [(one - two).square() for one, two in zip(now.parameters[:2], mine.parameters[:2], strict=True)]
    assert moved == pytest.approx(float(torch.cat(squares).mean().sqrt()))


def test_targets_follow() -> None:
    algo, _ = trained("iddpg")
    move(algo, 2, copy_of(algo, 0))
    for target, adam in ((algo.target_policy, algo.policy_adam), (algo.target_critics, algo.critic_adam)):
        assert torch.equal(target.vector[adam.own[2]], target.vector[adam.own[0]])
