"""Agents that share no parameters learn each by itself: as so many algorithms of one agent each would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from algos.core import Obs, Spec, Transition
from algos.maddpg import IddpgConfig, Maddpg
from algos.mappo import IppoConfig, Mappo
from algos.maths.returns import constant_value, masked_mean, masked_var, shares
from algos.nets.flat_adam import FlatAdam
from algos.nets.value_norm import ValueNorm
from algos.training.random_play import Stream

N = 3
SCALES = np.array([1.0, 100.0, 0.01], np.float32)
"""What the rewards of each agent are multiplied with: nothing that all agents share would fit all three."""


def column(obs: Obs, i: int) -> Obs:
    one = slice(i, i + 1)
    mask = None if obs.action_mask is None else obs.action_mask[:, one]
    return Obs(obs.obs[:, one], obs.state, obs.adjacency[:, one, one], obs.alive[:, one], mask, obs.started)


def part(whole: Transition, i: int) -> Transition:
    """Returns what an agent that is alone in its worlds would have seen of a transition."""
    one = slice(i, i + 1)
    fields: dict[str, Any] = {
        name: getattr(whole, name)[:, one] for name in ("action", "reward", "counterfactual", "cost", "terminated")
    }
    return whole._replace(**fields, obs=column(whole.obs, i), final=column(whole.final, i))


def given_parameters(single: torch.nn.Module, several: torch.nn.Module, i: int) -> None:
    for mine, theirs in zip(single.parameters(), several.parameters(), strict=True):
        mine.data.copy_(theirs.data[i : i + 1])


@pytest.mark.parametrize("algo", ["ippo", "iddpg"])
def test_each_learns_what_it_would_learn_alone(algo: str) -> None:
    space: Any = Discrete(4) if algo == "ippo" else Box(-1.0, 1.0, (2,), np.float32)
    spec, of_one = (Spec(n, 5, 0, space, (tuple(range(n)),)) for n in (N, 1))
    kind: Any
    options: Any
    if algo == "ippo":
        kind = Mappo
        options = IppoConfig(hidden=(8,), share="none", rollout_steps=16, minibatches=4, max_grad_norm=0.05)
    else:
        kind = Maddpg
        options = IddpgConfig(
            hidden=(8,), share="none", warm_up=20, batch=32, policy_start=2, max_grad_norm=0.05, n_step=1
        )
    together, alone = kind(spec, options, seed=0), [kind(of_one, options, seed=0) for _ in range(N)]
    networks = ("policy", "critic") if algo == "ippo" else ("policy", "critics")
    for i, single in enumerate(alone):
        for name in networks:
            given_parameters(getattr(single, name), getattr(together, name), i)
        if algo == "iddpg":
            single.target_policy.follow(1.0)
            single.target_critics.follow(1.0)
    stream, learned = Stream(spec), 0
    together.begin(stream.now)
    for i, single in enumerate(alone):
        single.begin(column(stream.now, i))
    for _ in range(64):
        obs = stream.now
        action = together.act(obs)
        transition = stream.step(action)
        transition = transition._replace(reward=transition.reward * SCALES)
        for i, single in enumerate(alone):
            single.act(column(obs, i)._replace(alive=np.ones((len(obs.alive), 1), bool)))
            pending = together._pending  # the actions are those of the learners together
            single._pending = (
                tuple(field[:, i : i + 1] for field in pending) if algo == "ippo" else pending[:, i : i + 1]
            )
            single.observe(part(transition, i))
        together.observe(transition)
        learned += bool(together.update())
        for single in alone:
            single.update()
    assert learned >= 4
    for i, single in enumerate(alone):
        for name in networks:
            several = list(getattr(together, name).parameters())
            for mine, theirs in zip(getattr(single, name).parameters(), several, strict=True):
                torch.testing.assert_close(theirs.data[i : i + 1], mine.data, rtol=2e-4, atol=2e-5)
        torch.testing.assert_close(together.value_norm.std[i], single.value_norm.std, rtol=1e-4, atol=0.0)


def test_one_learner_needs_no_units_of_its_own() -> None:
    """With one agent, sharing nothing is sharing everything: the same bytes."""
    spec = Spec(1, 5, 0, Discrete(4), ((0,),))
    found = []
    for share in ("all", "none"):
        algo, stream = Mappo(spec, IppoConfig(hidden=(8,), share=share, rollout_steps=8), seed=0), Stream(spec)
        for _ in range(16):
            algo.observe(stream.step(algo.act(stream.now)))
            algo.update()
        found.append(algo.policy_adam.vector)
    assert torch.equal(*found)


def test_means_for_each_entry_of_the_last_axis() -> None:
    x, weight = torch.tensor([[1.0, 10.0], [3.0, 30.0]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert masked_mean(x, weight, each=True).tolist() == [2.0, 10.0]
    assert masked_var(x, weight, each=True).tolist() == [1.0, 0.0]
    assert shares(weight, each=True).tolist() == [[0.5, 1.0], [0.5, 0.0]]
    reward, never = torch.tensor([[[1.0, 5.0]]]), torch.zeros(1, 1, 2, dtype=torch.bool)
    found = constant_value(reward, never, torch.ones(1, 1, 2), gamma=0.9, each=True)
    assert found.tolist() == pytest.approx([10.0, 50.0])


def test_units_of_a_learner_without_data_stay() -> None:
    norm = ValueNorm(learners=2)
    norm.update(torch.tensor([[2.0, 9.0], [4.0, 9.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert norm.mean.tolist() == pytest.approx([3.0, 0.0])
    assert norm.std.tolist() == pytest.approx([1.0, 1.0])
    assert norm.normalize(torch.tensor([5.0, 7.0])).tolist() == pytest.approx([2.0, 7.0])


class Rows(torch.nn.Module):
    """Two numbers for each of three learners, and one that they share."""

    def __init__(self) -> None:
        super().__init__()
        self.n_sets = 3
        self.own = torch.nn.Parameter(torch.arange(6.0).view(3, 2))
        self.common = Common()


class Common(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = torch.nn.Parameter(torch.tensor([7.0, 8.0, 9.0]))


def test_a_gradient_is_clipped_by_its_learners_norm_and_steps_at_its_pace() -> None:
    rows = Rows()
    adam = FlatAdam(rows, lr=0.1, eps=1e-8, max_grad_norm=1.0, learners=3)
    assert adam.vector[adam.own].tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    adam.pace = torch.tensor([1.0, 0.0, 0.5])
    scale = torch.tensor([[100.0], [1.0], [0.1]])
    norm = adam.step((rows.own * scale).sum() + rows.common.shared.sum())
    assert float(norm) == pytest.approx(2**0.5 * (100 + 1 + 0.1) / 3)
    gradients = adam.moments[0][adam.own] / 0.1  # Adam's first mean is a tenth of the first gradient
    assert gradients[:, 0].tolist() == pytest.approx([2**-0.5, 2**-0.5, 0.1], rel=1e-4)
    moved = torch.arange(6.0).view(3, 2) - rows.own.detach()
    assert moved[:, 0].tolist() == pytest.approx([0.1, 0.0, 0.05], abs=1e-6)
    assert (torch.tensor([7.0, 8.0, 9.0]) - rows.common.shared.detach()).tolist() == pytest.approx([0.1] * 3, rel=1e-4)
    other = FlatAdam(Rows(), lr=0.1, eps=1e-8, max_grad_norm=1.0, learners=3)
    other.load_state_dict(adam.state_dict())
    assert other.pace is not None
    assert other.pace.tolist() == [1.0, 0.0, 0.5]
