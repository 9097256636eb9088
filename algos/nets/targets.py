"""Target networks: copies that follow a network slowly, so that its targets do not move with every step."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from .flat_adam import FlatAdam, as_vector

Network = TypeVar("Network", bound=nn.Module)


class Target(Generic[Network]):
    """Polyak averaging: theta' <- (1 - tau) theta' + tau theta, on all parameters as one vector.

    Source: Lillicrap et al. 2016, "Continuous control with deep reinforcement learning", algorithm 1.

    Attributes:
        network: The copy; it takes no gradients.
        vector: Its parameters, laid out as the optimiser's.
    """

    def __init__(self, network: Network, optimiser: FlatAdam) -> None:
        """Starts as an equal copy.

        Args:
            network: The network to follow.
            optimiser: The network's optimiser, whose vector holds its parameters.
        """
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.vector = as_vector(self.network)
        self._source = optimiser.vector

    @torch.no_grad()
    def follow(self, tau: float) -> None:
        """Moves a fraction `tau` of the way to the network; 1 makes them equal."""
        self.vector.lerp_(self._source, tau)
