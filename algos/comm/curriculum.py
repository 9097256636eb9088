"""A medium that tightens while agents learn: from an ideal one to the one that was asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIGHT_BY = 0.8
"""Share of the run after which a medium is tight, whatever the returns: what is learned last, and all that is left of
it, is learned in the medium that was asked for."""
_CATCHES_UP = 0.6
"""Share of the run from which on at the latest a medium that was held up makes good for it."""
_PAST = 0.9
"""Share of the past in the running mean of rewards."""
_SLACK = 0.25
"""How far below that mean a reward may be without holding the medium up [standard deviations]."""


class Curriculum(nn.Module):
    """How tight a medium is, from 0 for an ideal one to 1; it is saved with the policy.

    It grows by the progress of the run over `share`, but not after a rollout whose mean reward was below the mean of
    those before. What is held up is made good from then on, in proportion, so that the medium is tight after the first
    rollout that ends at `TIGHT_BY` of the run or later.
    """

    tightness: Tensor
    progress: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, share: float) -> None:
        """Begins.

        Args:
            share: Share of the run over which a medium tightens, at most `TIGHT_BY`; 0: it is tight from the start.
        """
        super().__init__()
        self.share = min(share, TIGHT_BY)
        for name, value in (("tightness", 0.0 if share else 1.0), ("progress", 0.0), ("mean", 0.0), ("square", -1.0)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    def __float__(self) -> float:
        """Returns the tightness."""
        return float(self.tightness)

    def overdue(self, progress: float) -> bool:
        """Returns whether it should be tight at this share of the run, and is not."""
        return progress >= TIGHT_BY and float(self.tightness) < 1.0

    @torch.no_grad()
    def waits(self, progress: float) -> None:
        """Lets a share of the run pass in which nothing is learned; it does not tighten anything."""
        self.progress.fill_(progress)

    @torch.no_grad()
    def finish(self) -> None:
        """Makes it tight for good."""
        self.tightness.fill_(1.0)

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
        start = min(self.share, _CATCHES_UP)
        least = (progress - start) / (TIGHT_BY - start)
        grown = float(self.tightness) + (0.0 if falls else step)
        self.tightness.fill_(min(max(grown, least), 1.0))
