"""MAPPO with communication: an update computes what was acted, so that probability ratios start at 1."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from comm_scenes import spec_of
from streams import Stream, assert_same, drive

from algos.comm.config import ChannelConfig
from algos.experience.minibatches import Minibatches
from algos.mappo import Mappo, MappoConfig, footprint

SMALL: dict[str, Any] = {"hidden": (8,), "rollout_steps": 8, "epochs": 1, "minibatches": 1, "lr": 1e-2}
VARIANTS: dict[str, dict[str, Any]] = {
    "ideal": {"comm": "attention"},
    "ideal-mean": {"comm": "mean"},
    "ideal-none": {"comm": "graph", "share": "none"},
    "deaf": {"comm": "attention", "channel": ChannelConfig(loss=1.0)},
    "loss": {"comm": "attention", "channel": ChannelConfig(loss=0.4, memory=0)},
    "loss-memory": {"comm": "graph", "channel": ChannelConfig(loss=0.6, memory=5, decay=0.8, learned_decay=True)},
    "burst": {"comm": "mean", "channel": ChannelConfig(loss=0.5, burst=3.0, memory=5, decay=0.8)},
    "delay": {"comm": "attention", "channel": ChannelConfig(delay=2, memory=3)},
    "delay-random": {"comm": "graph", "channel": ChannelConfig(delay=0, delay_most=3, memory=2)},
    "delay-long": {"comm": "attention", "rollout_steps": 3, "channel": ChannelConfig(delay=4, memory=3)},
    "rounds": {"comm": "attention", "comm_rounds": 2, "comm_heads": 2},
    "rounds-loss": {"comm": "graph", "comm_rounds": 2, "comm_heads": 2, "channel": ChannelConfig(loss=0.4, delay=1)},
    "gru-loss": {"comm": "attention", "gru": 4, "channel": ChannelConfig(loss=0.4)},
    "gru-ideal": {"comm": "attention", "gru": 4},
    "change": {"comm": "graph", "channel": ChannelConfig(change=1.0, least=2)},
    "change-forgets": {"comm": "graph", "channel": ChannelConfig(change=1.0, least=2, memory=0)},
    "gate": {"comm": "attention", "comm_gate": True, "comm_gate_cost": 0.1},
    "gate-group": {"comm": "mean", "comm_gate": True, "share": "group"},
    "top": {"comm": "attention", "comm_top": 1},
    "knn": {"comm": "graph", "comm_graph": "knn-1"},
    "radius": {"comm": "attention", "comm_graph": "radius-1.5", "channel": ChannelConfig(loss=0.2)},
    "range-bits": {"comm": "attention", "channel": ChannelConfig(range=1.5, bits=3, curriculum=0.5, loss=0.3)},
    "partition": {"comm": "mean", "channel": ChannelConfig(partition="1-3:0|1,2")},
    "obs-norm-none": {"comm": "graph", "obs_norm": "on", "share": "none", "channel": ChannelConfig(loss=0.4)},
    "obs-norm": {"comm": "attention", "obs_norm": "on", "channel": ChannelConfig(loss=0.4)},
}


def algo_of(options: dict[str, Any], *, box: bool = False, pull: float = 0.7) -> tuple[Mappo, Stream]:
    """Returns an algorithm with weights so large that every message matters, and worlds of noise."""
    spec = spec_of(3, pose=(0, 1), box=box)
    algo, stream = Mappo(spec, MappoConfig(**{**SMALL, **options}), seed=1), Stream(spec)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in algo.policy.parameters():
            parameter.add_(pull * torch.randn(parameter.shape, generator=generator))
    algo.begin(stream.now)
    return algo, stream


def fill(algo: Mappo, stream: Stream) -> None:
    """Plays until the rollout is full."""
    while algo.rollout is None or not algo.rollout.full:
        algo.observe(stream.step(algo.act(stream.now)))


@torch.no_grad()
def recomputed(algo: Mappo) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns log-probabilities (M,) of the rollout as an update computes them and as they were, and those if deaf."""
    assert algo.rollout is not None
    data, _ = algo.rollout.to("cpu")
    data["weight"] = data["alive"].float()
    policy = algo.policy
    minibatches = Minibatches(data, data["alive"], sequences=policy.sequential)
    names = ("obs", "action", "action_mask", "log_prob", "heard", "weight")
    names = (*names, "started", "alive") if policy.hidden_size else names
    units = torch.arange(minibatches.n_units)
    mini = minibatches.take(names, units, agent_blind=policy.agent_blind, gathers=policy.gathers)
    recurrence, hearing = algo._before_rollout(mini, units)
    assert hearing is not None
    found = []
    for one in (hearing, hearing._replace(age=torch.full_like(hearing.age, 255))):
        log_prob, _ = policy.log_prob(
            policy(mini["obs"], recurrence, one).head, mini["action"], mini.get("action_mask")
        )
        found.append(log_prob[mini["weight"] > 0])
    return found[0], mini["log_prob"][mini["weight"] > 0], found[1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_update_computes_what_was_acted(variant: str) -> None:
    """In three rollouts, the later ones with what was said in those before, and by a policy that has learned since."""
    algo, stream = algo_of(VARIANTS[variant], box=variant in ("loss", "delay"))
    for rollout in range(3):
        algo.progress = rollout / 3
        fill(algo, stream)
        assert algo.rollout is not None
        alive = algo.rollout.fields["alive"]
        assert not bool(alive.all())  # agents die and are born late
        new, old, deaf = recomputed(algo)
        assert len(new) == int(alive.sum())
        if rollout or not variant.startswith("obs-norm"):  # the first rollout was acted without statistics
            torch.testing.assert_close(new, old, atol=1e-5, rtol=1e-5)
        hears = variant != "deaf" and (rollout or variant != "delay-long")
        if hears:
            assert float((new - deaf).abs().mean()) > 0.005  # messages matter
        stats = algo.update()
        assert stats["approx_kl"] < 1e-6
        assert stats["clip_fraction"] == 0.0
        assert all(value == value for value in stats.values())
        shares = ("comm/heard", "comm/messages") + (("comm/gate",) if "gate" in variant else ())
        assert all(0.0 <= stats[name] <= 1.0 for name in shares)
        assert (stats["comm/influence"] > 1e-4) == bool(hears)


@pytest.mark.parametrize("variant", ["ideal", "rounds", "gate", "top", "knn"])
def test_worlds_without_their_absent_agents_are_computed_alike(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    algo, stream = algo_of(VARIANTS[variant])
    assert algo.policy.gathers
    fill(algo, stream)
    new, old, _ = recomputed(algo)
    torch.testing.assert_close(new, old, atol=1e-5, rtol=1e-5)
    monkeypatch.setattr(type(algo.policy), "gathers", False)
    whole, old, _ = recomputed(algo)
    torch.testing.assert_close(whole, old, atol=1e-5, rtol=1e-5)


def test_a_sequence_begins_with_what_was_said_before_it() -> None:
    """Without the history the second rollout is computed wrongly, so the test above can fail."""
    algo, stream = algo_of(VARIANTS["delay"])
    fill(algo, stream)
    algo.update()
    fill(algo, stream)
    assert algo._first_memory is not None
    algo._first_memory["said"] = torch.zeros_like(algo._first_memory["said"])
    new, old, _ = recomputed(algo)
    assert float((new - old).abs().max()) > 1e-3


@pytest.mark.parametrize("variant", ["rounds-loss", "delay-random", "gru-loss", "change", "range-bits"])
def test_it_resumes_in_the_middle_of_a_rollout(variant: str) -> None:
    algo, stream = algo_of({**VARIANTS[variant], "rollout_steps": 6})
    algo.progress = 0.25
    drive(algo, stream, 15)
    assert algo.rollout is not None
    assert 0 < algo.rollout.t < 6
    twin = copy.deepcopy(stream)
    other, _ = algo_of({**VARIANTS[variant], "rollout_steps": 6}, pull=0.1)
    other.load_state_dict(algo.state_dict())
    assert_same(drive(algo, stream, 20), drive(other, twin, 20))
    assert_same(algo.state_dict(), other.state_dict())


@pytest.mark.parametrize("variant", ["rounds-loss", "delay-random", "change"])
def test_an_act_that_is_taken_back_leaves_nothing_in_the_medium(variant: str) -> None:
    algo, stream = algo_of(VARIANTS[variant])
    drive(algo, stream, 3)
    before = algo.state_dict()
    first = algo.act(stream.now)
    algo.take_back()
    assert_same(algo.state_dict(), before)
    assert_same(algo.act(stream.now), first)


def test_the_curriculum_follows_the_run() -> None:
    algo, stream = algo_of({**VARIANTS["range-bits"], "rollout_steps": 4})
    found = []
    for step in range(10):
        algo.progress = step / 9
        fill(algo, stream)
        found.append(algo.update()["comm/tightness"])
    assert found == sorted(found)
    assert algo.policy.conversation is not None
    assert float(algo.policy.conversation.medium.tightness) == 1.0


@pytest.mark.parametrize("variant", VARIANTS)
def test_its_memory_is_counted(variant: str) -> None:
    config = MappoConfig(**{**SMALL, **VARIANTS[variant]})
    parts = footprint(spec_of(3, pose=(0, 1)), config, n_worlds=5, action_mask=True, device="cpu")
    none = MappoConfig(**{**SMALL, "rollout_steps": config.rollout_steps})
    silent = footprint(spec_of(3), none, n_worlds=5, action_mask=True, device="cpu")
    assert parts[0].bytes - silent[0].bytes == 5 * config.rollout_steps * (3 * 3 + 3)


def test_what_is_sent_is_known_of_every_agent() -> None:
    algo, stream = algo_of({**VARIANTS["gate"]})
    fill(algo, stream)
    assert algo.rollout is not None
    sent, alive = algo.rollout.fields["sent"], algo.rollout.fields["alive"]
    assert not bool((sent & ~alive).any())
    stats = algo.update()
    assert stats["comm/messages"] == pytest.approx(float(sent.sum() / alive.sum()))
