"""Nothing leaks: what was not delivered has no gradient and changes no bit, within a step or through time.

Axes: T time, B worlds, N agents, D features, K steps of history.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from comm_scenes import METHODS, D, normal, talk_of
from torch import Tensor

from algos.comm.config import ChannelConfig
from algos.comm.hearing import Hearing
from algos.comm.medium import Medium
from algos.comm.talk import Talk
from algos.core import NOTHING

T, N = 7, 4
MEDIA: dict[str, dict[str, Any]] = {
    "ideal": {},
    "loss": {"loss": 0.5, "memory": 0},
    "memory": {"loss": 0.7, "memory": 3},
    "delay": {"delay": 2, "memory": 0},
    "late": {"delay": 1, "delay_most": 3, "memory": 2, "loss": 0.3},
}
CASES = [(name, rounds, medium) for name in METHODS for rounds in (1, 2) for medium in MEDIA]


def heard(talk: Talk, channel: ChannelConfig) -> tuple[Hearing, Tensor]:
    """Returns what a medium with half of all links delivers in T steps of one world, after some steps before."""
    medium = Medium(channel, N, rounds=len(talk.rounds), packet=talk.packet, seed=3)
    generator = torch.Generator().manual_seed(5)
    memory, ages, before = medium.first_memory(1), [], None
    for t in range(T + 4):
        reach = (torch.rand(1, N, N, generator=generator) < 0.5) & ~torch.eye(N, dtype=torch.bool)
        alive, started = torch.ones(1, N, dtype=torch.bool), torch.tensor([t == 0])
        _, memory = medium.listen(memory, reach, alive, started)
        if t == 4 and channel.remembers:
            before = memory["said"].clone()
        if t >= 4:
            ages.append(memory["age"])
        packets = torch.randn(1, N, len(talk.rounds), talk.packet, generator=generator)
        memory = medium.remember(memory, packets, None)
    age = torch.stack(ages)  # (T, 1, N, N)
    return Hearing(age, before), age


def paths(age: Tensor, rounds: int) -> Tensor:
    """Returns which (t, i) may know of which (s, j): (T, N, T, N) bool."""
    one = torch.zeros(T, N, T, N)
    for t in range(T):
        for i in range(N):
            one[t, i, t, i] = 1
            for j in range(N):
                old = int(age[t, 0, i, j])
                if old != NOTHING and old <= t:
                    one[t, i, t - old, j] = 1
    one = one.view(T * N, T * N)
    return (torch.matrix_power(one, rounds) > 0).view(T, N, T, N)


@pytest.mark.parametrize(("name", "rounds", "medium"), CASES)
def test_features_reach_others_along_messages_and_in_no_other_way(name: str, rounds: int, medium: str) -> None:
    channel = ChannelConfig(entries=8, **MEDIA[medium])
    talk = talk_of(name, channel=channel, rounds=rounds, pose=2)
    hearing, age = heard(talk, channel)
    allowed = paths(age, rounds)
    assert bool(allowed.any(-1).any(-1).all())
    assert not bool(allowed.all())
    x, pose = normal(T, 1, N, D, seed=1).requires_grad_(), normal(T, 1, N, 2, seed=2)
    out = talk(x, pose, hearing).features
    mix = normal(D, seed=4)
    for t in range(T):
        for i in range(N):
            (slope,) = torch.autograd.grad(out[t, 0, i] @ mix, x, retain_graph=True)
            size = slope.abs().sum(-1)[:, 0]  # (T, N)
            assert bool((size[~allowed[t, i]] == 0).all())
            assert bool((size[allowed[t, i]] > 0).all())
    for s in range(T):
        for j in range(N):
            other, elsewhere = x.detach().clone(), pose.clone()
            other[s, 0, j] += 100.0
            elsewhere[s, 0, j] -= 50.0
            moved = (talk(other, elsewhere, hearing).features != out)[:, 0].any(-1)  # (T, N)
            assert not bool((moved & ~allowed[:, :, s, j]).any())


@pytest.mark.parametrize("name", METHODS)
def test_messages_from_before_count_if_they_are_heard(name: str) -> None:
    channel = ChannelConfig(entries=8, **MEDIA["memory"])
    talk = talk_of(name, channel=channel, pose=2)
    hearing, age = heard(talk, channel)
    assert hearing.before is not None
    before = hearing.before.requires_grad_()  # (1, N, K, 1, P)
    out = talk(normal(T, 1, N, D, seed=1), normal(T, 1, N, 2, seed=2), hearing).features
    some = False
    for t in range(T):
        for i in range(N):
            (slope,) = torch.autograd.grad(out[t, 0, i].sum(), before, retain_graph=True)
            size = slope.abs().sum((-1, -2))[0]  # (N, K)
            for j in range(N):
                old = int(age[t, 0, i, j])
                for k in range(channel.history):
                    is_it = old != NOTHING and channel.history - (old - t) == k and old > t
                    assert bool(size[j, k] > 0) == is_it
                    some |= is_it
    assert some


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("heads", "top"), [(1, 0), (2, 1)])
@pytest.mark.parametrize("name", METHODS)
def test_a_shut_gate_lets_nothing_out(
    name: str, heads: int, top: int, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even through which messages of others are the most important ones."""
    if name == "mean" and heads > 1:
        return
    talk = talk_of(name, gate=True, heads=heads, top=top)
    monkeypatch.setattr(talk, "_sparse", lambda hearing: listed)
    assert talk.gate is not None
    x = normal(1, 4, D, seed=1)
    age = torch.where(torch.eye(4, dtype=torch.bool), NOTHING, 0).to(torch.uint8)[None]
    out = talk(x, x[..., :0], Hearing(age))
    assert out.speaks is not None
    shut = (out.speaks[0] <= 0.5).nonzero().flatten().tolist()
    assert 0 < len(shut) < 4
    weight = talk.gate.weights[0][0, :, 0].detach()  # type: ignore[index, union-attr]  # (D,)
    for j in shut:
        for seed in range(10):
            change = 30.0 * normal(D, seed=seed)
            change -= (change @ weight) / (weight @ weight) * weight  # the gate stays as it is
            other = x.clone()
            other[0, j] += change
            features = talk(other, x[..., :0], Hearing(age)).features
            rest = [i for i in range(4) if i != j]
            assert torch.equal(features[:, rest], out.features[:, rest])
