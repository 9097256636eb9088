"""Agents that act alone, and talk through a medium that carries their packets, act as they do in the batch."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import envs
from algos.comm.air import Air, Message
from algos.comm.config import ChannelConfig
from algos.core import Player, spec_of
from algos.mappo import Mappo, MappoConfig
from algos.training.evaluation import CHOOSING_SEED, FIRST_SEED, evaluate, to_obs
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
    """Plays two episodes both ways and compares the scores of all actions and who has something to hear of whom.

    Returns:
        How many packets arrived.
    """
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
            each.reset(seed=episode or None)
        for _ in range(STEPS):
            if not env.agents:
                break
            there = {agent: observations[agent] for agent in env.agents}
            together = policy.act(there, infos)
            said = {agent: alone[agent].see(there[agent], infos[agent].get("action_mask")) for agent in there}
            for number in range(air.rounds):
                spoken = {agent: packet for agent, packet in said.items() if packet is not None}
                neighbors = {agent: infos[agent]["neighbors"] for agent in there}
                places = {agent: policy.position(agent, there[agent]) for agent in there} if air.measures else None
                brought = air.round(number, spoken) if number else air.step(neighbors, spoken, places)
                if not (number or air.medium.config.latest):
                    ages = policy._memory["age"][0].tolist()
                    fresh = {
                        (one, other)
                        for one, row in zip(policy.agents, ages, strict=True)
                        for other, age in zip(policy.agents, row, strict=True)
                        if age == 0 and other in spoken
                    }
                    assert {(one, other) for one, sent in brought.items() for other in sent} == fresh
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
    "full": ("warehouse", None, {"comm": "attention", "comm_graph": "full"}),
    "knn": ("traffic_junction", "medium-1", {"comm": "graph", "comm_graph": "knn-1"}),
    "radius": ("traffic_junction", "medium-1", {"comm": "attention", "comm_graph": "radius-3"}),
    "range": ("traffic_junction", "medium-1", {"comm": "attention", "channel": ChannelConfig(range=3.0)}),
    "range and full": (
        "rovers",
        None,
        {"comm": "mean", "comm_graph": "full", "comm_rounds": 2, "channel": ChannelConfig(range=8.0, loss=0.2)},
    ),
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


def heard_in(policy: Policy, seeds: list[int | None], steps: int = 12) -> list[list[list[list[int]]]]:
    """Returns the ages of what is heard in episodes, each begun by a reset with a seed or without one."""
    env, found = envs.parallel_env("whispers"), []
    for seed in seeds:
        observations, infos = env.reset(seed=1)
        policy.reset(seed=seed)
        found.append([])
        for _ in range(steps):
            actions = policy.act(observations, infos)
            found[-1].append(policy._memory["age"][0].tolist())
            observations, _, _, _, infos = env.step(actions)
    return found


def test_a_seed_decides_what_the_medium_loses() -> None:
    """The same for the same seed, another for another, and without one chance goes on; none is that of training."""
    policy, actor = trained("whispers", comm="attention", channel=ChannelConfig(loss=0.5, memory=0))
    one, two, same, on, further = heard_in(policy, [1, 2, 1, None, None])
    assert one == same
    assert one != two
    assert on not in (one, two, further)
    assert heard_in(Policy(actor, policy.spec, policy.agents), [None])[0] == heard_in(policy, [0])[0]
    training = Policy(actor, policy.spec, policy.agents)
    training._memory = actor.first_memory(1)
    assert heard_in(training, [None])[0] not in (one, two, on, further)


class Spied(Player):
    """Keeps the ages of what is heard."""

    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        self.ages: list[Any] = []

    def __call__(self, obs: Any) -> Any:
        action = super().__call__(obs)
        assert self._memory is not None
        self.ages.append(self._memory["age"].tolist())
        return action


def test_evaluations_that_choose_and_judge_lose_other_messages_than_training() -> None:
    _, actor = trained("whispers", comm="attention", channel=ChannelConfig(loss=0.5))
    worlds, lost = envs.vector("whispers", 4), []
    for seed in (FIRST_SEED, FIRST_SEED, CHOOSING_SEED):
        player = Spied(actor)
        evaluate(worlds, player, 4, seed=seed)
        lost.append(player.ages)
    training, step = Spied(actor), worlds.reset(0)
    for _ in lost[0]:
        _, step = worlds.step(training(to_obs(step, np.zeros(4, bool))))
    judging, again, choosing = lost
    assert judging == again
    assert training.ages not in (judging, choosing)
    assert choosing != judging


def air_of(**options: Any) -> tuple[Air, dict[str, list[str]]]:
    """The medium between four agents that all hear each other, and their neighbors."""
    policy, _ = trained("whispers", **{"comm": "attention", **options})
    return policy.air(), {agent: [other for other in policy.agents if other != agent] for agent in policy.agents}


def test_air_refuses_what_cannot_be() -> None:
    air, everyone = air_of(comm_rounds=2)
    name, packet = air.agents[0], np.zeros(32, np.float32)
    with pytest.raises(ValueError, match=r"round\(1\) came where step\(\) is next"):
        air.round(1, {})
    with pytest.raises(ValueError, match="neighbors names unknown agent 'nobody'"):
        air.step({"nobody": []}, {})
    with pytest.raises(ValueError, match="neighbors names unknown agent 'nobody'"):
        air.step({name: ["nobody"]}, {})
    with pytest.raises(ValueError, match="said names unknown agent 'nobody'"):
        air.step(everyone, {"nobody": packet})
    with pytest.raises(ValueError, match=f"said names '{name}', which is not among the live agents"):
        air.step({agent: [] for agent in everyone if agent != name}, {name: packet})
    assert set(air.step(everyone, {name: packet})) == set(everyone) - {name}
    with pytest.raises(ValueError, match=r"step\(\) came before round\(1\) of the step before"):
        air.step(everyone, {})
    for number in (0, 2, -1):
        with pytest.raises(ValueError, match=rf"round\({number}\) came where round\(1\) is next; a step has 2"):
            air.round(number, {})
    with pytest.raises(ValueError, match="said names unknown agent 'nobody'"):
        air.round(1, {"nobody": packet})
    air.round(1, {name: packet})
    with pytest.raises(ValueError, match=r"round\(2\) came where step\(\) is next"):
        air.round(2, {})
    air.reset()
    assert set(air.step(everyone, {name: packet})) == set(everyone) - {name}


def test_a_medium_that_measures_needs_positions() -> None:
    policy, _ = trained("traffic_junction", "medium-1", comm="attention", channel=ChannelConfig(range=3.0))
    air = policy.air()
    one, two = air.agents[:2]
    everyone, said = {one: [two], two: [one]}, dict.fromkeys((one, two), np.zeros(34, np.float32))
    where: Any
    for where in (None, {one: (0.0, 0.0)}, {one: (0.0, 0.0), two: (1.0,)}, {one: (0.0, 0.0), two: (np.nan, 0.0)}):
        with pytest.raises(
            ValueError, match=r"position of car_\d+ is .*; this medium measures distances: give positions="
        ):
            air.step(everyone, said, where)
    assert air.step(everyone, said, {one: (0.0, 0.0), two: (0.0, 4.0)}) == {}
    assert set(air.step(everyone, said, {one: (0.0, 0.0), two: (0.0, 2.0)})) == {one, two}
    silent, _ = trained("whispers", comm="attention")
    with pytest.raises(ValueError, match="do not say where their agent is"):
        silent.position(silent.agents[0], np.zeros(12))


def test_what_no_medium_brings_is_refused() -> None:
    policy, _ = trained("whispers", comm="attention", channel=ChannelConfig(entries=4, bits=2, delay=1, memory=3))
    me, other = policy.agents[:2]
    agent, good = policy.alone(me), np.array([-1.0, -1 / 3, 1 / 3, 1.0], np.float32)
    agent.see(np.zeros(12))
    cases: dict[str, Any] = {
        f"message of {me} to itself": {me: Message(good, 1)},
        f"message of {other} is a ndarray; give a Message": {other: good},
        "has age -1; allowed are whole steps from 0 to 4": {other: Message(good, -1)},
        "has age 5;": {other: Message(good, 5)},
        "has age 1.5;": {other: Message(good, 1.5)},  # type: ignore[arg-type]
        "has age True;": {other: Message(good, True)},
        "has age nan;": {other: Message(good, np.nan)},  # type: ignore[arg-type]
        "holds numbers that are not finite": {other: Message(good * np.nan, 1)},
        "between the 4 levels of 2 bits": {other: Message(0.9 * good, 1)},
        "between the 4 levels of 2 bits from -1 to 1": {other: Message(good * np.float32(5 / 3), 1)},
    }
    for line, messages in cases.items():
        with pytest.raises(ValueError, match=re.escape(line)):
            agent.hear(messages)
    agent.hear({other: Message(good, 1)})
    agent.act()
    ideal, _ = trained("whispers", comm="attention")
    one = ideal.alone(me)
    one.see(np.zeros(12))
    with pytest.raises(ValueError, match="has age 1; allowed are whole steps from 0 to 0"):
        one.hear({other: Message(np.zeros(32, np.float32), 1)})


def test_agents_apart_meet_the_medium_that_was_asked_for() -> None:
    """However far the curriculum of the training was: a policy in the middle of it acts as if it were at its end."""
    options: dict[str, Any] = {
        "comm": "attention",
        "channel": ChannelConfig(loss=0.5, bits=1, entries=8, curriculum=0.5),
    }
    policy, actor = trained("whispers", **options)
    assert float(actor.conversation.medium.tightness) == 0.0
    assert apart_and_together("whispers", None, **options) > 40
    env = envs.parallel_env("whispers")
    observations, infos = env.reset(seed=1)
    sender = policy.alone(policy.agents[1])
    said = sender.see(observations[policy.agents[1]])
    assert said is not None
    assert set(said.tolist()) <= {-1.0, 1.0}
    policy.act(observations, infos)
    assert (policy._memory["age"] != 0).float().mean() > 0.35  # of 16 pairs 4 are agents with themselves
