"""One average after another between nodes that hold parameters: who hears whom, who lies, and what it costs.

Running statistics that go along with networks are averaged as sums by gossip and by hierarchical consensus, see
`parameters`. Robust consensus, which picks values one by one, averages counts, means and variances as they are, so that
each lies within those of honest nodes.

Axes: B copies of the network of nodes, N nodes, X numbers of a node, the first K of them of neural networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .config import ConsensusConfig
from .gossip import averaged
from .hierarchy import elect, hierarchical
from .liars import overheard
from .parameters import plausible, summed, unsummed
from .partners import both_ways, calls, drawn
from .robust import check_tolerance, most_liars, trimmed
from .topology import least_heard, links_of, topology_of
from .weights import metropolis

_STREAM = 19
"""Sets its chance apart from that of other choices between the same nodes."""


class Agreement:
    """Averages what nodes hold by a rule; every average has chance of its own, so there is nothing to save.

    Attributes:
        honest: (N,) bool.
        links: (N, N) bool, who could ever hear whom; None: the environment says.
    """

    def __init__(self, config: ConsensusConfig, names: Sequence[str], *, may: Tensor | None, seed: int) -> None:
        """Chooses the liars, and checks that what is asked for can hold.

        Args:
            config: The options.
            names: (N,) names of the nodes.
            may: (N, N) bool, who may learn from whom; None: that is not known beforehand.
            seed: Seed of all chance.

        Raises:
            ValueError: More liars are to be stood than can be, or all nodes lie; the message is one line.
        """
        self._config, self._names, self._seed = config, tuple(names), seed
        self._kind, self._k = topology_of(config.topology)
        n = len(names)
        if config.liars >= n:
            raise ValueError(f"liars is {config.liars}, but there are {n} learners: leave at least one of them honest")
        self.links = None if self._kind == "adjacency" else links_of(self._kind, n)
        if config.consensus == "robust" and self.links is not None and may is not None:
            self._check(least_heard(self._kind, self._k, self.links & may & may.T))
        liars = torch.randperm(n, generator=self._generator())[: config.liars]
        self.honest = torch.ones(n, dtype=torch.bool).index_fill_(0, liars, value=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, a line each."""
        config, lying = (
            self._config,
            [name for name, honest in zip(self._names, self.honest, strict=True) if not honest],
        )
        notes = [f"learners begin alike and average their parameters ({config.consensus}, {config.topology})"]
        if lying:
            notes.append(f"{', '.join(lying)} will lie to the others (--peers.liars)")
        return tuple(notes)

    def agree(self, value: Tensor, width: int, links: Tensor, number: int) -> tuple[Tensor, int]:
        """Averages once.

        Args:
            value: (B, N, X) float64, see `parameters.packed`.
            width: K.
            links: (N, N) bool, symmetric: who can hear whom now.
            number: How many averages there have been.

        Returns:
            The values after it, (B, N, X), and the number of messages that were sent in each copy.
        """
        generator, messages = self._generator(number), 0
        available = links.expand(len(value), -1, -1)
        if self._config.consensus == "hierarchical":
            return self._through_leaders(value, width, available, number, generator)
        for _ in range(self._config.consensus_rounds):
            value, sent = self._round(value, width, available, number, generator)
            messages += sent
        return value, messages

    def compared(self, before: Tensor, after: Tensor) -> dict[str, float]:
        """Returns how much the networks of honest nodes differ before and after, and how far their mean has moved.

        Args:
            before: (B, N, K).
            after: (B, N, K).

        Returns:
            Root mean squares over all numbers of networks, by name.
        """
        first, last = before[:, self.honest], after[:, self.honest]
        middle, now = first.mean(1, keepdim=True), last.mean(1, keepdim=True)
        return {
            "disagreement_before": _root_mean_square(first - middle),
            "disagreement": _root_mean_square(last - now),
            "bias": _root_mean_square(now - middle),
        }

    def _check(self, heard: int) -> None:
        """Refuses a tolerance that does not hold where a node hears so few."""
        if self._config.tolerance is not None:
            check_tolerance(heard, self._config.tolerance)
        elif most_liars(heard) == 0:
            raise ValueError(
                f"consensus is 'robust', but with topology {self._config.topology!r} a learner hears {heard} others, "
                "and to stand 1 liar it must hear 4 (3 f + 1): let it hear more, or take gossip"
            )

    def _generator(self, *number: int) -> torch.Generator:
        """Returns the generator of an average; without a number that of what is drawn once for all."""
        entropy = [self._seed, len(self._names), _STREAM, *(one + 1 for one in number)]
        return torch.Generator().manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1))

    def _called(self, available: Tensor, generator: torch.Generator) -> Tensor:
        """Returns the exchanges of a round, (B, N, N) bool; the same in all copies."""
        if self._kind != "random":
            return available
        return calls(available, drawn(available.shape[1:], generator).expand(available.shape), self._k)

    def _round(
        self, value: Tensor, width: int, available: Tensor, number: int, generator: torch.Generator
    ) -> tuple[Tensor, int]:
        """Returns the values after a round of gossip or robust consensus, (B, N, X), and the number of messages."""
        config, shape = self._config, available.shape
        active = self._called(available, generator)
        sent = int(active[0].sum())
        heard, chance = self._heard(value, width, number, generator), drawn(shape[1:], generator)
        if config.consensus == "robust":
            tolerance = most_liars(int(active.sum(-1).min())) if config.tolerance is None else config.tolerance
            return trimmed(active & (chance >= config.consensus_loss), heard, value, tolerance), sent
        weight = metropolis(active & (both_ways(chance) >= config.consensus_loss))
        own = summed(value, width)
        return unsummed(averaged(summed(heard, width), own, own, weight), value, width), sent

    def _through_leaders(
        self, value: Tensor, width: int, available: Tensor, number: int, generator: torch.Generator
    ) -> tuple[Tensor, int]:
        """Returns the values after a hierarchical consensus, (B, N, X), and the number of messages."""
        config, shape = self._config, available.shape
        n_rounds, loss = config.consensus_rounds, config.consensus_loss
        clusters = elect(self._called(available, generator), torch.ones(shape[:2], dtype=torch.bool))
        works = both_ways(drawn(torch.Size((n_rounds, *shape)), generator)) >= loss
        joins = drawn(shape[:2], generator) >= loss
        own, said = summed(value, width), None
        if not self.honest.all():
            lies = summed(self._heard(value, width, number, generator), width)
            said = torch.where(self.honest.view(1, -1, 1), torch.nan, lies)
        agreed = hierarchical(clusters, own, n_rounds, said=said, joins=joins, works=works)
        sent = hierarchical(clusters, own[..., :0], n_rounds).messages[0]  # what is lost was sent, too
        return unsummed(agreed.value, value, width), int(sent)

    def _heard(self, value: Tensor, width: int, number: int, generator: torch.Generator) -> Tensor:
        """Returns what nodes hear, (B, N, X) if all hear the same, else (B, N, N, X)."""
        config, liar = self._config, ~self.honest.unsqueeze(0)  # (1, N)
        if not liar.any():
            return value
        if config.lie in ("sign", "noise"):
            lie = -config.lie_size * value
            if config.lie == "noise":
                size = value[..., :width].square().mean(-1, keepdim=True).sqrt()  # (B, N, 1)
                noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
                lie = value + config.lie_size * size * noise
            heard = torch.where(liar.unsqueeze(-1), lie, value)
        else:
            unread = torch.zeros(1, 1, 1, dtype=value.dtype)
            heard = overheard(config.lie, value, liar, config.lie_size, number, unread)
            heard = heard if config.lie == "split" else heard[:, 0]
        return plausible(heard, width)


def _root_mean_square(x: Tensor) -> float:
    return float(x.square().mean().sqrt())
