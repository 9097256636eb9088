"""How much learners differ in what they do: the divergence of each from each, as numbers and as a picture.

Where learners are taught, the tutor has a sample of what they observe. Otherwise a sample is kept here, of what they
observed when the algorithm learned last. It changes nothing in what is learned, and is measured at evaluations alone.

Axes: P learners, B worlds, R moments of the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..core import Array, Obs
from ..report.heat_map import heat_map
from .tutor import SAMPLE, Tutor

MOST_SHOWN = 16
"""Learners up to which there is a picture."""
TITLE = "KL(column || row) on what rows observe [nats]"


class Likeness:
    """Measures divergences between learners."""

    def __init__(self, algo: Any, agents: Sequence[str], tutor: Tutor | None) -> None:
        """Has seen nothing yet.

        Args:
            algo: An algorithm of several learners, see `exchange.Learning`.
            agents: (P,) names of the learners.
            tutor: One that teaches, if there is any.
        """
        self._algo, self._agents, self._tutor = algo, tuple(agents), tutor
        self._teaches = tutor is not None
        policy = algo.policy  # one that remembers, talks or knows whose it is cannot answer for another
        self._can = not (policy.sequential or policy.conversation is not None or algo.config.agent_id)
        self._seen: list[tuple[Array, Array, Array | None]] = []  # newest last
        self._found: Array | None = None  # (P, P) of the last measurement

    def remember(self, obs: Obs) -> None:
        """Keeps what learners observe, and forgets what is older than the newest `SAMPLE` moments."""
        if self._teaches or not self._can:
            return
        every = max(len(obs.alive) // SAMPLE, 1)
        mask = None if obs.action_mask is None else obs.action_mask[::every].copy()
        self._seen.append((obs.obs[::every].copy(), obs.alive[::every].copy(), mask))
        while sum(len(part[1]) for part in self._seen[1:]) >= SAMPLE:
            del self._seen[0]

    def measured(self) -> dict[str, float]:
        """Measures now; returns the least, the mean and the greatest divergence between two learners [nats]."""
        self._found = None
        if not self._can:
            return {}
        if self._tutor is None:
            self._tutor = Tutor(self._algo, surer=False)
        if not self._teaches and self._seen:
            obs, alive, mask = (
                None if field[0] is None else torch.from_numpy(np.concatenate(field)).to(self._algo.device)
                for field in zip(*self._seen, strict=True)
            )
            assert obs is not None
            assert alive is not None
            if mask is not None:  # a distribution of an absent agent needs an action, too
                mask = mask | ~alive.unsqueeze(-1)
            self._tutor.seen = obs.masked_fill(~alive.unsqueeze(-1), 0), alive, mask
        found = self._tutor.matrix()
        if found is None:
            return {}
        self._found = found.double().numpy()
        apart = self._found[~np.eye(len(found), dtype=bool)]
        told = {"divergence": apart.mean(), "divergence_min": apart.min(), "divergence_max": apart.max()}
        return {f"peers/{name}": float(value) for name, value in told.items()}

    def pictures(self) -> dict[str, Array]:
        """Returns a picture of the last measurement by name, (height, width, 3) uint8 each; {} if there is none."""
        if self._found is None or len(self._agents) > MOST_SHOWN:
            return {}
        return {"peers/divergences": heat_map(self._found, self._agents, TITLE)}

    def state_dict(self) -> list[list[Any]]:
        """Returns the sample, copied."""
        return [[None if field is None else field.copy() for field in part] for part in self._seen]

    def load_state_dict(self, state: list[list[Any]]) -> None:
        """Restores `state_dict`."""
        self._seen = [(obs.copy(), alive.copy(), None if mask is None else mask.copy()) for obs, alive, mask in state]
