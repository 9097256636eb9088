"""Training without a server: the learners of a session average what they are with those that they hear.

What is averaged are the networks, target networks included, the units of values and the statistics of observations; the
moments of optimisers stay at home. Learners begin with the same parameters, since the mean of networks that have come
from different ones acts like none of them.

Axes: P learners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..consensus.agreement import Agreement
from ..consensus.config import ConsensusConfig
from ..consensus.parameters import bytes_of, packed, parts_of, put_parts, unpacked
from .exchange import copy_of, move

Tell = Callable[[Mapping[str, Any]], None]


class Averaging:
    """Averages the learners of a session by a rule of consensus."""

    def __init__(
        self, config: ConsensusConfig, algo: Any, agents: Sequence[str], may: Tensor | None, *, seed: int
    ) -> None:
        """Gives all learners the parameters of the first.

        Args:
            config: The options.
            algo: An algorithm of several learners, see `exchange.Learning`.
            agents: (P,) names of the learners.
            may: (P, P) bool, who may learn from whom; None: that is not known beforehand.
            seed: Seed of all chance.

        Raises:
            ValueError: See `Agreement`.
        """
        self._rule, self._algo = config.consensus, algo
        self.agreement = Agreement(config, agents, may=may, seed=seed)
        self._count = 0
        first = copy_of(algo, 0)
        for learner in range(1, len(agents)):
            move(algo, learner, first, moments="keep")

    def average(self, adjacency: Tensor, may: Tensor, tell: Tell) -> dict[str, float]:
        """Averages the learners once.

        Args:
            adjacency: (B, P, P) bool, who hears whom in the worlds now.
            may: (P, P) bool, who may learn from whom. An exchange takes place where both may.
            tell: Writes a line of the ledger.

        Returns:
            Scalars by name.
        """
        links = self.agreement.links
        if links is None:
            links = adjacency.any(0) & adjacency.any(0).T
        parts = parts_of(self._algo)
        value, width = packed(parts)  # (P, X)
        after, messages = self.agreement.agree(value.unsqueeze(0), width, links & may & may.T, self._count)
        put_parts(self._algo, unpacked(after[0], parts))
        self._count += 1
        told = self.agreement.compared(value[:, :width].unsqueeze(0), after[..., :width])
        told |= {"messages": messages, "bytes": messages * bytes_of(self._algo, parts)}
        tell({"kind": "consensus", "rule": self._rule, **told})
        return {f"consensus/{name}": float(number) for name, number in told.items()}

    def state_dict(self) -> dict[str, Any]:
        """Returns what goes on from average to average."""
        return {"count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self._count = state["count"]
