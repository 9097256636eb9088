"""Guess: agents are shown one of three numbers in every step, and earn 1 by choosing it. The smallest environment.

It shows how many places a new environment touches.

**Metrics**: `right`, the share of choices so far that were right.

Axes: B worlds, N agents, T steps of an episode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete

from envs import aec_env, parallel_env
from envs.core import Array, Step

VERSION = 0


@dataclass(frozen=True)
class Config:
    """Guess."""

    n_agents: int = 2
    """Number of agents."""
    max_steps: int = 5
    """Time limit [steps]."""


TASKS = {"guess-2": Config()}
DEFAULT_TASK = "guess-2"


class State(NamedTuple):
    number: Array  # (B, T + 1, N) int64, drawn at reset
    time: Array  # (B,) int64
    right: Array  # (B,) float64, choices that were right


class Guess:
    name = f"guess_v{VERSION}"
    step_seconds = 1.0
    headline_metrics = ("right",)

    def __init__(self, config: Config) -> None:
        self.max_steps = config.max_steps
        self.agents = tuple(f"guesser_{i}" for i in range(config.n_agents))
        self.observation_space, self.action_space = Box(0.0, 1.0, (3,), np.float32), Discrete(3)
        self.state_space = Box(0.0, 1.0, (3 * config.n_agents,), np.float32)

    def reset(self, seeds: Sequence[int]) -> tuple[State, Step]:
        shape = (self.max_steps + 1, len(self.agents))
        number = np.stack([np.random.default_rng(seed).integers(3, size=shape) for seed in seeds])
        state = State(number, np.zeros(len(seeds), np.int64), np.zeros(len(seeds)))
        return state, self.shown(state, np.zeros((len(seeds), len(self.agents)), np.float32))

    def step(self, state: State, action: Array) -> tuple[State, Step]:
        action = np.asarray(action)
        if action.shape != (len(state.time), len(self.agents)) or action.dtype.kind not in "iu":
            raise ValueError(f"actions are {action.dtype} of shape {action.shape}")
        if not ((action >= 0) & (action < 3)).all():
            raise ValueError("an action is outside its space")
        right = action == current(state)
        new = State(state.number, state.time + 1, state.right + right.sum(1))
        return new, self.shown(new, right.astype(np.float32))

    def render(self, state: State, world: int = 0) -> Array:
        frame = np.full((16, 16 * len(self.agents), 3), 255, np.uint8)
        for i, number in enumerate(current(state)[world]):
            frame[:, 16 * i : 16 * i + 5 * (number + 1)] = (40, 90, 160)
        return frame

    def shown(self, state: State, reward: Array) -> Step:
        obs = np.eye(3, dtype=np.float32)[current(state)]  # (B, N, 3)
        alive = np.ones(reward.shape, bool)
        made = np.maximum(state.time, 1) * len(self.agents)
        return Step(
            obs=obs,
            state=obs.reshape(len(obs), -1),
            adjacency=alive[:, :, None] & ~np.eye(len(self.agents), dtype=bool),
            alive=alive,
            action_mask=None,
            reward=reward,
            team_reward=reward.sum(1),
            counterfactual=None,
            cost=np.zeros_like(reward),
            terminated=~alive,
            truncated=state.time >= self.max_steps,
            metrics={"right": np.where(state.time > 0, state.right / made, np.nan)},
        )


def current(state: State) -> Array:
    """(B, N), the numbers that are shown now."""
    return state.number[np.arange(len(state.time)), state.time]


def build(config: Config) -> Guess:
    return Guess(config)


def heuristic(env: Guess) -> Callable[[State], Array]:
    return current


env = raw_env = partial(aec_env, "guess")
parallel_env = partial(parallel_env, "guess")
