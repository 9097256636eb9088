"""A number that a team's state and joint action lead to, learned by regression, and each agent's part in it.

    D_i = F - sum_b pi_i(b | o_i) f(s, (b, a_-i))

F is what came of the joint action, f a network that has learned to foretell it. The second term does not depend on what
agent i did in this step, so as a baseline of its choice it leaves the expected gradient unchanged, however little the
network knows; and once it knows how much the others' actions bring, what they did is no noise in D_i any more. As a
reward that is summed over steps (F the reward of a step) it is none: later terms depend on states that i led to.

With F the return, and f = Q, D_i is the advantage of Foerster et al. 2018, "Counterfactual multi-agent policy
gradients" (COMA), equation 4. With F the reward of a step, and f = R, it is the difference reward of Castellini et al.
2022, "Difference rewards policy gradients" (Dr.ReinforceR), the aristocrat utility of Wolpert & Tumer 2002. Deviation
from both: they put f(s, a) for F. While f knows little, that is bias, and normalised advantages are then nothing but
its noise: teams of eight in a game of one step settled on half of the best return.

Axes: R rows (worlds and steps), N agents, O observation, S global state, A actions; `...` any leading axes.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import Spec
from ..maths.returns import explained_variance
from ..nets.config import NetConfig
from ..nets.flat_adam import FlatAdam
from ..nets.q_critic import QCritic
from ..nets.value_norm import ValueNorm

MOST_AT_ONCE = 2**13
"""Agents in rows whose actions are all evaluated at once, which bounds the memory that it takes."""


class JointNumber:
    """A network of state and joint action with its optimiser and units, for discrete actions."""

    def __init__(
        self,
        spec: Spec,
        net: NetConfig,
        *,
        lr: float,
        max_grad_norm: float,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        """Builds it.

        Args:
            spec: Shapes. Where there is no global state, all observations take its place.
            net: Options of the network; a recurrent layer is left out.
            lr: Learning rate of Adam.
            max_grad_norm: Largest norm of a gradient.
            generator: Source of the initial weights.
            device: Where it computes.
        """
        self.n_actions = spec.action_dim
        network = QCritic(spec, "team", replace(net, gru=0), state=spec.state_dim > 0, generator=generator)
        self.network, self.norm = network.to(device), ValueNorm().to(device)
        self.adam = FlatAdam(self.network, lr=lr, eps=1e-5, max_grad_norm=max_grad_norm)

    @torch.no_grad()
    def without(
        self, obs: Tensor, state: Tensor | None, action: Tensor, alive: Tensor, probabilities: Tensor
    ) -> Tensor:
        """Returns what the number is without agent i's choice, in the units of the targets, (..., N) float64.

        Args:
            obs: (..., N, O) as networks read them.
            state: (..., S); None where there is none.
            action: (..., N) int64.
            alive: (..., N) bool.
            probabilities: (..., N, A) of the policy that acted.
        """
        rows = max(MOST_AT_ONCE // alive.shape[-1], 1)
        chunks = zip(
            obs.flatten(0, -3).split(rows),
            itertools.repeat(None) if state is None else state.flatten(0, -2).split(rows),
            action.flatten(0, -2).split(rows),
            alive.flatten(0, -2).split(rows),
            probabilities.flatten(0, -3).split(rows),
            strict=False,  # there may be no states
        )
        found = []
        for seen, of_world, did, there, chances in chunks:
            each = self.network.over_own_actions(seen, of_world, self._one_hot(did, there))  # (R, N, A)
            found.append((chances * each).sum(-1))
        return self.norm.denormalize(torch.cat(found).view(alive.shape))

    @torch.no_grad()
    def explained(self, obs: Tensor, state: Tensor | None, action: Tensor, alive: Tensor, target: Tensor) -> Tensor:
        """Returns the share of the variance of targets (...) that the network explains, (); 1 is all of it."""
        there = alive.flatten(0, -2)  # (R, N)
        joint = self._one_hot(action.flatten(0, -2), there)
        found = self.network(obs.flatten(0, -3), None if state is None else state.flatten(0, -2), joint)  # (R, 1)
        weight = there.any(-1, keepdim=True).float()
        return explained_variance(self.norm.denormalize(found), target.reshape(-1, 1), weight)

    def count(self, target: Tensor, alive: Tensor) -> Tensor:
        """Adds targets (...) to the running units, and returns them in these units, (...) float32."""
        self.norm.update(target, alive.any(-1))
        return self.norm.normalize(target)

    def step(self, obs: Tensor, state: Tensor | None, action: Tensor, alive: Tensor, target: Tensor) -> Tensor:
        """Makes a gradient step of half the squared error to targets from `count`, (...); returns that loss, ()."""
        there = alive.flatten(0, -2)  # (R, N)
        joint = self._one_hot(action.flatten(0, -2), there)
        found = self.network(obs.flatten(0, -3), None if state is None else state.flatten(0, -2), joint).squeeze(-1)
        weight = there.any(-1).float()  # (R,)
        loss = (0.5 * (found - target.flatten()).square() * weight).sum() / weight.sum().clamp(min=1.0)
        self.adam.step(loss)
        return loss.detach()

    def _one_hot(self, action: Tensor, alive: Tensor) -> Tensor:
        return F.one_hot(action, self.n_actions).float() * alive.unsqueeze(-1)  # (R, N, A)

    def state_dict(self) -> dict[str, Any]:
        """Returns network, units and optimiser; see `core.Savable`."""
        return {"network": self.network.state_dict(), "norm": self.norm.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        for name, part in (("network", self.network), ("norm", self.norm), ("adam", self.adam)):
            part.load_state_dict(state[name])
