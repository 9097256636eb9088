"""A policy that talks: nobody hears what the dead observe, absent agents may be left out, others are as before."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from comm_scenes import METHODS, obs_of, spec_of
from short_runs import without_clock
from streams import assert_same
from toys import Recall

from algos.comm.config import ChannelConfig
from algos.core import Obs
from algos.core import spec_of as spec_of_worlds
from algos.maddpg import Maddpg, MaddpgConfig
from algos.mappo import Mappo, MappoConfig
from algos.nets.actor import Actor
from algos.nets.config import NetConfig
from algos.training import checkpoint
from algos.training.schedule import Schedule
from algos.training.session import Session, run

SMALL: dict[str, Any] = {"hidden": (8,)}
LOSSY = ChannelConfig(entries=8, loss=0.4, memory=3)
PLAIN = ChannelConfig(entries=8)


def actor_of(spec: Any, *, pull: float = 0.5, **options: Any) -> Actor:
    """Returns an actor with large weights."""
    generator = torch.Generator().manual_seed(1)
    actor = Actor(spec, NetConfig(**{"channel": PLAIN, **SMALL, **options}), generator=generator)
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.add_(pull * torch.randn(parameter.shape, generator=generator))
    return actor


def lives(n_worlds: int, n_agents: int, steps: int, seed: int = 0) -> list[np.ndarray]:
    """Returns agents that are alive: some are born late and some die."""
    rng = np.random.default_rng(seed)
    birth, death = rng.integers(-2, 3, (n_worlds, n_agents)), rng.integers(3, 8, (n_worlds, n_agents))
    death[0] = 99
    return [(birth <= t) & (t < death) for t in range(steps)]


def shown(spec: Any, steps: int, unseen: float, n_worlds: int = 3) -> list[Obs]:
    """Returns observations in which the dead see `unseen`."""
    rng, found = np.random.default_rng(3), []
    for t, alive in enumerate(lives(n_worlds, spec.n_agents, steps)):
        obs = obs_of(spec, n_worlds, rng, alive=alive, started=np.full(n_worlds, t == 0))
        adjacency = rng.random(obs.adjacency.shape) < 0.7
        obs.obs[~alive] = unseen
        found.append(obs._replace(adjacency=adjacency))
    return found


VARIANTS: dict[str, dict[str, Any]] = {
    "all": {},
    "none": {"share": "none"},
    "gru": {"gru": 4},
    "ids": {"agent_id": True},
    "lossy": {"channel": LOSSY},
    "lossy-gru": {"channel": LOSSY, "gru": 4},
    "change": {"channel": ChannelConfig(entries=8, change=1.0, memory=0)},
    "gate": {"comm_gate": True},
    "rounds": {"comm_rounds": 2, "share": "group"},
    "knn": {"comm_graph": "knn-2", "share": "none"},
    "radius": {"comm_graph": "radius-1.5"},
    "range": {"channel": ChannelConfig(entries=8, range=1.5, memory=2)},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", METHODS)
def test_what_the_dead_observe_is_heard_by_nobody(name: str, variant: str) -> None:
    """NaN included, in all that goes on to the next step too."""
    spec = spec_of(4, pose=(0, 1))
    results = []
    for unseen in (0.0, 7.0, np.nan):
        actor, found = actor_of(spec, comm=name, **VARIANTS[variant]), []
        memory = actor.first_memory(3)
        with torch.inference_mode():
            for obs in shown(spec, 7, unseen):
                head, _, memory = actor.heads(obs, memory)
                alive = torch.from_numpy(obs.alive)
                found.append((head[alive], memory))
                assert bool(head[alive].isfinite().all())
        results.append(found)
    for other in results[1:]:
        for (head, memory), (head_2, memory_2) in zip(results[0], other, strict=True):
            assert torch.equal(head, head_2)
            for part, value in memory.items():
                assert torch.equal(value, memory_2[part]), part


@pytest.mark.parametrize("options", [{}, {"comm_rounds": 2}, {"comm_top": 1}, {"comm_gate": True}], ids=str)
@pytest.mark.parametrize("name", ["graph", "attention"])
def test_leaving_absent_agents_out_changes_nothing(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(5, pose=(0, 1))
    actor = actor_of(spec, comm=name, **options)
    assert actor.gathers
    sent = []
    for obs in shown(spec, 7, np.nan):
        with torch.no_grad():
            head, _, memory = actor.heads(obs, actor.first_memory(3))
            with monkeypatch.context() as patch:
                patch.setattr(Actor, "gathers", False)
                whole, _, other = actor.heads(obs, actor.first_memory(3))
        alive = torch.from_numpy(obs.alive)
        torch.testing.assert_close(head[alive], whole[alive], atol=1e-6, rtol=1e-5)
        assert memory.keys() == other.keys()
        assert all(torch.equal(part, other[key]) for key, part in memory.items())
        sent.append(memory["sent"][alive])
    if options.get("comm_gate"):  # it is known who spoke
        share = float(torch.cat(sent).float().mean())
        assert 0.0 < share < 1.0


@pytest.mark.parametrize("channel", [PLAIN, LOSSY], ids=["plain", "lossy"])
@pytest.mark.parametrize("name", METHODS)
def test_an_agent_acts_by_what_it_sees_and_hears(name: str, channel: ChannelConfig) -> None:
    """Observations of an agent that nobody can hear change its own actions and no others."""
    spec = spec_of(4)
    actor, rng = actor_of(spec, comm=name, channel=channel), np.random.default_rng(0)
    memory, other_memory = actor.first_memory(2), actor.first_memory(2)
    moved = []
    for t in range(6):
        obs = obs_of(spec, 2, rng, started=np.full(2, t == 0))
        obs.adjacency[:, :, 2] = False
        other = obs._replace(obs=obs.obs.copy())
        other.obs[:, 2] += 3.0
        with torch.no_grad():
            head, _, memory = actor.heads(obs, memory)
            head_2, _, other_memory = actor.heads(other, other_memory)
        assert torch.equal(head[:, [0, 1, 3]], head_2[:, [0, 1, 3]])
        moved.append(not torch.allclose(head[:, 2], head_2[:, 2]))
    assert all(moved)


def test_positions_are_needed_for_distances_only() -> None:
    spec = spec_of(4)
    Actor(spec, NetConfig(comm="graph"))
    with pytest.raises(ValueError, match="comm_graph 'knn-2' needs to know where agents are"):
        Actor(spec, NetConfig(comm="graph", comm_graph="knn-2"))
    with pytest.raises(ValueError, match=r"channel\.range 3 needs to know where agents are"):
        Actor(spec, NetConfig(comm="graph", channel=ChannelConfig(range=3.0)))


@pytest.mark.parametrize(
    "options", [{"comm_graph": "radius-5"}, {"channel": ChannelConfig(range=5.0, memory=0)}], ids=["radius", "range"]
)
def test_distances_are_in_the_units_of_the_environment(options: dict[str, Any]) -> None:
    """A number of an observation stands for `pose_scale` units, however networks normalise it."""
    spec = dataclasses.replace(spec_of(4, pose=(1, 3)), pose_scale=10.0)
    actor = Actor(spec, NetConfig(hidden=(8,), comm="graph", **options), obs_norm=True)
    assert actor.obs_norm is not None
    obs = obs_of(spec, 6, np.random.default_rng(0))
    obs.obs[..., [1, 3]] *= 0.4
    actor.obs_norm.update(torch.from_numpy(obs.obs), torch.ones(6, 4))
    with torch.no_grad():
        _, _, memory = actor.heads(obs, actor.first_memory(6))
    at = 10.0 * obs.obs[..., [1, 3]]
    near = np.linalg.norm(at[:, :, None] - at[:, None], axis=-1) <= 5.0
    near &= ~np.eye(4, dtype=bool)
    assert 0.1 < near.mean() < 0.6
    assert np.array_equal(memory["age"].numpy() == 0, near)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"comm": "attention", "comm_heads": 3}, "channel.entries is 32; .* give a multiple of 6"),
        ({"comm": "graph", "comm_heads": 3}, "channel.entries is 32; give a multiple of 3"),
        ({"comm": "graph", "channel": ChannelConfig(partition="0-3:0|7")}, "names agent 7; there are agents 0 to 3"),
    ],
)
def test_messages_that_cannot_be_split_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Actor(spec_of(4), NetConfig(**options))


@pytest.mark.parametrize(
    ("options", "sums", "following"),
    [
        ({"share": "all"}, [0.0, -2.242689, 0.0, -0.005972], 0.7737615704536438),
        (
            {"share": "group", "gru": 4},
            [0.0, -2.347086, 0.0, -3.004086, 0.0, 2.703591, 0.0, -0.011562],
            0.5001109838485718,
        ),
    ],
    ids=["all", "group-gru"],
)
def test_without_communication_a_network_is_what_it_was_before_there_was_any(
    options: dict[str, Any], sums: list[float], following: float
) -> None:
    """Its first weights and the next number of the generator are those of the last version without communication."""
    generator = torch.Generator().manual_seed(7)
    spec = spec_of(3, obs_dim=4)
    actor = Actor(spec, NetConfig(hidden=(8,), **options), generator=generator)
    state = actor.state_dict()
    parts = ("gru.input", "gru.recurrent") if "gru" in options else ()
    names = [f"trunk.{part}.{kind}" for part in ("layers.0", *parts, "head") for kind in ("bias", "weights.0")]
    assert sorted(state) == sorted(names)
    assert [float(value.double().sum()) for value in state.values()] == pytest.approx(sums, abs=2e-5)
    assert float(torch.rand((), generator=generator)) == following
    assert actor.first_memory(2).keys() == ({"hidden"} if "gru" in options else set())


def test_the_same_network_acts_for_more_agents_than_it_was_trained_with() -> None:
    small, large = (actor_of(spec_of(n), comm="attention", channel=LOSSY) for n in (3, 9))
    large.load_state_dict(small.state_dict())
    obs = obs_of(spec_of(9), 2, np.random.default_rng(0))
    few = obs._replace(obs=obs.obs[:, :3], alive=obs.alive[:, :3].copy(), adjacency=obs.adjacency[:, :3, :3])
    few = few._replace(started=np.ones(2, bool))
    obs.alive[:, 3:] = False
    obs = obs._replace(started=np.ones(2, bool))
    with torch.no_grad():
        head, _, memory = large.heads(obs, large.first_memory(2))
        head_few, _, memory_few = small.heads(few, small.first_memory(2))
    assert torch.equal(memory["age"][:, :3, :3], memory_few["age"])  # chance belongs to the link, not to N
    torch.testing.assert_close(head[:, :3], head_few, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("share", ["all", "group", "none"])
def test_positions_travel_in_the_numbers_of_the_environment(share: str) -> None:
    """Agents that share no parameters normalise what they see by statistics of their own, but mean the same place."""
    spec = spec_of(4, pose=(1, 3))
    net = NetConfig(**SMALL, comm="mean", share=share)  # type: ignore[arg-type]
    actor = Actor(spec, net, obs_norm=True, generator=torch.Generator().manual_seed(0))
    assert actor.obs_norm is not None
    assert actor.conversation is not None
    generator = torch.Generator().manual_seed(1)
    seen = torch.randn(50, 4, 5, generator=generator) * torch.tensor([1.0, 2.0, 5.0, 9.0]).view(4, 1) + 3.0
    before = actor.conversation.pose(actor.obs_norm(seen))
    torch.testing.assert_close(before, seen[..., [1, 3]].clamp(-10, 10))  # without statistics
    actor.obs_norm.update(seen, torch.ones(50, 4))
    torch.testing.assert_close(actor.conversation.pose(actor.obs_norm(seen)), seen[..., [1, 3]], atol=1e-4, rtol=1e-5)
    copied = copy.deepcopy(actor)  # a target network reads its own statistics
    assert copied.obs_norm is not None
    assert copied.conversation is not None
    copied.obs_norm.update(100.0 + seen, torch.ones(50, 4))
    torch.testing.assert_close(copied.conversation.pose(copied.obs_norm(seen)), seen[..., [1, 3]], atol=1e-3, rtol=1e-5)
    assert set(actor.state_dict()) == set(copied.state_dict())
    assert not any("conversation" in name and "obs_norm" in name for name in actor.state_dict())


RUNS: dict[str, tuple[Any, dict[str, Any]]] = {
    "mappo": (Mappo, {"rollout_steps": 8}),
    "maddpg": (Maddpg, {"warm_up": 24, "batch": 8, "updates": 1, "policy_start": 0}),
}


class Silent:
    """The options of an algorithm as they were before there was communication: none of its own can be read."""

    def __init__(self, config: Any) -> None:
        self._config = config

    def __getattr__(self, name: str) -> Any:
        if name.startswith("comm_"):
            raise AssertionError(f"{name} was read where nobody talks")
        if name == "channel":
            return SimpleNamespace(remembers=False)  # which field of experience would hold what is heard
        return getattr(self._config, name)


@pytest.mark.parametrize("name", RUNS)
def test_without_communication_a_run_reads_none_of_its_options(name: str, tmp_path: Path) -> None:
    """Byte for byte it learns the same as from options that have none, all updates of a run and its evaluations."""
    kind, options = RUNS[name]
    found = []
    for config in (options_of(kind, options), Silent(options_of(kind, options))):
        folder = tmp_path / type(config).__name__
        (folder / "checkpoints").mkdir(parents=True)
        env = Recall(4)
        algo = kind(spec_of_worlds(env), config, seed=3)
        schedule = Schedule(total_steps=4 * 60, eval_every=100, eval_episodes=4)
        outcome = run(Session(env, algo, schedule, folder=folder, seed=5, make_env=Recall, quiet=True))
        assert outcome.finished
        found.append(without_clock(checkpoint.load_latest(folder / "checkpoints")[1]))
    assert_same(*found)


def options_of(kind: Any, options: dict[str, Any]) -> Any:
    return (MappoConfig if kind is Mappo else MaddpgConfig)(**SMALL, **options)
