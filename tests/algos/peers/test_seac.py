"""Shared experience: what learners learn from the rollouts of others, against numbers by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from toys import Array, Toy
from toys import train as train_on

import train
from algos.core import Spec, spec_of
from algos.maddpg import IddpgConfig, Maddpg
from algos.mappo import IppoConfig, Mappo
from algos.nets.shared_experience import OTHERS, Horizon, Others, SharedExperience
from algos.peers.config import PeersConfig
from algos.peers.exchange import copy_of, move
from algos.peers.seac import Seac
from algos.training import checkpoint
from algos.training.random_play import Stream, drive

ALL = ~np.eye(3, dtype=bool)
SPACES: dict[str, Any] = {"discrete": Discrete(4), "box": Box(-1.0, 1.0, (2,), np.float32)}


def learners(space: str = "discrete", may: Array | None = ALL, weight: float = 1.0, **options: Any) -> Mappo:
    spec = Spec(3, 5, 0, SPACES[space], ((0, 1, 2),))
    given: dict[str, Any] = {"hidden": (16,), "share": "none", "rollout_steps": 16, "anneal": False, **options}
    algo = Mappo(spec, IppoConfig(**given), seed=0)
    if may is not None:
        algo.shared = SharedExperience(3, weight, algo.device)
        algo.shared.allow(may)
    return algo


def filled(algo: Mappo, stream: Stream) -> None:
    """Fills a rollout without learning from it."""
    algo.begin(stream.now)
    while algo.rollout is None or not algo.rollout.full:
        algo.observe(stream.step(algo.act(stream.now)))


def met(algo: Mappo) -> tuple[Others, dict[str, torch.Tensor], Any]:
    """Returns what others have met in the rollout, the rollout, and rewards and ends."""
    assert algo.rollout is not None
    assert algo.shared is not None
    data, finals = algo.rollout.to("cpu")
    ended = data["ended"].unsqueeze(-1) | ~torch.cat([data["alive"][1:], data["alive"][-1:]])
    paid = data["reward"], data["terminated"], ended
    found = algo.shared.met(algo.policy, algo.critic, None, data, finals, paid, Horizon(0.9, 0.8))
    return found, data, paid


@pytest.mark.parametrize("space", list(SPACES))
def test_twins_learn_from_others_as_from_themselves(space: str) -> None:
    algo = learners(space)
    for j in (1, 2):
        move(algo, j, copy_of(algo, 0))
    filled(algo, Stream(algo.spec, 8))
    found, data, _ = met(algo)
    assert algo.shared is not None
    for k in range(2):
        whose = [(i + k + 1) % 3 for i in range(3)]
        there = data["alive"][..., whose].float()
        torch.testing.assert_close(found.weight[:, :, k], there, rtol=1e-5, atol=0)
        torch.testing.assert_close(found.log_prob[:, :, k][there > 0], data["log_prob"][..., whose][there > 0])
    # The loss: minus the mean advantage of each other, summed over all pairs.
    advantage = torch.randn(found.advantage.shape, generator=torch.Generator().manual_seed(0))
    mini = {name: field.flatten(0, 1) for name, field in data.items()}
    mini |= {name: field.flatten(0, 1).float() for name, field in zip(OTHERS, found, strict=True)}
    mini |= {"others_advantage": advantage.flatten(0, 1), "weight": mini["alive"].float()}
    by_hand = 0.0
    for k in range(2):
        for i in range(3):
            present = data["alive"][..., (i + k + 1) % 3]
            by_hand -= float(advantage[:, :, k, i][present].mean())
    loss = algo.shared.policy_loss(algo.policy, mini, 0.2)
    assert float(loss.detach()) == pytest.approx(by_hand, abs=1e-5)


def test_advantages_are_those_of_v_trace_by_ones_own_critic() -> None:
    """Against the sum of equation 1 of Espeholt et al. 2018, for learner 0 on what learner 2 has met."""
    algo = learners()
    with torch.no_grad():
        algo.policy.trunk.head.weights[0].mul_(100.0)  # policies that differ
    filled(algo, Stream(algo.spec, 4, seed=3))
    found, data, (reward, terminated, ended) = met(algo)
    finals = algo.rollout.to("cpu")[1] if algo.rollout else {}
    spread = torch.zeros(*data["obs"].shape)
    spread[..., 0, :] = data["obs"][..., 2, :]
    with torch.no_grad():
        value = algo.critic(spread, None)[0][..., 0]
        head = algo.policy(spread).head[..., 0, :]
        last = torch.zeros(*finals["obs"].shape)
        last[..., 0, :] = finals["obs"][..., 2, :]
        after = algo.critic(last, None)[0][..., 0]
    log_p = head.masked_fill(~data["action_mask"][..., 2, :], -1e9).log_softmax(-1)
    log_p = log_p.gather(-1, data["action"][..., 2, None])[..., 0]
    rho = (log_p - data["log_prob"][..., 2]).exp().clamp(max=1.0)
    assert (rho < 0.9).any()
    following = torch.cat([value[1:], torch.zeros_like(value[:1])])
    for row, index in enumerate(finals["index"].tolist()):
        if finals["whose"][row, 2]:
            following.view(-1)[index] = after[row]
    for b in range(4):
        for s in range(16):
            total, product = 0.0, 1.0
            for t in range(s, 16):
                bootstrap = 0.0 if terminated[t, b, 2] else 0.9 * float(following[t, b])
                total += product * (float(reward[t, b, 2]) + bootstrap - float(value[t, b]))
                if terminated[t, b, 2] or ended[t, b, 2] or t == 15:
                    break
                product *= 0.9 * 0.8 * float(rho[t + 1, b])
            assert float(found.advantage[s, b, 1, 0]) == pytest.approx(total, abs=1e-4)
    torch.testing.assert_close(found.weight[:, :, 1, 0], rho * data["alive"][..., 2])


def test_the_gradient_is_that_of_the_paper() -> None:
    """At the first step: of the head's bias, -lambda E_j[w A (1{a_j} - pi_i(o_j))] over all others."""
    algo = learners(weight=0.5, may=np.array([[False, True, True], [False] * 3, [False] * 3]))
    with torch.no_grad():
        algo.policy.trunk.head.weights[0].mul_(100.0)
    filled(algo, Stream(algo.spec, 8))
    found, data, _ = met(algo)
    assert algo.shared is not None
    mini = {name: field.flatten(0, 1) for name, field in data.items()} | {"weight": data["alive"].flatten(0, 1).float()}
    mini |= {name: field.flatten(0, 1).float() for name, field in zip(OTHERS, found, strict=True)}
    bias = algo.policy.trunk.head.bias
    (gradient,) = torch.autograd.grad(algo.shared.policy_loss(algo.policy, mini, 0.2), bias)
    expected = np.zeros(4)
    for j, k in ((1, 0), (2, 1)):
        seat = torch.zeros(*data["obs"].shape)
        seat[..., 0, :] = data["obs"][..., j, :]
        with torch.no_grad():
            logits = algo.policy(seat).head[..., 0, :].masked_fill(~data["action_mask"][..., j, :], -1e9)
        chances, there = logits.softmax(-1).numpy(), data["alive"][..., j].numpy()
        taken = np.eye(4)[data["action"][..., j].numpy()]
        own = np.take_along_axis(chances, data["action"][..., j].numpy()[..., None], -1)[..., 0]
        weight = np.minimum(own / np.exp(data["log_prob"][..., j].numpy()), 1.0) * there
        pull = (weight * found.advantage[:, :, k, 0].numpy())[..., None] * (taken - chances)
        expected -= 0.5 * pull.sum((0, 1)) / there.sum()
    assert gradient[0].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert gradient[1:].abs().max() == 0.0


