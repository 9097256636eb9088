"""Adam on a network whose parameters lie side by side in memory.

Axes: P learners that learn each by itself, K parameters of each.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from .sharing import Numbers


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

    Where learners learn each by itself, the gradient of each is clipped by its own norm, and each may have a learning
    rate of its own. Parameters that all of them share, if there are any, are treated as those of one learner more.

    Source: Kingma & Ba 2015, "Adam".

    Attributes:
        vector: All parameters of the network, side by side.
        own: (P, K) indices of each learner's parameters into `vector` and `moments`; (1, K) for one learner.
        lr: Learning rate; it may be changed between steps.
        pace: (P,) factors of the learning rate, one a learner; None: 1 for all.
    """

    def __init__(self, network: nn.Module, *, lr: float, eps: float, max_grad_norm: float, learners: int = 1) -> None:
        """Moves the network's parameters into one vector, on the device where they are.

        Args:
            network: The network to train. Its parameters must be changed in place from now on, see `as_vector`.
            lr: Learning rate.
            eps: Added to the root of the second moment.
            max_grad_norm: Largest norm of a gradient; longer ones are scaled down to it.
            learners: P. Modules with `n_sets` of P have a first axis of learners in all of their own parameters.
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
        self.own = self._indices(network, learners).to(self.vector.device)
        self._owner = torch.full_like(self.vector, learners, dtype=torch.int64)  # whose each parameter is; P: all share
        self._owner[self.own] = torch.arange(learners, device=self.vector.device).unsqueeze(1)
        self.pace: Tensor | None = None

    @staticmethod
    def _indices(network: nn.Module, learners: int) -> Tensor:
        """Returns `own`."""
        if learners == 1:
            return torch.arange(sum(parameter.numel() for parameter in network.parameters())).unsqueeze(0)
        found = []
        for module in network.modules():
            if getattr(module, "n_sets", 1) != learners:
                continue
            lists = [child for child in module.children() if isinstance(child, nn.ParameterList)]
            for parameter in itertools.chain(*(part.parameters(recurse=False) for part in (module, *lists))):
                start = int(parameter.storage_offset())
                found.append(torch.arange(start, start + parameter.numel()).view(learners, -1))
        return torch.cat(found, dim=1)

    def of_learners(self) -> tuple[Numbers, list[Numbers]]:
        """Returns the parameters of all learners, and the moments of their gradients."""
        return Numbers(self.vector, self.own), [Numbers(moment, self.own) for moment in self.moments]

    @property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Running means of the gradient and of its square, laid out as `vector`, to be changed in place."""
        return self._first, self._second

    def step(self, loss: Tensor) -> Tensor:
        """Makes one step down the gradient of a () loss.

        Returns:
            The gradient's norm before clipping, (); the mean over learners that learn each by itself.
        """
        self._gradient.zero_()
        loss.backward()
        norm = self._clip()
        before = None if self.pace is None else self.vector.clone()
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
        if before is not None:  # a step is linear in the learning rate
            assert self.pace is not None
            pace = torch.cat([self.pace, self.pace.new_ones(1)])[self._owner]
            torch.lerp(before, self.vector, pace, out=self.vector)
        return norm

    def _clip(self) -> Tensor:
        """Scales gradients that are too long down to `max_grad_norm`; returns their norm before, ()."""
        if len(self.own) == 1:
            norm = torch.linalg.vector_norm(self._gradient)
            self._gradient.mul_((self._max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
            return norm
        squares = self._gradient.new_zeros(len(self.own) + 1)
        norms = squares.index_add_(0, self._owner, self._gradient.square()).sqrt()  # (P + 1,)
        self._gradient.mul_((self._max_grad_norm / (norms + 1e-6)).clamp(max=1.0)[self._owner])
        return norms[:-1].mean()

    def state_dict(self) -> dict[str, Any]:
        """Returns learning rates, Adam's moments and its count of steps; the parameters are in the network's state."""
        state = {"lr": self.lr, "first": self._first, "second": self._second, "steps": self._steps}
        return state if self.pace is None else {**state, "pace": self.pace}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the `state_dict` of an optimiser of an equal network."""
        self.lr = state["lr"]
        self._first.copy_(state["first"])
        self._second.copy_(state["second"])
        self._steps.copy_(state["steps"])
        pace = state.get("pace")
        self.pace = None if pace is None else pace.to(self.vector.device)
