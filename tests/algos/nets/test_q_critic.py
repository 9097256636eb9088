"""Critics of joint actions: what each kind reads, and in which order."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
import torch
from gymnasium.spaces import Discrete

from algos.core import Spec
from algos.nets.config import NetConfig, Share
from algos.nets.critic import CriticKind
from algos.nets.own_order import seen_from
from algos.nets.q_critic import QCritic

KINDS: tuple[CriticKind, ...] = get_args(CriticKind)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def critic(
    kind: CriticKind, share: Share, *, state: bool = True, groups: Any = ((0, 2), (1,)), **options: Any
) -> QCritic:
    net = NetConfig(hidden=(16,), activation="relu", share=share, **options)
    return QCritic(Spec(3, 4, 2, Discrete(2), groups), kind, net, state=state, generator=chance())


def batch() -> tuple[Any, ...]:
    draw = chance(1)
    obs, action, own = (torch.randn(6, 3, size, generator=draw) for size in (4, 2, 2))
    return obs, torch.randn(6, 2, generator=draw), action, own


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("share", ["all", "group", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_one_agent_changes_is_judged_with_the_others_as_they_were(
    kind: CriticKind, share: Share, state: bool
) -> None:
    """Against one pass for each agent whose action is replaced in the joint action itself."""
    judge, (obs, state, action, own) = critic(kind, share, state=state), batch()
    assert judge(obs, state, action).shape == (6, 1 if kind == "team" else 3)
    found = judge(obs, state, action, own)
    assert found.shape == (6, 3)
    for agent in range(3):
        changed = action.clone()
        changed[:, agent] = own[:, agent]
        want = judge(obs, state, changed)[:, 0 if kind == "team" else agent]
        torch.testing.assert_close(found[:, agent], want)


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("share", ["all", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_reads_the_inputs_of_its_kind(kind: CriticKind, share: Share, state: bool) -> None:
    """Which inputs move Q_0: state, others' observation, own action, another's action."""
    judge, (obs, states, action, _) = critic(kind, share, state=state), batch()
    for x in (obs, states, action):
        x.requires_grad_()
    value = judge(obs, states, action)[:, 0].sum()
    of_obs, of_state, of_action = torch.autograd.grad(value, (obs, states, action), allow_unused=True)
    moves = [of_state, None if of_obs is None else of_obs[:, 1], of_action[:, 0], of_action[:, 1]]
    seen = [x is not None and bool(x.any()) for x in moves]
    assert seen == ([0, 0, 1, 0] if kind == "local" else [state, not state, 1, 1])


def test_agents_see_each_other_round_their_group() -> None:
    assert seen_from([[0, 1, 2]], 3) == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    assert seen_from([[3, 0], [1, 2]], 4) == [[0, 3, 1, 2], [1, 2, 3, 0], [2, 1, 3, 0], [3, 0, 1, 2]]
    assert seen_from([[1]], 3) == [[0, 2, 1], [1, 0, 2], [2, 0, 1]]


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_one_agent_alone_is_judged_too(kind: CriticKind, state: bool) -> None:
    spec = Spec(1, 4, 2, Discrete(2), ((0,),))
    judge = QCritic(spec, kind, NetConfig(hidden=(16,), activation="relu"), state=state, generator=chance())
    obs, states, action, own = batch()
    seen, does, instead = (x[:, :1] for x in (obs, action, own))
    torch.testing.assert_close(judge(seen, states, does, instead), judge(seen, states, instead))


@pytest.mark.parametrize("groups", [((0, 1, 2),), ()])
def test_agents_that_share_parameters_share_a_view(groups: Any) -> None:
    """Three agents of one group in a ring: if the ring turns, the values turn with it."""
    judge, (obs, _, action, own) = critic("central", "all", state=False, groups=groups), batch()
    values = judge(obs, None, action, own)
    turned = judge(*(None if x is None else x.roll(1, 1) for x in (obs, None, action, own)))
    torch.testing.assert_close(turned, values.roll(1, 1))


def test_separate_critics_are_separate() -> None:
    judge, (obs, state, action, _) = critic("central", "none"), batch()
    judge(obs, state, action)[:, 1].sum().backward()
    for parameter in judge.parameters():
        assert parameter.grad is not None
        touched = parameter.grad.flatten(1).any(1).tolist()
        assert touched == [False, True, False]


def test_ids_tell_agents_apart() -> None:
    plain, told = critic("local", "all"), critic("local", "all", agent_id=True)
    obs, state, action, _ = batch()
    obs, action = obs[:, :1].expand(-1, 3, -1), action[:, :1].expand(-1, 3, -1)
    for judge, apart in ((plain, False), (told, True)):
        value = judge(obs, state, action)
        pairs = itertools.pairwise(range(3))
        assert all((value[:, i] != value[:, j]).any().item() is apart for i, j in pairs)
