"""The medium between agents that run apart: it takes the packets that they say, and brings those that arrive.

It is the same `Medium` as in training, with the same chance, for one world whose agents have names. It knows nothing of
what packets mean.

Axes: N agents, P numbers of a packet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .medium import Medium


class Message(NamedTuple):
    """A packet that an agent hears."""

    packet: NDArray[np.float32]  # (P,)
    age: int
    """Steps since it was said."""


Packets = Mapping[str, NDArray[np.float32]]
"""Packets (P,) by the names of their senders."""


class Air:
    """Carries messages between agents by name, step by step and round by round."""

    def __init__(self, medium: Medium, agents: Sequence[str]) -> None:
        """Begins an episode.

        Args:
            medium: The policy's medium.
            agents: (N,) names by index.
        """
        self.medium, self.agents = medium, tuple(agents)
        self.reset()

    @property
    def rounds(self) -> int:
        """Exchanges of messages in a step."""
        return self.medium.rounds

    def reset(self) -> None:
        """Begins another episode: nothing is on its way, and chance begins anew, as in `Policy.reset`."""
        self._memory, self._started = self.medium.first_memory(1), True
        # By round, of the present step and those before, the newest first.
        self._sent: list[list[Packets]] = [[] for _ in range(self.medium.rounds)]

    def step(self, neighbors: Mapping[str, Collection[str]], said: Packets) -> dict[str, dict[str, Message]]:
        """Carries the packets of the first round of a step, and decides what arrives in the step.

        Args:
            neighbors: By name of each live agent, the agents that it could hear.
            said: Packets of the agents that speak.

        Returns:
            What arrives, by receiver and sender.
        """
        n, index = len(self.agents), {name: k for k, name in enumerate(self.agents)}
        link = torch.zeros(1, n, n, dtype=torch.bool)
        alive = torch.zeros(1, n, dtype=torch.bool)
        for name, others in neighbors.items():
            alive[0, index[name]] = True
            for other in others:
                link[0, index[name], index[other]] = other in said
        started = torch.tensor([self._started])
        self._memory = self.medium.carry(self.medium.begun(self._memory, started), link, alive, started)
        self._started = False
        self._arrived: list[list[int]] = self.medium.arrivals(self._memory)[0].tolist()  # (N, N) ages
        return self.round(0, said)

    def round(self, number: int, said: Packets) -> dict[str, dict[str, Message]]:
        """Carries the packets of a round of the present step; returns what arrives of that round."""
        sent = self._sent[number]
        sent.insert(0, said)
        del sent[self.medium.config.latest + 1 :]
        found: dict[str, dict[str, Message]] = {}
        for receiver, ages in zip(self.agents, self._arrived, strict=True):
            for sender, age in zip(self.agents, ages, strict=True):
                if age < len(sent) and sender in sent[age]:
                    found.setdefault(receiver, {})[sender] = Message(sent[age][sender], age)
        return found
