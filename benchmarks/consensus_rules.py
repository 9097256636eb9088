"""Networks, and the rules of agreement that `consensus.py` measures on them, a class a rule with what it counts.

Axes: B networks, N nodes, D link slots of a node. One value a node (V = 1).

A round is the time in which a message passes one link. Messages are counted by link and direction, those that are lost
too. Both ends of a link know whether a message has arrived; acknowledgements are not counted. Push-sum needs none.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import report
from scipy.sparse.csgraph import connected_components

sys.path.insert(0, str(report.ROOT))

from envs.consensus import (
    Clusters,
    Tree,
    back_of,
    differing,
    elect,
    first_push_sum,
    first_speaking,
    grow,
    heard_of,
    lists_of,
    speaks,
    swept,
)
from envs.consensus.chance import CALLS, LOSSES, fill_uniform
from envs.consensus.gossip import held_round, plain_round
from envs.consensus.hierarchy import gather, leader_round
from envs.consensus.partners import fill_calls, fill_pairs
from envs.consensus.push_sum import push, take
from envs.consensus.tree import to_top
from envs.consensus.weights import fill_metropolis

MEAN_DEGREE = 8.0
"""Neighbours of a node far from the border, on average."""
CALLED = 3
"""Neighbours that a node calls in a round of `gossip, k = 3`."""
TOLERANCE = 0.001
"""Of adaptive speaking where all have to agree within 0.01."""
SLACK = 1.5
"""Where messages are lost, a round among leaders lasts this many times what its longest bridge takes on average."""


class Network(NamedTuple):
    """B networks of equal size."""

    neighbor: np.ndarray
    """(B, N, D), see `lists_of`."""
    back: np.ndarray
    """(B, N, D), see `back_of`."""
    place: np.ndarray
    """(B, N, 2) in the unit square."""


class Rule(Protocol):
    """A rule of agreement on its way."""

    @property
    def value(self) -> np.ndarray:
        """(B, N, 1), what nodes hold for the mean."""
        ...

    def step(self, t: int) -> tuple[np.ndarray, int]:
        """Goes on from time t; returns the messages, (B,), and the rounds that it took."""
        ...


def geometric(n_networks: int, n_nodes: int, seed: int) -> Network:
    """Returns random geometric graphs: nodes in the unit square, neighbours within a radius, all connected.

    The radius gives nodes far from the border `MEAN_DEGREE` neighbours on average. Graphs that are not connected are
    drawn again, so the smallest degrees are a little above those of chance.
    """
    rng = np.random.default_rng([seed, n_nodes])
    radius = math.sqrt(MEAN_DEGREE / (math.pi * n_nodes))
    found, places = [], []
    while len(found) < n_networks:
        place = rng.random((n_nodes, 2))
        linked = ((place[:, None] - place) ** 2).sum(axis=-1) < radius**2
        np.fill_diagonal(linked, False)
        if connected_components(linked, directed=False, return_labels=False) == 1:
            found.append(linked)
            places.append(place)
    neighbor = lists_of(np.stack(found))
    return Network(neighbor, back_of(neighbor), np.stack(places))


def turned(mask: np.ndarray, network: Network) -> np.ndarray:
    """Returns the mask of the other direction of each link, (B, N, D)."""
    world = np.arange(len(mask))[:, None, None]
    return mask[world, np.maximum(network.neighbor, 0), np.maximum(network.back, 0)]


class Links:
    """Which messages of a round arrive: each is lost with the same probability, alone."""

    def __init__(self, network: Network, loss: float, seed: int) -> None:
        self.network, self.loss = network, loss
        self.linked = network.neighbor >= 0
        self.n_links = self.linked.sum(axis=(1, 2))  # (B,), each direction counts
        self.key = np.random.default_rng(seed).integers(2**64, size=len(self.linked), dtype=np.uint64)
        self._numbers = np.empty(self.linked.shape)

    def numbers(self, t: int, stream: int, *, both_ways: bool) -> np.ndarray:
        """Returns uniform numbers, (B, N, D), that the next call overwrites."""
        counter = np.full(len(self.key), t, np.uint64)
        fill_uniform(self.key, counter, stream, both_ways, self.network.neighbor, self._numbers)
        return self._numbers

    def arrived(self, t: int) -> np.ndarray:
        """Returns which messages arrive, (B, N, D) bool, where all say something to all their neighbours."""
        if not self.loss:
            return self.linked
        return self.linked & (self.numbers(t, LOSSES, both_ways=False) >= self.loss)

    def met(self, t: int) -> np.ndarray:
        """Returns which exchanges take place, (B, N, D) bool: both of their messages arrive."""
        if not self.loss:
            return self.linked
        return self.linked & (self.numbers(t, LOSSES, both_ways=True) < (1 - self.loss) ** 2)


class Gossip:
    """Every node exchanges with all neighbours in each round, with `k` that it calls, or with one in pairs."""

    def __init__(self, links: Links, value: np.ndarray, partners: str = "all") -> None:
        self.links, self.value, self.partners = links, value.copy(), partners
        self._weight, self._out = np.empty(links.linked.shape), np.empty_like(value)
        self._active = links.linked.copy()
        fill_metropolis(links.network.neighbor, links.linked, self._weight)

    def step(self, t: int) -> tuple[np.ndarray, int]:
        """Exchanges once."""
        neighbor, back, _ = self.links.network
        messages = self.links.n_links
        if self.partners == "calls":
            numbers = self.links.numbers(t, CALLS, both_ways=False)
            fill_calls(neighbor, back, self.links.linked, numbers, CALLED, self._active)
        elif self.partners == "pairs":
            fill_pairs(neighbor, self.links.linked, self.links.numbers(t, CALLS, both_ways=True), self._active)
        if self.partners != "all":
            messages = self._active.sum(axis=(1, 2))
        if self.partners != "all" or self.links.loss:
            fill_metropolis(neighbor, self._active & self.links.met(t), self._weight)
        plain_round(neighbor, self._weight, self.value, self._out)
        self.value, self._out = self._out, self.value
        return messages, 1


class OneSided:
    """Gossip in which each node moves by what it hears, whether or not its partner does: its mean drifts."""

    def __init__(self, links: Links, value: np.ndarray) -> None:
        self.links, self.value = links, value.copy()
        self._weight, self._out = np.empty(links.linked.shape), np.empty_like(value)
        fill_metropolis(links.network.neighbor, links.linked, self._weight)

    def step(self, t: int) -> tuple[np.ndarray, int]:
        """Hears all neighbours once."""
        plain_round(self.links.network.neighbor, self._weight * self.links.arrived(t), self.value, self._out)
        self.value, self._out = self._out, self.value
        return self.links.n_links, 1


class PushSum:
    """Push-sum with running sums, each node to all its neighbours."""

    def __init__(self, links: Links, value: np.ndarray) -> None:
        self.links = links
        self._state = first_push_sum(links.network.neighbor, value)

    @property
    def value(self) -> np.ndarray:
        """(B, N, 1)."""
        return self._state.held[..., :1] / self._state.held[..., 1:]

    def step(self, t: int) -> tuple[np.ndarray, int]:
        """Gives and takes once."""
        (held, given, taken), links = self._state, self.links
        push(links.network.neighbor, links.network.back, links.linked, held, given)
        take(links.arrived(t), heard_of(links.network.neighbor, given), held, taken)
        return links.n_links, 1


class Hierarchical:
    """Members tell their leader, leaders exchange with each other, and tell their members in the end.

    Its value is what nodes hold if leaders stop exchanging now; the messages and rounds of telling the members are
    counted with the first step, as they are the same whenever that is. Messages to and from members are repeated until
    they arrive, and so are those on bridges, hop by hop, but for as long as a round among leaders lasts.
    """

    def __init__(self, links: Links, value: np.ndarray) -> None:
        self.links, neighbor = links, links.network.neighbor
        everybody = np.ones(neighbor.shape[:2], np.bool_)
        self.clusters: Clusters = elect(neighbor, links.linked, everybody)
        self._mean, self._size = np.empty_like(value), np.empty(value.shape[:2])
        gather(self.clusters.leader, everybody, value, value, self._mean, self._size)
        self._out = np.empty_like(value)
        follows = self.clusters.leader != np.arange(neighbor.shape[1])  # (B, N)
        far = np.take_along_axis(follows[:, None], np.maximum(neighbor, 0), axis=2)  # (B, N, D)
        self._hops = np.where(self.clusters.bridge, 1 + follows[:, :, None] + far, 0)  # (B, N, D)
        self._follows = follows

    @property
    def value(self) -> np.ndarray:
        """(B, N, 1)."""
        leader = self.clusters.leader
        return np.take_along_axis(self._mean, leader[..., None].astype(np.int64), axis=1)

    def step(self, t: int) -> tuple[np.ndarray, int]:
        """Lets leaders exchange once."""
        loss, longest = self.links.loss, int(self._hops.max())
        rounds, works, tries = longest, self.clusters.bridge, self._hops
        if loss:
            rounds = math.ceil(SLACK * longest / (1 - loss))
            spent = [self._tries(t, stream) for stream in range(10, 10 + longest)]  # of each hop, in each direction
            needed = np.sum([np.where(hop < self._hops, one, 0) for hop, one in enumerate(spent)], axis=0)
            there = needed <= rounds
            works = works & there & turned(there, self.links.network)
            tries = np.minimum(needed, rounds)
        leader_round(
            self.links.network.neighbor, self.clusters.leader, works, self._size, self._mean, self._mean, self._out
        )
        self._mean, self._out = self._out, self._mean
        messages = tries.sum(axis=(1, 2))
        if t == 0:
            within, longest_within = self._within_clusters()
            messages, rounds = messages + within, rounds + longest_within
        return messages, rounds

    def _tries(self, t: int, stream: int) -> np.ndarray:
        """Returns how often a message is sent over a hop until it arrives, (B, N, D), at least 1."""
        numbers = self.links.numbers(t, stream, both_ways=False)
        return np.ceil(np.log(np.maximum(numbers, 1e-300)) / math.log(self.links.loss)).astype(np.int64).clip(1)

    def _within_clusters(self) -> tuple[np.ndarray, int]:
        """Returns messages, (B,), and rounds of members that tell their leader and are told by it."""
        if not self.links.loss:
            return 2 * self._follows.sum(axis=1), 2
        tries = np.stack([self._tries(0, stream)[:, :, 0] for stream in (20, 21)]) * self._follows  # (2, B, N)
        return tries.sum(axis=(0, 2)), int(tries.max(axis=(1, 2)).sum())


class Swept:
    """Sums go up a tree of leaders of leaders, and the mean comes down: one step, and nothing is held before its end.

    Each message is repeated hop by hop until it arrives. A node speaks to its parent once all that report to it have.
    """

    def __init__(self, links: Links, value: np.ndarray) -> None:
        self.links, self.value, network = links, value.copy(), links.network
        self.tree: Tree = grow(network.neighbor, links.linked, np.ones(value.shape[:2], np.bool_))

    def step(self, t: int) -> tuple[np.ndarray, int]:
        """Goes up and down once; rounds are those of the network that takes longest."""
        agreed, hops = swept(self.tree, self.value), self.tree.hops
        self.value = agreed.value
        if not self.links.loss:
            return agreed.messages, int(agreed.hops.max())
        rng = np.random.default_rng([int(self.links.key[0] % 2**32), t])
        failed = rng.negative_binomial(np.maximum(hops, 1), 1 - self.links.loss, (2, *hops.shape))
        spent = np.where(hops > 0, hops + failed, 0)  # (2, B, N), up and down
        rounds = sum(to_top(self.tree, one).max(axis=1) for one in spent)
        return spent.sum(axis=(0, 2)), int(np.max(rounds))


class Adaptive:
    """Gossip on what was said last, in which a node speaks when it has moved; what is lost is said again at once.

    Links whose ends have said about the same rest.
    """

    def __init__(self, links: Links, value: np.ndarray, *, tolerance: float, longest: int = 100) -> None:
        self.links, self.value = links, value.copy()
        self.tolerance, self.longest = tolerance, longest
        self._state = first_speaking(value)
        self._heard = np.zeros((*links.linked.shape, 1))
        self._known = np.zeros(links.linked.shape, np.bool_)  # whether a node has heard its neighbour at all
        self._due = links.linked.copy()  # what a node has yet to hear of its neighbour: at first, everything
        self._weight, self._out = np.empty(links.linked.shape), np.empty_like(value)

    def step(self, t: int) -> tuple[np.ndarray, int]:
        """Speaks where that is due, and moves by what is held, over links whose ends have heard each other."""
        neighbor, back, _ = self.links.network
        speaking, self._state = speaks(self._state, self.value, tolerance=self.tolerance, longest=self.longest)
        self._due |= self.links.linked & heard_of(neighbor, speaking[..., None])[..., 0]
        messages = self._due.sum(axis=(1, 2))
        arrived = self._due & self.links.arrived(t)
        self._heard = np.where(arrived[..., None], heard_of(neighbor, self._state.said), self._heard)
        self._due &= ~arrived
        self._known |= arrived
        works = self._known & turned(self._known, self.links.network)
        works &= differing(neighbor, back, self._heard, self.tolerance)
        fill_metropolis(neighbor, works, self._weight)
        held_round(neighbor, back, self._weight, self._heard, self.value, self._out)
        self.value, self._out = self._out, self.value
        return messages, 1


RULES: Mapping[str, Callable[..., Rule]] = {
    "gossip": Gossip,
    "gossip, k = 3": lambda links, value: Gossip(links, value, "calls"),
    "pairs": lambda links, value: Gossip(links, value, "pairs"),
    "one-sided": OneSided,
    "push-sum": PushSum,
    "hierarchical": Hierarchical,
    "hierarchical, all levels": Swept,
    "adaptive": lambda links, value: Adaptive(links, value, tolerance=TOLERANCE),
}
"""By name, what makes a rule from links and first values of standard deviation 1."""


def election(network: Network, clusters: Clusters) -> dict[str, float]:
    """Returns what an election takes without a centre: rounds and messages, means over networks.

    Each node says its degree to its neighbours, and then, as soon as all neighbours that are asked before it have
    decided, what it is: as many rounds as the longest chain of such waits has nodes.
    """
    rounds, messages = [], []
    for neighbor, leader in zip(network.neighbor, clusters.leader, strict=True):
        linked = neighbor >= 0
        degree, depth = linked.sum(axis=1), np.zeros(len(neighbor), np.int64)
        for i in sorted(range(len(neighbor)), key=lambda i: (-degree[i], i)):
            before = [j for j in neighbor[i][linked[i]] if (-degree[j], j) < (-degree[i], i)]
            heads = [depth[j] for j in before if leader[j] == j]
            depth[i] = 1 + (min(heads) if heads else max((depth[j] for j in before), default=0))
        rounds.append(1 + int(depth.max()))
        messages.append(2 * int(linked.sum()))
    return {"rounds": float(np.mean(rounds)), "messages": float(np.mean(messages))}


def first_values(network: Network, seed: int) -> np.ndarray:
    """Returns independent normal values of mean 0 and standard deviation 1 within each network, (B, N, 1)."""
    value = np.random.default_rng(seed).normal(size=(*network.neighbor.shape[:2], 1))
    value -= value.mean(axis=1, keepdims=True)
    return value / value.std(axis=1, keepdims=True)
