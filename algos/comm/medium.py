"""The medium that messages travel through: what is lost, what is late, and what is remembered of it.

Time has one meaning: what is said in step t is heard in step t + delay, never earlier; with delay 0 within the step.
Whether a link loses a message is decided once a step, for all rounds. An agent hears a message in the step in which it
arrives, and for `memory` steps more, unless a newer one arrives; one that was said before what is heard is ignored.

All that goes on from step to step is in the memory of acting, so training, evaluation and a resumed run are the same.
The chance of the medium is its own: a counter in that memory and the `seed` that the policy carries. The entries of
that memory, those of which an option needs them:

    age      (B, N, N) uint8, steps since j said what i hears of it now; `NOTHING`: i hears nothing of it
    sent     (B, N) bool, agents that spoke in this step
    counter  (B, N) int64, steps of the world in all its episodes, from which chance is drawn
    step     (B, N) int64, steps of the episode, for partitions
    spell    (B, N, N) bool, links in a spell of losses
    said     (B, N, K, R, P) packets of the last K steps, the newest last
    way      (B, N, N, L + 1) uint8, [..., k]: delay of what was said k steps ago; `NOTHING`: it was lost
    stays    (B, N, N) uint8, steps for which what is heard stays heard after this one; only with random delays, because
             with others the age says it
    spoken   (B, N, P) the packet that an agent sent last
    thought  (B, N, P) what it would have sent in the step before
    usual    (B, N) usual change of that in a step; -1 before the first step, 0 before the second
    since    (B, N) int64, steps since it spoke

Axes: B worlds, N agents, [i, j] for i hears j; K steps of history, R rounds, P numbers of a packet, L longest delay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..core import NOTHING, Memory
from .chance import first_counter, uniform
from .config import ChannelConfig, partitions
from .curriculum import Curriculum
from .hearing import Hearing
from .reach import divided, groups_apart

_LOST, _LATE, _STATIONARY = 1, 2, 3
_AGENTS = 2**16
MOST_LEVELS = 2.0**16
"""Levels of an entry while a curriculum leaves messages nearly exact."""
_CALM = 0.9
"""Share of the past in an agent's usual change."""


