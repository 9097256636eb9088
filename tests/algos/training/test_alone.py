"""Agents that act alone, and talk through a medium that carries their packets, act as they do in the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import envs
from algos.comm.air import Message
from algos.comm.config import ChannelConfig
from algos.core import spec_of
from algos.mappo import Mappo, MappoConfig
from algos.training.policy import Policy

STEPS = 25


def trained(name: str, task: str | None = None, seed: int = 0, **options: Any) -> tuple[Policy, Any]:
    """A policy whose parameters are far from the first ones, and its network."""
    worlds = envs.vector(name, 2, task)
    actor = Mappo(spec_of(worlds), MappoConfig(hidden=(16,), **options), seed=seed).policy
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return Policy(actor, spec_of(worlds), worlds.agents), actor


def apart_and_together(name: str, task: str | None, **options: Any) -> int:
    """Plays two episodes both ways and compares the scores of all actions; returns how many packets arrived."""
    policy, actor = trained(name, task, **options)
    seen: list[torch.Tensor] = []
    heads = actor.heads

    def spy(obs: Any, memory: Any) -> Any:
        found = heads(obs, memory)
        seen.append(found[0][0])
        return found

    actor.heads = spy
    env = envs.parallel_env(name, task)
    alone, air = {agent: policy.alone(agent) for agent in policy.agents}, policy.air()
    packets = 0
    for episode in range(2):
        observations, infos = env.reset(seed=3 + episode)
        for each in (policy, air, *alone.values()):
            each.reset()
        for _ in range(STEPS):
            if not env.agents:
                break
            there = {agent: observations[agent] for agent in env.agents}
            together = policy.act(there, infos)
            said = {agent: alone[agent].see(there[agent], infos[agent].get("action_mask")) for agent in there}
            for number in range(air.rounds):
                spoken = {agent: packet for agent, packet in said.items() if packet is not None}
                neighbors = {agent: infos[agent]["neighbors"] for agent in there}
                brought = air.round(number, spoken) if number else air.step(neighbors, spoken)
                packets += sum(map(len, brought.values()))
                said = {agent: alone[agent].hear(brought.get(agent, {})) for agent in there}
            for agent in there:
                assert np.array_equal(alone[agent].act(), together[agent])
                row = seen[-1][policy.agents.index(agent)].numpy()
                np.testing.assert_allclose(alone[agent].scores, row, rtol=1e-4, atol=1e-5)
            observations, _, _, _, infos = env.step(together)
    return packets


CASES: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "ideal": ("whispers", None, {"comm": "attention"}),
    "rounds": ("whispers", None, {"comm": "graph", "comm_rounds": 2, "comm_heads": 2}),
    "late": ("whispers", None, {"comm": "mean", "comm_rounds": 2, "channel": ChannelConfig(loss=0.3, delay=2)}),
    "irregular": (
        "whispers",
        None,
        {"comm": "attention", "channel": ChannelConfig(loss=0.2, delay_most=3, memory=2, bits=3)},
    ),
    "on change": ("whispers", None, {"comm": "attention", "gru": 8, "channel": ChannelConfig(change=0.8, longest=5)}),
    "gate": ("whispers", None, {"comm": "attention", "comm_gate": True, "share": "none"}),
    "births and deaths": ("traffic_junction", "easy-1", {"comm": "attention", "comm_rounds": 2}),
    "bursts": ("traffic_junction", "easy-1", {"comm": "graph", "channel": ChannelConfig(loss=0.3, burst=3.0)}),
    "partition": (
        "spread",
        None,
        {"comm": "graph", "channel": ChannelConfig(partition="3-9:0|1,2", decay=0.8, learned_decay=True)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_agents_act_alone_as_they_do_together(case: str) -> None:
    name, task, options = CASES[case]
    assert apart_and_together(name, task, **options) > 40


@pytest.mark.parametrize("greedy", [True, False])
def test_one_call_sees_says_hears_and_acts(greedy: bool) -> None:
    """`act_one` with what carries its messages acts as the agent apart does, step after step, episode after episode."""
    options = {"comm": "attention", "comm_rounds": 2, "channel": ChannelConfig(loss=0.4, delay=1)}
    (policy, _), (one, _) = (trained("whispers", **options) for _ in range(2))
    name = policy.agents[0]
    agent = policy.alone(name)
    env = envs.parallel_env("whispers")
    said: list[np.ndarray] = []
    drawn = np.random.default_rng(5)
    acted: list[tuple[int, int]] = []
    for episode in range(2):
        observations, _ = env.reset(seed=episode)
        agent.reset(seed=episode)
        one.reset(seed=episode)
        for _ in range(10):
            sender = policy.agents[1 + int(drawn.integers(3))]
            brought = [{sender: Message(drawn.normal(size=32).astype(np.float32), 1)} for _ in range(2)]
            packet = agent.see(observations[name])
            expected = []
            for messages in brought:
                assert packet is not None
                expected.append(packet)
                packet = agent.hear(messages)
            apart = agent.act(greedy=greedy)
            said.clear()
            rounds = iter(brought)

            def exchange(packet: Any, rounds: Any = rounds) -> Any:
                said.append(packet)
                return next(rounds)

            acted.append((apart, one.act_one(name, observations[name], exchange=exchange, greedy=greedy)))
            assert all(np.array_equal(x, y) for x, y in zip(expected, said, strict=True))
            observations, *_ = env.step(dict.fromkeys(policy.agents, 0))
    assert all(x == y for x, y in acted)
    assert len({x for x, _ in acted}) > 1


def test_an_agent_alone_does_not_know_what_was_not_brought_to_it() -> None:
    policy, _ = trained("whispers", comm="attention")
    env = envs.parallel_env("whispers")
    observations, _ = env.reset(seed=1)
    first, second = policy.agents[:2]
    scores = []
    for other in (observations[second], np.roll(observations[second], 1)):
        agent, speaker = policy.alone(first), policy.alone(second)
        agent.see(observations[first])
        said = speaker.see(other)
        assert said is not None
        for brought in ({}, {second: Message(said, 0)}):
            agent.see(observations[first])
            agent.hear(brought)
            agent.act()
            scores.append(agent.scores)
    silence, heard, silence_again, heard_again = scores
    assert np.array_equal(silence, silence_again)
    assert not np.array_equal(heard, heard_again)
    assert not np.array_equal(silence, heard)


def test_moves_in_the_wrong_order_are_refused() -> None:
    policy, _ = trained("whispers", comm="attention")
    agent, width = policy.alone(policy.agents[0]), 32
    with pytest.raises(ValueError, match=r"hear\(\) comes after see\(\)"):
        agent.hear({})
    with pytest.raises(ValueError, match=r"act\(\) comes after see\(\)"):
        agent.act()
    agent.see(np.zeros(12))
    with pytest.raises(ValueError, match=r"after hear\(\) of every round"):
        agent.act()
    with pytest.raises(ValueError, match="unknown agent 'nobody'"):
        agent.hear({"nobody": Message(np.zeros(width, np.float32), 0)})
    with pytest.raises(ValueError, match=r"packet of .* has shape \(3,\); \(32,\) is sent"):
        agent.hear({policy.agents[1]: Message(np.zeros(3, np.float32), 0)})
    with pytest.raises(ValueError, match="this policy talks: give exchange="):
        policy.act_one(policy.agents[0], np.zeros(12))
    silent, _ = trained("whispers")
    with pytest.raises(ValueError, match="does not talk"):
        silent.air()
    assert silent.alone(policy.agents[0]).see(np.zeros(12)) is None
