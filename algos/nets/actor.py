"""The policy of every agent, and all that is needed to execute it: no critic, no optimiser.

Axes: P parameter sets, N agents, T time, B worlds, O observation, A actions, H hidden; `...` any leading axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from ..core import Spec
from .layers import ACTIVATIONS, Activation, Memory, Share, Trunk, parameter_sets, with_leading
from .obs_norm import RunningNorm
from .vision import Encoder, is_image

SMALLEST = 2.0**-25
"""Stands for a uniform number of exactly 0, which `torch.rand` gives once in 2^24 draws: half its smallest step."""


class Actor(nn.Module):
    """Observations to distributions over actions: categorical for `Discrete`, diagonal Gaussian for `Box`.

    A Gaussian lives in units in which the Box is [-1, 1]; its deviation is a free parameter, not a function of the
    observation. Its actions are clipped at the border on their way to the environment, and their log-probability is
    that of the action before clipping: seen from the policy, clipping is part of the environment, so the gradient
    stays exact, and the entropy has a closed form, which a squashed Gaussian's has not.

    With `bounded` the means pass through tanh and the deviation is a constant, not learned: a deterministic policy and
    the noise it explores with. Its gradient comes through the action itself, which must not lead out of the Box.

    Images (`Spec.obs_shape`) pass through convolutions first, see `vision`.
    """

    low: Tensor
    high: Tensor
    sets: Tensor
    ids: Tensor | None
    log_std: Tensor

    def __init__(
        self,
        spec: Spec,
        *,
        share: Share = "all",
        agent_id: bool = False,
        hidden: Sequence[int] = (64, 64),
        activation: Activation = "silu",
        gru: int = 0,
        init_std: float = 0.6,
        bounded: bool = False,
        obs_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        """Builds it.

        Args:
            spec: Shapes and the action space.
            share: Who shares parameters.
            agent_id: Append the agent's one-hot index to its observation.
            hidden: Sizes of the hidden layers.
            activation: Between layers.
            gru: H of the recurrent layer, 0 for none.
            init_std: Of a Gaussian policy, in units of half the Box.
            bounded: Means of a Gaussian policy stay within the Box, and its deviation is a constant.
            obs_norm: Normalise observations by their running statistics (`RunningNorm`); images never are.
            generator: Where the initial weights come from; None when they are about to be loaded.

        Raises:
            ValueError: The action space is one no policy here can serve.
        """
        super().__init__()
        space = spec.action_space
        self.discrete = not isinstance(space, Box)
        self.hidden_size = gru
        self.bounded = bounded and not self.discrete
        self.n_agents = spec.n_agents
        sets = parameter_sets(spec, share)
        generator = generator or torch.Generator().manual_seed(0)
        if isinstance(space, Box):
            if len(space.shape) != 1 or not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
                raise ValueError(
                    f"action space is {space}; a Box must be one-dimensional with finite bounds: "
                    "flatten and rescale it (gymnasium.wrappers.RescaleAction)"
                )
            outputs = space.shape[0]
            low, high = torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float()  # (A,)
            self.register_buffer("low", low, persistent=False)
            self.register_buffer("high", high, persistent=False)
            log_std = torch.full((max(sets) + 1, outputs), math.log(init_std), dtype=torch.float32)  # (P, A)
            if bounded:
                self.register_buffer("log_std", log_std)
            else:
                self.log_std = nn.Parameter(log_std)
            self.register_buffer("sets", torch.tensor(sets), persistent=False)  # (N,)
        else:
            if space.start != 0:
                raise ValueError(f"action space is {space}; Discrete must start at 0: shift it in the environment")
            outputs = int(space.n)
        ids = torch.eye(spec.n_agents, dtype=torch.float32) if agent_id else None  # (N, N)
        self.register_buffer("ids", ids, persistent=False)
        self.encoder, features = None, spec.obs_dim
        self.obs_norm = RunningNorm(features, sets) if obs_norm and not is_image(spec.obs_shape) else None
        if is_image(spec.obs_shape):
            self.encoder = Encoder(spec.obs_shape, sets, activation=ACTIVATIONS[activation], generator=generator)
            features = self.encoder.n_features
        self.trunk = Trunk(
            [features, spec.n_agents] if agent_id else [features],
            outputs,
            sets,
            hidden=hidden,
            activation=activation,
            gru=gru,
            head_gain=0.01,
            generator=generator,
        )

    def forward(
        self, obs: Tensor, memory: Memory | None = None, *, normalized: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The parameters of the distributions.

        Args:
            obs: (..., N, O); (T, B, N, O) when recurrent.
            memory: Needed when recurrent, ignored otherwise.
            normalized: `obs` has been through `normalize`, as whoever trains the policy does once for all networks.

        Returns:
            Logits or means, (..., N, A), and hidden states (T, B, N, H) or None.
        """
        if self.obs_norm is not None and not normalized:
            obs = self.obs_norm(obs)
        seen = obs if self.encoder is None else self.encoder(obs)  # (..., N, O or F)
        inputs = [seen] if self.ids is None else [seen, with_leading(self.ids, seen)]
        return self.trunk(inputs, memory)

    def normalize(self, obs: Tensor, seen: Tensor) -> Tensor:
        """Observations as the networks read them; zeros stay zeros for agents that are not there.

        Args:
            obs: (..., N, O).
            seen: (..., N) bool.
        """
        return obs if self.obs_norm is None else self.obs_norm(obs).masked_fill(~seen.unsqueeze(-1), 0.0)

    @property
    def alike(self) -> bool:
        """Whether it takes no notice of who an agent is: observations of a few can stand in the place of all."""
        return self.trunk.alike and self.ids is None

    def first_hidden(self, n_worlds: int) -> Tensor:
        """(B, N, H) zeros: nothing remembered yet."""
        bias = self.trunk.head.bias
        return torch.zeros(n_worlds, self.n_agents, self.hidden_size, dtype=bias.dtype, device=bias.device)

    def sample(
        self, head: Tensor, action_mask: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draws actions.

        Args:
            head: (..., N, A) from `forward`.
            action_mask: (..., N, A) bool, True where allowed, or None.
            generator: Source of chance; None takes the most likely action.

        Returns:
            Actions as `log_prob` takes them, (..., N) int64 or (..., N, A) float32 not yet clipped (see `to_space`),
            and their log-probabilities (..., N).
        """
        if self.discrete:
            log_p = categorical(head, action_mask)
            if generator is None:
                action = log_p.argmax(-1)
            else:  # the first of exponential clocks of rates p, as torch.multinomial does, but without its checks
                uniform = torch.rand(log_p.shape, generator=generator, dtype=log_p.dtype, device=log_p.device)
                clocks = uniform.clamp_(min=SMALLEST).log_()  # negative and finite: rand may give 0
                action = torch.div(log_p.exp(), clocks, out=clocks).argmin(-1)
            return action, log_p.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        log_std = self._log_std()  # (N or 1, A)
        mean = action = self._mean(head)
        if generator is not None:
            noise = torch.empty_like(mean).normal_(generator=generator)
            action = torch.addcmul(mean, log_std.exp(), noise)
        return action, gaussian_log_prob(mean, log_std, action)

    def log_prob(self, head: Tensor, action: Tensor, action_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-probability of given actions, and the entropy of their distributions, (..., N) each."""
        if self.discrete:
            log_p = categorical(head, action_mask)
            entropy = -(log_p.exp() * log_p).sum(-1)
            return log_p.gather(-1, action.unsqueeze(-1)).squeeze(-1), entropy
        log_std = self._log_std()  # (N or 1, A)
        entropy = (log_std + 0.5 * math.log(2.0 * math.pi * math.e)).sum(-1)  # (N or 1,)
        return gaussian_log_prob(self._mean(head), log_std, action), entropy.expand(head.shape[:-1])

    def _log_std(self) -> Tensor:
        """(N, A), or (1, A) where all agents share it."""
        return self.log_std if len(self.log_std) == 1 else self.log_std[self.sets]

    def _mean(self, head: Tensor) -> Tensor:
        return torch.tanh(head) if self.bounded else head

    def to_space(self, action: Tensor) -> Tensor:
        """Actions inside the action space: int64 as they are, floats from [-1, 1] to the Box and clipped to it."""
        if self.discrete:
            return action
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return torch.clamp(middle + half * action, self.low, self.high)


def categorical(logits: Tensor, action_mask: Tensor | None) -> Tensor:
    """Log-probabilities, (..., A). Forbidden actions get the smallest float, not -inf: p log p stays 0, not NaN."""
    if action_mask is not None:
        logits = logits.masked_fill(~action_mask, torch.finfo(logits.dtype).min)
    # Over the first axis: over a last axis as short as this, torch is several times slower.
    return logits.movedim(-1, 0).log_softmax(0).movedim(0, -1)


def gaussian_log_prob(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Computes log N(action; mean, std) of a diagonal Gaussian, summed over A: (..., A) each -> (...)."""
    z = (action - mean) * torch.exp(-log_std)
    return -(0.5 * z.square() + log_std + 0.5 * math.log(2.0 * math.pi)).sum(-1)
