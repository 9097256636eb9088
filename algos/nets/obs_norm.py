"""Running normalisation of observations, for environments whose observations are far from unit scale.

Axes: P parameter sets, N agents, D features, O observation, S global state; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .sharing import Numbers

CLIP = 10.0
"""Largest normalised number: bounds a feature that has hardly varied so far and then does."""


class RunningNorm(nn.Module):
    """Subtracts the running mean and divides by the running standard deviation, feature by feature.

    y = clip((x - mean) / sqrt(var + 1e-6), -10, 10)

    Agents that share parameters share statistics. The statistics are buffers, so they are saved with the network that
    they belong to; only `update` changes them. Before the first update y = clip(x, -10, 10).

    Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", for merging means and squares.
    """

    mean: Tensor
    square: Tensor
    count: Tensor
    sets: Tensor

    def __init__(self, features: int, sets: Sequence[int]) -> None:
        """Starts without statistics.

        Args:
            features: D.
            sets: (N,) the parameter set of each agent, see `sharing.parameter_sets`.
        """
        super().__init__()
        n_sets = max(sets) + 1
        self.register_buffer("mean", torch.zeros(n_sets, features, dtype=torch.float64))  # (P, D)
        self.register_buffer("square", torch.zeros(n_sets, features, dtype=torch.float64))  # (P, D) summed, about mean
        self.register_buffer("count", torch.zeros(n_sets, 1, dtype=torch.float64))  # (P, 1)
        self.register_buffer("sets", torch.tensor(sets), persistent=False)  # (N,)

    @property
    def begun(self) -> bool:
        """Whether there are any statistics yet."""
        return bool(self.count.any())

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (..., N, D); an agent axis of length 1 is enough where all agents share parameters."""
        mean, std = self._of_agents(x.dtype)
        return ((x - mean) / std).clamp(-CLIP, CLIP)

    def raw(self, y: Tensor) -> Tensor:
        """Undoes `forward` for (..., N, D), but for what was clipped."""
        mean, std = self._of_agents(y.dtype)
        return y * std + mean

    def _of_agents(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Returns means and standard deviations, (N, D), or (1, D) where all agents share them."""
        begun = self.count > 0  # (P, 1)
        std = torch.where(begun, (self.square / self.count.clamp(min=1.0) + 1e-6).sqrt(), 1.0)
        mean, std = self.mean.to(dtype), std.to(dtype)  # (P, D)
        return (mean[self.sets], std[self.sets]) if len(mean) > 1 else (mean, std)

    def of_learners(self) -> list[Numbers]:
        """Returns the statistics of all parameter sets."""
        return [Numbers(self.mean), Numbers(self.square), Numbers(self.count)]

    def moments(self) -> Tensor:
        """Returns count, mean and variance of each feature of all parameter sets, (P, D, 3)."""
        variance = self.square / self.count.clamp(min=1.0)
        return torch.stack([self.count.expand_as(self.mean), self.mean, variance], -1)

    def take_moments(self, moments: Tensor) -> None:
        """Sets counts, means and variances, see `moments`; the count of the first feature is that of all."""
        count, mean, variance = moments[:, :1, 0], moments[..., 1], moments[..., 2]
        self.count.copy_(count)
        self.mean.copy_(mean)
        self.square.copy_(variance * count)

    @torch.no_grad()
    def update(self, x: Tensor, weight: Tensor) -> None:
        """Adds observations to the statistics.

        Args:
            x: (..., N, D).
            weight: (..., N), 1 for observations that count, 0 for those of absent agents.
        """
        x, weight = x.flatten(0, -3).double(), weight.flatten(0, -2).double()  # (rows, N, D), (rows, N)
        for index in range(len(self.mean)):
            of_set = self.sets == index  # (N,)
            values, counts = x[:, of_set].flatten(0, 1), weight[:, of_set].reshape(-1, 1)  # (M, D), (M, 1)
            count = counts.sum()
            if count == 0:
                continue
            mean = (values * counts).sum(0) / count  # (D,)
            square = ((values - mean).square() * counts).sum(0)  # (D,)
            total = self.count[index] + count
            away = mean - self.mean[index]
            self.square[index] += square + away.square() * self.count[index] * count / total
            self.mean[index] += away * count / total
            self.count[index] = total


class InputNorm:
    """Normalises the inputs of networks: observations by the policy's statistics, states by statistics of their own.

    Its state is that of the states' statistics; those of observations are saved with the policy.

    Attributes:
        state_norm: Statistics of the global state, None where it is not read or nothing is normalised.
    """

    def __init__(self, obs_norm: RunningNorm | None, state_dim: int) -> None:
        """Starts without statistics of states.

        Args:
            obs_norm: The policy's statistics of observations; None: nothing is normalised.
            state_dim: S, 0 where no state is read.
        """
        self._obs_norm = obs_norm
        self.state_norm = None
        if obs_norm is not None and state_dim:
            self.state_norm = RunningNorm(state_dim, (0,)).to(obs_norm.mean.device)

    @property
    def lacks_statistics(self) -> bool:
        """Whether it is to normalise but has no statistics yet."""
        return self._obs_norm is not None and not self._obs_norm.begun

    def count(self, obs: Tensor, state: Tensor | None, alive: Tensor) -> None:
        """Adds observations (..., N, O) and states (..., S) to the statistics, those of agents that are `alive`."""
        if self._obs_norm is None:
            return
        device = self._obs_norm.mean.device
        alive = alive.to(device)
        self._obs_norm.update(obs.to(device), alive)
        if self.state_norm is not None and state is not None:
            self.state_norm.update(state.to(device).unsqueeze(-2), alive.any(-1, keepdim=True))

    @torch.no_grad()
    def apply(self, fields: dict[str, Tensor], present: Tensor, *, lead: str = "") -> None:
        """Replaces `obs` (..., N, O) and `state` (..., S) in `fields` by networks' inputs, zeros for absent agents.

        Args:
            fields: By name.
            present: (..., N) bool.
            lead: Beginning of the names, such as "next_".
        """
        if self._obs_norm is not None:
            obs = self._obs_norm(fields[f"{lead}obs"])
            fields[f"{lead}obs"] = obs.masked_fill(~present.unsqueeze(-1), 0.0)
        if self.state_norm is not None and f"{lead}state" in fields:
            fields[f"{lead}state"] = self.state_norm(fields[f"{lead}state"].unsqueeze(-2)).squeeze(-2)

    def state_dict(self) -> dict[str, Any]:
        """Returns the statistics of states."""
        return {} if self.state_norm is None else self.state_norm.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        if self.state_norm is not None:
            self.state_norm.load_state_dict(state)
