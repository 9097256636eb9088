"""Says who teaches whom, and how much: peer policy distillation over a run.

Axes: P learners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..core import Array
from .config import PeersConfig
from .lead import SURE, leads, trusted, weights
from .returns import Returns
from .tutor import Tutor

Tell = Callable[[Mapping[str, Any]], None]
LIVELY = 2.0
"""Factor of what keeps choices open, while learners are too much alike."""


class School:
    """Appoints the teachers of all learners, look by look."""

    def __init__(self, config: PeersConfig, algo: Any, agents: Sequence[str]) -> None:
        """Gives the algorithm a tutor.

        Args:
            config: The options.
            algo: An algorithm of several learners, see `exchange.Learning`.
            agents: (P,) names of the learners.
        """
        surer = config.distill_states == "surer"
        if surer and not hasattr(algo, "critic"):
            raise ValueError("distill_states is 'surer', which works with MAPPO and IPPO only: give 'all'")
        self._config, self._algo, self._agents = config, algo, tuple(agents)
        self._tutor = algo.tutor = Tutor(algo, surer=surer)
        n = len(agents)
        self._weights = np.zeros((n, n))  # [j, i]: how much j learns from i
        self._trust = np.ones(n)
        self._mean, self._error = np.full(n, np.nan), np.full(n, np.inf)  # at the last look
        self._away = np.full(n, np.nan)  # divergence from teachers at the last look

    def look(self, returns: Returns, may: Array, *, tell: Tell) -> dict[str, float]:
        """Appoints teachers by what is known now.

        Args:
            returns: Of all learners.
            may: (P, P) bool; [j, i]: j may learn from i.
            tell: Writes a line of the ledger.

        Returns:
            Scalars for the next row.
        """
        config, mean, error = self._config, returns.mean, returns.error
        away = self._tutor.divergence.numpy().copy()
        gain, unsure = mean - self._mean, np.hypot(error, self._error)
        self._trust = trusted(self._trust, gain, unsure, self._away - away)
        ahead = leads(mean, error)
        wanted = weights(
            ahead, may, self._trust, returns.scale, most=config.distill_teachers, strength=config.distill_strength
        )
        if config.distill_when == "plateau":
            wanted[gain > SURE * unsure] = 0.0
        alike = self._tutor.mean_divergence()
        if config.distill_floor:
            lively = alike is not None and alike < config.distill_floor
            self._algo.variation.openness.fill_(LIVELY if lively else 1.0)
            if lively:
                wanted[:] = 0.0
        self._tell(wanted, ahead, may, mean, tell)
        self._weights, self._mean, self._error, self._away = wanted, mean, error, away
        self._tutor.appoint(torch.from_numpy(wanted).float())
        told = {"weight": float(wanted.sum(1).mean()), "taught": float((wanted.sum(1) > 0).mean())}
        told |= {"trust": float(self._trust.mean())}
        if np.isfinite(away).any():
            told["divergence_from_teachers"] = float(np.nanmean(away))
        if alike is not None:
            told["divergence"] = alike
        return {f"peers/{name}": value for name, value in told.items()}

    def _tell(self, wanted: Array, ahead: Array, may: Array, mean: Array, tell: Tell) -> None:
        """Tells of teachers that begin or end, and of those that are refused."""
        for j, i in np.argwhere((wanted > 0) != (self._weights > 0)):
            line = {"kind": "teaches" if wanted[j, i] > 0 else "stops", "from": self._agents[i], "to": self._agents[j]}
            tell({**line, "weight": float(wanted[j, i]), "before": float(mean[j]), "of_source": float(mean[i])})
        for j, i in np.argwhere((ahead > 0) & ~may):
            if i != j:
                tell({"kind": "refused", "from": self._agents[i], "to": self._agents[j]})

    def state_dict(self) -> dict[str, Any]:
        """Returns everything, copied."""
        names = ("_weights", "_trust", "_mean", "_error", "_away")
        state: dict[str, Any] = {name[1:]: getattr(self, name).copy() for name in names}
        return {**state, "divergence": self._tutor.divergence.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        for name in ("weights", "trust", "mean", "error", "away"):
            setattr(self, f"_{name}", state[name].copy())
        self._tutor.divergence = state["divergence"].clone()
        self._tutor.appoint(torch.from_numpy(self._weights).float())
