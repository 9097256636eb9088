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


BETAS = (0.9, 0.999)
"""Decay of the means of the gradient and of its square."""


class FlatAdam:
    """Adam with clipped gradients, on all parameters of a network as one vector.

    A small network has a dozen small tensors. Zeroing, measuring, clipping and stepping each by itself costs more than
    a tenth of a gradient step; on one vector, of which parameters and gradients are views, it costs next to nothing.

    Where learners learn each by itself, the gradient of each is clipped by its own norm, and each may have a learning
    rate of its own. Parameters that all of them share, if there are any, are treated as if they belonged to one more
    learner.

    Source: Kingma & Ba 2015, "Adam".

    Attributes:
        vector: All parameters of the network, side by side.
        own: (P, K) indices of each learner's parameters into `vector` and `moments`; (1, K) for one learner.
        lr: Learning rate; it may be changed between steps.
        pace: (P,) factors of the learning rate, one a learner; None: 1 for all.
        age: (P,) steps since the moments of each learner began at zero.
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
        self._shared = (self._owner == learners).nonzero().squeeze(1)
        self.pace: Tensor | None = None
        self.age = torch.zeros(learners, dtype=torch.float32, device=self.vector.device)
        self._young: bool | None = None  # not known

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
        """Returns parameters and moments of all learners, for those that change them before the next step."""
        moments = [Numbers(moment, self.own) for moment in self.moments]
        self._young = None  # others may change the ages
        return Numbers(self.vector, self.own), [*moments, Numbers(self.age)]

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
        self.age += 1.0
        before = None if self.pace is None and not self._some_young() else self.vector.clone()
        adam(  # the function, because the class around it takes longer than the step
            [self.vector],
            [self._gradient],
            [self._first],
            [self._second],
            [],
            [self._steps],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.lr,
            weight_decay=0.0,
            eps=self._eps,
            maximize=False,
        )
        if before is not None:  # a step is linear in the learning rate
            factor = self._unbiased() if self.pace is None else self._unbiased() * self.pace  # (P,)
            torch.lerp(before, self.vector, torch.cat([factor, factor.new_ones(1)])[self._owner], out=self.vector)
        return norm

    def _some_young(self) -> bool:
        """Returns whether the moments of any learner are younger than the optimiser.

        It is asked of the device once after each exchange: until then all grow older together.
        """
        if self._young is None:
            self._young = len(self.own) > 1 and bool((self.age <= self._steps).any())  # before the step is counted
        return self._young

    def _unbiased(self) -> Tensor:
        """Returns factors that correct a step for the age of each learner's moments, (P,).

        Adam divides moments that began at zero by 1 - beta^t (Kingma & Ba 2015, section 3), for the optimiser's own t.
        """
        first, second = ((1.0 - beta**self.age) / (1.0 - beta**self._steps) for beta in BETAS)
        return second.sqrt() / first

    def _clip(self) -> Tensor:
        """Scales gradients that are too long down to `max_grad_norm`; returns their norm before, ()."""
        if len(self.own) == 1:
            norm = torch.linalg.vector_norm(self._gradient)
            self._gradient.mul_((self._max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
            return norm
        square = self._gradient.square()
        norms = torch.cat([square[self.own].sum(1), square[self._shared].sum(0, keepdim=True)]).sqrt()  # (P + 1,)
        self._gradient.mul_((self._max_grad_norm / (norms + 1e-6)).clamp(max=1.0)[self._owner])
        return norms[:-1].mean()

    def state_dict(self) -> dict[str, Any]:
        """Returns learning rates, Adam's moments and its count of steps; the parameters are in the network's state."""
        state = {"lr": self.lr, "first": self._first, "second": self._second, "steps": self._steps}
        state |= {} if len(self.own) == 1 else {"age": self.age}
        return state if self.pace is None else {**state, "pace": self.pace}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the `state_dict` of an optimiser of an equal network."""
        self.lr = state["lr"]
        self._first.copy_(state["first"])
        self._second.copy_(state["second"])
        self._steps.copy_(state["steps"])
        if len(self.own) > 1:
            self.age.copy_(state["age"])
            self._young = None
        pace = state.get("pace")
        self.pace = None if pace is None else pace.to(self.vector.device)