def moved(may: Array | None, **options: Any) -> torch.Tensor:
    """Returns the parameters of each learner's policy and critic after two updates, (3, K)."""
    algo = learners(may=may, **options)
    drive(algo, Stream(algo.spec, 8), 32)
    return torch.cat([adam.vector[adam.own] for adam in (algo.policy_adam, algo.critic_adam)], dim=1)


@pytest.mark.parametrize("norm", ["on", "off"])
def test_only_those_learn_from_others_that_may(norm: str) -> None:
    may = np.zeros((3, 3), bool)
    may[1, 2] = True
    plain, found = moved(None, obs_norm=norm), moved(may, obs_norm=norm)
    torch.testing.assert_close(found[[0, 2]], plain[[0, 2]], rtol=0, atol=1e-6)
    assert (found[1] - plain[1]).abs().max() > 1e-4


def test_an_agent_that_is_not_there_leaves_no_trace() -> None:
    """What the environment says about the dead reaches nobody, and one that is dead all along is as one forbidden."""
    found = []
    for noise in (1, 2):
        algo = learners(obs_norm="on")
        drive(algo, Stream(algo.spec, 8, noise_for_the_dead=noise), 32)
        found.append(algo.policy_adam.vector)
    assert torch.equal(*found)
    rows, forbidden = [], ALL.copy()
    forbidden[:, 2] = False
    for allowed in (ALL, forbidden):
        algo, stream = learners(may=allowed), Stream(Spec(3, 5, 0, SPACES["discrete"], ((0, 1, 2),)), 8)
        for _ in range(16):
            stream.now.alive[:, 2] = False
            transition = stream.step(algo.act(stream.now))
            transition.terminated[:, 2] = False
            transition.final.alive[:, 2] = False
            algo.observe(transition)
            algo.update()
        assert algo.updates == 1
        rows.append(algo.policy_adam.vector[algo.policy_adam.own][:2])
    torch.testing.assert_close(*rows, rtol=0, atol=1e-7)