class Medium(nn.Module):
    """A medium between N agents, in B worlds."""

    seed: Tensor
    links: Tensor
    lags: Tensor

    def __init__(self, config: ChannelConfig, n_agents: int, *, rounds: int, packet: int, seed: int) -> None:
        """Makes it.

        Args:
            config: What it does to messages.
            n_agents: N.
            rounds: R.
            packet: P.
            seed: Seed of its chance.

        Raises:
            ValueError: A partition names an agent that there is not.
        """
        super().__init__()
        self.config, self.n_agents, self.rounds, self.packet = config, n_agents, rounds, packet
        self._partitions = partitions(config.partition)
        for one in self._partitions:
            groups_apart(one, n_agents)
        self.register_buffer("seed", torch.tensor(seed, dtype=torch.int64))
        self.tightness = Curriculum(config.curriculum)
        self._tight = False
        index = torch.arange(n_agents)
        links = (index.unsqueeze(1) * _AGENTS + index).flatten()  # (N * N,)
        self.register_buffer("links", links, persistent=False)
        self.register_buffer("lags", torch.arange(config.latest + 1, dtype=torch.uint8), persistent=False)

    @contextlib.contextmanager
    def as_configured(self) -> Iterator[None]:
        """Is as tight as was asked for while the block runs, however far the curriculum of the training is."""
        before, self._tight = self._tight, True
        try:
            yield
        finally:
            self._tight = before

    @property
    def tight(self) -> float:
        """How tight it is now, from 0 for an ideal medium to 1."""
        return 1.0 if self._tight else float(self.tightness)

    def first_memory(self, n_worlds: int, seed: int | None = None) -> Memory:
        """Returns a medium in which nothing has been said, (B, N, ...) each; see `Acting.first_memory`."""
        config, n, device = self.config, self.n_agents, self.seed.device
        counter = first_counter(n_worlds, device, seed).unsqueeze(1).expand(-1, n).clone()  # (B, N)
        nothing = torch.full((n_worlds, n, n), NOTHING, dtype=torch.uint8, device=device)  # (B, N, N)
        memory = {"age": nothing, "counter": counter, "sent": torch.zeros_like(counter, dtype=torch.bool)}
        if self._partitions:
            memory["step"] = torch.zeros_like(counter)
        if config.burst:
            memory["spell"] = torch.zeros_like(nothing, dtype=torch.bool)
        if config.remembers:
            memory["said"] = torch.zeros(n_worlds, n, config.history, self.rounds, self.packet, device=device)
            memory["way"] = nothing.unsqueeze(-1).expand(-1, -1, -1, config.latest + 1).clone()  # (B, N, N, L + 1)
            if config.latest > config.delay:
                memory["stays"] = torch.zeros_like(nothing)
        if config.change:
            memory["spoken"] = torch.zeros(n_worlds, n, self.packet, device=device)
            memory["thought"] = torch.zeros(n_worlds, n, self.packet, device=device)
            memory["usual"] = torch.full((n_worlds, n), -1.0, device=device)
            memory["since"] = torch.full_like(counter, config.longest)
        return memory

    def listen(
        self, memory: Memory, reach: Tensor, alive: Tensor, started: Tensor, packet: Tensor | None = None
    ) -> tuple[Hearing, Memory]:
        """Carries the messages of a step.

        Args:
            memory: After the step before.
            reach: (B, N, N) bool, who could hear whom now, see `reach.within_reach`.
            alive: (B, N) bool.
            started: (B,) bool, an episode begins with this step.
            packet: (B, N, P) what agents would say in the first round; needed where `change` is set.

        Returns:
            What is heard now, and the memory, to which `remember` adds what was said.
        """
        memory = self.begun(memory, started)
        memory["sent"] = alive.clone()
        if self.config.change:
            assert packet is not None
            memory["sent"] = self.speaks(memory, packet, alive)
            reach = reach & memory["sent"].unsqueeze(1)
        memory = self.carry(memory, reach, alive, started)
        if not self.config.remembers:
            return Hearing(memory["age"]), memory
        return Hearing(memory["age"].unsqueeze(0), memory["said"]), memory

    def carry(self, memory: Memory, link: Tensor, alive: Tensor, started: Tensor) -> Memory:
        """Carries what is said in a step.

        Args:
            memory: From `begun`.
            link: (B, N, N) bool, [i, j]: j speaks, and i could hear it.
            alive: (B, N) bool.
            started: (B,) bool.

        Returns:
            The memory after it, with the `age` of what is heard.
        """
        config, memory = self.config, dict(memory)
        if self._partitions:
            link = link & ~divided(self._partitions, memory["step"][:, 0], self.n_agents)
            memory["step"] = memory["step"] + 1
        if config.deaf:
            link = torch.zeros_like(link)
        elif config.loss:
            link = link & ~self._lost(memory, started)
        late = self._late(memory["counter"][:, 0]) if config.delay_most > config.delay else None
        memory["counter"] = memory["counter"] + 1
        if not config.remembers:
            memory["age"] = torch.zeros_like(link, dtype=torch.uint8).masked_fill_(~link, NOTHING)
            return memory
        delay = torch.full_like(memory["age"], config.delay) if late is None else late
        way = torch.where(link, delay, NOTHING).unsqueeze(-1)
        way = torch.cat([way, memory["way"][..., :-1]], -1)  # (B, N, N, L + 1) delays of what was said 0, 1, ... ago
        memory["way"], age = way, memory["age"]
        age, arrived = torch.where(age < config.history, age + 1, NOTHING), self.arrivals(memory)
        if "stays" in memory:
            stays = memory["stays"]
            age = age.masked_fill(stays == 0, NOTHING)
            memory["stays"] = torch.where(arrived < age, config.memory, stays - (stays > 0).to(stays.dtype))
        memory["age"] = torch.minimum(age, arrived).masked_fill(~alive.unsqueeze(-1), NOTHING)
        return memory

    def arrivals(self, memory: Memory) -> Tensor:
        """Returns the age of the newest message that arrived in the last step, (B, N, N) uint8; `NOTHING` for none."""
        if not self.config.remembers:
            return memory["age"]
        return torch.where(memory["way"] == self.lags, self.lags, NOTHING).amin(-1)

    def remember(self, memory: Memory, packets: Tensor, speaks: Tensor | None) -> Memory:
        """Adds what was said to a memory from `listen`.

        Args:
            memory: From `listen`.
            packets: (B, N, R, P).
            speaks: (B, N) bool, agents whose gate is open; None: there are no gates.
        """
        if speaks is not None:
            memory = {**memory, "sent": memory["sent"] & speaks}
        if not self.config.remembers:
            return memory
        said = torch.cat([memory["said"][:, :, 1:], packets.unsqueeze(2)], 2)
        return {**memory, "said": said}

    def levels(self) -> float:
        """Returns the levels of an entry of a message; 0: it is not rounded."""
        bits = self.config.bits
        if not bits:
            return 0.0
        tightness = self.tight
        return MOST_LEVELS ** (1.0 - tightness) * 2.0 ** (bits * tightness)

    def farthest(self) -> float:
        """Returns the distance beyond which nothing is heard; 0: unlimited."""
        return self.config.range / max(self.tight, 1e-2) if self.config.range else 0.0

    def begun(self, memory: Memory, started: Tensor) -> Memory:
        """Returns a memory that holds nothing of before where an episode has `started`, (B,) bool, but the counter."""
        if not started.any():
            return dict(memory)
        first = {"age": NOTHING, "way": NOTHING, "since": self.config.longest, "usual": -1.0}
        return {
            name: value.clone()
            if name == "counter"
            else value.masked_fill(started.view(-1, *(1,) * (value.dim() - 1)), first.get(name, 0))
            for name, value in memory.items()
        }

    def _uniform(self, counter: Tensor, stream: int) -> Tensor:
        """Returns a uniform number for every link, (B, N, N)."""
        return uniform(self.seed, counter, stream, self.links).unflatten(-1, (self.n_agents, self.n_agents))

    def _lost(self, memory: Memory, started: Tensor) -> Tensor:
        """Returns which links lose what is said now, (B, N, N) bool: independently, or in spells.

        A spell ends with chance 1 / burst, and begins so often that links are in one a share `loss` of all steps.
        Source: Gilbert 1960, "Capacity of a burst-noise channel"; nothing gets through in its bad state.
        """
        loss, burst, counter = self.config.loss * self.tight, self.config.burst, memory["counter"][:, 0]
        chance = self._uniform(counter, _LOST)
        if not burst:
            return chance < loss
        ends, begins = 1.0 / burst, loss / (1.0 - loss) / burst
        spell = torch.where(memory["spell"], chance >= ends, chance < begins)
        at_once = self._uniform(counter, _STATIONARY) < loss
        memory["spell"] = torch.where(started.view(-1, 1, 1), at_once, spell)
        return memory["spell"]

    def _late(self, counter: Tensor) -> Tensor:
        """Returns random delays of what is said now, (B, N, N) uint8."""
        least, most = self.config.delay, self.config.latest
        return (least + (self._uniform(counter, _LATE) * (most - least + 1)).floor()).to(torch.uint8)

    def speaks(self, memory: Memory, packet: Tensor, alive: Tensor) -> Tensor:
        """Decides which agents speak now, (B, N) bool, and keeps in `memory` what they said last.

        An agent speaks if its message is further from the last one that it sent than `change` times its usual change
        in a step, which follows the messages with an exponential mean; never sooner than `least` steps after it last
        spoke, and after `longest` steps in any case.
        """
        config = self.config
        waited = memory["since"]
        moved = (packet - memory["spoken"]).norm(dim=-1)  # (B, N)
        stride = (packet - memory["thought"]).norm(dim=-1)
        due = waited >= config.longest
        before = memory["usual"]  # -1 before the first step, when there is no stride, and 0 before the second
        usual = torch.where(before > 0, _CALM * before + (1.0 - _CALM) * stride, torch.where(before < 0, 0.0, stride))
        threshold = config.change * self.tight * usual
        speaks = alive & (due | ((waited >= config.least) & (moved > threshold)))
        memory["spoken"] = torch.where(speaks.unsqueeze(-1), packet, memory["spoken"])
        memory["thought"], memory["usual"] = packet, usual.masked_fill(~alive, -1.0)
        memory["since"] = torch.where(speaks, 1, waited + 1)
        return speaks
