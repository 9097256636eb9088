"""What is said and heard, in numbers that can be counted by hand, and rows without absent agents."""

from __future__ import annotations

import math

import pytest
import torch
from comm_scenes import links, spec_of

from algos.comm.config import ChannelConfig
from algos.comm.hearing import Hearing
from algos.comm.medium import Medium
from algos.comm.statistics import attention_entropy, bits_of_message, heard_statistics, sent_statistics
from algos.core import NOTHING
from algos.maths.live import back_to_agents, between_agents, live_first, of_agents
from algos.nets.actor import Actor
from algos.nets.config import NetConfig
from algos.nets.severed import Rows, severed


def test_bits_are_counted_once_a_broadcast() -> None:
    assert bits_of_message(8, 0.0, rounds=1, pose=0) == 8 * 32
    assert bits_of_message(8, 8.0, rounds=2, pose=2) == 2 * (8 * 3 + 2 * 32)


def test_bits_are_those_of_the_moment_while_a_curriculum_coarsens_messages() -> None:
    medium = Medium(ChannelConfig(entries=8, bits=2, curriculum=0.5), 2, rounds=1, packet=8, seed=0)
    assert bits_of_message(8, medium.levels(), rounds=1, pose=0) == 8 * 16
    medium.tightness.tightness.fill_(0.5)
    assert bits_of_message(8, medium.levels(), rounds=1, pose=0) == 8 * 9
    with medium.as_configured():
        assert bits_of_message(8, medium.levels(), rounds=1, pose=0) == 8 * 2


def test_what_is_heard_is_counted_among_the_living() -> None:
    """Three agents of whom the last is dead, in two steps of one world."""
    alive = torch.tensor([True, True, False]).expand(2, 1, 3)
    heard = torch.full((2, 1, 3, 3), NOTHING, dtype=torch.uint8)
    heard[0, 0, 0, 1] = 4
    heard[1, 0, 0, 1] = 0
    heard[1, 0, 1, 0] = 2
    heard[1, 0, 1, 2] = 9  # the last message of an agent that is dead
    sent = torch.tensor([[[True, False, True]], [[True, True, False]]])
    found = {
        name: float(value)
        for name, value in (sent_statistics(sent, alive, 100) | heard_statistics(heard, alive)).items()
    }
    assert found == pytest.approx({"messages": 0.75, "bits": 75.0, "heard": 0.75, "age": 2.0})


def test_nobody_alive_is_no_division_by_zero() -> None:
    nothing = torch.full((2, 1, 3, 3), NOTHING, dtype=torch.uint8)
    dead = torch.zeros(2, 1, 3, dtype=torch.bool)
    found = sent_statistics(dead, dead, 100) | heard_statistics(nothing, dead)
    assert all(float(value) == 0.0 for value in found.values())


def test_entropy_counts_the_empty_message() -> None:
    weights = torch.zeros(1, 2, 3, 3)
    weights[0, :, 0, 1:] = 1 / 3  # two messages and silence, alike
    weights[0, :, 1, 0] = 1.0
    alive = torch.tensor([[True, True, False]])
    assert float(attention_entropy(weights, alive)) == pytest.approx(math.log(3) / 2)
    assert float(attention_entropy(weights, torch.zeros_like(alive))) == 0.0


@pytest.mark.parametrize("box", [False, True])
def test_a_severed_policy_differs_by_what_was_heard(box: bool) -> None:
    actor = Actor(spec_of(4, box=box), NetConfig(hidden=(8,), comm="attention"))
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    obs, alive = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(1)), torch.ones(6, 4, dtype=torch.bool)
    heard = severed(actor, Rows(obs, None, Hearing(links(6, 4, 4)), None, alive))
    deaf = severed(actor, Rows(obs, None, Hearing(links(6, 4, 4, share=0.0)), None, alive))
    assert heard["influence"] > 1e-3
    assert heard["attention_entropy"] > 1e-3
    assert deaf["influence"] == 0.0
    assert deaf["attention_entropy"] == 0.0


def test_rows_without_absent_agents_and_back() -> None:
    generator = torch.Generator().manual_seed(0)
    alive = torch.rand(20, 5, generator=generator) < 0.4
    alive[:, 4] = False
    field, pairs = torch.randn(20, 5, 3, generator=generator), torch.randn(20, 5, 5, generator=generator)
    index = live_first(alive)
    most = int(alive.sum(1).max())
    assert index.shape == (20, most)
    few, between = of_agents(field, index), between_agents(pairs, index)
    for row in range(20):
        agents = alive[row].nonzero().flatten()
        assert index[row, : len(agents)].tolist() == agents.tolist()
        assert len(set(index[row].tolist())) == most
        assert torch.equal(few[row, : len(agents)], field[row, agents])
        n = len(agents)
        assert torch.equal(between[row, :n, :n], pairs[row][agents][:, agents])
    back = back_to_agents(few, index, 5)
    assert torch.equal(back[alive], field[alive])
    assert torch.equal(back_to_agents(few[..., 0], index, 5), back[..., 0])
    assert live_first(torch.zeros(3, 5, dtype=torch.bool)).shape == (3, 1)
