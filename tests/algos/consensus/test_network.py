"""Sessions of their own that average: in one process or many, resumed, and what they may not be."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from consensus_learners import broken, dying, learner

from algos.consensus.config import ConsensusConfig
from algos.consensus.network import Network, _in_common
from algos.consensus.node import NodeError, Process
from algos.training import checkpoint

GOSSIP = ConsensusConfig(consensus="gossip", consensus_every=120)


def makers(folder: Path, n: int = 2, **more: Any) -> list[Any]:
    return [functools.partial(learner, folder, number, **more) for number in range(n)]


def policies(folder: Path, n: int = 2) -> list[dict[str, torch.Tensor]]:
    """Policies in the newest checkpoints."""
    where = [folder / f"learner-{number}" / "checkpoints" for number in range(n)]
    return [checkpoint.load_latest(one, warn=print)[1]["algo"]["policy"] for one in where]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Rows of a network, without times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "time"} for row in rows]


def test_sessions_come_together_at_every_average(tmp_path: Path) -> None:
    with Network(makers(tmp_path), GOSSIP, folder=tmp_path / "network") as network:
        assert network.shared == ("policy", "critic", "values")
        first, second = network._all("parts")
        assert all(torch.equal(first[name], second[name]) for name in network.shared)  # they begin alike
        for number, told in enumerate(network.rounds()):
            assert network.steps == (128, 256, 384, 480, 512)[number]  # on to the next update, 8 steps of 4 worlds
            assert told["disagreement"] < min(1e-6, told["disagreement_before"])
            assert told["messages"] == 2
            first, second = network._all("parts")
            torch.testing.assert_close(first["policy"], second["policy"], rtol=0, atol=1e-6)
            torch.testing.assert_close(first["values"], second["values"], rtol=1e-6, atol=1e-6)
        evaluations = network.evaluate(2)
        assert [len(one.of_agents) for one in evaluations] == [2, 2]
        outcomes = network.finish()
    assert [outcome.finished and outcome.saved for outcome in outcomes] == [True, True]
    rows = rows_of(tmp_path / "network")
    assert [row["step"] for row in rows] == [128, 256, 384, 480, 512]
    assert {"consensus/disagreement", "consensus/bias", "consensus/messages", "consensus/bytes"} <= rows[0].keys()


def test_a_process_each_learns_the_same_to_the_bit(tmp_path: Path) -> None:
    config = ConsensusConfig(consensus="gossip", consensus_every=200, topology="random-1", consensus_loss=0.2)
    for where, processes in (("here", False), ("apart", True)):
        with Network(makers(tmp_path / where), config, processes=processes) as network:
            assert all(outcome.finished for outcome in network.run())
    for ours, theirs in zip(policies(tmp_path / "here"), policies(tmp_path / "apart"), strict=True):
        assert equal(ours, theirs)


def test_a_killed_network_goes_on_bit_for_bit(tmp_path: Path) -> None:
    config = ConsensusConfig(consensus="gossip", consensus_every=120, topology="random-1", consensus_loss=0.3)
    with Network(makers(tmp_path / "whole", 3), config, folder=tmp_path / "whole") as network:
        network.run()
    with Network(makers(tmp_path / "part", 3), config, folder=tmp_path / "part") as network:
        network.advance()
        network.advance()
        network._all("advance", (300,), (280,), (290,))  # and it is killed in the midst of the third round
    with Network(makers(tmp_path / "part", 3), config, folder=tmp_path / "part") as network:
        assert network.steps == 256
        network.run()
    for ours, theirs in zip(policies(tmp_path / "part", 3), policies(tmp_path / "whole", 3), strict=True):
        assert equal(ours, theirs)
    rows = [rows_of(tmp_path / name) for name in ("part", "whole")]
    assert [row["step"] for row in rows[0]] == [128, 256, 384, 480, 512]
    assert rows[0] == rows[1]


def test_off_policy_sessions_average_their_targets_too(tmp_path: Path) -> None:
    of_algo = {"hidden": (8,), "warm_up": 40, "batch": 16}
    with Network(makers(tmp_path, algo="iddpg", algo_options=of_algo, total_steps=100), GOSSIP) as network:
        assert set(network.shared) == {"policy", "target policy", "critic", "target critic", "values"}
        network.run()
    first, second = policies(tmp_path)
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=1e-6)


def test_critics_are_shared_only_as_a_whole() -> None:
    """Where states have other lengths, policies and statistics of observations are shared, and critics stay at home."""
    policy, statistics = torch.zeros(1, 5), torch.zeros(1, 4, 3)
    one = {"policy": policy, "critic": torch.zeros(1, 7), "values": statistics, "obs": statistics}
    other = one | {"critic": torch.zeros(1, 8)}
    assert _in_common([one, dict(one)], ("a", "b")) == ("policy", "critic", "values", "obs")
    assert _in_common([one, other], ("a", "b")) == ("policy", "obs")
    with pytest.raises(ValueError, match=r"policies must have the same networks and obs_norm.* a 5, b 6"):
        _in_common([one, one | {"policy": torch.zeros(1, 6)}], ("a", "b"))
    without = {name: part for name, part in one.items() if name != "obs"}
    with pytest.raises(ValueError, match="the same networks and obs_norm"):
        _in_common([one, without], ("a", "b"))


def test_nodes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="makers: 1 node has nobody"):
        Network(makers(tmp_path, 1), GOSSIP)
    with pytest.raises(ValueError, match="topology is 'adjacency', which means nothing between sessions"):
        Network(makers(tmp_path), ConsensusConfig(consensus="gossip", topology="adjacency"))
    with pytest.raises(ValueError, match="a learner hears 2 others, and to stand 1 liar it must hear 4"):
        Network(makers(tmp_path, 3), ConsensusConfig(consensus="robust"))
    others = [*makers(tmp_path, 1), functools.partial(learner, tmp_path, 1, env_options={"n_agents": 5})]
    with pytest.raises(ValueError, match=r"obs_dim of node_1 is .*, that of node_0 is"):
        Network(others, GOSSIP)
    Network(makers(tmp_path, 1) + makers(tmp_path / "more", 1), GOSSIP).close()  # the locks are free again


def test_a_node_that_fails_in_its_process_says_why(tmp_path: Path) -> None:
    nodes = [Process(functools.partial(maker, tmp_path, 1)) for maker in (broken, dying)]
    for node in nodes:
        node.begin("progress")
    with pytest.raises(NodeError, match="learner 1 has no disk"):
        nodes[0].end()
    with pytest.raises(NodeError, match="ended with exit code 7"):
        nodes[1].end()
    for node in nodes:
        node.close()