@pytest.mark.parametrize("space", list(SPACES))
def test_the_units_of_each_learner_are_those_of_all_it_learns(space: str) -> None:
    algo = learners(space, obs_norm="on")
    assert all(np.isfinite(value) for out in drive(algo, Stream(algo.spec, 8), 32)[1::2] for value in out.values())
    assert float(algo.value_norm.std.max() / algo.value_norm.std.min()) < 1.5  # of three streams of equal noise
    assert algo.policy.obs_norm is not None
    plain = learners(space, may=None, obs_norm="on")
    drive(plain, Stream(algo.spec, 8), 32)
    assert plain.policy.obs_norm is not None
    assert torch.equal(algo.policy.obs_norm.count, plain.policy.obs_norm.count)  # of its own observations alone


class Lock(Toy):
    """A lock that opens where the same button is pushed seven times: only that pays."""

    places = 7
    button = 2
    obs_dim = places
    max_steps = places
    action_space: Box | Discrete = Discrete(4)

    def observe(self) -> Array:
        return np.broadcast_to(np.eye(self.places)[self.clock % self.places, None], (self.n_worlds, self.n_agents, 7))

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        begins = (self.clock == 0)[:, None]
        right = action == self.button
        self.open = np.where(begins, right, right & getattr(self, "open", right))
        last = (self.clock + 1 == self.max_steps)[:, None]
        return (self.open & last).astype(np.float64), np.zeros_like(right), None


def test_what_one_finds_by_chance_all_learn() -> None:
    rates = {}
    for name, may in (("alone", None), ("shared", ALL)):
        env = Lock(16, 3)
        options: dict[str, Any] = {"hidden": (16,), "share": "none", "rollout_steps": 21, "minibatches": 2}
        algo = Mappo(spec_of(env), IppoConfig(**options, lr=1e-2), seed=1)
        with torch.no_grad():  # the first one pushes the button more often, and so finds what the others never find
            algo.policy.trunk.head.bias[0, env.button] = 1.0
        if may is not None:
            algo.shared = SharedExperience(3, 1.0, algo.device)
            algo.shared.allow(may)
        train_on(env, algo, 40)
        with torch.no_grad():
            chances = algo.policy(torch.eye(7).unsqueeze(1).expand(7, 3, 7)).head.softmax(-1)  # (7, N, A)
        rates[name] = chances[..., env.button].prod(0).tolist()
    assert rates["alone"][0] > 0.8
    assert max(rates["alone"][1:]) < 0.1
    assert min(rates["shared"]) > 0.8


