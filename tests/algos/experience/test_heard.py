"""Who heard whom, kept as bits where agents are many: nothing is lost, and learning is the same to the byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from streams import Stream

from algos.comm.config import ChannelConfig
from algos.core import NOTHING, Spec
from algos.experience import heard
from algos.experience.rollout import rollout_fields
from algos.maddpg import Maddpg, MaddpgConfig
from algos.mappo import Mappo, MappoConfig
from algos.mappo import footprint as footprint_of_mappo


@pytest.mark.parametrize("n", [1, 7, 8, 9, 64])
def test_bits_hold_what_was_heard(n: int) -> None:
    ages = torch.from_numpy(np.random.default_rng(n).choice([0, NOTHING], (3, 2, n, n)).astype(np.uint8))
    bits = torch.from_numpy(heard.packed(ages))
    assert bits.shape == (3, 2, n, -(-n // 8))
    assert torch.equal(heard.unpacked(bits), ages)
    assert heard.unpacked(bits).dtype == torch.uint8
    assert torch.equal(heard.ages_of({heard.BITS: bits}), ages)


def test_bits_are_kept_where_they_save_much_and_lose_nothing() -> None:
    assert heard.field_of(64, remembers=False) == heard.BITS
    assert heard.field_of(63, remembers=False) == heard.field_of(64, remembers=True) == heard.AGES


def talking(algo: str, spec: Spec, **options: Any) -> Any:
    """A learner whose agents hear each other over a medium that loses messages and remembers none."""
    options |= {"comm": "attention", "channel": ChannelConfig(loss=0.3, memory=0), "hidden": (8,)}
    if algo == "mappo":
        return Mappo(spec, MappoConfig(rollout_steps=6, minibatches=2, obs_norm="on", **options), seed=0)
    small = {"warm_up": 20, "replay_size": 400, "batch": 16, "updates": 1, "policy_start": 0}
    return Maddpg(spec, MaddpgConfig(**small, **options), seed=0)


@pytest.mark.parametrize("algo", ["mappo", "maddpg"])
def test_bits_change_nothing_that_is_learned(algo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Spec(5, 4, 0, Discrete(3), (tuple(range(5)),))
    ends, kept = [], []
    for fewest in (10**9, 1):
        monkeypatch.setattr(heard, "FEWEST_FOR_BITS", fewest)
        learner, stream = talking(algo, spec), Stream(spec)
        stats = []
        for _ in range(20):
            learner.observe(stream.step(learner.act(stream.now)))
            stats.append(learner.update())
        store = learner.rollout if algo == "mappo" else learner.replay
        kept.append({name for name in store.fields if "heard" in name})
        ends.append(([one for one in stats if one], [p.detach().clone() for p in learner.policy.parameters()]))
    assert all(heard.BITS not in name for name in kept[0])
    assert all(name.endswith(heard.BITS) for name in kept[1])
    assert ends[0][0] == ends[1][0]
    assert len(ends[0][0]) > 1
    assert all(torch.equal(one, two) for one, two in zip(ends[0][1], ends[1][1], strict=True))


def test_what_they_take_is_counted() -> None:
    spec = Spec(64, 4, 0, Discrete(3), (tuple(range(64)),))

    def rollout(**channel: Any) -> int:
        config = MappoConfig(comm="mean", channel=ChannelConfig(loss=0.1, **channel), rollout_steps=2)
        return footprint_of_mappo(spec, config, n_worlds=8, action_mask=False, device="cpu")[0].bytes

    assert rollout() - rollout(memory=0) == 2 * 8 * 64 * (64 - 8)
    shapes = rollout_fields(spec, [heard.BITS])
    assert shapes[heard.BITS] == ((64, 8), torch.uint8)
