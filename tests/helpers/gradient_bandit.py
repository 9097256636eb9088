"""The gradient bandit with observations: the smallest algorithm that keeps every promise of `algos.core.Algorithm`.

A linear policy climbs the expected reward of the step that it is in, and of no later one (Sutton and Barto 2018,
section 2.8, with weights in the place of preferences). It checks the conformance checks, and the number of places that
a new algorithm touches.

Axes: T time, B worlds, N agents, O observation, A actions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn

from algos.core import Action, Obs, Spec, Transition
from algos.maths.snapshots import copied
from algos.training.footprint import Part


@dataclass(frozen=True)
class BanditConfig:
    """The gradient bandit."""

    lr: float = 0.5
    """Step size of the ascent."""
    rollout_steps: int = 6
    """Steps of every world between two updates."""


def footprint(spec: Spec, config: BanditConfig, *, n_worlds: int, action_mask: bool, device: str) -> list[Part]:
    """Counts the memory that the algorithm takes: a rollout, which is next to nothing."""
    size = 4 * config.rollout_steps * n_worlds * spec.n_agents * (spec.obs_dim + 4)
    return [Part("the rollout", size, "cpu", "--algo.rollout-steps, --n-worlds")]


class LinearPolicy(nn.Module):
    """One linear layer for all agents: logits, or means of Gaussians of a fixed width."""

    def __init__(self, spec: Spec, generator: torch.Generator) -> None:
        super().__init__()
        self.spec, self.discrete = spec, isinstance(spec.action_space, Discrete)
        size = int(getattr(spec.action_space, "n", 0)) or math.prod(spec.action_space.shape or ())
        self.weight = nn.Parameter(0.01 * torch.randn(spec.obs_dim, size, generator=generator))

    @property
    def device(self) -> torch.device:
        return self.weight.device

    def first_memory(self, n_worlds: int, seed: int | None = None) -> dict[str, Tensor]:
        return {}

    @torch.no_grad()
    def act(
        self, obs: Obs, memory: dict[str, Tensor], generator: torch.Generator | None = None
    ) -> tuple[Action, dict[str, Tensor]]:
        head = self.head(*tensors(obs))
        space = self.spec.action_space
        if isinstance(space, Discrete):
            uniform = torch.zeros_like(head) if generator is None else torch.rand(head.shape, generator=generator)
            noise = 0.0 if generator is None else -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
            return (head + noise).argmax(-1).numpy(), memory
        noise = 0.0 if generator is None else torch.randn(head.shape, generator=generator)
        return (head + noise).numpy().clip(space.low, space.high), memory

    def head(self, obs: Tensor, mask: Tensor | None) -> Tensor:
        """(..., O) -> (..., A)."""
        head = obs @ self.weight
        return head if mask is None else head.masked_fill(~mask, -1e9)

    def log_prob(self, obs: Tensor, mask: Tensor | None, action: Tensor) -> Tensor:
        """(...,), but for a constant."""
        head = self.head(obs, mask)
        if self.discrete:
            return head.log_softmax(-1).gather(-1, action[..., None])[..., 0]
        return -0.5 * (action - head).square().sum(-1)


def tensors(obs: Obs) -> tuple[Tensor, Tensor | None]:
    """Returns observations, and masks that allow everything to agents that are not alive."""
    seen = torch.as_tensor(obs.obs)
    if obs.action_mask is None:
        return seen, None
    return seen, torch.as_tensor(obs.action_mask | ~obs.alive[..., None])


class GradientBandit:
    """Acts with `policy`, collects a few steps, learns from them and drops them."""

    replay = None

    def __init__(self, spec: Spec, config: BanditConfig, *, seed: int, device: str = "cpu") -> None:
        self.config = config
        first, second = (int(one) for one in np.random.SeedSequence(seed).generate_state(2, np.uint64))
        self.policy = LinearPolicy(spec, torch.Generator().manual_seed(first))
        self.progress = 0.0
        self._sampling = torch.Generator().manual_seed(second)
        self._before: Tensor | None = None  # the generator's state before the last act
        self._rollout: list[dict[str, Tensor]] = []

    def begin(self, obs: Obs) -> tuple[str, ...]:
        return ()

    def act(self, obs: Obs, *, greedy: bool = False) -> Action:
        if not greedy:
            self._before = self._sampling.get_state()
        return self.policy.act(obs, {}, None if greedy else self._sampling)[0]

    def take_back(self) -> None:
        if self._before is not None:
            self._sampling.set_state(self._before)
            self._before = None

    def observe(self, transition: Transition) -> None:
        seen, mask = tensors(transition.obs)
        step = {"obs": seen, "action": torch.as_tensor(transition.action), "reward": torch.as_tensor(transition.reward)}
        step["alive"] = torch.as_tensor(transition.obs.alive)
        if mask is not None:
            step["mask"] = mask
        self._rollout.append(step)
        self._before = None

    def update(self) -> dict[str, float]:
        if len(self._rollout) < self.config.rollout_steps:
            return {}
        data = {name: torch.stack([step[name] for step in self._rollout]) for name in self._rollout[0]}
        living = self.weight(data["alive"])
        reward = torch.where(living > 0, data["reward"], 0.0)
        advantage = reward - reward.sum() / living.sum()
        log_prob = self.policy.log_prob(data["obs"], data.get("mask"), data["action"])
        objective = (torch.where(living > 0, log_prob * advantage, 0.0)).sum() / living.sum()
        (slope,) = torch.autograd.grad(objective, [self.policy.weight])
        with torch.no_grad():
            self.policy.weight.add_(self.config.lr * slope)
        self._rollout = []
        return {"policy_loss": -float(objective.detach()), "grad_norm": float(slope.norm())}

    def weight(self, alive: Tensor) -> Tensor:
        """(T, B, N), how much an agent counts."""
        return alive.float()

    def state_dict(self) -> dict[str, Any]:
        return copied(
            {
                "policy": dict(self.policy.state_dict()),
                "sampling": self._sampling.get_state(),
                "progress": self.progress,
                "rollout": self._rollout,
                "pending": self._before,
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        state = copied(state)
        self.policy.load_state_dict(state["policy"])
        self._sampling.set_state(state["sampling"])
        self.progress, self._rollout, self._before = state["progress"], list(state["rollout"]), state["pending"]
