"""Lets learners learn from each other's experience, see `nets.shared_experience`.

Axes: P learners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import Array
from ..nets.shared_experience import SharedExperience
from .config import PeersConfig

Tell = Callable[[Mapping[str, Any]], None]


class Seac:
    """Says who learns from whose experience."""

    def __init__(self, config: PeersConfig, algo: Any, agents: Sequence[str], may: Array) -> None:
        """Gives the algorithm what it needs to share experience.

        Args:
            config: The options.
            algo: An algorithm of several learners, see `exchange.Learning`.
            agents: (P,) names of the learners.
            may: (P, P) bool; [j, i]: j may learn from i until the first look.

        Raises:
            ValueError: The algorithm cannot share experience; the message is one line.
        """
        if not hasattr(algo, "shared"):
            raise ValueError(
                "share is 'seac', which shares the rollouts of on-policy learners; MADDPG and IDDPG learn from replay: "
                "take --algo ippo, or share 'ucb' or 'pbt'"
            )
        if algo.critic.kind != "local":
            raise ValueError(
                f"share is 'seac', where each critic judges what others observe, but the critic is "
                f"{algo.config.critic!r}, which reads more than that: give --algo ippo, or --algo.critic local"
            )
        if algo.config.gru or algo.policy.conversation is not None:
            raise ValueError(
                "share is 'seac', which needs policies that act on what they see now: leave out gru and comm"
            )
        self._agents = tuple(agents)
        self._may: Array | None = None  # (P, P); None before it was first looked up
        self._shared = None
        if config.seac_weight > 0.0:
            self._shared = algo.shared = SharedExperience(algo.learners, config.seac_weight, algo.device)
            self._shared.allow(may)

    @property
    def begun(self) -> bool:
        """Whether it has been looked up who may learn from whom."""
        return self._may is not None

    def look(self, may: Array, tell: Tell) -> None:
        """Sets who learns from whose experience from now on.

        Args:
            may: (P, P) bool; [j, i]: j may learn from i.
            tell: Writes a line of the ledger: where somebody begins or stops to learn, and what is refused.
        """
        n = len(may)
        before = np.zeros((n, n), bool) if self._may is None else self._may
        for j, i in np.argwhere(may != before):
            tell({"kind": "shares" if may[j, i] else "stops", "from": self._agents[i], "to": self._agents[j]})
        refused = ~may & (before | (self._may is None)) & ~np.eye(n, dtype=bool)
        for j, i in np.argwhere(refused):
            tell({"kind": "refused", "from": self._agents[i], "to": self._agents[j]})
        self._set(may)

    def _set(self, may: Array) -> None:
        self._may = may.copy()
        if self._shared is not None:
            self._shared.allow(may)

    def state_dict(self) -> dict[str, Any]:
        """Returns who may learn from whom."""
        return {"may": None if self._may is None else self._may.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        if state["may"] is not None:
            self._set(state["may"])
