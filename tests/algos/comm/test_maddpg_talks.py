"""MADDPG with communication: its replay keeps what was heard, before a step and after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from comm_scenes import spec_of
from streams import Stream, drive
from toys import Leaving, train

from algos.comm.config import ChannelConfig
from algos.comm.hearing import Hearing
from algos.core import NOTHING
from algos.core import spec_of as shapes_of
from algos.maddpg import Maddpg, MaddpgConfig, footprint

SMALL: dict[str, Any] = {
    "hidden": (8,),
    "warm_up": 20,
    "replay_size": 400,
    "batch": 16,
    "updates": 1,
    "policy_start": 0,
}
LOSSY = ChannelConfig(entries=8, loss=0.5, memory=0)


@pytest.mark.parametrize("channel", [LOSSY, ChannelConfig(loss=0.5, burst=3.0, memory=0)], ids=["loss", "burst"])
def test_what_is_heard_after_a_step_is_what_is_heard_before_the_next(channel: ChannelConfig) -> None:
    env = Leaving(n_worlds=4, n_agents=3)
    algo = Maddpg(shapes_of(env), MaddpgConfig(**SMALL, comm="attention", channel=channel), seed=0)
    train(env, algo, updates=60)
    assert algo.replay is not None
    fields, rows = algo.replay.fields, algo.replay.rows
    assert rows < algo.replay.steps  # it has not gone round
    going = ~fields["over"][: rows - 1]  # (T - 1, B)
    after, before = fields["next_heard"][: rows - 1][going], fields["heard"][1:rows][going]
    assert len(after) > 50
    assert torch.equal(after, before)
    alive = fields["alive"][:rows]
    both = alive[..., None] & alive[..., None, :] & ~torch.eye(3, dtype=torch.bool)
    heard = fields["heard"][:rows]
    assert set(heard.unique().tolist()) == {0, NOTHING}
    assert not bool((heard == 0)[~both].any())
    assert 0.3 < float((heard == 0)[both].float().mean()) < 0.7


@pytest.mark.parametrize("box", [False, True], ids=["discrete", "continuous"])
@pytest.mark.parametrize(
    "options",
    [
        {"comm": "mean"},
        {"comm": "graph", "comm_rounds": 2, "share": "none", "twin": True},
        {"comm": "attention", "comm_gate": True, "comm_gate_cost": 0.1, "channel": LOSSY},
        {"comm": "attention", "comm_graph": "knn-1", "channel": ChannelConfig(bits=2, change=1.0, memory=0)},
    ],
    ids=str,
)
def test_it_learns_whatever_is_said(options: dict[str, Any], box: bool) -> None:
    spec = spec_of(3, pose=(0, 1), box=box)
    algo, stream = Maddpg(spec, MaddpgConfig(**SMALL, **options), seed=0), Stream(spec)
    algo.begin(stream.now)
    assert algo.policy.conversation is not None
    before = {name: part.clone() for name, part in algo.policy.conversation.talk.state_dict().items()}
    stats = [one for one in drive(algo, stream, 20) if isinstance(one, dict) and one]
    assert stats
    assert all(np.isfinite(value) for one in stats for value in one.values())
    after = algo.policy.conversation.talk.state_dict()
    assert all(not torch.equal(part, after[name]) for name, part in before.items())
    assert ("comm/gate" in stats[-1]) == bool(options.get("comm_gate"))


def test_its_memory_is_counted() -> None:
    bytes_of = [
        footprint(spec_of(3), MaddpgConfig(**SMALL, comm=comm), n_worlds=5, action_mask=True, device="cpu")[0].bytes
        for comm in ("none", "mean")
    ]
    assert bytes_of[1] - bytes_of[0] == 400 * 2 * 3 * 3


@torch.no_grad()
def test_the_policy_computes_what_was_acted() -> None:
    """Greedy heads of the first step, and those that a gradient step computes of it, are the same."""
    spec = spec_of(3, pose=(0, 1), box=True)
    algo, stream = Maddpg(spec, MaddpgConfig(**SMALL, comm="graph", channel=LOSSY), seed=0), Stream(spec)
    algo.begin(stream.now)
    assert algo.replay is not None
    before, after = [], []  # heads of what was acted on, and of what came of it
    for _ in range(4):
        now, memory = stream.now, algo._memory or algo.policy.first_memory(len(stream.now.alive))
        before.append(algo.policy.heads(now, memory)[0])
        transition = stream.step(algo.act(now))
        assert algo._memory is not None
        after.append(algo.policy.heads(transition.final, algo._memory)[0])
        algo.observe(transition)
    acted, led_to = torch.stack(before), torch.stack(after)
    fields = {name: field[:4] for name, field in algo.replay.fields.items()}
    for lead, seen, present in (("", acted, fields["alive"]), ("next_", led_to, fields["next_alive"])):
        again = algo.policy(fields[f"{lead}obs"], hearing=Hearing(fields[f"{lead}heard"])).head
        torch.testing.assert_close(again[present], seen[present], atol=1e-6, rtol=1e-5)


def test_policies_learn_from_what_was_heard_and_targets_from_what_was_heard_next() -> None:
    spec = spec_of(3)
    algo, stream = Maddpg(spec, MaddpgConfig(**SMALL, comm="attention", channel=LOSSY), seed=0), Stream(spec)
    algo.begin(stream.now)
    drive(algo, stream, 10)
    assert algo.replay is not None
    batch = algo.replay.sample(torch.arange(len(algo.replay) - 10), 1)
    assert not torch.equal(batch["heard"], batch["next_heard"])
    read = []
    for network in (algo.policy, algo.target_policy.network):
        network.register_forward_pre_hook(
            lambda module, inputs, named: read.append((inputs[0], named["hearing"].age)), with_kwargs=True
        )
    algo._policy_step(batch, algo._joint(batch["action"], batch["alive"]))
    algo._targets(batch)
    for (obs, age), lead in zip(read, ("", "next_"), strict=True):
        assert torch.equal(obs, batch[f"{lead}obs"])
        assert torch.equal(age, batch[f"{lead}heard"])


@pytest.mark.parametrize("channel", [LOSSY, ChannelConfig(entries=8, loss=0.5, memory=4)], ids=["memoryless", "memory"])
def test_what_is_said_and_heard_is_told(channel: ChannelConfig) -> None:
    """With memory, sampled steps come with the earlier ones in which was said what is heard in them."""
    spec = spec_of(3, pose=(0, 1))
    options: dict[str, Any] = {**SMALL, "comm": "attention", "batch": 64, "channel": channel}
    algo, stream = Maddpg(spec, MaddpgConfig(**options), seed=0), Stream(spec)
    algo.begin(stream.now)
    stats = [one for one in drive(algo, stream, 60) if isinstance(one, dict)]
    told = [one for one in stats if "comm/heard" in one]
    assert 2 <= len(told) < len(stats) / 8  # not in every update
    for one in told:
        assert one["comm/messages"] == 1.0
        assert one["comm/bits"] == (8 + 2) * 32
        assert one["comm/influence"] > 0.0
        assert one["comm/attention_entropy"] > 0.0
        assert (one["comm/age"] > 0.1) == bool(channel.memory)
    heard = np.mean([one["comm/heard"] for one in told])
    assert 0.55 < heard < 0.75 if channel.memory else 0.4 < heard < 0.5  # some of what is lost is remembered


def test_of_a_silent_medium_nothing_is_told_but_silence() -> None:
    spec = spec_of(3)
    algo, stream = (
        Maddpg(spec, MaddpgConfig(**SMALL, comm="mean", channel=ChannelConfig(loss=1.0)), seed=0),
        Stream(spec),
    )
    algo.begin(stream.now)
    told = [one for one in drive(algo, stream, 40) if isinstance(one, dict) and "comm/heard" in one]
    assert told
    assert all(one["comm/heard"] == one["comm/influence"] == 0.0 for one in told)
