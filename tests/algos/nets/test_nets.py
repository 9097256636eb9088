"""The networks' parts against loops, torch.distributions and torch.nn."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from algos.core import Spec
from algos.nets.actor import Actor
from algos.nets.config import Activation, NetConfig
from algos.nets.critic import Critic
from algos.nets.layers import ACTIVATIONS, Dense
from algos.nets.recurrent import Gru, Recurrence
from algos.nets.sharing import parameter_sets
from algos.nets.value_norm import ValueNorm

GROUPS = ((0, 2, 3), (1,))
SPEC = Spec(4, 5, 6, Discrete(3), GROUPS)
BOX_SPEC = Spec(4, 5, 6, Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 10.0], np.float32)), GROUPS)
SHARES = ("all", "group", "none")
SMALL: dict[str, Any] = {"hidden": (8, 8), "activation": "tanh"}


def generator(seed=0):
    """Returns a new generator."""
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=1):
    """Returns normal numbers that depend on the arguments alone."""
    return torch.randn(*shape, generator=generator(seed))


def scrambled(module):
    """Returns the module with all parameters random, biases included."""
    with torch.no_grad():
        for k, parameter in enumerate(module.parameters()):
            parameter.copy_(randn(*parameter.shape, seed=100 + k))
    return module


def test_parameter_sets():
    assert [parameter_sets(SPEC, share) for share in SHARES] == [(0, 0, 0, 0), (0, 1, 0, 0), (0, 1, 2, 3)]
    with pytest.raises(ValueError, match=r"do not partition agents 0\.\.3"):
        parameter_sets(Spec(4, 5, 6, Discrete(3), ((0, 1),)), "group")
    with pytest.raises(ValueError, match="allowed are 'all', 'group', 'none'"):
        parameter_sets(SPEC, "some")  # type: ignore[arg-type]


@pytest.mark.parametrize("lead", [(7,), (2, 3)])
@pytest.mark.parametrize("outputs", [1, 2, 20])
@pytest.mark.parametrize("share", SHARES)
def test_dense_is_a_loop_over_agents_and_a_concatenation(share, outputs, lead):
    sets = parameter_sets(SPEC, share)
    layer = scrambled(Dense([5, 3], outputs, sets, gain=1.0, generator=generator()))
    own, common = randn(*lead, 4, 5).requires_grad_(), randn(*lead, 1, 3, seed=2).requires_grad_()
    got = layer(own, common)  # (..., 4, outputs)
    want = torch.stack(
        [
            torch.cat([own[..., i, :], common[..., 0, :]], -1) @ torch.cat([w[sets[i]] for w in layer.weights])
            + layer.bias[sets[i]]
            for i in range(4)
        ],
        -2,
    )
    torch.testing.assert_close(got, want)
    wanted = [own, common, *layer.parameters()]
    cotangent = randn(*got.shape, seed=3)
    for a, b in zip(
        torch.autograd.grad(got, wanted, cotangent), torch.autograd.grad(want, wanted, cotangent), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_dense_begins_orthogonal_set_by_set():
    layer = Dense([5, 3], 4, (0, 1), gain=math.sqrt(2), generator=generator())
    whole = torch.cat(list(layer.weights), 1)  # (2, 8, 4)
    torch.testing.assert_close(whole.mT @ whole, 2 * torch.eye(4).expand(2, 4, 4), atol=1e-5, rtol=0)
    assert not torch.equal(whole[0], whole[1])


def test_every_activation_that_can_be_chosen_is_there():
    assert tuple(ACTIVATIONS) == get_args(Activation)


def test_tanh_is_that_of_torch():
    x = torch.linspace(-30.0, 30.0, 10_001, requires_grad=True)
    got, want = ACTIVATIONS["tanh"](x), torch.tanh(x)
    torch.testing.assert_close(got, want, atol=2e-7, rtol=0)
    cotangent = randn(10_001)
    for a, b in zip(torch.autograd.grad(got, x, cotangent), torch.autograd.grad(want, x, cotangent), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    ends = torch.tensor([0.0, torch.inf, -torch.inf, torch.nan])
    torch.testing.assert_close(ACTIVATIONS["tanh"](ends), torch.tanh(ends), equal_nan=True, atol=0, rtol=0)


def test_global_chance_is_left_alone():
    before = torch.get_rng_state()
    Actor(BOX_SPEC, NetConfig(), generator=generator()).sample(torch.zeros(2, 4, 2), None, generator())
    Actor(SPEC, NetConfig(gru=4)).sample(torch.zeros(2, 4, 3), None, generator())
    Critic(SPEC, "central", NetConfig(share="none", **SMALL), state=True, generator=generator())
    assert torch.equal(before, torch.get_rng_state())


def test_gru_is_the_cell_of_torch():
    gru = scrambled(Gru(5, 6, (0, 0), generator()))
    cell = torch.nn.GRUCell(5, 6)
    with torch.no_grad():
        cell.weight_ih.copy_(gru.input.weights[0][0].T)
        cell.weight_hh.copy_(gru.recurrent.weights[0][0].T)
        cell.bias_ih.copy_(gru.input.bias[0])
        cell.bias_hh.copy_(gru.recurrent.bias[0])
    x, hidden = randn(3, 4, 2, 5), randn(4, 2, 6, seed=2)
    never, always = torch.zeros(3, 4, dtype=torch.bool), torch.ones(3, 4, 2, dtype=torch.bool)
    got = gru(x, Recurrence(hidden, never, always))
    for t in range(3):
        hidden = cell(x[t].flatten(0, 1), hidden.flatten(0, 1)).view(4, 2, 6)
        torch.testing.assert_close(got[t], hidden)


@pytest.mark.parametrize("share", SHARES)
def test_gru_forgets_at_starts_and_deaths(share):
    gru = scrambled(Gru(5, 6, parameter_sets(SPEC, share), generator()))
    x, hidden = randn(4, 3, 4, 5), randn(3, 4, 6, seed=2)
    started, alive = torch.zeros(4, 3, dtype=torch.bool), torch.ones(4, 3, 4, dtype=torch.bool)
    started[2, 1] = True
    alive[1, 0, 2] = False
    got = gru(x, Recurrence(hidden, started, alive))
    fresh = gru(x[2:], Recurrence(torch.zeros_like(hidden), torch.zeros_like(started[2:]), alive[2:]))
    torch.testing.assert_close(got[2:, 1], fresh[:, 1])
    assert (got[1, 0, 2] == 0).all()
    torch.testing.assert_close(got[2:, 0, 2], fresh[:, 0, 2])
    assert not torch.allclose(got[2:, 0, 1], fresh[:, 0, 1])


def test_gru_knows_nothing_of_the_time_before_a_birth():
    """The late agent's first observation starts its memory, whatever it is said to have seen before it was born."""
    gru = scrambled(Gru(5, 6, (0, 0), generator()))
    x, started = randn(5, 3, 2, 5), torch.zeros(5, 3, dtype=torch.bool)
    started[0] = True
    alive = torch.ones(5, 3, 2, dtype=torch.bool)
    alive[:2, :, 1] = False
    got = gru(x, Recurrence(randn(3, 2, 6, seed=2), started, alive))
    assert (got[:2, :, 1] == 0).all()
    alone = gru(x[2:], Recurrence(torch.zeros(3, 2, 6), started[1:4], alive[2:]))
    torch.testing.assert_close(got[2:, :, 1], alone[:, :, 1])
    torch.testing.assert_close(got[:2], gru(x[:2], Recurrence(torch.zeros(3, 2, 6), started[:2], alive[:2])))


