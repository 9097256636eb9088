"""Convolutions with several parameter sets against loops, the geometry for every size, and what critics see."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from gymnasium.spaces import Discrete
from toys import Match, Quadrant

from algos.core import Spec, spec_of
from algos.nets.actor import Actor
from algos.nets.config import NetConfig
from algos.nets.critic import Critic
from algos.nets.recurrent import Recurrence
from algos.nets.sharing import parameter_sets
from algos.nets.vision import Convolution, Encoder, is_image, layers_for
from algos.training.plain_spec import spec_from_plain, spec_to_plain

GROUPS = ((0, 2, 3), (1,))
SHAPE = (2, 5, 6)
SPEC = Spec(4, 60, 0, Discrete(3), GROUPS, SHAPE)
STATED = Spec(4, 60, 7, Discrete(3), GROUPS, SHAPE)
SHARES = ("all", "group", "none")
SMALL: dict[str, Any] = {"hidden": (8,), "activation": "tanh"}


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
            parameter.copy_(0.3 * randn(*parameter.shape, seed=100 + k))
    return module


def encoder(shape=SHAPE, sets=(0, 0, 0, 0)):
    """Returns an encoder with random parameters."""
    return scrambled(Encoder(shape, sets, activation=torch.tanh, generator=generator()))


def test_the_geometry_of_the_literature():
    nature = [((8, 8), (4, 4)), ((4, 4), (2, 2)), ((3, 3), (1, 1))]
    assert layers_for(84, 84) == layers_for(64, 64) == nature
    assert layers_for(7, 7) == [((3, 3), (1, 1))] * 2
    assert layers_for(3, 3) == layers_for(4, 3) == [((3, 3), (1, 1))]
    assert layers_for(3, 84) == [((3, 8), (1, 4)), ((1, 4), (1, 2)), ((1, 3), (1, 1))]
    assert encoder((3, 64, 64), (0,)).n_features == 32 * 4 * 4
    assert encoder((3, 7, 7), (0,)).n_features == 32 * 3 * 3


def test_every_size_can_be_read():
    for sizes in itertools.product(range(3, 161), repeat=2):
        left, layers = list(sizes), layers_for(*sizes)
        for kernel, stride in layers:
            for axis in range(2):
                assert kernel[axis] <= left[axis]
                left[axis] = (left[axis] - kernel[axis]) // stride[axis] + 1
        assert 1 <= len(layers) <= 3
        assert min(left) >= 1
        assert max(left) <= 16
    for shape in ((1, 3, 3), (3, 11, 40)):
        size = torch.Size(shape).numel()
        assert encoder(shape, (0, 1))(randn(2, 2, size)).shape == (2, 2, encoder(shape).n_features)


def test_what_counts_as_an_image():
    assert is_image((1, 3, 3))
    assert not any(map(is_image, [(), (60,), (6, 10), (3, 2, 10), (3, 10, 2), (1, 2, 5, 6)]))
    flat = Actor(Spec(4, 60, 0, Discrete(3), GROUPS, (2, 2, 15)), NetConfig(hidden=(8,)))
    assert flat.encoder is None
    assert Actor(SPEC, NetConfig(hidden=(8,))).encoder is not None


@pytest.mark.parametrize("share", SHARES)
def test_a_convolution_is_a_loop_over_agents(share):
    sets = parameter_sets(SPEC, share)
    layer = scrambled(Convolution((2, 3), (3, 2), (2, 1), sets, generator()))
    x = randn(7, 4, *SHAPE).requires_grad_()
    got = layer(x)  # (7, 4, 3, 2, 5)
    want = torch.stack([F.conv2d(x[:, i], layer.weight[s], layer.bias[s], (2, 1)) for i, s in enumerate(sets)], 1)
    assert got.shape == (7, 4, 3, 2, 5)
    torch.testing.assert_close(got, want)
    wanted, cotangent = [x, *layer.parameters()], randn(*got.shape, seed=3)
    for a, b in zip(
        torch.autograd.grad(got, wanted, cotangent), torch.autograd.grad(want, wanted, cotangent), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_filters_begin_orthogonal_set_by_set():
    weight = Convolution((2, 4), (3, 3), (1, 1), (0, 1), generator()).weight.flatten(2)  # (2, 4, 18)
    torch.testing.assert_close(weight @ weight.mT, 2 * torch.eye(4).expand(2, 4, 4), atol=1e-5, rtol=0)
    assert not torch.equal(weight[0], weight[1])


def test_the_encoder_is_the_network_it_says():
    net = encoder((3, 64, 64), (0,))
    x = randn(2, 1, 3 * 64 * 64)
    want = x.view(2, 3, 64, 64)
    for layer, stride in zip(net.layers, (4, 2, 1), strict=True):
        assert isinstance(layer, Convolution)
        want = torch.tanh(F.conv2d(want, layer.weight[0], layer.bias[0], stride))
    torch.testing.assert_close(net(x), want.view(2, 1, 512))


@pytest.mark.parametrize("several", [(0, 1, 0, 0), (0, 1, 2, 3)])
def test_one_set_is_several_that_are_equal(several):
    one, many = encoder(), encoder(sets=several)
    with torch.no_grad():
        for target, source in zip(many.parameters(), one.parameters(), strict=True):
            target.copy_(source.expand_as(target))
    obs = randn(3, 2, 4, 60)
    torch.testing.assert_close(many(obs), one(obs))


def permuted(module, order):
    """Gives the parameter sets of agents another order."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.shape[0] == len(order):
                parameter.copy_(parameter[order].clone())


