"""The learned number of the joint action: what it is without an agent's choice, what it is worth as a baseline."""

from __future__ import annotations

import itertools

import pytest
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from algos.core import Spec
from algos.credit.joint import JointNumber
from algos.nets.config import NetConfig

N, A, SEEN = 3, 4, 2


def joint_of(*, n_agents: int = N, state_dim: int = 0, hidden: int = 16, lr: float = 3e-3) -> JointNumber:
    """Returns a network with weights large enough that everything matters."""
    spec = Spec(n_agents, SEEN, state_dim, Discrete(A), (tuple(range(n_agents)),))
    generator = torch.Generator().manual_seed(1)
    net = NetConfig(hidden=(hidden, hidden), gru=5, agent_id=True, share="none")
    device = torch.device("cpu")
    return JointNumber(spec, net, lr=lr, max_grad_norm=1.0, generator=generator, device=device)


def scene(*lead: int, n_agents: int = N, state_dim: int = 0, seed: int = 0) -> tuple[Tensor, Tensor | None, Tensor]:
    """Returns observations, states and actions of chance."""
    generator = torch.Generator().manual_seed(seed)
    obs = torch.randn(*lead, n_agents, SEEN, generator=generator)
    state = torch.randn(*lead, state_dim, generator=generator) if state_dim else None
    return obs, state, torch.randint(A, (*lead, n_agents), generator=generator)


def chances(*lead: int, n_agents: int = N, seed: int = 3) -> Tensor:
    """Returns probabilities of actions."""
    return torch.randn(*lead, n_agents, A, generator=torch.Generator().manual_seed(seed)).softmax(-1)


def number(joint: JointNumber, obs: Tensor, state: Tensor | None, action: Tensor, alive: Tensor) -> Tensor:
    """Returns f(s, a) in the units of the targets, (R,)."""
    one_hot = torch.nn.functional.one_hot(action, A).float() * alive.unsqueeze(-1)
    return joint.norm.denormalize(joint.network(obs, state, one_hot)).squeeze(-1)


@torch.no_grad()
@pytest.mark.parametrize("state_dim", [0, 5])
@pytest.mark.parametrize("lead", [(7,), (4, 2)], ids=str)
def test_it_is_the_mean_over_an_agents_own_actions(state_dim: int, lead: tuple[int, ...]) -> None:
    joint = joint_of(state_dim=state_dim)
    joint.count(torch.randn(40) * 3 + 10, torch.ones(40, N, dtype=torch.bool))  # units
    obs, state, action = scene(*lead, state_dim=state_dim)
    alive = torch.rand(*lead, N, generator=torch.Generator().manual_seed(4)) < 0.8
    policy = chances(*lead)
    found = joint.without(obs, state, action, alive, policy)
    rows = obs.flatten(0, -3), None if state is None else state.flatten(0, -2), action.flatten(0, -2)
    there = alive.flatten(0, -2)
    for agent in range(N):
        expected = torch.zeros(len(there), dtype=torch.float64)
        for own in range(A):
            other = rows[2].clone()
            other[:, agent] = own
            with_agent = there.clone()
            with_agent[:, agent] = True
            expected += policy.flatten(0, -3)[:, agent, own] * number(joint, rows[0], rows[1], other, with_agent)
        torch.testing.assert_close(found[..., agent].flatten(), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_large_batches_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    joint, (obs, state, action) = joint_of(state_dim=3), scene(50, state_dim=3)
    arguments = obs, state, action, torch.ones(50, N, dtype=torch.bool), chances(50)
    whole = joint.without(*arguments)
    monkeypatch.setattr("algos.credit.joint.MOST_AT_ONCE", 7 * N)
    torch.testing.assert_close(joint.without(*arguments), whole)


def test_as_a_baseline_it_leaves_the_expected_gradient_unchanged() -> None:
    """Summed over all joint actions with their probabilities, for returns that have nothing to do with the network."""
    joint, logits = joint_of(), torch.randn(N, A, generator=torch.Generator().manual_seed(5), requires_grad=True)
    every = torch.tensor(list(itertools.product(range(A), repeat=N)))  # (A^N, N)
    came = torch.randn(len(every), 1, generator=torch.Generator().manual_seed(6)).double()
    obs = torch.randn(1, N, SEEN, generator=torch.Generator().manual_seed(7)).expand(len(every), -1, -1)
    log_p = logits.log_softmax(-1)
    log_prob = log_p[torch.arange(N), every]  # (A^N, N)
    chance = log_prob.sum(-1, keepdim=True).exp().detach().double()
    policy = log_p.detach().exp().expand(len(every), -1, -1)
    without = joint.without(obs, None, every, torch.ones_like(every, dtype=torch.bool), policy)
    assert without.std() > 1e-3
    slopes = [
        torch.autograd.grad((chance * advantage * log_prob).sum(), logits, retain_graph=True)[0]
        for advantage in (came.expand(-1, N), came - without)
    ]
    torch.testing.assert_close(slopes[1], slopes[0], atol=1e-6, rtol=1e-5)


def test_it_learns_how_much_of_a_reward_was_whose() -> None:
    """G is a sum of six parts, each of one agent's observation and action: their correlation with D_i passes 0.95."""
    n = 6
    joint = joint_of(n_agents=n, hidden=64)
    worth = torch.randn(SEEN, A, generator=torch.Generator().manual_seed(8))
    for step in range(1500):
        obs, _, action = scene(256, n_agents=n, seed=step)
        parts = (obs @ worth).gather(-1, action.unsqueeze(-1)).squeeze(-1)  # (R, N)
        alive = torch.ones_like(action, dtype=torch.bool)
        joint.step(obs, None, action, alive, joint.count(parts.sum(-1), alive))
    obs, _, action = scene(2000, n_agents=n, seed=10_000)
    each = obs @ worth  # (R, N, A)
    parts = each.gather(-1, action.unsqueeze(-1)).squeeze(-1)
    alive, policy = torch.ones_like(action, dtype=torch.bool), torch.full((2000, n, A), 1 / A)
    assert joint.explained(obs, None, action, alive, parts.sum(-1)) > 0.9
    found = parts.sum(-1, keepdim=True) - joint.without(obs, None, action, alive, policy)
    exact = parts - each.mean(-1)
    both = torch.stack([found.flatten(), exact.flatten().double()])
    assert torch.corrcoef(both)[0, 1] > 0.95


@torch.no_grad()
def test_absent_agents_have_no_part_in_what_others_get() -> None:
    joint, (obs, _, action) = joint_of(), scene(6)
    alive = torch.ones(6, N, dtype=torch.bool)
    alive[:, 0] = False
    obs = obs * alive.unsqueeze(-1)
    other = action.clone()
    other[:, 0] = (action[:, 0] + 1) % A
    found = [joint.without(obs, None, did, alive, chances(6))[:, 1:] for did in (action, other)]
    assert torch.equal(*found)


def test_it_goes_on_from_its_state() -> None:
    one, two = joint_of(), joint_of()
    obs, _, action = scene(32)
    alive, target = torch.ones(32, N, dtype=torch.bool), torch.randn(32, generator=torch.Generator().manual_seed(1))

    def learn(joint: JointNumber) -> Tensor:
        return joint.step(obs, None, action, alive, joint.count(target, alive))

    for _ in range(3):
        learn(one)
    two.load_state_dict(one.state_dict())
    assert torch.equal(learn(one), learn(two))
    assert torch.equal(learn(one), learn(two))