@pytest.mark.parametrize("gru", [0, 6])
def test_shared_actor_is_permutation_equivariant(gru):
    actor = scrambled(Actor(SPEC, NetConfig(hidden=(8,), gru=gru)))
    order = torch.tensor([2, 0, 3, 1])
    obs, hidden = randn(2, 3, 4, 5), randn(3, 4, 6, seed=2)
    started, alive = torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 3, 4, dtype=torch.bool)
    straight = actor(obs, Recurrence(hidden, started, alive)).head
    permuted = actor(obs[:, :, order], Recurrence(hidden[:, order], started, alive)).head
    torch.testing.assert_close(permuted, straight[:, :, order])


@pytest.mark.parametrize("share", SHARES)
def test_agent_id_is_a_one_hot_input(share):
    actor = scrambled(Actor(SPEC, NetConfig(share=share, agent_id=True, hidden=(8,))))
    plain = Actor(Spec(4, 9, 6, Discrete(3), GROUPS), NetConfig(share=share, hidden=(8,)))
    first, target = actor.trunk.layers[0], plain.trunk.layers[0]
    assert isinstance(first, Dense)
    assert isinstance(target, Dense)
    with torch.no_grad():
        target.weights[0].copy_(torch.cat(list(first.weights), 1))
        target.bias.copy_(first.bias)
    plain.trunk.head.load_state_dict(actor.trunk.head.state_dict())
    obs = randn(7, 4, 5)
    with_ids = torch.cat([obs, torch.eye(4).expand(7, 4, 4)], -1)
    torch.testing.assert_close(actor(obs)[0], plain(with_ids)[0])


