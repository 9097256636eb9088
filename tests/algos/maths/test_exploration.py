"""Correlated noise, straight-through choices, target networks: against numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch import nn

from algos.core import Spec
from algos.maths.exploration import gumbel, linear, ornstein_uhlenbeck, straight_through
from algos.nets.actor import Actor, categorical
from algos.nets.config import NetConfig
from algos.nets.flat_adam import FlatAdam
from algos.nets.targets import Target


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_schedule_is_a_line_that_ends() -> None:
    assert [linear(1.0, 0.2, x) for x in (0.0, 0.25, 1.0, 1.5)] == pytest.approx([1.0, 0.8, 0.2, 0.2])


def test_ornstein_uhlenbeck_noise_lasts_as_it_should() -> None:
    """Deviation 0.3 and correlation (1 - 0.2)^2 over two steps, once it has forgotten its start."""
    generator, noise, kept = chance(), torch.zeros(500, 2, 2), []
    for _ in range(60):
        noise = ornstein_uhlenbeck(noise, theta=0.2, std=0.3, generator=generator)
        kept.append(noise)
    assert kept[-1].std() == pytest.approx(0.3, rel=0.05)
    correlation = (kept[-1] * kept[-3]).mean() / (kept[-1].std() * kept[-3].std())
    assert correlation == pytest.approx(0.64, abs=0.05)


def test_the_largest_of_gumbel_clocks_is_a_draw() -> None:
    p = torch.tensor([0.1, 0.0, 0.3, 0.6])
    log_p = p.log().clamp(min=torch.finfo(torch.float32).min).expand(50_000, 4)
    shares = straight_through(log_p, gumbel(log_p, chance()), 1.0).mean(0)
    np.testing.assert_allclose(shares, p, atol=0.01)
    assert shares[1] == 0


def test_gumbel_noise_is_finite_even_of_an_exponential_number_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Infinite noise would beat the mask and choose a forbidden action."""
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, **_: self.zero_())
    log_p = categorical(torch.zeros(2, 3), torch.tensor([[False, True, False], [False, False, True]]))
    noise = gumbel(log_p, torch.Generator())
    assert torch.isfinite(noise).all()
    noise[:, 1] = torch.where(torch.arange(2) == 0, -5.0, 0.0)
    assert straight_through(log_p, noise, 1.0).argmax(-1).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("temperature", "payoff", "gradient"),
    [
        # y = (1, 2, 3) / 6, dL/dl_j = y_j (c_j - c . y) / T with c . y = 1
        (1.0, [6.0, 0.0, 0.0], [5 / 6, -2 / 6, -3 / 6]),
        # y = (1, 4, 9) / 14
        (0.5, [14.0, 0.0, 0.0], [26 / 14, -8 / 14, -18 / 14]),
        # a forbidden fourth action, as small as floats get, pays a million and gets nothing
        (0.5, [14.0, 0.0, 0.0, 1e6], [26 / 14, -8 / 14, -18 / 14, 0.0]),
    ],
)
def test_gumbel_gradients_by_hand(temperature: float, payoff: list[float], gradient: list[float]) -> None:
    """Log p + g = log (1, 2, 3)."""
    clocks = [math.log(1.0), math.log(2.0), math.log(3.0), torch.finfo(torch.float32).min][: len(payoff)]
    noise = torch.tensor([0.3, -0.2, 0.1, 0.0][: len(payoff)])
    log_p = (torch.tensor(clocks) - noise).clamp(min=torch.finfo(torch.float32).min).requires_grad_()
    action = straight_through(log_p, noise, temperature)
    assert action.tolist() == [0, 0, 1, 0][: len(payoff)]
    (action * torch.tensor(payoff)).sum().backward()
    assert log_p.grad is not None
    np.testing.assert_allclose(log_p.grad, gradient, atol=1e-6)


def test_a_target_follows() -> None:
    """From 2 towards 6 by a quarter: 3, then 3.75; the copy is another one and takes no gradient."""
    network = nn.Linear(2, 2)
    nn.init.constant_(network.weight, 2.0)
    nn.init.constant_(network.bias, -2.0)
    optimiser = FlatAdam(network, lr=0.1, eps=1e-5, max_grad_norm=1.0)
    target = Target(network, optimiser)
    with torch.no_grad():
        network.weight.fill_(6.0)
        network.bias.fill_(-6.0)
    assert target.network.weight.unique().tolist() == [2.0]
    for want in (3.0, 3.75):
        target.follow(0.25)
        assert target.network.weight.unique().tolist() == [want]
        assert target.network.bias.unique().tolist() == [-want]
    target.follow(1.0)
    assert target.network.weight.unique().tolist() == [6.0]
    assert not any(parameter.requires_grad for parameter in target.network.parameters())


def test_a_target_follows_layers_that_lie_the_other_way_round() -> None:
    spec = Spec(3, 4, 0, Discrete(5), ())
    actor = Actor(spec, NetConfig(), generator=chance())  # its head is stored transposed
    optimiser = FlatAdam(actor, lr=0.1, eps=1e-5, max_grad_norm=1.0)
    target, obs = Target(actor, optimiser), torch.randn(2, 3, 4, generator=chance(1))
    before = actor(obs)[0]
    optimiser.step(before.square().sum())
    assert not torch.equal(actor(obs)[0], before)
    assert torch.equal(target.network(obs)[0], before)
    target.follow(1.0)
    assert torch.equal(target.network(obs)[0], actor(obs)[0])


def test_bounded_policies_stay_within_the_box() -> None:
    spec = Spec(2, 3, 0, Box(np.array([-1, 0], np.float32), np.array([3, 1], np.float32)), ())
    actor = Actor(spec, NetConfig(), bounded=True, init_std=0.25, generator=chance())
    head = torch.tensor([[[0.0, 50.0], [math.atanh(0.5), -50.0]]])
    action, _ = actor.sample(head)
    np.testing.assert_allclose(action, [[[0.0, 1.0], [0.5, -1.0]]], atol=1e-6)
    np.testing.assert_allclose(actor.to_space(action), [[[1.0, 1.0], [2.0, 0.0]]], atol=1e-6)
    drawn, log_prob = actor.sample(head[..., :1].expand(1, 2, 2), generator=chance())
    torch.testing.assert_close(actor.log_prob(head[..., :1].expand(1, 2, 2), drawn)[0], log_prob)
    noisy = torch.cat([actor.sample(head, None, generator)[0] for generator in [chance()] * 4000])
    assert (noisy - action).std() == pytest.approx(0.25, rel=0.05)
    assert "log_std" in actor.state_dict()
    assert "log_std" not in dict(actor.named_parameters())
