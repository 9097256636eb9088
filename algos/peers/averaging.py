"""Training without a server: learners average what they are with those that they hear.

What is averaged are the networks, target networks included, the units of values and the statistics of observations; the
moments of optimisers stay at home. Learners begin with the same parameters, since the mean of networks that have come
from different ones acts like none of them.

A mean of running statistics is a mean of sums: gossip and hierarchical consensus average n, n m and n (v + m^2) of each
learner's count n, mean m and variance v. Robust consensus, which picks values one by one, averages n, m and v as they
are, so that each lies within those of honest learners. Counts and variances below zero, which only liars send, are
read as zero.

Axes: P learners, K numbers of networks, D statistics of 3 numbers each, X = K + 3 D, R rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ..consensus.gossip import averaged
from ..consensus.hierarchy import elect, hierarchical
from ..consensus.liars import overheard
from ..consensus.partners import both_ways, calls, drawn
from ..consensus.robust import check_tolerance, most_liars, trimmed
from ..consensus.weights import metropolis
from ..nets.sharing import Numbers
from .config import PeersConfig
from .exchange import Learning, copy_of, move
from .topology import least_heard, links_of, topology_of

Tell = Callable[[Mapping[str, Any]], None]
_STREAM = 19
"""Sets the chance of averages apart from that of other choices between the same learners."""


class Statistics(Protocol):
    """Running statistics of each learner."""

    def moments(self) -> Tensor | None:
        """Returns count, mean and variance of each, (P, D, 3); None where learners share them."""
        ...

    def take_moments(self, moments: Tensor) -> None:
        """Sets them."""
        ...


class Averaging:
    """Averages the learners of a session by a rule of consensus."""

    def __init__(self, config: PeersConfig, algo: Any, agents: Sequence[str], may: Tensor | None, *, seed: int) -> None:
        """Gives all learners the parameters of the first, and chooses the liars.

        Args:
            config: The options.
            algo: An algorithm of several learners, see `exchange.Learning`.
            agents: (P,) names of the learners.
            may: (P, P) bool, who may learn from whom; None: that is not known beforehand.
            seed: Seed of all chance.

        Raises:
            ValueError: More liars are to be stood than can be, or all are liars; the message is one line.
        """
        self._config, self._algo, self._agents = config, algo, tuple(agents)
        self._kind, self._k = topology_of(config.topology)
        n = len(agents)
        if config.liars >= n:
            raise ValueError(f"liars is {config.liars}, but there are {n} learners: leave at least one of them honest")
        self._links = links_of(self._kind, n)
        self._tolerance = config.tolerance
        if config.consensus == "robust" and self._kind != "adjacency" and may is not None:
            self._check(least_heard(self._kind, self._k, self._links & may & may.T))
        self._generator = torch.Generator().manual_seed((seed * 1_000_003 + n) * 1_000_003 + _STREAM)
        liars = torch.randperm(n, generator=self._generator)[: config.liars]
        self._liar = torch.zeros(n, dtype=torch.bool).index_fill_(0, liars, True)  # (P,)
        self._averages = 0
        first = copy_of(algo, 0)
        for learner in range(1, n):
            move(algo, learner, first, moments="keep")

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, a line each."""
        config, lying = self._config, [name for name, lies in zip(self._agents, self._liar, strict=True) if lies]
        notes = [f"learners begin alike and average their parameters ({config.consensus}, {config.topology})"]
        if lying:
            notes.append(f"{', '.join(lying)} will lie to the others (--peers.liars)")
        return tuple(notes)

    def average(self, adjacency: Tensor, may: Tensor, tell: Tell) -> dict[str, float]:
        """Averages the learners once.

        Args:
            adjacency: (B, P, P) bool, who hears whom in the worlds now.
            may: (P, P) bool, who may learn from whom. An exchange takes place where both may.
            tell: Writes a line of the ledger.

        Returns:
            Scalars by name.
        """
        links = adjacency.any(0) & adjacency.any(0).T if self._kind == "adjacency" else self._links
        value, width = self._read()  # (1, P, X)
        before, messages = value[..., :width], 0
        available = (links & may & may.T).unsqueeze(0)
        if self._config.consensus == "hierarchical":
            value, messages = self._through_leaders(value, width, available)
        else:
            for _ in range(self._config.consensus_rounds):
                value, sent = self._round(value, width, available)
                messages += sent
        self._write(value, width)
        self._averages += 1
        told = self._compared(before[0], value[0, :, :width])
        told |= {"messages": messages, "bytes": messages * self._bytes()}
        tell({"kind": "consensus", "rule": self._config.consensus, **told})
        return {f"consensus/{name}": float(number) for name, number in told.items()}

    def _check(self, heard: int) -> None:
        """Refuses a tolerance that does not hold where a learner hears so few."""
        if self._tolerance is not None:
            check_tolerance(heard, self._tolerance)
        elif most_liars(heard) == 0:
            raise ValueError(
                f"consensus is 'robust', but with topology {self._config.topology!r} a learner hears {heard} others, "
                "and to stand 1 liar it must hear 4 (3 f + 1): let it hear more, or take gossip"
            )

    # ---- the rules

    def _round(self, value: Tensor, width: int, available: Tensor) -> tuple[Tensor, int]:
        """Returns the values after a round of gossip or robust consensus, (1, P, X), and the number of messages."""
        config, shape = self._config, available.shape
        active = available
        if self._kind == "random":
            active = calls(available, drawn(shape, self._generator), self._k)
        heard = self._heard(value, width)
        if config.consensus == "robust":
            arrived = active & (drawn(shape, self._generator) >= config.consensus_loss)
            tolerance = self._tolerance
            if tolerance is None:
                tolerance = most_liars(int(active.sum(-1).min()))
            return trimmed(arrived, heard, value, tolerance), int(active.sum())
        arrived = active & (both_ways(drawn(shape, self._generator)) >= config.consensus_loss)
        own = summed(value, width)
        return unsummed(averaged(summed(heard, width), own, own, metropolis(arrived)), value, width), int(active.sum())

    def _through_leaders(self, value: Tensor, width: int, available: Tensor) -> tuple[Tensor, int]:
        """Returns the values after a hierarchical consensus, (1, P, X), and the number of messages."""
        config, shape = self._config, available.shape
        active = available
        if self._kind == "random":
            active = calls(available, drawn(shape, self._generator), self._k)
        clusters = elect(active, torch.ones_like(active[..., 0]))
        rounds = torch.Size((config.consensus_rounds, *shape))
        works = both_ways(drawn(rounds, self._generator)) >= config.consensus_loss
        joins = drawn(shape[:-1], self._generator) >= config.consensus_loss
        own = summed(value, width)
        lies = summed(self._heard(value, width), width)
        said = torch.where(self._liar.view(1, -1, 1), lies, torch.nan) if self._liar.any() else None
        agreed = hierarchical(clusters, own, config.consensus_rounds, said=said, joins=joins, works=works)
        sent = hierarchical(clusters, own[..., :0], config.consensus_rounds)  # what is lost was sent, too
        return unsummed(agreed.value, value, width), int(sent.messages)

    def _heard(self, value: Tensor, width: int) -> Tensor:
        """Returns what learners hear, (1, P, X) if all hear the same, else (1, P, P, X)."""
        config = self._config
        if not self._liar.any():
            return value
        liar = self._liar.unsqueeze(0)  # (1, P)
        if config.lie in ("sign", "noise"):
            lie = -config.lie_size * value
            if config.lie == "noise":
                size = value[..., :width].square().mean(-1, keepdim=True).sqrt()  # (1, P, 1)
                noise = torch.randn(value.shape, generator=self._generator, dtype=value.dtype)
                lie = value + config.lie_size * size * noise
            heard = torch.where(liar.unsqueeze(-1), lie, value)
        else:
            unread = torch.zeros(1, 1, 1, dtype=value.dtype)
            heard = overheard(config.lie, value, liar, config.lie_size, self._averages, unread)
            heard = heard[:, 0] if config.lie != "split" else heard
        return plausible(heard, width)

    # ---- what learners are

    def _read(self) -> tuple[Tensor, int]:
        """Returns what all learners are, (1, P, X) float64 on the CPU, and K."""
        networks = [numbers.values[numbers.own] for numbers in self._networks()]  # (P, ...) each
        statistics = [one.moments() for one in self._statistics()]
        parts = [*networks, *(part.flatten(1) for part in statistics if part is not None)]
        return torch.cat([part.double().cpu() for part in parts], -1).unsqueeze(0), sum(
            one.shape[1] for one in networks
        )

    def _write(self, value: Tensor, width: int) -> None:
        """Makes learners what `_read` has returned."""
        start = 0
        for numbers in self._networks():
            assert numbers.own is not None
            count = numbers.own.shape[1]
            numbers.values[numbers.own] = value[0, :, start : start + count].to(numbers.values)
            start += count
        assert start == width
        for one in self._statistics():
            moments = one.moments()
            assert moments is not None
            count = moments[0].numel()
            one.take_moments(value[0, :, start : start + count].reshape(moments.shape).to(moments))
            start += count

    def _networks(self) -> list[Numbers]:
        algo: Learning = self._algo
        return [numbers for numbers in algo.parameters_of_learners() if numbers.own is not None]

    def _statistics(self) -> list[Statistics]:
        found: list[Statistics | None] = [self._algo.value_norm, self._algo.policy.obs_norm]
        return [one for one in found if one is not None and one.moments() is not None]

    def _bytes(self) -> int:
        """Returns the size of a message."""
        networks = sum(
            one.own[0].numel() * one.values.element_size() for one in self._networks() if one.own is not None
        )
        statistics = [one.moments() for one in self._statistics()]
        return networks + sum(one[0].numel() * one.element_size() for one in statistics if one is not None)

    # ---- what is told

    def _compared(self, before: Tensor, after: Tensor) -> dict[str, float]:
        """Returns how much honest learners' networks differ, before and after, (P, K), and how far their mean moved."""
        first, last = before[~self._liar], after[~self._liar]
        return {
            "disagreement_before": _root_mean_square(first - first.mean(0)),
            "disagreement": _root_mean_square(last - last.mean(0)),
            "bias": _root_mean_square(last.mean(0) - first.mean(0)),
        }

    def state_dict(self) -> dict[str, Any]:
        """Returns what goes on from average to average."""
        return {"averages": self._averages, "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self._averages = state["averages"]
        self._generator.set_state(state["generator"])


def plausible(value: Tensor, width: int) -> Tensor:
    """Returns what is heard, (..., X), with counts and variances below zero read as zero."""
    if value.shape[-1] == width:
        return value
    count, mean, variance = value[..., width:].unflatten(-1, (-1, 3)).unbind(-1)  # (..., D) each
    statistics = torch.stack([count.clamp(min=0.0), mean, variance.clamp(min=0.0)], -1).flatten(-2)
    return torch.cat([value[..., :width], statistics], -1)


def summed(value: Tensor, width: int) -> Tensor:
    """Returns values (..., X) with the sums n, n m, n (v + m^2) in the place of n, m, v."""
    if value.shape[-1] == width:
        return value
    count, mean, variance = value[..., width:].unflatten(-1, (-1, 3)).unbind(-1)  # (..., D) each
    sums = torch.stack([count, count * mean, count * (variance + mean.square())], -1).flatten(-2)
    return torch.cat([value[..., :width], sums], -1)


def unsummed(sums: Tensor, before: Tensor, width: int) -> Tensor:
    """Undoes `summed`; where the count is zero, mean and variance stay what they were `before`, (..., X)."""
    if sums.shape[-1] == width:
        return sums
    count, first, second = sums[..., width:].unflatten(-1, (-1, 3)).unbind(-1)  # (..., D) each
    counts = count > 0
    whole = torch.where(counts, count, 1.0)
    mean = first / whole
    moments = torch.stack([count.clamp(min=0.0), mean, (second / whole - mean.square()).clamp(min=0.0)], -1)
    old = before[..., width:].unflatten(-1, (-1, 3))
    moments = torch.where(counts.unsqueeze(-1), moments, torch.cat([torch.zeros_like(old[..., :1]), old[..., 1:]], -1))
    return torch.cat([sums[..., :width], moments.flatten(-2)], -1)


def _root_mean_square(x: Tensor) -> float:
    return float(x.square().mean().sqrt())