def test_critics_read_what_they_should():
    obs, state = randn(7, 4, 5), randn(7, 6, seed=2)
    local, central, team = (
        scrambled(Critic(SPEC, kind, NetConfig(share="none", **SMALL), state=True, generator=generator()))  # type: ignore[arg-type]
        for kind in ("local", "central", "team")
    )
    assert [c(obs, state)[0].shape for c in (local, central, team)] == [(7, 4), (7, 4), (7, 1)]
    assert torch.equal(local(obs, state)[0], local(obs, state + 1)[0])
    assert not torch.equal(central(obs, state)[0], central(obs, state + 1)[0])
    assert torch.equal(team(obs, state)[0], team(obs + 1, state)[0])
    other = obs.clone()
    other[:, 0] += 1
    for critic in (local, central):
        changed = (critic(other, state)[0] != critic(obs, state)[0]).any(0)
        assert changed.tolist() == [True, False, False, False]


def joint_critic(kind, share, groups=GROUPS):
    spec = Spec(4, 5, 6, Discrete(3), groups)
    return scrambled(Critic(spec, kind, NetConfig(share=share, **SMALL), state=False, generator=generator()))


@pytest.mark.parametrize("kind", ["central", "team"])
def test_without_a_state_all_observations_are_read(kind):
    critic, obs = joint_critic(kind, "all"), randn(7, 4, 5)
    value = critic(obs, None)[0]
    assert torch.equal(value, critic(obs, randn(7, 6))[0])
    for agent in range(4):
        other = obs.clone()
        other[:, agent] += 1
        assert (critic(other, None)[0] != value).all(0).all()


def test_a_team_without_a_state_is_one_row():
    critic, obs = joint_critic("team", "all"), randn(7, 4, 5)
    stated = Critic(Spec(4, 5, 20, Discrete(3), GROUPS), "team", NetConfig(**SMALL), state=True, generator=generator())
    stated.load_state_dict(critic.state_dict())
    torch.testing.assert_close(critic(obs, None)[0], stated(obs, obs.reshape(7, 20))[0])


def test_a_critic_reads_all_observations_in_each_agents_own_order():
    ring = joint_critic("central", "all", [[0, 1, 2, 3]])
    obs = randn(7, 4, 5)
    turned = obs.roll(1, dims=1)  # every agent's observation becomes that of the next one
    torch.testing.assert_close(ring(turned, None)[0], ring(obs, None)[0].roll(1, dims=1))
    swapped = obs[:, [1, 0, 2, 3]]  # which is no turn of the ring
    assert not torch.allclose(ring(swapped, None)[0], ring(obs, None)[0][:, [1, 0, 2, 3]])


def test_categorical_against_torch():
    actor, logits = Actor(SPEC, NetConfig()), randn(50, 4, 3)
    mask = randn(50, 4, 3, seed=3) > -0.5
    mask[..., 0] = True
    reference = torch.distributions.Categorical(logits=logits.masked_fill(~mask, -torch.inf))
    action, log_prob = actor.sample(logits, mask, generator())
    assert mask.gather(-1, action.unsqueeze(-1)).all()
    torch.testing.assert_close(log_prob, reference.log_prob(action))
    log_prob, entropy = actor.log_prob(logits, action, mask)
    torch.testing.assert_close(log_prob, reference.log_prob(action))
    p = reference.probs
    torch.testing.assert_close(entropy, -torch.xlogy(p, p).sum(-1))
    assert torch.equal(actor.sample(logits, mask)[0], p.argmax(-1))


def test_categorical_frequencies_and_masked_gradients():
    actor = Actor(SPEC, NetConfig())
    p = torch.tensor([0.5, 0.3, 0.2])
    action, _ = actor.sample(p.log().expand(20000, 1, 3), None, generator())
    np.testing.assert_allclose(np.bincount(action.flatten().numpy()) / 20000, p, atol=0.015)
    logits = torch.zeros(1, 1, 3, requires_grad=True)
    _, entropy = actor.log_prob(logits, torch.zeros(1, 1, dtype=torch.int64), torch.tensor([[[True, False, False]]]))
    entropy.sum().backward()
    assert entropy.item() == 0.0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros(1, 1, 3))


@pytest.mark.parametrize("masked", [[True, True, False], [False, True, True]])
def test_a_forbidden_action_is_never_drawn_not_even_of_a_uniform_number_of_zero(masked, monkeypatch):
    """`torch.rand` is exactly 0 once in 2^24; with all of them 0, every clock is at its limit."""
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.zeros(shape))
    actor = Actor(SPEC, NetConfig(), generator=None)
    mask = ~torch.tensor(masked).expand(4, SPEC.n_agents, 3)  # one action is allowed
    action, log_prob = actor.sample(torch.randn(4, SPEC.n_agents, 3), mask, torch.Generator())
    assert mask.gather(-1, action.unsqueeze(-1)).all()
    assert (log_prob == 0).all()


