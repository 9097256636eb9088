"""The memory of a gradient step in which agents talk, counted beforehand and measured."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from comm_scenes import links, spec_of

from algos import ALGOS
from algos.comm.config import ChannelConfig
from algos.comm.hearing import Hearing
from algos.nets.actor import Actor
from algos.nets.config import NetConfig
from algos.training.footprint import remembered, talking

N = 24
ROWS = 16
VARIANTS: dict[str, dict[str, Any]] = {
    "mean": {"comm": "mean"},
    "attention": {"comm": "attention", "comm_rounds": 2, "comm_heads": 4},
    "graph": {"comm": "graph"},
    "few-entries": {"comm": "graph", "comm_graph": "full", "channel": ChannelConfig(entries=8)},
    "wide": {"comm": "attention", "hidden": (64, 256)},
    "memory": {"comm": "attention", "comm_graph": "full", "channel": ChannelConfig(loss=0.5, memory=4)},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_gradient_step_keeps_of_messages_is_counted(variant: str) -> None:
    net = NetConfig(**{"hidden": (64,), **VARIANTS[variant]})
    actor = Actor(spec_of(N), net)
    talks = actor.conversation
    assert talks is not None
    x, obs = torch.randn(ROWS, N, net.hidden[-1], requires_grad=True), torch.randn(ROWS, N, 5)
    hearing = Hearing(links(ROWS, N, N, share=1.0))
    if talks.remembers:
        x, obs = x[None], obs[None]
        packets = torch.zeros(ROWS, N, net.channel.history, net.comm_rounds, talks.talk.packet)
        hearing = Hearing(hearing.age[None], packets)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = talks(x, obs, hearing).features
    own = {part.untyped_storage().data_ptr() for part in talks.parameters()}
    measured = sum(numbers for place, numbers in kept.items() if place not in own)
    assert out.requires_grad
    # The peak is higher than what is kept for the way back: temporary results, and gradients.
    assert 0.8 * measured <= ROWS * N * talking(net, N) <= 4 * measured


def test_nothing_is_counted_where_nobody_talks() -> None:
    assert talking(NetConfig(), N) == 0


@pytest.mark.parametrize("algo", ["mappo", "maddpg"])
def test_what_is_on_its_way_is_counted(algo: str) -> None:
    """Three times the memory of the medium, which is large where many agents hear each other late."""
    spec, channel = spec_of(N, pose=(0, 1)), ChannelConfig(loss=0.5, burst=3.0, delay=4, delay_most=50, memory=50)
    options: dict[str, Any] = {"comm": "attention", "comm_rounds": 2, "channel": channel}
    net = NetConfig(**options)
    (part,) = remembered(spec, net, 8, "cpu")
    actual = sum(field.untyped_storage().nbytes() for field in Actor(spec, net).first_memory(8).values())
    assert 2.9 * actual <= part.bytes <= 3.1 * actual
    entry = ALGOS[algo]
    parts = entry.footprint(spec, entry.config(**options), n_worlds=8, action_mask=False, device="cpu")
    assert part in parts
    assert remembered(spec, NetConfig(comm="attention"), 8, "cpu") == remembered(spec, NetConfig(), 8, "cpu") == []
