"""Every value that cannot work is refused by the name of its option."""

from __future__ import annotations

from typing import Any

import pytest

from algos.comm.config import ChannelConfig, CommConfig, Partition, graph_of, partitions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entries": 0}, "entries is 0"),
        ({"bits": 17}, "bits is 17"),
        ({"loss": 1.1}, "loss is 1.1"),
        ({"loss": -0.1}, "loss is -0.1"),
        ({"delay": 101}, "delay is 101"),
        ({"memory": 101}, "memory is 101"),
        ({"decay": 0.0}, "decay is 0"),
        ({"change": -1.0}, "change is -1"),
        ({"curriculum": 1.5}, "curriculum is 1.5"),
        ({"delay": 3, "delay_most": 2}, r"delay_most is 2; allowed are 0, or delay \(3\) and above"),
        ({"change": 1.0, "least": 5, "longest": 4}, r"longest is 4; allowed are least \(5\) and above"),
        ({"burst": 3.0}, "burst is 3, but loss is 0, so nothing is lost in spells"),
        ({"least": 2}, "least is 2, but change is 0, so agents speak in every step"),
        ({"longest": 5}, "longest is 5, but change is 0"),
        ({"curriculum": 0.5, "delay": 2}, "curriculum is 0.5, but nothing tightens: set bits, loss, range or change"),
        ({"loss": 1.0, "burst": 3.0}, "burst is 3; with loss 1 there are no spells: leave it at 0"),
        ({"loss": 0.75, "burst": 3.0}, "burst is 3; spells of a loss of 0.75 have at least 4 steps"),
        ({"partition": "5"}, "partition is '5'; write steps and groups of agents as in 20-40:0,1|2,3"),
        ({"partition": "9-9:0|1"}, "partition is '9-9:0|1'; write steps"),
        ({"partition": "0-9:0|0"}, "an agent is in two groups at a time: name it once"),
        ({"partition": "0-9:0|"}, "groups are indices of agents, as in 0,1|2-4"),
        ({"partition": "0-9:0-|1"}, "groups are indices of agents"),
        ({"partition": "0-9:3-1|0"}, "groups are indices of agents"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("|", r"\|")) as error:
        ChannelConfig(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"comm": "shout"}, "comm is 'shout'"),
        *(
            ({name: value}, rf"{name} is {value!r}, but comm is 'none', so nobody talks")
            for name, value in {
                "comm_rounds": 2,
                "comm_heads": 2,
                "comm_graph": "full",
                "comm_top": 3,
                "comm_gate": True,
                "comm_gate_cost": 0.5,
                "comm_pose": False,
            }.items()
        ),
        ({"comm_rounds": 0}, "comm_rounds is 0"),
        ({"comm_heads": 0}, "comm_heads is 0"),
        ({"comm_top": -1}, "comm_top is -1"),
        ({"comm_gate_cost": -1.0}, "comm_gate_cost is -1"),
        ({"comm": "mean", "comm_gate_cost": 0.1}, "there is no gate to charge for: set comm_gate"),
        ({"channel": ChannelConfig(loss=0.1)}, "comm is 'none', so nothing is sent: choose mean, graph or attention"),
        ({"channel": None}, "channel is None"),
        ({"comm_graph": "knn-0"}, "comm_graph is 'knn-0'; allowed are env, full, knn-K and radius-R"),
        ({"comm_graph": "radius-0"}, "comm_graph is 'radius-0'"),
        ({"comm_graph": "ring"}, "comm_graph is 'ring'"),
        ({"comm": "mean", "comm_heads": 2}, "comm is 'mean', .* comm_heads and comm_top need attention"),
        ({"comm": "mean", "comm_top": 2}, "comm is 'mean', .* comm_heads and comm_top need attention"),
        (
            {"comm": "mean", "comm_gate": True, "channel": ChannelConfig(loss=0.1)},
            "comm_gate needs a medium that remembers nothing",
        ),
        ({"comm": "mean", "comm_gate": True, "channel": ChannelConfig(delay=1, memory=0)}, "comm_gate needs a medium"),
    ],
)
def test_talk_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        CommConfig(**options)
    assert "\n" not in str(error.value)


def test_partitions_and_graphs_are_read() -> None:
    assert partitions("") == partitions("  ") == ()
    assert partitions("20-40:0,1|2,3; 60-70:0-3|5") == (
        Partition(20, 40, ((0, 1), (2, 3))),
        Partition(60, 70, ((0, 1, 2, 3), (5,))),
    )
    assert graph_of("knn-4") == ("knn", 4.0)
    assert graph_of("radius-2.5") == ("radius", 2.5)
    assert graph_of("full") == ("full", 0.0)


@pytest.mark.parametrize(
    ("options", "remembers", "history"),
    [
        ({}, False, 0),
        ({"loss": 0.1}, True, 16),
        ({"loss": 0.1, "memory": 0}, False, 0),
        ({"loss": 1.0, "delay": 3}, False, 0),
        ({"loss": 1.0, "curriculum": 0.5}, True, 16),
        ({"delay": 3}, True, 19),
        ({"delay": 1, "delay_most": 4, "memory": 0}, True, 4),
        ({"range": 5.0}, True, 16),
        ({"partition": "0-9:0|1"}, True, 16),
        ({"change": 1.0}, True, 16),
        ({"bits": 2}, False, 0),
    ],
)
def test_what_a_medium_remembers(options: dict[str, Any], remembers: bool, history: int) -> None:
    config = ChannelConfig(**options)
    assert (config.remembers, config.history) == (remembers, history)
