"""Rounds of talk: whole matrices and lists of links against a slow reference, equivariance, and what silence means."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from comm_scenes import METHODS, D, links, normal, talk_of
from torch import Tensor

from algos.comm.config import ChannelConfig
from algos.comm.hearing import Hearing, links_of
from algos.comm.mixing import (
    highest_dense,
    highest_links,
    mean_dense,
    mean_links,
    softmax_dense,
    softmax_links,
)
from algos.comm.quantise import quantised
from algos.comm.talk import Round, Talk
from algos.core import NOTHING

OPTIONS: list[dict[str, Any]] = [
    {},
    {"pose": 2},
    {"gate": True},
    {"rounds": 2, "pose": 2},
    {"heads": 2, "top": 2},
    {"heads": 2, "top": 2, "pose": 2, "gate": True, "rounds": 2},
]
CASES = [
    pytest.param(name, options, id="-".join([name, *(f"{key}={value}" for key, value in options.items())]))
    for name in METHODS
    for options in OPTIONS
    if name != "mean" or options.get("heads", 1) == 1
]


def both(talk: Talk, x: Tensor, pose: Tensor, age: Tensor, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Returns what comes of whole matrices, and of lists of links."""
    dense = talk(x, pose, Hearing(age), keep_weights=True)
    with monkeypatch.context() as patch:
        patch.setattr(talk, "_sparse", lambda hearing: True)
        listed = talk(x, pose, Hearing(age), keep_weights=True)
    return [dense, listed]


