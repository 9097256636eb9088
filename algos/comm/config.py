"""The options of communication: how agents talk, and what the medium between them does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

from ..maths.ranges import SHARE, WEIGHT, Range, check

Method = Literal["none", "mean", "graph", "attention"]
MOST_STEPS = 200
"""Longest delay and longest memory of the medium [steps]: an age is kept in one byte."""


@dataclass(frozen=True)
class ChannelConfig:
    """The medium that messages travel through. By default it is ideal: everything is heard at once and exactly."""

    entries: Annotated[int, Range(1, 4096)] = 32
    """Numbers in a message; attention takes half of them as signature and half as value."""
    bits: Annotated[int, Range(0, 16)] = 0
    """Bits of each number in a message; 0: numbers are not rounded."""
    loss: Annotated[float, SHARE] = 0.0
    """Chance that a link loses a message; with 1 nobody hears anything."""
    burst: Annotated[float, Range(0.0, 10_000.0)] = 0.0
    """Mean length of spells in which a link loses everything [steps]; 0: losses are independent."""
    delay: Annotated[int, Range(0, MOST_STEPS // 2)] = 0
    """Time from saying to hearing [steps]; 0: within the step."""
    delay_most: Annotated[int, Range(0, MOST_STEPS // 2)] = 0
    """Longest delay where it is random, uniform from `delay` on [steps]; 0: every message takes `delay`."""
    range: Annotated[float, Range(0.0, 1e9)] = 0.0
    """Distance beyond which nothing is heard, in the environment's units of length; 0: unlimited."""
    partition: str = ""
    """Groups of agents that cannot reach each other, and when: 20-40:0,1|2,3 in steps of an episode; empty: never."""
    memory: Annotated[int, Range(0, MOST_STEPS // 2)] = 16
    """Time for which a message stays heard after it arrived where no newer one comes [steps]; 0: for no time."""
    decay: Annotated[float, Range(0.0, 1.0, above=True)] = 1.0
    """Factor by which the weight of a message falls with every step of its age."""
    learned_decay: bool = False
    """Learn that factor, from `decay` on."""
    change: Annotated[float, WEIGHT] = 0.0
    """Speak only after a change of one's message that is this many times its usual change in a step; 0: always."""
    least: Annotated[int, Range(1, MOST_STEPS // 2)] = 1
    """Least time between two messages of an agent where `change` is set [steps]."""
    longest: Annotated[int, Range(1, MOST_STEPS // 2)] = 10
    """Longest time between two messages of an agent where `change` is set [steps]."""
    curriculum: Annotated[float, SHARE] = 0.0
    """Fraction of the run over which bits, loss, range and change tighten while returns do not fall; 0: at once."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        check(self)
        if self.delay_most and self.delay_most < self.delay:
            raise ValueError(f"delay_most is {self.delay_most}; allowed are 0, or delay ({self.delay}) and above")
        for name in ("least", "longest"):
            if not self.change and getattr(self, name) != getattr(type(self), name):
                raise ValueError(
                    f"{name} is {getattr(self, name)}, but change is 0, so agents speak in every step: set change, or "
                    "leave it"
                )
        if self.longest < self.least:
            raise ValueError(f"longest is {self.longest}; allowed are least ({self.least}) and above")
        if self.curriculum and not (self.bits or self.loss or self.range or self.change):
            raise ValueError(
                f"curriculum is {self.curriculum:g}, but nothing tightens: set bits, loss, range or change, or leave it"
            )
        if self.burst and not self.loss:
            raise ValueError(
                f"burst is {self.burst:g}, but loss is 0, so nothing is lost in spells: set loss, or leave it"
            )
        if self.burst and not self.loss < 1.0:
            raise ValueError(f"burst is {self.burst:g}; with loss 1 there are no spells: leave it at 0")
        if self.burst and self.burst < 1.0 / (1.0 - self.loss) - 1e-9:
            raise ValueError(
                f"burst is {self.burst:g}; spells of a loss of {self.loss:g} have at least "
                f"{1.0 / (1.0 - self.loss):g} steps, as independent losses have: raise it, or leave it at 0"
            )
        partitions(self.partition)

    @property
    def latest(self) -> int:
        """The longest time that a message is on its way [steps]."""
        return max(self.delay, self.delay_most)

    @property
    def deaf(self) -> bool:
        """Whether nothing is ever heard, not even before a curriculum has tightened the medium."""
        return self.loss >= 1.0 and not self.curriculum

    @property
    def impaired(self) -> bool:
        """Whether the medium may keep a message from being heard in the step in which it could be said."""
        return bool(self.loss or self.latest or self.range or self.partition or self.change)

    @property
    def remembers(self) -> bool:
        """Whether messages of earlier steps are heard."""
        return not self.deaf and (self.latest > 0 or (self.memory > 0 and self.impaired))

    @property
    def history(self) -> int:
        """Greatest age of a message that is still heard [steps]."""
        return self.latest + self.memory if self.remembers else 0


@dataclass(frozen=True)
class Partition:
    """A time in which groups of agents cannot reach each other."""

    start: int
    """First step of the episode."""
    end: int
    """First step after it."""
    groups: tuple[tuple[int, ...], ...]
    """Indices of agents by group; agents that are in none of them make one more."""


def partitions(text: str) -> tuple[Partition, ...]:
    """Reads partitions such as `20-40:0,1|2,3;60-70:0-3|4-7`.

    Raises:
        ValueError: The text is none; says how it is written.
    """
    found = []
    for part in text.split(";") if text.strip() else []:
        match = re.fullmatch(r"\s*(\d+)-(\d+)\s*:([\d,\-\s|]+)", part)
        if match is None or int(match[1]) >= int(match[2]):
            raise ValueError(
                f"partition is {text!r}; write steps and groups of agents as in 20-40:0,1|2,3, several with ; between"
            )
        groups = tuple(_indices(group, text) for group in match[3].split("|"))
        named = [agent for group in groups for agent in group]
        if len(named) != len(set(named)):
            raise ValueError(f"partition is {text!r}; an agent is in two groups at a time: name it once")
        found.append(Partition(int(match[1]), int(match[2]), groups))
    return tuple(found)


def _indices(text: str, whole: str) -> tuple[int, ...]:
    found: list[int] = []
    for word in text.split(","):
        first, dash, last = word.strip().partition("-")
        if not first.isdigit() or (dash and not (last.isdigit() and int(first) <= int(last))):
            raise ValueError(f"partition is {whole!r}; groups are indices of agents, as in 0,1|2-4")
        found += range(int(first), int(last if dash else first) + 1)
    return tuple(found)


@dataclass(frozen=True)
class CommConfig:
    """How agents talk. The options of networks, and so those of every algorithm, inherit these."""

    comm: Method = "none"
    """Communication of agents: none, the mean of all messages, graph attention, or attention by signature."""
    comm_rounds: Annotated[int, Range(1, 16)] = 1
    """Exchanges of messages in a step."""
    comm_heads: Annotated[int, Range(1, 64)] = 1
    """Heads of attention; each may listen to other agents."""
    comm_graph: str = "env"
    """Agents that an agent can hear: env, as the environment says; full; knn-K, its K nearest; radius-R."""
    comm_top: Annotated[int, Range(0, 4096)] = 0
    """Messages that an agent takes into account, those with the highest scores (all of equal ones); 0: all."""
    comm_gate: bool = False
    """Let every agent learn when to speak."""
    comm_gate_cost: Annotated[float, WEIGHT] = 0.0
    """Weight of the loss on the share of agents that speak; only with `comm_gate`."""
    comm_pose: bool = True
    """Send the position of the sender with every message, where the observation holds it."""
    channel: ChannelConfig = field(default_factory=ChannelConfig)
    """The medium that messages travel through."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work, of the options that inherit these too.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        check(self)
        graph_of(self.comm_graph)
        if self.comm == "none" and self.channel != ChannelConfig():
            raise ValueError(
                "channel options were given, but comm is 'none', so nothing is sent: choose mean, graph or attention"
            )
        if self.comm == "none":
            names = [one.name for one in fields(CommConfig) if one.name not in ("comm", "channel")]
            for name in names:
                if (value := getattr(self, name)) != getattr(CommConfig, name):
                    raise ValueError(
                        f"{name} is {value!r}, but comm is 'none', so nobody talks: choose mean, graph or attention, "
                        "or leave it"
                    )
        if self.comm_gate_cost and not self.comm_gate:
            raise ValueError(
                f"comm_gate_cost is {self.comm_gate_cost:g}, but there is no gate to charge for: set comm_gate"
            )
        if self.comm == "mean" and (self.comm_heads > 1 or self.comm_top):
            raise ValueError("comm is 'mean', which weighs all messages alike; comm_heads and comm_top need attention")
        if self.comm_gate and self.channel.remembers:
            raise ValueError(
                "comm_gate needs a medium that remembers nothing, so that silence is heard as silence: set "
                "channel.memory and the delays to 0, or use channel.change instead"
            )


def graph_of(text: str) -> tuple[str, float]:
    """Reads the name of a graph: "env", "full", "knn-K" or "radius-R".

    Returns:
        Its kind, and the number.

    Raises:
        ValueError: It is none of these.
    """
    if text in ("env", "full"):
        return text, 0.0
    if (match := re.fullmatch(r"knn-(\d+)", text)) and int(match[1]) > 0:
        return "knn", float(match[1])
    if (match := re.fullmatch(r"radius-(\d+(?:\.\d+)?)", text)) and float(match[1]) > 0:
        return "radius", float(match[1])
    raise ValueError(f"comm_graph is {text!r}; allowed are env, full, knn-K and radius-R, such as knn-4 and radius-20")