HERE = ["--env", "gymnasium:CartPole-v1", "--env.n-workers", "1"]
FAST = [
    "--algo",
    "ippo",
    "--algo.hidden",
    "8",
    "--algo.rollout-steps",
    "8",
    "--algo.minibatches",
    "2",
    "--n-worlds",
    "4",
]
FAST += ["--eval-episodes", "0", "--no-videos", "--quiet", "--algo.share", "none"]


def trained(folder: Path, name: str, *words: str) -> Path:
    where = ["--total-steps", "1200", "--log-dir", str(folder), "--run-name", name]
    assert train.main([*FAST, *words, *where]) == 0
    return folder / name


def last(run: Path) -> Any:
    return checkpoint.load_latest(run / "checkpoints", warn=print)[1]


def equal(ours: Path, theirs: Path) -> bool:
    of_ours, of_theirs = last(ours)["algo"], last(theirs)["algo"]
    return all(
        torch.equal(of_ours[name][key], value)
        for name in ("policy", "critic", "value_norm")
        for key, value in of_theirs[name].items()
    )


@pytest.mark.parametrize("words", [[], ["--env.n-copies", "3", "--peers.seac-weight", "0"]])
def test_one_learner_or_no_weight_is_the_plain_algorithm(tmp_path: Path, words: list[str]) -> None:
    shared = trained(tmp_path, "shared", *HERE, "--peers.share", "seac", *words)
    plain = trained(tmp_path, "plain", *HERE, *words[:2])
    assert equal(shared, plain)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "peers.jsonl").read_text().splitlines()]


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    words = ["--env", "spread", "--peers.share", "seac", "--peers.permission", "adjacency", "--peers.share-every", "4"]
    whole, part = (trained(tmp_path, name, *words, "--save-every", "400") for name in ("whole", "part"))
    sorted((part / "checkpoints").glob("step-*.pt"))[-1].unlink()  # as if it had been killed before the last save
    assert train.main(["--resume", str(part), "--quiet"]) == 0
    assert lines(part) == lines(whole)
    assert {line["kind"] for line in lines(whole)} >= {"shares"}
    assert equal(part, whole)
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert 0.5 < max(row.get("peers/importance", 0.0) for row in rows) <= 1.0


def test_what_is_not_permitted_is_refused_and_told(tmp_path: Path) -> None:
    may = tmp_path / "may.json"
    may.write_text(json.dumps({"learner_0": ["learner_1"]}))
    words = [*HERE, "--env.n-copies", "3"]
    shares = ["--peers.share", "seac", "--peers.share-every", "4", "--peers.permission", str(may)]
    run = trained(tmp_path, "run", *words, *shares)
    told = [(line["kind"], line["from"], line["to"]) for line in lines(run)]
    assert told[0] == ("shares", "learner_1", "learner_0")
    assert sorted(told[1:]) == sorted(
        ("refused", f"learner_{i}", f"learner_{j}") for i in range(3) for j in range(3) if i != j and (j, i) != (0, 1)
    )


def test_algorithms_that_cannot_share_experience_say_so() -> None:
    spec, options = Spec(3, 5, 0, SPACES["discrete"], ((0, 1, 2),)), PeersConfig(share="seac")
    iddpg = Maddpg(spec, IddpgConfig(hidden=(8,), share="none", warm_up=20, batch=16), seed=0)
    for algo, words in (
        (iddpg, "MADDPG and IDDPG learn from replay"),
        (learners(critic="central"), "the critic is 'central', which reads more than that: give --algo ippo"),
        (learners(gru=4), "leave out gru and comm"),
        (learners(comm="mean"), "leave out gru and comm"),
    ):
        with pytest.raises(ValueError, match=words):
            Seac(options, algo, ("a", "b", "c"), ALL)


def test_images_are_shared_too() -> None:
    spec = Spec(3, 75, 0, SPACES["discrete"], ((0, 1, 2),), obs_shape=(3, 5, 5))
    algo = Mappo(spec, IppoConfig(hidden=(8,), share="none", rollout_steps=8), seed=0)
    algo.shared = SharedExperience(3, 1.0, algo.device)
    algo.shared.allow(ALL)
    out = drive(algo, Stream(spec, 4), 8)[-1]
    assert 0.9 < out["peers/importance"] <= 1.0
