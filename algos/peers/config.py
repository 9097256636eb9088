"""The options of learning from peers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from ..maths.ranges import SHARE, WEIGHT, Range, check
from .topology import topology_of

Consensus = Literal["none", "gossip", "hierarchical", "robust"]
Lie = Literal["sign", "noise", "constant", "growing", "split"]
Sharing = Literal["none", "independent", "ucb", "pbt", "seac"]


@dataclass(frozen=True)
class PeersConfig:
    """How learners with parameters of their own learn from each other."""

    share: Sharing = "none"
    """Whether learners take each other's parameters: ucb, by an upper bound of their returns; pbt, the worst from the
    best, with other options; independent: never, but they are compared. seac: they share experience instead (IPPO)."""
    share_every: Annotated[int, Range(1, 10**9)] = 100
    """Episodes of each learner between two exchanges."""
    share_c: Annotated[float, WEIGHT] = 1.5
    """Weight of the bonus of ucb for learners that have seldom been taken [spread of returns in the population]."""
    share_lambda: Annotated[float, WEIGHT] = 1.0
    """How many times as high as its own the bound of another must be before a learner takes its parameters."""
    share_tau: Annotated[float, Range(0.0, 1.0, above=True)] = 1.0
    """How far a learner moves towards the parameters that it takes; 1: it becomes the other."""
    share_moments: Literal["copy", "keep", "reset"] = "copy"
    """Moments of the optimiser of a learner that takes parameters: the other's, its own, or zero."""
    share_trial: bool = True
    """A learner whose return surely falls after it took parameters goes back to its own, and asks that peer less."""
    seac_weight: Annotated[float, WEIGHT] = 1.0
    """Weight of what others have met, beside one's own experience, in the losses of seac."""
    distill: bool = False
    """Learners learn what their peers would do on what they observe themselves, as far as these are surely ahead."""
    distill_strength: Annotated[float, WEIGHT] = 1.0
    """Weight of the divergence from a teacher that is far ahead, in the loss of a policy."""
    distill_teachers: Annotated[int, Range(1, 1024)] = 1
    """Most teachers of a learner at a time: those that are furthest ahead."""
    distill_every: Annotated[int, Range(1, 10**9)] = 20
    """Episodes of each learner between two looks at who is ahead of whom."""
    distill_when: Literal["always", "plateau"] = "always"
    """When a learner is taught: always, or only while its return does not surely rise."""
    distill_states: Literal["all", "surer"] = "all"
    """What is taught: all moments, or those in which the teacher's critic foretells returns better (MAPPO, IPPO)."""
    distill_floor: Annotated[float, WEIGHT] = 0.0
    """Least mean divergence between learners [nats]; below it nobody is taught, and entropy counts double."""
    teacher: tuple[str, ...] = ()
    """Run folders whose policies teach all learners, with or without distill, and also agents that share parameters."""
    teacher_episodes: Annotated[int, Range(2, 10**5)] = 20
    """Episodes that each of these teachers plays at the start, to measure how good it is in this task."""
    window: Annotated[int, Range(2, 10**6)] = 100
    """Latest episodes of a learner over which its return is taken."""
    permission: str = "all"
    """Who may learn from whom: all, groups, adjacency (whoever hears it), or a JSON file."""
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
        """Refuses values that cannot work.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        check(self)
        topology_of(self.topology)
        taught = self.distill or bool(self.teacher)
        agree = self.consensus != "none"
        for names, fits, mend in (
            (("share_c", "share_lambda"), self.share == "ucb", "share 'ucb'"),
            (("share_tau", "share_moments", "share_trial"), self.share in ("ucb", "pbt"), "share 'ucb' or 'pbt'"),
            (("share_every",), self.share != "none" or self.distill, "share or distill"),
            (("window",), self.share != "none" or taught, "share, distill or teacher"),
            (("seac_weight",), self.share == "seac", "share 'seac'"),
            (
                ("permission",),
                self.share in ("ucb", "pbt", "seac") or self.distill or agree,
                "share 'ucb', 'pbt' or 'seac', distill or consensus",
            ),
            (("consensus_every", "consensus_rounds", "consensus_loss", "topology", "liars"), agree, "consensus"),
            (("tolerance",), self.consensus == "robust", "consensus 'robust'"),
            (("lie", "lie_size"), self.liars > 0, "liars"),
            (("distill_floor",), self.distill, "distill"),
            (tuple(one.name for one in fields(self) if one.name.startswith("distill_")), taught, "distill or teacher"),
            (("teacher_episodes",), bool(self.teacher), "teacher"),
        ):
            changed = [name for name in names if getattr(self, name) != getattr(type(self), name)]
            if changed and not fits:
                raise ValueError(
                    f"{changed[0]} is {getattr(self, changed[0])!r}, which has no effect without {mend}: set that, or "
                    "leave it"
                )
        if self.teacher and self.distill_states == "surer":
            raise ValueError(
                "distill_states is 'surer', but critics of teachers from disk foretell returns of another run: give "
                "'all', or leave teacher out"
            )
        other = "distill" if self.distill else f"share {self.share!r}"
        if agree and (self.distill or self.share not in ("none", "independent")):
            raise ValueError(
                f"consensus is {self.consensus!r}, which goes with share 'none' or 'independent' and without distill, "
                f"and there is {other} too: take one of them"
            )
        if self.consensus == "hierarchical" and self.lie == "split":
            raise ValueError(
                "lie is 'split', but in a hierarchical consensus all hear the same of a leader: take another"
            )
        if self.distill_floor and self.share == "pbt":
            raise ValueError(
                f"distill_floor is {self.distill_floor:g}, and share is 'pbt': both set how much entropy counts, so "
                "take one of them"
            )