@pytest.mark.parametrize("gru", [0, 6])
@pytest.mark.parametrize("share", ["all", "none"])
def test_agents_may_change_places(share, gru):
    """With their parameters, where they have their own."""
    actor, order = scrambled(Actor(SPEC, NetConfig(share=share, hidden=(9,), gru=gru))), torch.tensor([2, 0, 3, 1])
    obs, hidden = randn(2, 3, 4, 60), randn(3, 4, 6, seed=2)
    memory = Recurrence(hidden, torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 3, 4, dtype=torch.bool))
    straight = actor(obs, memory).head
    mixed = actor(obs[:, :, order], memory._replace(hidden=hidden[:, order])).head
    if share == "none":
        assert not torch.allclose(mixed, straight[:, :, order])
        permuted(actor, order)
        mixed = actor(obs[:, :, order], memory._replace(hidden=hidden[:, order])).head
    torch.testing.assert_close(mixed, straight[:, :, order])


def test_without_a_gradient_images_pass_in_parts():
    net, obs = encoder(sets=(0, 1, 2, 3)), randn(5, 3, 4, 60)
    want, seen = net(obs), []
    net.part, inner = 4, net._features

    def recorded(rows):
        seen.append(len(rows))
        return inner(rows)

    net._features = recorded  # type: ignore[method-assign]
    with torch.no_grad():
        torch.testing.assert_close(net(obs), want)
        assert seen == [4, 4, 4, 3]
    net(obs)
    assert seen[4:] == [15]
    assert encoder((3, 64, 64), (0,) * 8).part == 2**24 // (8 * 16 * 15 * 15)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", ["local", "central", "team"])
def test_critics_see_through_their_own_convolutions(kind, share):
    critic = scrambled(Critic(SPEC, kind, NetConfig(share=share, **SMALL), state=False, generator=generator()))
    obs = randn(7, 4, 60)
    value, _ = critic(obs, None)
    assert value.shape == (7, 1 if kind == "team" else 4)
    other = obs.clone()
    other[:, 0] += 1
    changed = (critic(other, None)[0] != value).any(0)
    assert changed.tolist() == {"local": [True, False, False, False], "central": [True] * 4, "team": [True]}[kind]
    value.square().sum().backward()
    for parameter in critic.parameters():
        assert parameter.grad is not None
        assert (parameter.grad.flatten(1) != 0).any(1).all()  # of every set


@pytest.mark.parametrize("kind", ["central", "team"])
def test_without_a_state_the_features_of_all_are_read(kind):
    joint = scrambled(Critic(SPEC, kind, NetConfig(share="none", **SMALL), state=False, generator=generator()))
    assert joint.encoder is not None
    n = joint.encoder.n_features
    plain = Critic(
        Spec(4, n, 0, Discrete(3), GROUPS), kind, NetConfig(share="none", **SMALL), state=False, generator=generator()
    )
    plain.trunk.load_state_dict(joint.trunk.state_dict())
    obs = randn(7, 4, 60)
    torch.testing.assert_close(joint(obs, None)[0], plain(joint.encoder(obs), None)[0])


def test_a_state_is_read_as_it_is():
    central, team = (
        scrambled(Critic(STATED, kind, NetConfig(share="all", **SMALL), state=True, generator=generator()))  # type: ignore[arg-type]
        for kind in ("central", "team")
    )
    obs, state = randn(7, 4, 60), randn(7, 7, seed=2)
    assert team.encoder is None
    assert torch.equal(team(obs, state)[0], team(obs + 1, state)[0])
    assert not torch.equal(central(obs, state)[0], central(obs, state + 1)[0])
    other = obs.clone()
    other[:, 0] += 1
    assert (central(other, state)[0] != central(obs, state)[0]).any(0).tolist() == [True, False, False, False]


def test_the_policy_learns_to_see():
    actor = Actor(SPEC, NetConfig(share="none", hidden=(8,)))
    head = actor(randn(7, 4, 60)).head
    head.square().sum().backward()
    assert actor.encoder is not None
    for parameter in actor.encoder.parameters():
        assert parameter.grad is not None
        assert (parameter.grad.flatten(1) != 0).any(1).all()


def test_the_spec_knows_the_shape():
    assert spec_of(Quadrant()).obs_shape == (1, 8, 8)
    assert spec_of(Match()).obs_shape == Spec(2, 4, 0, Discrete(4), ((0, 1),)).obs_shape == (4,)
    with pytest.raises(ValueError, match=r"obs_shape is \(2, 3, 3\), 18 numbers; obs_dim is 60"):
        Spec(4, 60, 0, Discrete(3), GROUPS, (2, 3, 3))


def test_the_shape_is_kept_in_run_folders():
    plain = json.loads(json.dumps(spec_to_plain(SPEC)))
    assert spec_from_plain(plain) == SPEC
    del plain["obs_shape"]  # as folders were written before
    assert spec_from_plain(plain).obs_shape == (60,)
