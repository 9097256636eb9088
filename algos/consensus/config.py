"""The options of agreement between learners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ..maths.ranges import SHARE, WEIGHT, Range, check
from .topology import topology_of

Consensus = Literal["none", "gossip", "hierarchical", "robust"]
Lie = Literal["sign", "noise", "constant", "growing", "split"]


@dataclass(frozen=True)
class ConsensusConfig:
    """How learners average what they have learned without a server. The options of learning from peers inherit these.

    Learners are those of one session (`peers.averaging`), or each has a session of its own (`network.Network`).
    """

    consensus: Consensus = "none"
    """How learners average their parameters without a server: with those they hear (gossip), through elected leaders
    (hierarchical), or without the extremes of what they hear (robust)."""
    consensus_every: Annotated[int, Range(1, 10**12)] = 20_000
    """Environment steps between two averages; each is made as soon as the algorithm has learned after them."""
    consensus_rounds: Annotated[int, Range(1, 10_000)] = 1
    """Rounds of exchanges in an average; of a hierarchical one, those among leaders."""
    consensus_loss: Annotated[float, SHARE] = 0.0
    """Chance that an exchange of a round is lost."""
    topology: str = "full"
    """Learners that hear each other: full, ring, grid, random-K (K random ones that are called in every round), or
    adjacency (those that hear each other in any of the worlds)."""
    tolerance: Annotated[int | None, Range(0, 1024)] = None
    """Liars that robust stands among those that a learner hears, who must be at least 3 times as many and one; none: as
    many as that allows."""
    liars: Annotated[int, Range(0, 1023)] = 0
    """Learners, chosen by the seed, that tell others something else than their parameters: a test of robustness."""
    lie: Lie = "sign"
    """What liars say: their parameters with the other sign, or with noise; a constant; one that grows with every
    average; or a constant that differs from hearer to hearer (split)."""
    lie_size: Annotated[float, WEIGHT] = 1.0
    """Factor of sign; of noise, its deviation [root mean square of the liar's parameters]; or the constant itself."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work, of the options that inherit these too.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        check(self)
        topology_of(self.topology)
        agree = self.consensus != "none"
        for names, fits, mend in (
            (("consensus_every", "consensus_rounds", "consensus_loss", "topology", "liars"), agree, "consensus"),
            (("tolerance",), self.consensus == "robust", "consensus 'robust'"),
            (("lie", "lie_size"), self.liars > 0, "liars"),
        ):
            changed = [name for name in names if getattr(self, name) != getattr(ConsensusConfig, name)]
            if changed and not fits:
                raise ValueError(
                    f"{changed[0]} is {getattr(self, changed[0])!r}, which has no effect without {mend}: set that, or "
                    "leave it"
                )
        if self.consensus == "hierarchical" and self.lie == "split":
            raise ValueError(
                "lie is 'split', but in a hierarchical consensus all hear the same of a leader: take another"
            )