@pytest.mark.parametrize("share", SHARES)
def test_gaussian_against_torch(share):
    actor = scrambled(Actor(BOX_SPEC, NetConfig(share=share)))
    mean, std = randn(50, 4, 2, seed=7), actor.log_std.exp()[list(parameter_sets(BOX_SPEC, share))]
    reference = torch.distributions.Independent(torch.distributions.Normal(mean, std), 1)
    action, log_prob = actor.sample(mean, None, generator())
    torch.testing.assert_close(log_prob, reference.log_prob(action))
    log_prob, entropy = actor.log_prob(mean, action)
    torch.testing.assert_close(log_prob, reference.log_prob(action))
    torch.testing.assert_close(entropy, reference.entropy())
    many, _ = actor.sample(torch.zeros(20000, 4, 2), None, generator())
    torch.testing.assert_close(many.std(0), std, rtol=0.03, atol=0)
    assert torch.equal(actor.sample(mean)[0], mean)


def test_actions_fit_the_box():
    actor = Actor(BOX_SPEC, NetConfig())
    action = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0], [-9.0, 9.0]])
    want = torch.tensor([[-1.0, 0.0], [0.0, 5.0], [1.0, 10.0], [-1.0, 10.0]])
    torch.testing.assert_close(actor.to_space(action), want)


@pytest.mark.parametrize("space", [Box(-np.inf, np.inf, (2,)), Box(-1, 1, (2, 2)), Discrete(3, start=1)])
def test_spaces_that_cannot_be_served(space):
    with pytest.raises(ValueError, match="action space is"):
        Actor(Spec(4, 5, 6, space, GROUPS), NetConfig())


def test_value_norm():
    norm = ValueNorm(decay=0.9)
    x = randn(1000) * 3 + 100
    assert torch.equal(norm.denormalize(x), x.double())  # nothing known yet: as it is
    weight = (torch.arange(1000) % 4 > 0).float()
    norm.update(torch.where(weight > 0, x, 1e6), weight)
    alive = x[weight > 0].double().numpy()
    np.testing.assert_allclose([norm.mean, norm.std], [alive.mean(), alive.std()], rtol=1e-5)
    torch.testing.assert_close(norm.denormalize(norm.normalize(x)).float(), x)
    norm.update(x * 0 + 7, torch.ones(1000))  # a debiased average: weights 0.09 and 0.1
    mean = (0.09 * alive.mean() + 0.1 * 7) / 0.19
    square = (0.09 * (alive**2).mean() + 0.1 * 49) / 0.19
    np.testing.assert_allclose([norm.mean, norm.std], [mean, math.sqrt(square - mean**2)], rtol=1e-5)
    norm.update(x, torch.zeros(1000))
    np.testing.assert_allclose(norm.mean, mean, rtol=1e-5)


def test_values_lie_about_a_given_constant_until_the_first_targets():
    norm = ValueNorm()
    norm.begin_at(torch.tensor(1e6 + 0.125, dtype=torch.float64))
    assert not norm.begun
    assert norm.denormalize(torch.tensor([0.0, 1.0])).tolist() == [1e6 + 0.125, 1e6 + 1.125]  # float32 would round
    norm.update(torch.tensor([2.0, 4.0]), torch.ones(2))
    assert norm.begun
    assert norm.denormalize(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([3.0, 4.0])
    other = ValueNorm()
    other.load_state_dict(norm.state_dict())
    assert (other.mean, other.std) == (norm.mean, norm.std)


@pytest.mark.parametrize("hidden", [(16,), (8,)])
def test_a_state_is_read_once_for_all_agents_of_a_world(hidden):
    """Also by layers so narrow that they take another way."""
    net = NetConfig(share="all", hidden=hidden, activation="tanh")
    critic = scrambled(Critic(SPEC, "central", net, state=True, generator=generator()))
    obs, state, alive = randn(7, 4, 5), randn(7, 6, seed=2), randn(7, 4, seed=3) > 0
    assert critic.agent_blind
    world, _ = alive.nonzero(as_tuple=True)
    alone, _ = critic(obs[alive].unsqueeze(1), state, state_of=world)
    torch.testing.assert_close(alone.squeeze(1), critic(obs, state)[0][alive])


@pytest.mark.parametrize("kind", ["local", "central"])
def test_of_absent_agents_no_values_are_computed(kind, monkeypatch):
    net = NetConfig(share="all", **SMALL)
    critic = scrambled(Critic(SPEC, kind, net, state=kind == "central", generator=generator()))
    alive = randn(3, 2, 4, seed=3) > 0
    fields = {"obs": randn(3, 2, 4, 5), "state": randn(3, 2, 6, seed=2), "alive": alive}
    finals = {"obs": randn(1, 4, 5), "state": randn(1, 6)}
    everyone = critic(fields["obs"], fields["state"])[0]
    fields["obs"] = fields["obs"].masked_fill(~alive.unsqueeze(-1), torch.nan)
    values, _, _ = critic.over_rollout(fields, finals, None)
    torch.testing.assert_close(values, everyone.masked_fill(~alive, 0))
