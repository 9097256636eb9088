"""Adam on a network whose parameters lie side by side in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam


def as_vector(network: nn.Module) -> Tensor:
    """Moves a network's parameters into one vector, on the device where they are, and returns it.

    From then on the parameters are views of the vector and must be changed in place, as `load_state_dict` does. Equal
    networks have their parameters in the same order.
    """
    parameters = list(network.parameters())
    vector = parameters[0].detach().new_empty(sum(parameter.numel() for parameter in parameters))
    start = 0
    for parameter in parameters:
        # Every parameter is dense, though not always in the order of its axes: its own strides fill its place.
        place = vector.as_strided(parameter.shape, parameter.stride(), start)
        parameter.data = place.copy_(parameter.detach())
        start += parameter.numel()
    return vector


class FlatAdam:
    """Adam with clipped gradients, on all parameters of a network as one vector.

    A small network has a dozen small tensors. Zeroing, measuring, clipping and stepping each by itself costs more than
    a tenth of a gradient step; on one vector, of which parameters and gradients are views, it costs next to nothing.

    Source: Kingma & Ba 2015, "Adam".

    Attributes:
        vector: All parameters of the network, side by side.
    """

    def __init__(self, network: nn.Module, *, lr: float, eps: float, max_grad_norm: float) -> None:
        """Moves the network's parameters into one vector, on the device where they are.

        Args:
            network: The network to train. Its parameters must be changed in place from now on, see `as_vector`.
            lr: Learning rate; the attribute of that name may be changed between steps.
            eps: Added to the root of the second moment.
            max_grad_norm: Largest norm of a gradient; longer ones are scaled down to it.
        """
        self.vector = as_vector(network)
        self._gradient = torch.zeros_like(self.vector)
        for parameter in network.parameters():
            layout = parameter.shape, parameter.stride(), parameter.storage_offset()
            parameter.grad = self._gradient.as_strided(*layout)
        self.lr = lr
        self._eps, self._max_grad_norm = eps, max_grad_norm
        self._first, self._second = torch.zeros_like(self.vector), torch.zeros_like(self.vector)  # of the gradient
        self._steps = torch.zeros((), dtype=torch.float32, device=self.vector.device)

    def step(self, loss: Tensor) -> Tensor:
        """Makes one step down the gradient of a () loss; returns the gradient's norm before clipping, ()."""
        self._gradient.zero_()
        loss.backward()
        norm = torch.linalg.vector_norm(self._gradient)
        self._gradient.mul_((self._max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        adam(  # the function, because the class around it takes longer than the step
            [self.vector],
            [self._gradient],
            [self._first],
            [self._second],
            [],
            [self._steps],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=0.0,
            eps=self._eps,
            maximize=False,
        )
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Returns learning rate, Adam's moments and its count of steps; the parameters are in the network's state."""
        return {"lr": self.lr, "first": self._first, "second": self._second, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the `state_dict` of an optimiser of an equal network."""
        self.lr = state["lr"]
        self._first.copy_(state["first"])
        self._second.copy_(state["second"])
        self._steps.copy_(state["steps"])
