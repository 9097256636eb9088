"""Advantages and n-step returns against closed forms and against the definition, summed term by term."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from algos.maths.returns import constant_value, explained_variance, gae, masked_mean, masked_var, n_step


def by_definition(reward, value, next_value, terminated, ended, gamma, lam):
    """Sums (gamma lambda)^l delta_{t+l} until the agent or the episode ends, with plain loops in float64."""
    steps, worlds, n = reward.shape
    out = np.zeros(reward.shape)
    for t, b, i in np.ndindex(steps, worlds, n):
        factor = 1.0
        for u in range(t, steps):
            bootstrap = 0.0 if terminated[u, b, i] else gamma * next_value[u, b, i]
            out[t, b, i] += factor * (reward[u, b, i] + bootstrap - value[u, b, i])
            if terminated[u, b, i] or ended[u, b, i]:
                break
            factor *= gamma * lam
    return out


@pytest.mark.parametrize("alone", [False, True], ids=["worlds end", "agents leave"])
@pytest.mark.parametrize("lam", [0.0, 0.7, 1.0])
def test_gae_is_its_definition(lam, alone):
    rng = np.random.default_rng(0)
    shape = (12, 5, 3)
    reward, value, next_value = rng.standard_normal((3, *shape))
    ended = rng.random((*shape[:2], 1)) < 0.2
    terminated = rng.random(shape) < 0.15
    assert (ended & ~terminated).any()
    assert (terminated & ~ended).any()
    if alone:
        ended = ended | (rng.random(shape) < 0.1)
    got = gae(*(torch.from_numpy(x) for x in (reward, value, next_value, terminated, ended)), gamma=0.9, gae_lambda=lam)
    np.testing.assert_allclose(
        got.numpy(),
        by_definition(reward, value, next_value, terminated, np.broadcast_to(ended, shape), 0.9, lam),
        atol=1e-12,
    )


def constant(steps=4, **change):
    """Reward 1, value 0 now and 10 next, one world, one agent, nothing ends."""
    data = {
        "reward": torch.ones(steps, 1, 1),
        "value": torch.zeros(steps, 1, 1),
        "next_value": torch.full((steps, 1, 1), 10.0),
        "terminated": torch.zeros(steps, 1, 1, dtype=torch.bool),
        "ended": torch.zeros(steps, 1, 1, dtype=torch.bool),
    }
    return data | change


def test_monte_carlo_return():
    data = constant(next_value=torch.zeros(4, 1, 1))
    advantage = gae(**data, gamma=0.5, gae_lambda=1.0)
    torch.testing.assert_close(advantage.flatten(), torch.tensor([1.875, 1.75, 1.5, 1.0]))


def test_the_true_value_has_no_advantage():
    data = constant(value=torch.full((4, 1, 1), 10.0))  # 10 = 1 / (1 - 0.9)
    torch.testing.assert_close(gae(**data, gamma=0.9, gae_lambda=0.95), torch.zeros(4, 1, 1), atol=1e-5, rtol=0)


def test_time_limit_bootstraps_and_stops_the_trace():
    ended = torch.tensor([False, True, False, False]).view(4, 1, 1)
    data = constant(ended=ended)
    data["reward"][2:] = 1000.0  # another episode
    advantage = gae(**data, gamma=0.5, gae_lambda=0.0)
    torch.testing.assert_close(advantage.flatten()[:2], torch.tensor([6.0, 6.0]))
    advantage = gae(**data, gamma=0.5, gae_lambda=1.0)
    torch.testing.assert_close(advantage.flatten()[:2], torch.tensor([9.0, 6.0]))  # 6 + 0.5 * 6


def test_death_cuts_value_and_trace_even_of_nan():
    terminated = torch.tensor([False, True, False, False]).view(4, 1, 1)
    data = constant(terminated=terminated)
    data["next_value"][1] = float("nan")
    data["reward"][2:] = 1000.0
    advantage = gae(**data, gamma=0.5, gae_lambda=1.0)
    torch.testing.assert_close(advantage.flatten()[:2], torch.tensor([6.5, 1.0]))


def test_masked_statistics():
    x, weight = torch.tensor([1.0, 3.0, 1e9]), torch.tensor([1.0, 1.0, 0.0])
    assert masked_mean(x, weight) == 2.0
    assert masked_var(x, weight) == 1.0
    assert masked_mean(x, torch.zeros(3)) == 0.0


def test_explained_variance():
    target, all_count = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.ones(4)
    assert explained_variance(target, target, all_count) == 1.0
    assert explained_variance(torch.full((4,), 7.0), target, all_count) == 0.0
    assert explained_variance(-target, target, all_count) == -3.0  # Var[2 x] = 4 Var[x]
    assert explained_variance(target, torch.ones(4), all_count) == 0.0


NO, YES = [False, False], [True, True]
NOBODY = float("nan")


@pytest.mark.parametrize(
    ("reward", "terminated", "stop", "total", "discount"),
    [
        pytest.param(
            [[1, 10], [2, 20], [4, 40]], [NO, NO, NO], [0, 0, 0], [1 + 1 + 1, 30], [0.125, 0.125], id="all three"
        ),
        pytest.param([[1, 10], [2, 20], [4, 40]], [NO, NO, NO], [0, 1, 0], [1 + 1, 20], [0.25, 0.25], id="time limit"),
        pytest.param([[1, 10], [2, 20], [4, 40]], [NO, NO, NO], [1, 1, 0], [1, 10], [0.5, 0.5], id="at once"),
        pytest.param(
            [[1, 10], [2, 20], [NOBODY, 40]],
            [NO, [True, False], NO],
            [0, 0, 0],
            [1 + 1, 30],
            [0, 0.125],
            id="one dies, the other goes on",
        ),
        pytest.param([[1, 10], [2, 20], [4, 40]], [NO, YES, NO], [0, 1, 0], [2, 20], [0, 0], id="death at the end"),
        pytest.param([[1, 10], [2, 20], [4, 40]], [NO, NO, YES], [0, 1, 0], [2, 20], [0.25, 0.25], id="of others"),
    ],
)
def test_n_step_by_hand(reward, terminated, stop, total, discount):
    """Two agents, up to three steps, gamma = 0.5."""
    found = n_step(
        torch.tensor([reward], dtype=torch.float32),
        torch.tensor([terminated]),
        torch.tensor([stop], dtype=torch.bool),
        gamma=0.5,
    )
    np.testing.assert_allclose(found[0][0], total)
    np.testing.assert_allclose(found[1][0], discount)


def test_n_step_of_one_is_a_temporal_difference():
    reward, terminated = torch.randn(7, 1, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(7, 1, 3) > 0
    terminated[2, 0, 1] = True
    total, discount = n_step(reward, terminated, torch.ones(7, 1) > 0, gamma=0.9)
    assert torch.equal(total, reward[:, 0])
    np.testing.assert_allclose(discount, 0.9 * ~terminated[:, 0].numpy(), rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.99])
def test_a_constant_value_is_the_fixed_point_of_temporal_differences(gamma):
    generator = torch.Generator().manual_seed(0)
    reward = torch.randn(5, 4, 3, generator=generator) + 100
    terminated = torch.rand(5, 4, 3, generator=generator) < 0.2
    weight = (torch.rand(5, 4, 3, generator=generator) < 0.7).float()
    b = constant_value(reward, terminated, weight, gamma=gamma)
    delta = reward.double() + gamma * b * ~terminated - b
    assert float((delta * weight).sum()) == pytest.approx(0.0, abs=1e-6)


def test_a_constant_value_of_constant_rewards():
    ones, never = torch.ones(3, 2, 1), torch.zeros(3, 2, 1, dtype=torch.bool)
    assert float(constant_value(7 * ones, never, ones, gamma=0.9)) == pytest.approx(70)
    assert float(constant_value(7 * ones, ~never, ones, gamma=0.9)) == pytest.approx(7)
    assert float(constant_value(7 * ones, never, ones, gamma=1.0)) == pytest.approx(7000)  # at most 1,000 steps
    assert float(constant_value(7 * ones, never, 0 * ones, gamma=0.9)) == 0
