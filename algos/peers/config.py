"""The options of learning from peers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from ..consensus.config import ConsensusConfig
from ..maths.ranges import WEIGHT, Range

Sharing = Literal["none", "independent", "ucb", "pbt", "seac"]


@dataclass(frozen=True)
class PeersConfig(ConsensusConfig):
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

    def __post_init__(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        super().__post_init__()
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
        if self.distill_floor and self.share == "pbt":
            raise ValueError(
                f"distill_floor is {self.distill_floor:g}, and share is 'pbt': both set how much entropy counts, so "
                "take one of them"
            )
