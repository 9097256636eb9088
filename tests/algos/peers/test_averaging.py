"""Learners that average their parameters without a server."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

import train
from algos.consensus.parameters import packed, parts_of, plausible, put_parts, summed, unpacked, unsummed
from algos.consensus.topology import least_heard, links_of, topology_of
from algos.core import Spec
from algos.maddpg import IddpgConfig, Maddpg
from algos.mappo import IppoConfig, Mappo
from algos.nets.obs_norm import RunningNorm
from algos.nets.value_norm import ValueNorm
from algos.peers.averaging import Averaging
from algos.peers.config import PeersConfig
from algos.training import checkpoint
from algos.training.random_play import Stream, drive, same

N = 6
EVERYBODY = torch.ones(N, N, dtype=torch.bool)
HEARS = torch.ones(1, N, N, dtype=torch.bool)


def trained(name: str, **peers: Any) -> tuple[Any, Averaging]:
    """Returns an algorithm of six learners after a few updates, and what averages them."""
    space: Any = Discrete(4) if name == "ippo" else Box(-1.0, 1.0, (2,), np.float32)
    spec = Spec(N, 5, 0, space, (tuple(range(N)),))
    algo: Any
    if name == "ippo":
        algo = Mappo(spec, IppoConfig(hidden=(8,), share="none", rollout_steps=8, obs_norm="on"), seed=0)
    else:
        config = IddpgConfig(hidden=(8,), share="none", warm_up=20, batch=16, policy_start=2, obs_norm="on")
        algo = Maddpg(spec, config, seed=0)
    averaging = Averaging(PeersConfig(**peers), algo, [f"a{i}" for i in range(N)], EVERYBODY, seed=3)
    stream = Stream(spec)
    algo.begin(stream.now)
    drive(algo, stream, 24)
    return algo, averaging


def networks(algo: Any) -> Tensor:
    """Returns (P, K) float64."""
    return torch.cat([one.values[one.own] for one in algo.parameters_of_learners() if one.own is not None], 1).double()


def averages(averaging: Averaging, count: int = 1, may: Tensor = EVERYBODY) -> list[dict[str, float]]:
    return [averaging.average(HEARS, may, lambda line: None) for _ in range(count)]


def deviation(x: Tensor) -> float:
    return float((x - x.mean(0)).norm())


@pytest.mark.parametrize("name", ["ippo", "iddpg"])
@pytest.mark.parametrize("rule", ["gossip", "hierarchical"])
def test_all_become_the_mean_where_all_hear_each_other(name: str, rule: str) -> None:
    algo, averaging = trained(name, consensus=rule)
    before, moments = networks(algo), [one.values.clone() for one in algo.moments_of_learners()]
    assert deviation(before) > 0.1
    told = averages(averaging)[0]
    after = networks(algo)
    torch.testing.assert_close(after, before.mean(0).expand_as(before), rtol=0, atol=1e-6)
    for one, was in zip(algo.moments_of_learners(), moments, strict=True):
        assert torch.equal(one.values, was)  # what an optimiser remembers stays at home
    assert told["consensus/disagreement"] < 1e-6 < told["consensus/disagreement_before"]
    assert told["consensus/disagreement_before"] == pytest.approx(
        float((before - before.mean(0)).square().mean().sqrt())
    )
    assert told["consensus/bias"] < 1e-8
    messages = {"gossip": N * (N - 1), "hierarchical": 2 * (N - 1)}[rule]
    assert told["consensus/messages"] == messages
    statistics = 3 * 8 * (5 + 1)  # of observations and of values
    assert told["consensus/bytes"] == messages * (4 * before.shape[1] + statistics)


def test_learners_begin_alike_and_then_differ() -> None:
    spec = Spec(N, 5, 0, Discrete(4), (tuple(range(N)),))
    algo = Mappo(spec, IppoConfig(hidden=(8,), share="none"), seed=0)
    first = networks(algo)[0]
    Averaging(PeersConfig(consensus="gossip"), algo, list("abcdef"), EVERYBODY, seed=0)
    assert torch.equal(networks(algo), first.expand(N, -1))


@pytest.mark.parametrize(
    "peers",
    [
        {"consensus": "gossip", "topology": "ring"},
        {"consensus": "gossip", "topology": "grid", "consensus_loss": 0.3},
        {"consensus": "gossip", "topology": "random-2", "consensus_rounds": 2},
        {"consensus": "gossip", "topology": "adjacency"},
        {"consensus": "hierarchical", "topology": "ring", "consensus_rounds": 3, "consensus_loss": 0.2},
        {"consensus": "hierarchical", "topology": "random-1", "consensus_rounds": 3},
    ],
    ids=lambda peers: "-".join(map(str, peers.values())),
)
def test_the_mean_is_kept_and_all_come_to_it(peers: dict[str, Any]) -> None:
    algo, averaging = trained("ippo", **peers)
    before = networks(algo)
    told = averages(averaging, 40)
    after = networks(algo)
    torch.testing.assert_close(after.mean(0), before.mean(0), rtol=0, atol=1e-6)
    assert deviation(after) < 1e-3 * deviation(before)
    for one, following in itertools.pairwise(told):
        assert one["consensus/disagreement"] == pytest.approx(following["consensus/disagreement_before"], abs=1e-7)


def pooled(samples: list[Tensor]) -> tuple[Tensor, Tensor]:
    whole = torch.cat(samples)
    return whole.mean(0), whole.var(0, correction=0)


def test_means_of_statistics_are_those_of_all_samples_together() -> None:
    """Learners that have seen 30, 50 and 90 samples: all get the mean and variance over the 170."""
    drawn = torch.Generator().manual_seed(0)
    samples = [3.0 * i + (1 + i) * torch.randn(n, 4, generator=drawn).double() for i, n in enumerate((30, 50, 90))]
    norm = RunningNorm(4, (0, 1, 2))
    for i, some in enumerate(samples):
        of_learner = torch.zeros(len(some), 3, 4).double()
        of_learner[:, i] = some
        weight = torch.zeros(len(some), 3)
        weight[:, i] = 1.0
        norm.update(of_learner, weight)
    value = norm.moments().flatten(1).unsqueeze(0)  # (1, 3, X)
    sums = summed(value, 0)
    norm.take_moments(unsummed(sums.mean(1, keepdim=True).expand_as(sums), value, 0)[0].reshape(3, 4, 3))
    mean, variance = pooled(samples)
    for i in range(3):
        torch.testing.assert_close(norm.mean[i], mean)
        torch.testing.assert_close(norm.square[i] / norm.count[i], variance)
    assert norm.count.flatten().tolist() == pytest.approx([170 / 3] * 3)


def test_units_of_values_are_averaged_as_sums_and_back() -> None:
    norm = ValueNorm(0.9, learners=2)
    drawn = torch.Generator().manual_seed(1)
    for _ in range(3):
        target = torch.randn(50, 2, generator=drawn) * torch.tensor([1.0, 9.0]) + torch.tensor([2.0, -30.0])
        norm.update(target, torch.ones(50, 2))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    moments = norm.moments()
    norm.take_moments(moments)
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(value, before[name])
    value = moments.flatten(1).unsqueeze(0)
    sums = summed(value, 0)
    norm.take_moments(unsummed(sums.mean(1, keepdim=True).expand_as(sums), value, 0)[0].unsqueeze(1))
    for name in ("mean_sum", "square_sum", "weight_sum"):
        torch.testing.assert_close(norm.state_dict()[name], before[name].mean().expand(2))
    weight, first, second = (before[name].mean() for name in ("weight_sum", "mean_sum", "square_sum"))
    torch.testing.assert_close(norm.mean[0], first / weight)
    torch.testing.assert_close(norm.std[1], (second / weight - (first / weight) ** 2).sqrt())


def test_without_any_samples_statistics_stay_as_they_are() -> None:
    norm = ValueNorm(learners=2)
    norm.begin_at(torch.tensor([5.0, 6.0], dtype=torch.float64))
    moments = norm.moments()
    value = moments.flatten(1).unsqueeze(0)
    norm.take_moments(unsummed(summed(value, 0), value, 0)[0].unsqueeze(1))
    assert norm.mean.tolist() == [5.0, 6.0]
    assert norm.std.tolist() == [1.0, 1.0]
    assert not norm.begun
    nonsense = torch.tensor([[[2.0, -3.0, 1.0, -4.0]]])
    assert plausible(nonsense, 1).tolist() == [[[2.0, 0.0, 1.0, 0.0]]]


@pytest.mark.parametrize("lie", ["sign", "noise", "constant", "growing", "split"])
def test_robust_averages_stand_a_liar_that_takes_gossip_along(lie: str) -> None:
    size = 10.0 if lie == "noise" else 3.0
    how: dict[str, Any] = {"liars": 1, "lie": lie, "lie_size": size}
    away = {}
    for rule in ("gossip", "robust"):
        algo, averaging = trained("ippo", consensus=rule, **how)
        honest = averaging.agreement.honest
        before = networks(algo)[honest]
        told = averages(averaging, 8)
        after = networks(algo)[honest]
        inside = (after >= before.amin(0) - 1e-6) & (after <= before.amax(0) + 1e-6)
        away[rule] = float(inside.double().mean()), told[-1]["consensus/disagreement"]
        for one in (algo.value_norm, algo.policy.obs_norm):
            moments = one.moments()
            assert moments.isfinite().all()
            assert (moments[..., (0, 2)] >= 0).all()
    assert away["robust"][0] == 1.0
    assert away["robust"][1] < 1e-2
    assert away["gossip"][0] < 0.9


def test_honest_statistics_stay_within_those_of_honest_learners() -> None:
    algo, averaging = trained("ippo", consensus="robust", liars=1, lie="constant", lie_size=1e6)
    honest = averaging.agreement.honest
    before = algo.policy.obs_norm.moments()[honest]
    averages(averaging, 5)
    after = algo.policy.obs_norm.moments()[honest]
    assert (after >= before.amin(0) - 1e-9).all()
    assert (after <= before.amax(0) + 1e-9).all()


@pytest.mark.parametrize("name", ["ippo", "iddpg"])
def test_what_is_read_is_what_is_put(name: str) -> None:
    algo, _ = trained(name, consensus="gossip")
    before = algo.state_dict()
    parts = parts_of(algo)
    value, width = packed(parts)
    assert width == networks(algo).shape[1]
    put_parts(algo, unpacked(value, parts))
    after = algo.state_dict()
    for part in ("policy", "value_norm"):
        for key, was in before[part].items():
            torch.testing.assert_close(after[part][key], was, rtol=1e-12, atol=1e-12)
    names = {"ippo": {"policy", "critic"}, "iddpg": {"policy", "critic", "target policy", "target critic"}}[name]
    assert set(parts) == names | {"values", "obs"}


def test_an_exchange_takes_place_where_both_may_learn_from_each_other() -> None:
    algo, averaging = trained("ippo", consensus="gossip")
    may = torch.zeros(N, N, dtype=torch.bool)
    may[0, 1] = may[1, 0] = may[2, 3] = True
    before = networks(algo)
    averages(averaging, 1, may)
    after = networks(algo)
    torch.testing.assert_close(after[0], before[:2].mean(0), rtol=0, atol=1e-6)
    assert torch.equal(after[2:], before[2:])


def test_topologies_are_what_they_are_called() -> None:
    assert links_of("ring", 5).sum(-1).tolist() == [2] * 5
    assert links_of("ring", 2).tolist() == [[False, True], [True, False]]
    assert links_of("grid", 6).int().sum(-1).tolist() == [2, 3, 2, 2, 3, 2]
    assert links_of("grid", 7).int().sum(-1).tolist() == [2, 3, 2, 3, 3, 2, 1]
    assert not links_of("full", 4).diagonal().any()
    assert topology_of("random-12") == ("random", 12)
    assert least_heard("random", 3, links_of("random", 9)) == 3
    assert least_heard("random", 30, links_of("random", 9)) == 8
    with pytest.raises(
        ValueError, match="topology is 'random-0'; allowed are full, ring, grid, adjacency and random-K"
    ):
        topology_of("random-0")


# ---- runs

HERE = ["--env", "spread", "--env.n-agents", "6"]
FAST = ["--algo.hidden", "8", "--n-worlds", "4", "--eval-episodes", "0", "--no-videos", "--quiet"]
ALONE = ["--algo", "ippo", "--algo.rollout-steps", "8", "--algo.minibatches", "2", "--algo.epochs", "1"]
ALONE += ["--algo.share", "none"]


def ran(folder: Path, name: str, *words: str) -> Path:
    where = ["--total-steps", "700", "--log-dir", str(folder), "--run-name", name]
    assert train.main([*HERE, *FAST, *ALONE, *words, *where]) == 0
    return folder / name


def last(run: Path) -> Any:
    return checkpoint.load_latest(run / "checkpoints", warn=print)[1]


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "peers.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "words",
    [
        ["gossip", "--peers.topology", "random-2", "--peers.consensus-loss", "0.3"],
        ["robust", "--peers.liars", "1", "--peers.lie", "noise", "--peers.share", "independent"],
    ],
    ids=["gossip", "robust"],
)
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path: Path, words: list[str]) -> None:
    every = ["--peers.consensus-every", "200", "--save-every", "400", "--peers.consensus"]
    whole, part = (ran(tmp_path, name, *every, *words) for name in ("whole", "part"))
    sorted((part / "checkpoints").glob("step-*.pt"))[-1].unlink()  # as if it had been killed before the last save
    assert train.main(["--resume", str(part), "--quiet"]) == 0
    told = lines(part)
    assert told == lines(whole)
    assert [line["kind"] for line in told] == ["consensus"] * 3
    assert [line["step"] for line in told] == [224, 416, 608]  # with the first update from then on
    for line in told:
        assert line["disagreement"] < line["disagreement_before"]
        assert line["messages"] > 0
    ours, theirs = last(part), last(whole)
    for name in ("policy", "critic", "value_norm"):
        for key, value in theirs["algo"][name].items():
            assert torch.equal(ours["algo"][name][key], value)
    assert same(ours["companion"], theirs["companion"])
    rows = [json.loads(line) for line in (part / "metrics.jsonl").read_text().splitlines()]
    for name in ("disagreement", "disagreement_before", "bias", "messages", "bytes"):
        assert any(f"consensus/{name}" in row for row in rows), name


def test_off_policy_learners_average_too(tmp_path: Path) -> None:
    words = [
        "--env",
        "spread",
        "--algo",
        "iddpg",
        "--algo.share",
        "none",
        "--algo.warm-up",
        "100",
        "--algo.batch",
        "16",
    ]
    words += [*FAST, "--peers.consensus", "hierarchical", "--peers.consensus-every", "200", "--total-steps", "401"]
    assert train.main([*words, "--log-dir", str(tmp_path), "--run-name", "run"]) == 0
    assert [line["rule"] for line in lines(tmp_path / "run")] == ["hierarchical"] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--peers.consensus", "robust", "--peers.tolerance", "2"],
            "--peers.tolerance: 2 liars need 7 heard by each node (3 f + 1), and 5 are heard, which stand 1",
        ),
        (["--peers.consensus", "robust", "--peers.topology", "ring"], "a learner hears 2 others, and to stand 1 liar"),
        (["--peers.consensus", "robust", "--peers.topology", "random-3"], "a learner hears 3 others"),
        (["--peers.consensus", "gossip", "--peers.tolerance", "1"], "no effect without consensus 'robust'"),
        (["--peers.consensus", "gossip", "--peers.topology", "star"], "--peers.topology is 'star'; allowed are full"),
        (["--peers.consensus", "gossip", "--peers.liars", "6"], "--peers.liars is 6, but there are 6 learners"),
        (["--peers.consensus", "gossip", "--peers.share", "pbt"], "there is share 'pbt' too: take one of them"),
        (["--peers.consensus", "gosip"], "allowed: none, gossip, hierarchical, robust (did you mean gossip?)"),
        (["--peers.topology", "ring"], "--peers.topology is 'ring', which has no effect without"),
        (
            ["--peers.consensus", "gossip", "--peers.lie", "noise"],
            "--peers.lie is 'noise', which has no effect without",
        ),
        (["--peers.consensus", "gossip", "--algo.share", "all"], "is 'gossip', but the 6 agents share parameters"),
        (["--peers.consensus", "gossip", "--env.n-agents", "1"], "is 'gossip', but there is one agent only"),
        (["--peers.consensus", "gossip", "--algo.agent-id"], "leave agent_id out"),
        (
            ["--peers.consensus", "hierarchical", "--peers.liars", "1", "--peers.lie", "split"],
            "--peers.lie is 'split', but in a hierarchical consensus",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert train.main([*HERE, *FAST, *ALONE, *words, "--log-dir", str(tmp_path)]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert said in told[0]
