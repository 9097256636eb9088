"""A target network: a copy of a network that follows it slowly, so that what is learned does not chase itself."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from .descent import Descent, as_vector

Network = TypeVar("Network", bound=nn.Module)


class Target(Generic[Network]):
    """Polyak averaging: theta' <- (1 - tau) theta' + tau theta, on all parameters as one vector.

    Source: Lillicrap et al. 2016, "Continuous control with deep reinforcement learning", algorithm 1.

    Attributes:
        network: The copy; it takes no gradients.
    """

    def __init__(self, network: Network, descent: Descent) -> None:
        """Starts as an equal copy.

        Args:
            network: What is followed.
            descent: By which it learns; its vector is read.
        """
        self.network = copy.deepcopy(network).requires_grad_(False)
        self._vector = as_vector(self.network)
        self._source = descent.vector

    @torch.no_grad()
    def follow(self, tau: float) -> None:
        """Goes a fraction `tau` of the way to the network; 1 makes them equal."""
        self._vector.lerp_(self._source, tau)
