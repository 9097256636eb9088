"""MADDPG where messages of earlier steps are heard: what was said is computed anew from the replay."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from comm_scenes import spec_of
from streams import Stream, assert_same, drive
from torch import Tensor
from toys import Array, Toy, train

from algos.comm.config import ChannelConfig
from algos.core import NOTHING, Obs
from algos.core import spec_of as shapes_of
from algos.maddpg import Maddpg, MaddpgConfig, _out, footprint

B = 5
"""Worlds of a stream."""
SMALL: dict[str, Any] = {"hidden": (8,), "warm_up": 20, "replay_size": 40 * B, "batch": 16, "updates": 1}
VARIANTS: dict[str, dict[str, Any]] = {
    "loss": {"comm": "graph", "channel": ChannelConfig(loss=0.6, memory=5, decay=0.8, learned_decay=True)},
    "heads": {"comm": "attention", "comm_heads": 2, "channel": ChannelConfig(loss=0.4, memory=3)},
    "burst": {"comm": "mean", "channel": ChannelConfig(loss=0.5, burst=3.0, memory=5, decay=0.8)},
    "delay": {"comm": "attention", "share": "none", "channel": ChannelConfig(delay=2, memory=0)},
    "delay-memory": {"comm": "attention", "share": "group", "channel": ChannelConfig(delay=2, memory=3)},
    "delay-random": {"comm": "graph", "channel": ChannelConfig(delay=0, delay_most=3, memory=2)},
    "rounds": {"comm": "graph", "comm_rounds": 2, "channel": ChannelConfig(loss=0.4, delay=1, memory=3)},
    "rounds-three": {"comm": "attention", "comm_rounds": 3, "channel": ChannelConfig(loss=0.4, memory=2)},
    "top": {"comm": "attention", "comm_top": 1, "channel": ChannelConfig(loss=0.4, memory=3)},
    "change": {"comm": "graph", "channel": ChannelConfig(change=1.0, least=2, memory=4)},
    "range": {"comm": "attention", "channel": ChannelConfig(range=1.5, bits=3, memory=4)},
    "partition": {"comm": "mean", "channel": ChannelConfig(partition="1-3:0|1,2", memory=4)},
}


def algo_of(options: dict[str, Any], *, box: bool = False, seed: int = 1) -> tuple[Maddpg, Stream]:
    """Returns an algorithm with weights so large that every message matters, and worlds of noise."""
    spec = spec_of(3, pose=(0, 1), box=box)
    algo, stream = Maddpg(spec, MaddpgConfig(**{**SMALL, **options}), seed=seed), Stream(spec)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for network in (algo.policy, algo.target_policy.network):
            for parameter in network.parameters():
                parameter.add_(0.7 * torch.randn(parameter.shape, generator=generator))
    algo.begin(stream.now)
    return algo, stream


@torch.no_grad()
def play(algo: Maddpg, stream: Stream, steps: int) -> tuple[Tensor, Tensor]:
    """Plays without learning.

    Returns:
        Heads (T, B, N, A) of the policy when it acted; and heads of the target policy, had it acted on what each step
        led to, with what was said before by itself.
    """
    target = algo.target_policy.network
    memory, acted, led_to = target.first_memory(B), [], []
    for _ in range(steps):
        now = stream.now
        mine = algo._memory or algo.policy.first_memory(B)
        acted.append(algo.policy.heads(now, mine)[0])
        memory = target.heads(now, memory)[2]
        transition = stream.step(algo.act(now))
        led_to.append(target.heads(transition.final, memory)[0])
        algo.observe(transition)
    return torch.stack(acted), torch.stack(led_to)


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_gradient_step_computes_what_was_acted(variant: str) -> None:
    """Of every stored step, with the ring gone round, agents that are born late, die and leave, and episodes ending."""
    algo, stream = algo_of(VARIANTS[variant], box=variant in ("loss", "delay"))
    if algo.config.channel.change:  # who speaks depends on weights
        algo.target_policy.network.load_state_dict(algo.policy.state_dict())
    acted, led_to = play(algo, stream, 70)
    replay, config = algo.replay, algo.config
    assert replay is not None
    assert (replay.steps, replay.next) == (40, 30)
    fields, index = replay.fields, torch.arange(40 * B)
    row, world = index // B, index % B
    time = (row - 30) % 40 + 30  # when it was acted
    whole = (row - 30) % 40 >= config.channel.history * config.comm_rounds  # all that it depends on is still stored
    assert whole.float().mean() > 0.6
    assert 0 < int(fields["over"].sum()) < 40 * B
    for n_steps in (1, 3):
        batch = replay.sample(index, n_steps, recall_rounds=algo._recall_rounds)
        of_last = batch["stop"].to(torch.uint8).argmax(1)
        alive = batch["alive"] & whole.unsqueeze(1)
        assert not bool(alive[whole].all())
        stays = fields["next_alive"][(row + of_last) % 40, world] & whole.unsqueeze(1)
        new, after = _out(algo.policy, batch).head, _out(algo.target_policy.network, batch, lead="next_").head
        led = led_to[time + of_last, world][stays]
        for found, expected in ((new[alive], acted[time, world][alive]), (after[stays], led)):
            rounding = 1e-6 * float(expected.abs().max())  # heads are sums of numbers as large as the largest
            torch.testing.assert_close(found, expected, atol=rounding, rtol=0)
        deaf = {name: torch.full_like(age, NOTHING) for name, age in batch.items() if name.endswith("heard")}
        unheard = _out(algo.policy, batch | deaf).head
        assert float((new - unheard)[alive].abs().mean()) > 0.02  # messages matter
        old = batch["heard"][: 40 * B][whole]
        assert bool(((old > 0) & (old != NOTHING)).any())


@torch.no_grad()
@pytest.mark.parametrize("variant", ["loss", "delay-random", "rounds"])
def test_nothing_is_heard_of_earlier_episodes_or_of_overwritten_steps(variant: str) -> None:
    """What was seen there, and by the absent, turns into NaN in the store, and nothing else does."""
    algo, stream = algo_of(VARIANTS[variant])
    play(algo, stream, 70)
    assert algo.replay is not None
    fields = algo.replay.fields
    last, checked = torch.arange(30 - 40, 30) % 40, 0  # rows from the oldest to the newest
    for world in range(B):
        over = fields["over"][last, world].nonzero().flatten()
        start = int(over[-3]) + 1  # of an episode
        of_it = last[start : int(over[-2]) + 1]
        kept = {name: fields[name].clone() for name in ("obs", "next_obs")}
        outside = torch.ones(40, dtype=torch.bool)
        outside[of_it] = False
        for name in kept:
            fields[name][outside, world] = torch.nan
        absent = ~fields["alive"][:, world].unsqueeze(-1)
        fields["obs"][:, world] = fields["obs"][:, world].masked_fill(absent, torch.nan)
        batch = algo.replay.sample(of_it * B + world, 3, recall_rounds=algo._recall_rounds)
        head = _out(algo.policy, batch).head[batch["alive"]]
        after = _out(algo.target_policy.network, batch, lead="next_").head[batch["next_present"]]
        assert bool(head.isfinite().all())
        assert bool(after.isfinite().all())
        checked += len(head)
        for name, field in kept.items():
            fields[name].copy_(field)
    assert checked > 20


def test_nothing_is_heard_of_before_a_replay_that_begins_in_the_middle_of_a_run() -> None:
    algo, stream = algo_of(VARIANTS["loss"])
    play(algo, stream, 20)
    other, _ = algo_of(VARIANTS["loss"])
    other.load_state_dict(algo.state_dict())
    other.begin(stream.now)
    play(other, stream, 4)
    assert other.replay is not None
    stored = other.replay.fields["heard"][:4]
    rows = torch.arange(4).view(4, 1, 1, 1)
    assert bool(((stored > rows) & (stored != NOTHING)).any())
    batch = other.replay.sample(torch.arange(4 * B), 1, recall_rounds=1)
    age = batch["heard"].unflatten(0, (4, B))
    assert torch.equal(age, torch.where(stored > rows, NOTHING, stored))
    assert bool(((age > 0) & (age != NOTHING)).any())


@pytest.mark.parametrize("variant", ["loss", "delay", "delay-random", "burst"])
def test_only_those_that_are_heard_have_a_gradient(variant: str) -> None:
    algo, stream = algo_of(VARIANTS[variant])
    play(algo, stream, 40)
    assert algo.replay is not None
    index = algo.replay.draw(12, torch.Generator().manual_seed(0))
    batch = algo.replay.sample(index, 1, recall_rounds=1)
    for name in ("obs", "earlier_obs"):
        batch[name].requires_grad_()
    head, rows = _out(algo.policy, batch).head, len(index)
    heard = silent = 0
    for row in range(rows):
        for i in range(3):
            if not batch["alive"][row, i]:
                continue
            mix = torch.tensor([1.0, -2.0, 0.7])
            slopes = torch.autograd.grad(head[row, i] @ mix, [batch["obs"], batch["earlier_obs"]], retain_graph=True)
            size = torch.cat(slopes).abs().sum(-1)  # (R + M, N)
            expected = torch.zeros_like(size, dtype=torch.bool)
            expected[row, i] = True
            for j in range(3):
                if batch["heard"][row, i, j] != NOTHING:
                    expected[batch["said_in"][row, i, j], j] = True
            assert torch.equal(size > 0, expected)
            heard += int(expected.sum()) - 1
            silent += 3 - int(expected.sum())
    assert heard
    assert silent


@pytest.mark.parametrize("variant", ["loss", "delay-random", "rounds", "change"])
def test_it_resumes_bit_for_bit(variant: str) -> None:
    options = VARIANTS[variant] | {"replay_size": 12 * B, "prioritised": 0.5 * (variant == "loss")}
    algo, stream = algo_of(options)
    drive(algo, stream, 31)
    twin = copy.deepcopy(stream)
    other, _ = algo_of(options, seed=7)
    assert algo.replay is not None
    other.load_state_dict(algo.state_dict())
    other.begin(stream.now)
    assert other.replay is not None
    other.replay.load_state_dict(algo.replay.state_dict())
    assert_same(drive(algo, stream, 20), drive(other, twin, 20))
    assert_same(algo.state_dict(), other.state_dict())


@pytest.mark.parametrize("variant", ["loss", "rounds", "delay-random", "change"])
def test_an_act_that_is_taken_back_leaves_nothing_in_the_medium(variant: str) -> None:
    algo, stream = algo_of(VARIANTS[variant])
    drive(algo, stream, 6)
    before = algo.state_dict()
    first = algo.act(stream.now)
    algo.take_back()
    assert_same(algo.state_dict(), before)
    assert_same(algo.act(stream.now), first)


@pytest.mark.parametrize(
    "further",
    [
        {},
        {"twin": True, "policy_delay": 1},
        {"critic": "local", "prioritised": 0.6},
        {"credit": "team", "obs_norm": "on"},
    ],
    ids=str,
)
@pytest.mark.parametrize("variant", ["loss", "delay", "rounds"])
def test_it_learns_from_what_was_said_before(variant: str, further: dict[str, Any]) -> None:
    """Every parameter of talking moves, and every number is finite."""
    algo, stream = algo_of(VARIANTS[variant] | {"policy_start": 0} | further, box=variant == "delay")
    assert algo.policy.conversation is not None
    talk = algo.policy.conversation.talk
    before = {name: part.clone() for name, part in talk.state_dict().items()}
    stats = [one for one in drive(algo, stream, 30) if isinstance(one, dict) and one]
    assert all(np.isfinite(value) for one in stats for value in one.values())
    assert all(not torch.equal(part, before[name]) for name, part in talk.state_dict().items())


def test_observations_of_earlier_steps_are_normalised() -> None:
    algo, stream = algo_of(VARIANTS["loss"] | {"obs_norm": "on", "policy_start": 0})
    read: list[Tensor] = []
    for network in (algo.policy, algo.target_policy.network):
        network.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    drive(algo, stream, 4)
    assert algo.replay is not None
    assert algo.policy.obs_norm is not None
    algo.policy.obs_norm.mean += 100.0
    read.clear()
    algo._learn(algo.replay)
    assert len(read) == 2
    for seen in read:
        assert len(seen) > SMALL["batch"]
        assert set(seen.unique().tolist()) == {-10.0, 0.0}  # clipped, and the absent


class Told(Toy):
    """Every agent sees a cue in each of 3 steps. At the last, it must answer the cue that the other one sees.

    Best return 1 an agent; 0.5 for one that has heard nothing. A critic of both observations sees what is right.
    """

    max_steps = 3

    def observe(self) -> Array:
        """(B, N, 1): the cue."""
        return np.where(self.draw(0) < 0.5, -1.0, 1.0)[..., None]

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """1 for the right answer at the last step."""
        right = action == (self.draw(0)[:, ::-1] >= 0.5)
        return (right & (self.clock[:, None] == 2)).astype(float), np.zeros_like(self.alive), None


@pytest.mark.parametrize(
    ("channel", "least", "most"),
    [
        (ChannelConfig(delay=2, memory=0), 0.97, 1.0),
        (ChannelConfig(loss=0.5, memory=2), 0.88, 0.98),  # 1 - 1/16: half of those that have heard nothing are right
        (ChannelConfig(loss=0.5, memory=0), 0.68, 0.82),  # 3/4
    ],
    ids=["delay", "memory", "no memory"],
)
def test_what_was_said_is_acted_on_later(channel: ChannelConfig, least: float, most: float) -> None:
    env = Told(n_worlds=32)
    small = {**SMALL, "hidden": (32,), "warm_up": 256, "replay_size": 10_000, "batch": 128, "policy_start": 0}
    options = {**small, "comm": "attention", "policy_lr": 3e-3, "max_grad_norm": 10.0, "channel": channel}
    algo = Maddpg(shapes_of(env), MaddpgConfig(**options), seed=0)
    train(env, algo, 300)
    step, started, returns = env.reset(1), np.ones(env.n_worlds, bool), []
    for _ in range(45):
        action = algo.act(Obs(step.obs, step.state, step.adjacency, step.alive, None, started), greedy=True)
        final, step = env.step(action)
        started = final.truncated | ~final.alive.any(1)
        returns += list(final.metrics["return"][started] / env.n_agents)
    assert least <= np.mean(returns) <= most


def test_the_medium_tightens_with_the_run_for_target_policies_too() -> None:
    channel = ChannelConfig(loss=0.5, bits=2, memory=0, curriculum=0.5)
    algo, stream = algo_of({"comm": "mean", "channel": channel})
    found, logged = [], []
    for step in range(320):
        algo.progress = (step + 1) / 320
        stats = drive(algo, stream, 1)[1]
        media = [network.conversation for network in (algo.policy, algo.target_policy.network)]
        tightness = [float(talks.medium.tightness) for talks in media if talks is not None]
        assert tightness[0] == tightness[1]
        found.append(tightness[0])
        logged += [stats["comm/tightness"]] if stats else []
    assert logged == found[-len(logged) :]
    assert logged
    assert found[0] == 0.0
    assert found == sorted(found)
    assert len(set(found)) >= 4  # it does not wait for the end of the run
    assert found[-1] == 1.0


def test_memory_is_not_stored_twice() -> None:
    """The replay is as large as with a medium that remembers nothing."""
    parts = [
        footprint(
            spec_of(3),
            MaddpgConfig(**SMALL, comm="mean", channel=channel),
            n_worlds=B,
            action_mask=True,
            device="cpu",
        )
        for channel in (ChannelConfig(loss=0.5, memory=0), ChannelConfig(loss=0.5, memory=9))
    ]
    assert parts[0][0] == parts[1][0]
    assert parts[0][2].bytes < parts[1][2].bytes
    algo, _ = algo_of(VARIANTS["loss"])
    assert algo.replay is not None
    counted = footprint(algo.spec, algo.config, n_worlds=B, action_mask=True, device="cpu")
    assert algo.replay.nbytes == counted[0].bytes
