"""Counting: the smallest environment with everything the views must handle, deaths, births and masks included.

Every agent has a counter. Adding to it earns that much; reaching its own limit, drawn at reset, kills. G is the square
of what all added in a step, so the difference reward has a closed form: S^2 - (S - x_i)^2.

Metrics: `total` is what all agents added so far; `deaths` how many reached their limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete

from envs.core import Array, Step


class CountingState(NamedTuple):
    counter: Array  # (B, N) float64
    limit: Array  # (B, N) float64, the counter that kills
    alive: Array  # (B, N) bool
    born_at: Array  # (B, N) int64, the step at which it is born
    time: Array  # (B,) int64
    total: Array  # (B,) float64


class Counting:
    """Actions: hold, add one, add two (masked where two would kill); `late`: the last agent is born at step 3."""

    name = "counting_v0"
    headline_metrics = ("total",)

    def __init__(self, n_agents: int = 3, max_steps: int = 12, continuous: bool = False, late: bool = False) -> None:
        self.agents = tuple(f"counter_{i}" for i in range(n_agents))
        self.max_steps = max_steps
        self.step_seconds = 0.01
        self.late = late
        self.observation_space = Box(0.0, 1.0, (3,), np.float32)
        self.action_space = Box(0.0, 2.0, (1,), np.float32) if continuous else Discrete(3)
        self.state_space = Box(0.0, 1.0, (2 * n_agents + 1,), np.float32)

    def reset(self, seeds: Sequence[int]) -> tuple[CountingState, Step]:
        n = len(self.agents)
        limit = np.stack([np.random.default_rng(seed).uniform(8.0, 20.0, n) for seed in seeds])  # (B, N)
        born_at = np.zeros(limit.shape, np.int64)
        if self.late:
            born_at[:, -1] = 3
        worlds = len(seeds)
        time, total = np.zeros(worlds, np.int64), np.zeros(worlds)
        state = CountingState(np.zeros_like(limit), limit, born_at == 0, born_at, time, total)
        zero = np.zeros_like(limit, dtype=np.float32)
        return state, self.show(state, zero, zero[:, 0], zero > 0)

    def step(self, state: CountingState, action: Array) -> tuple[CountingState, Step]:
        added = self.added(state, action)
        count = state.counter + added
        died = state.alive & (count >= state.limit)
        time = state.time + 1
        alive = (state.alive & ~died) | (state.born_at == time[:, None])
        new = CountingState(count, state.limit, alive, state.born_at, time, state.total + added.sum(axis=1))
        team = added.sum(axis=1) ** 2
        return new, self.show(new, added.astype(np.float32), team.astype(np.float32), died)

    def counterfactual(self, state: CountingState, action: Array) -> Array:
        added = self.added(state, action)
        return ((added.sum(axis=1, keepdims=True) - added) ** 2).astype(np.float32)  # (B, N)

    def render(self, state: CountingState, world: int = 0) -> Array:
        frame = np.full((64, 16 * len(self.agents), 3), 255, np.uint8)
        for i, count in enumerate(state.counter[world].tolist()):
            frame[64 - int(2 * count) - 1 :, 16 * i + 2 : 16 * i + 14] = (40, 90, 160)
        return frame

    def added(self, state: CountingState, action: Array) -> Array:
        """(B, N) what each agent adds; a masked two counts as zero."""
        action = np.asarray(action)
        trailing = () if isinstance(self.action_space, Discrete) else (1,)
        if action.shape != (*state.alive.shape, *trailing):
            raise ValueError(f"action has shape {action.shape}")
        if isinstance(self.action_space, Discrete):
            if action.dtype.kind not in "iu":
                raise ValueError(f"actions are {action.dtype}, not integers")
            value = action.astype(np.float64)
            value = np.where(self.mask(state)[:, :, 2] | (value < 2), value, 0.0)
        else:
            if action.dtype.kind not in "fiu":
                raise ValueError(f"actions are {action.dtype}, not floats")
            value = action[:, :, 0].astype(np.float64)
        inside = np.logical_and(action >= 0, action <= 2).reshape(*state.alive.shape)  # (B, N)
        if not (inside | ~state.alive).all():
            raise ValueError("an action is outside its space")
        return np.where(state.alive, value, 0.0)

    def mask(self, state: CountingState) -> Array:
        mask = np.ones((*state.alive.shape, 3), bool)
        mask[:, :, 2] = state.counter + 2 < state.limit
        return mask

    def show(self, state: CountingState, reward: Array, team: Array, died: Array, /) -> Step:
        alive = state.alive
        n = alive.shape[1]
        elapsed = np.broadcast_to(state.time[:, None] / self.max_steps, alive.shape)
        obs = np.stack([state.counter / 25, state.limit / 25, elapsed], axis=2)  # (B, N, 3)
        near = np.abs(state.counter[:, :, None] - state.counter[:, None, :]) <= 1  # (B, N, N)
        return Step(
            obs=np.where(alive[:, :, None], obs, 0.0).clip(0, 1).astype(np.float32),
            state=np.concatenate([state.counter / 25, alive, elapsed[:, :1]], axis=1).clip(0, 1).astype(np.float32),
            adjacency=near & alive[:, :, None] & alive[:, None, :] & ~np.eye(n, dtype=bool),
            alive=alive,
            action_mask=self.mask(state) if isinstance(self.action_space, Discrete) else None,
            reward=reward,
            team_reward=team,
            counterfactual=None,
            cost=died.astype(np.float32),
            terminated=died,
            truncated=state.time >= self.max_steps,
            metrics={"total": state.total, "deaths": (state.counter >= state.limit).sum(axis=1).astype(np.float64)},
        )
