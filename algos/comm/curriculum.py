"""A medium that tightens while agents learn: from an ideal one to the one that was asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_PAST = 0.9
"""Share of the past in the running mean of rewards."""
_SLACK = 0.25
"""How far below that mean a reward may be without holding the medium up [standard deviations]."""


class Curriculum(nn.Module):
    """How tight a medium is, from 0 for an ideal one to 1; it is saved with the policy.

    It grows by the progress of the run over `share`, but not after a rollout whose mean reward was below the mean of
    those before. What is held up is made good in the rest of the run, so that the medium is tight at its end.
    """

    tightness: Tensor
    progress: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, share: float) -> None:
        """Begins.

        Args:
            share: Share of the run over which a medium tightens; 0: it is tight from the start.
        """
        super().__init__()
        self.share = share
        for name, value in (("tightness", 0.0 if share else 1.0), ("progress", 0.0), ("mean", 0.0), ("square", -1.0)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    def __float__(self) -> float:
        """Returns the tightness."""
        return float(self.tightness)

    @torch.no_grad()
    def learned(self, progress: float, reward: float) -> None:
        """Tightens after a rollout.

        Args:
            progress: Share of the run that is over.
            reward: Mean reward of the rollout.
        """
        if not self.share:
            return
        step = max(progress - float(self.progress), 0.0) / self.share
        mean, square = float(self.mean), float(self.square)
        if square < 0:  # the first
            mean, square = reward, 0.0
        falls = reward < mean - _SLACK * square**0.5
        self.square.fill_(_PAST * square + (1.0 - _PAST) * (reward - mean) ** 2)
        self.mean.fill_(_PAST * mean + (1.0 - _PAST) * reward)
        self.progress.fill_(progress)
        least = (progress - self.share) / (1.0 - self.share) if self.share < 1.0 else float(progress >= 1.0)
        grown = float(self.tightness) + (0.0 if falls else step)
        self.tightness.fill_(min(max(grown, least, 0.0), 1.0))