@torch.no_grad()
def reference(talk: Talk, x: Tensor, pose: Tensor, age: Tensor) -> Tensor:
    """The formulas of `talk`, `methods` and `mixing`, one agent and one message at a time: (N, D)."""
    n = len(x)
    speaks = [True] * n
    if talk.gate is not None:
        speaks = [float(gate) > 0 for gate in (talk.gate(x[None]).flatten() + 1.0)]
    for one in talk.rounds:
        assert isinstance(one, Round)
        method: Any = one.method
        said = one.speak(x[None])[0]
        question, message = said[:, : method.question], said[:, method.question :]
        heard_by = []
        for i in range(n):
            heard = [j for j in range(n) if age[i, j] == 0 and speaks[j]]
            total = []
            for head in range(method.heads):
                width = method.value
                part = slice(head * width, (head + 1) * width)
                if talk.name == "mean":
                    weights = {j: 1.0 / len(heard) for j in heard}
                else:
                    scores = {}
                    for j in heard:
                        if talk.name == "attention":
                            scores[j] = float(question[i, part] @ message[j, part]) / math.sqrt(width)
                        else:
                            sums = question[i] + message[j]
                            away = pose[j] - pose[i]
                            where = torch.cat([away, away.norm()[None]]) if talk.pose else away
                            sums = sums + torch.cat([torch.zeros(1), where]) @ method.link
                            hidden = torch.where(sums > 0, sums, 0.2 * sums)[part]
                            scores[j] = float(hidden @ method.score[head])
                    if talk.top:
                        scores = dict(sorted(scores.items(), key=lambda item: -item[1])[: talk.top])
                    whole = 1.0 + sum(math.exp(score) for score in scores.values())
                    weights = {j: math.exp(score) / whole for j, score in scores.items()}
                values = message[:, message.shape[1] // 2 :] if talk.name == "attention" else message
                value = values if talk.name == "mean" else values[:, part]
                mixed = torch.zeros(width + 2 + talk.pose)
                for j, weight in weights.items():
                    mixed = mixed + weight * torch.cat([value[j], torch.ones(1), torch.zeros(1), pose[j] - pose[i]])
                total.append(mixed)
            heard_by.append(torch.cat(total))
        x = x + torch.tanh(one.mix(x[None], torch.stack(heard_by)[None])[0])
    return x


@pytest.mark.parametrize(("name", "options"), CASES)
def test_matrices_and_links_are_the_formulas(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 5
    talk = talk_of(name, sets=(0,) * n, **options)
    x, pose = normal(3, n, D, seed=1), normal(3, n, options.get("pose", 0), seed=2)
    age = links(3, n, n, share=0.7, seed=3)
    if talk.gate is not None:
        opened = talk.gate(x) + 1.0 > 0
        assert bool(opened.any())
        assert not bool(opened.all())
    dense, listed = both(talk, x, pose, age, monkeypatch)
    for row in range(3):
        expected = reference(talk, x[row], pose[row], age[row])
        torch.testing.assert_close(dense.features[row], expected, atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(listed.features[row], expected, atol=2e-5, rtol=1e-5)
    for one, two in zip(dense.weights, listed.weights, strict=True):
        assert one.shape == two.shape == (3, talk.heads, n, n)
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
        assert bool((one[(age != 0).unsqueeze(1).expand_as(one)] == 0).all())


@pytest.mark.parametrize(("name", "options"), CASES)
def test_matrices_and_links_have_the_same_gradient(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = talk_of(name, **options)
    x, pose, age = normal(2, 4, D, seed=1), normal(2, 4, options.get("pose", 0), seed=2), links(2, 4, 4, seed=3)
    slopes = []
    for out in both(talk, x, pose, age, monkeypatch):
        loss = (out.features * normal(2, 4, D, seed=4)).sum()
        slopes.append(torch.autograd.grad(loss, list(talk.parameters()), allow_unused=True, materialize_grads=True))
    torch.testing.assert_close(*slopes, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_agents_in_another_order_give_the_same_in_that_order(name: str, options: dict[str, Any]) -> None:
    talk = talk_of(name, **options)
    x, pose, age = normal(2, 4, D, seed=1), normal(2, 4, options.get("pose", 0), seed=2), links(2, 4, 4, seed=3)
    order = torch.tensor([2, 0, 3, 1])
    out = talk(x, pose, Hearing(age)).features
    other = talk(x[:, order], pose[:, order], Hearing(age[:, order][:, :, order])).features
    torch.testing.assert_close(other, out[:, order], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(other, out, atol=1e-2)


@pytest.mark.parametrize("sets", [(0, 1, 0, 1), (0, 1, 2, 3)], ids=["group", "none"])
@pytest.mark.parametrize("name", METHODS)
def test_agents_may_have_parameters_of_their_own(
    name: str, sets: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = talk_of(name, sets=sets, gate=True)
    x, pose, age = normal(2, 4, D, seed=1), normal(2, 4, 0), links(2, 4, 4, share=1.0)
    x = x[:, :1].expand(-1, 4, -1)  # equal agents
    dense, listed = both(talk, x, pose, age, monkeypatch)
    torch.testing.assert_close(dense.features, listed.features, atol=1e-5, rtol=1e-5)
    same = [[torch.allclose(dense.features[:, i], dense.features[:, j], atol=1e-3) for j in range(4)] for i in range(4)]
    for i in range(4):
        for j in range(i):
            assert same[i][j] == (sets[i] == sets[j])  # those of a group hear the same


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_an_agent_that_hears_nobody_adds_nothing_of_others(
    name: str, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets h + act(W [h, 0]), and finite gradients."""
    talk = talk_of(name, pose=2)
    x, pose, age = normal(2, 4, D, seed=1).requires_grad_(), normal(2, 4, 2, seed=2), links(2, 4, 4, share=0.9)
    age[:, 1] = NOTHING
    age[1] = NOTHING
    out = both(talk, x, pose, age, monkeypatch)[listed]
    one = talk.rounds[0]
    assert isinstance(one, Round)
    nothing = torch.zeros(2, 4, 8 // (2 if name == "attention" else 1) + 4)
    alone = x + torch.tanh(one.mix(x, nothing))
    torch.testing.assert_close(out.features[:, 1], alone[:, 1])
    torch.testing.assert_close(out.features[1], alone[1])
    assert not torch.allclose(out.features[0, 0], alone[0, 0], atol=1e-3)
    (slope,) = torch.autograd.grad(out.features.square().sum(), x)
    assert bool(slope.isfinite().all())
    assert bool((out.weights[0][1] == 0).all())


@pytest.mark.parametrize("size", [0.0, 1.0, 1e4, -1e4])
@pytest.mark.parametrize("gated", [False, True])
def test_weights_leave_a_share_to_the_empty_message(size: float, gated: bool) -> None:
    """They stay finite for any scores, also where the highest one is of an agent that is silent."""
    age = links(3, 4, 4, share=0.6, seed=3)
    age[0, 0] = NOTHING
    scores = (size * (1.0 + normal(3, 2, 4, 4, seed=1).abs())).requires_grad_()
    speaks = torch.tensor([[1.0, 0.0, 1.0, 0.0]] * 3).requires_grad_() if gated else None
    heard = (age == 0).unsqueeze(1)
    listed = links_of(Hearing(age))
    weight = softmax_dense(scores, heard, speaks)
    flat = scores.permute(0, 2, 3, 1)[age == 0]  # (E, H)
    opened = None if speaks is None else speaks.flatten()[listed.sender]
    of_links = softmax_links(flat, listed, 12, opened)
    torch.testing.assert_close(of_links, weight.permute(0, 2, 3, 1)[age == 0])
    assert bool((weight[0, :, 0] == 0).all())
    total = weight.detach().sum(-1)
    assert bool((total <= 1.0 + 1e-6).all())
    if size < 1e4:
        assert bool((total < 1.0).all())
    inputs = [scores] if speaks is None else [scores, speaks]
    slopes = torch.autograd.grad(weight.square().sum() + of_links.square().sum(), inputs)
    assert all(bool(slope.isfinite().all()) for slope in slopes)


def test_a_silent_agent_takes_no_place_of_another() -> None:
    """What it would have said is unknown to those who choose the most important messages."""
    scores = torch.tensor([0.0, 5.0, 1.0, 2.0]).expand(1, 1, 4, 4)
    age = torch.where(torch.eye(4, dtype=torch.bool), NOTHING, 0).to(torch.uint8)[None]
    speaks = torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    best = highest_dense(scores, (age == 0).unsqueeze(1), 1, speaks)
    weight = softmax_dense(scores, best, speaks)
    assert weight[0, 0, 0].tolist() == pytest.approx([0, 0, 0, math.exp(2) / (1 + math.exp(2))])
    listed = links_of(Hearing(age))
    flat, opened = scores.permute(0, 2, 3, 1)[age == 0], speaks.flatten()[listed.sender]
    of_links = highest_links(flat, listed, 4, 4, 1, opened)
    assert torch.equal(of_links, best.permute(0, 2, 3, 1)[age == 0])


def test_the_mean_of_gates_counts_those_that_speak() -> None:
    age = links(1, 4, 4, share=1.0)
    speaks = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    weight = mean_dense((age == 0).unsqueeze(1), speaks)
    assert weight[0, 0].tolist() == [[0, 0, 1, 0], [0.5, 0, 0.5, 0], [1, 0, 0, 0], [0.5, 0, 0.5, 0]]
    listed = links_of(Hearing(age))
    fade = torch.full((12,), 0.5)
    of_links = mean_links(fade, listed, 4, speaks.flatten()[listed.sender])
    assert torch.equal(of_links[:, 0], 0.5 * weight[0, 0][age[0] == 0])


def test_a_gate_is_exactly_open_or_shut_and_has_the_gradient_of_its_chance() -> None:
    talk = talk_of("mean", gate=True)
    x, age = normal(2, 4, D, seed=1), links(2, 4, 4, share=1.0)
    out = talk(x, normal(2, 4, 0), Hearing(age), keep_weights=True)
    assert out.speaks is not None
    assert talk.gate is not None
    shut = (out.speaks <= 0.5)[:, None, None, :].expand_as(out.weights[0])
    assert bool(shut.any())
    assert bool((out.weights[0][shut] == 0).all())
    slope = torch.autograd.grad(out.features.sum(), next(talk.gate.parameters()))[0]
    assert bool(slope.abs().sum() > 0)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", METHODS)
@torch.no_grad()
def test_old_messages_fade_by_the_factor(name: str, learned: bool) -> None:
    """The odds of a message against the empty one fall by `decay` with every step of its age."""
    channel = ChannelConfig(entries=8, delay=1, memory=4, decay=0.7, learned_decay=learned)
    talk = talk_of(name, channel=channel)
    if learned:
        assert talk.fading is not None
        with torch.no_grad():
            talk.fading.fill_(math.log(math.expm1(-math.log(0.7))))
    if name == "graph":  # its score also reads the age
        method = talk.rounds[0].method
        with torch.no_grad():
            method.link.zero_()  # type: ignore[union-attr]
    x = normal(1, 1, 4, D, seed=1)
    before = talk.say(x, 0, 0.0)[1].detach()  # the same was said in all steps
    said = before[0][:, :, None, None].expand(-1, -1, channel.history, 1, -1)  # (B, N, K, R, P)
    odds = []
    for old in (1, 2, 4):
        age = torch.full((1, 1, 4, 4), NOTHING, dtype=torch.uint8)
        age[0, 0, 0, 1] = old
        weight = talk(x, normal(1, 1, 4, 0), Hearing(age, said), keep_weights=True).weights[0][0, 0, 0, 0, 1]
        odds.append(float(weight if name == "mean" else weight / (1 - weight)))
    assert odds[1] / odds[0] == pytest.approx(0.7, rel=1e-4)
    assert odds[2] / odds[0] == pytest.approx(0.7**3, rel=1e-4)


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_a_message_of_few_bits_is_exactly_on_its_levels(bits: int) -> None:
    message = (3.0 * normal(200, 8, seed=1)).requires_grad_()
    loss = quantised(message, 2.0**bits)
    sent = loss.detach()
    exact = torch.linspace(-1.0, 1.0, 2**bits)
    assert len(set(sent.flatten().tolist())) <= 2**bits  # not one bit of rounding gives more away
    assert float((sent.unsqueeze(-1) - exact).abs().amin(-1).max()) < 1e-6
    torch.testing.assert_close(quantised(torch.atanh(sent.clamp(-1 + 1e-6, 1 - 1e-6)), 2.0**bits), sent)
    (slope,) = torch.autograd.grad(loss.sum(), message)
    torch.testing.assert_close(slope, 1.0 - torch.tanh(message.detach()).square())


def test_levels_of_a_curriculum_may_be_fractions() -> None:
    message = normal(100, seed=2)
    assert torch.equal(quantised(message, 4.3), quantised(message, 4.0))
    assert set(quantised(message, 0.5).tolist()) == {-1.0, 1.0}
