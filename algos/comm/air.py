"""The medium between agents that run apart: it takes the packets that they say, and brings those that arrive.

It is the same `Medium` as in training, with the same chance, for one world whose agents have names. It is as tight as
was asked for, whatever curriculum it was trained with. It knows nothing of what packets mean.

Axes: N agents, P numbers of a packet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .medium import Medium
from .reach import measures, within_reach


class Message(NamedTuple):
    """A packet that an agent hears."""

    packet: NDArray[np.float32]  # (P,)
    age: int
    """Steps since it was said."""


Packets = Mapping[str, NDArray[np.float32]]
"""Packets (P,) by the names of their senders."""


class Air:
    """Carries messages between agents by name, step by step and round by round."""

    def __init__(self, medium: Medium, agents: Sequence[str], graph: tuple[str, float] = ("env", 0.0)) -> None:
        """Begins an episode.

        Args:
            medium: The policy's medium.
            agents: (N,) names by index.
            graph: Which agents an agent can hear, from `config.graph_of`.
        """
        self.medium, self.agents, self.graph = medium, tuple(agents), graph
        self._index = {name: index for index, name in enumerate(self.agents)}
        self.reset(seed=0)

    @property
    def rounds(self) -> int:
        """Exchanges of messages in a step."""
        return self.medium.rounds

    @property
    def measures(self) -> bool:
        """Whether it needs to know where agents are."""
        return measures(self.graph, self.medium.config.range)

    def reset(self, seed: int | None = None) -> None:
        """Begins another episode: nothing is on its way.

        Args:
            seed: Seed of its chance, see `Policy.reset`; None: chance goes on where it was.
        """
        before = None if seed is not None else self._memory["counter"]
        self._memory, self._started = self.medium.first_memory(1, seed), True
        if before is not None:
            self._memory["counter"] = before
        # By round, of the present step and those before, the newest first.
        self._sent: list[list[Packets]] = [[] for _ in range(self.medium.rounds)]
        self._next = self.rounds  # the round that comes next; all are over

    def step(
        self,
        neighbors: Mapping[str, Collection[str]],
        said: Packets,
        positions: Mapping[str, Sequence[float] | NDArray[np.float32]] | None = None,
    ) -> dict[str, dict[str, Message]]:
        """Carries the packets of the first round of a step, and decides what arrives in the step.

        Args:
            neighbors: By name of each live agent, the agents that it could hear by the environment's graph. Where
                another graph was asked for (`comm_graph`), only the names count.
            said: Packets of the agents that speak.
            positions: By name of each live agent, its x and y in the environment's unit of length
                (`Policy.position`); needed where distances count (`measures`), ignored otherwise.

        Returns:
            What arrives, by receiver and sender.

        Raises:
            ValueError: An agent is unknown or absent, a position is missing, or the last step is not over.
        """
        if self._next < self.rounds:
            raise ValueError(f"step() came before round({self._next}) of the step before; a step has {self.rounds}")
        self._check(neighbors, "neighbors", self.agents)
        self._check((other for others in neighbors.values() for other in others), "neighbors", self.agents)
        self._check(said, "said", neighbors)
        n, index = len(self.agents), self._index
        adjacency = torch.zeros(1, n, n, dtype=torch.bool)
        alive, speaks = (torch.zeros(1, n, dtype=torch.bool) for _ in range(2))
        for name, others in neighbors.items():
            alive[0, index[name]], speaks[0, index[name]] = True, name in said
            adjacency[0, index[name], [index[other] for other in others]] = True
        where, started = self._places(neighbors, positions), torch.tensor([self._started])
        with self.medium.as_configured(), torch.inference_mode():
            link = within_reach(self.graph, adjacency, alive, where, self.medium.farthest()) & speaks.unsqueeze(1)
            device = self.medium.seed.device
            link, alive, started = link.to(device), alive.to(device), started.to(device)
            self._memory = self.medium.carry(self.medium.begun(self._memory, started), link, alive, started)
            self._arrived: list[list[int]] = self.medium.arrivals(self._memory)[0].tolist()  # (N, N) ages
        self._started, self._next = False, 0
        return self._carried(said)

    def round(self, number: int, said: Packets) -> dict[str, dict[str, Message]]:
        """Carries the packets of a further round of the present step; returns what arrives of that round.

        Args:
            number: Index of the round; that of `step` is 0.
            said: Packets of the agents that speak.

        Raises:
            ValueError: It is not the turn of that round, or an agent is unknown.
        """
        if number != self._next or number == self.rounds:
            turn = f"round({self._next})" if self._next < self.rounds else "step()"
            raise ValueError(
                f"round({number}) came where {turn} is next; a step has {self.rounds}, from 0, that of step()"
            )
        self._check(said, "said", self.agents)
        return self._carried(said)

    def _carried(self, said: Packets) -> dict[str, dict[str, Message]]:
        sent = self._sent[self._next]
        self._next += 1
        sent.insert(0, dict(said))
        del sent[self.medium.config.latest + 1 :]
        found: dict[str, dict[str, Message]] = {}
        for receiver, ages in zip(self.agents, self._arrived, strict=True):
            for sender, age in zip(self.agents, ages, strict=True):
                if age < len(sent) and sender in sent[age]:
                    found.setdefault(receiver, {})[sender] = Message(sent[age][sender], age)
        return found

    def _check(self, names: Iterable[str], what: str, known: Collection[str]) -> None:
        for name in names:
            if name not in self._index:
                raise ValueError(f"{what} names unknown agent {name!r}; agents are {', '.join(self.agents)}")
            if name not in known:
                raise ValueError(f"{what} names {name!r}, which is not among the live agents: neighbors lacks it")

    def _places(
        self, live: Collection[str], positions: Mapping[str, Sequence[float] | NDArray[np.float32]] | None
    ) -> Tensor | None:
        """Returns positions, (1, N, 2); those of absent agents are 0. None where nothing depends on them."""
        if not self.measures:
            return None
        places = torch.zeros(1, len(self.agents), 2)
        for name in live:
            place = np.asarray((positions or {}).get(name, ()), np.float32)
            if place.shape != (2,) or not np.isfinite(place).all():
                raise ValueError(
                    f"position of {name} is {place.tolist() or 'missing'}; this medium measures distances: give "
                    "positions={name: (x, y)} of all live agents, see Policy.position"
                )
            places[0, self._index[name]] = torch.from_numpy(place.copy())
        return places
