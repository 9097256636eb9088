"""Options in which learners differ that have parameters of their own.

Axes: P learners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Variation:
    """Options of each learner, for algorithms that train a population."""

    pace: Tensor  # (P,) factor of the learning rate
    openness: Tensor  # (P,) factor of what keeps choices open: the entropy bonus, or the penalty on heads
    gamma: Tensor  # (P,) float64, discount per environment step

    @classmethod
    def equal(cls, learners: int, gamma: float, device: torch.device) -> Variation:
        """Returns options that are the same for all."""
        ones = torch.ones(learners, dtype=torch.float32, device=device)
        return cls(ones, ones.clone(), torch.full((learners,), gamma, dtype=torch.float64, device=device))

    def state_dict(self) -> dict[str, Any]:
        """Returns the options, copied."""
        return {name: value.clone() for name, value in vars(self).items()}

    @classmethod
    def restored(cls, state: dict[str, Any] | None, device: torch.device) -> Variation | None:
        """Returns the options of a `state_dict`; None for None."""
        return None if state is None else cls(**{name: value.to(device) for name, value in state.items()})
