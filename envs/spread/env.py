"""Spread as a `BatchEnv`: motion, then reward, then observations.

Axes: B worlds, N agents, L landmarks, O observation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..core import Array
from ..kit.actions import checked
from ..kit.shapley import keys_of, shapley
from .config import Config
from .metrics import metrics_of
from .motion import THRUST, TIME_STEP, move
from .observe import obs_names, observe
from .reward import score
from .start import start
from .state import State

VERSION = 0
ACTIONS = ("nothing", "left", "right", "down", "up")
"""The five discrete actions, in order."""
MEANING = f"shares of {', '.join(ACTIONS)}"
"""Meaning of the numbers of a continuous action, for messages."""
FORCES = THRUST * np.array([[0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
"""(5, 2) force along x and y of each discrete action."""


class Spread:
    """B worlds of N agents and landmarks. See the package's docstring for everything a user needs to know."""

    name = f"spread_v{VERSION}"
    step_seconds = TIME_STEP
    headline_metrics = ("landmark_distance", "collisions")
    pose = (2, 3)
    pose_scale = 1.0

    def __init__(self, config: Config) -> None:
        n = config.n_agents
        self.config = config
        self.agents = tuple(f"agent_{i}" for i in range(n))
        self.max_steps = config.max_steps
        self.observation_space = Box(-np.inf, np.inf, (6 * n,), np.float32)
        self.obs_names = obs_names(n)
        self.state_space = Box(-np.inf, np.inf, (6 * n * n,), np.float32)
        self.action_space: Box | Discrete = Box(0.0, 1.0, (5,), np.float32) if config.continuous else Discrete(5)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, seeds)
        *_, now = score(state.position, state.landmark, self.config.local_ratio)
        nothing = np.zeros(state.position.shape[:2])
        return state, self._step_of(state, nothing, nothing[:, 0], nothing, now)

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by 0.1 s; see `envs.core.BatchEnv.step`."""
        position, velocity = move(state.position, state.velocity, self._forces(state, action))
        reward, team_reward, cost, now = score(position, state.landmark, self.config.local_ratio)
        after = State(state.step + np.int32(1), position, velocity, state.landmark, state.totals + now)
        step = self._step_of(after, reward, team_reward, cost, now)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=self._counterfactual(after, team_reward))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """Returns G of the others had agent i not been there, for every i: (B, N).

        With `counterfactual="shapley"` it is G less the agent's Shapley value, see `kit.shapley`.
        """
        position, _ = move(state.position, state.velocity, self._forces(state, action))
        _, team_reward, _, _ = score(position, state.landmark, self.config.local_ratio)
        after = state._replace(step=state.step + np.int32(1), position=position)
        return self._counterfactual(after, team_reward)

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.spread.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(state, world)

    def between(self, before: State, after: State, share: float) -> State:
        """Returns a state to draw between two successive ones: agents are on their way, all else is as before."""
        return before._replace(position=before.position + share * (after.position - before.position))

    def _forces(self, state: State, action: Array) -> Array:
        """Returns the force of every action along x and y: (B, N, 2)."""
        alive = np.ones(state.position.shape[:2], bool)
        action = checked(self.action_space, action, alive, MEANING if self.config.continuous else ", ".join(ACTIONS))
        if not self.config.continuous:
            return FORCES[action]
        return THRUST * (action[:, :, 2::2] - action[:, :, 1::2]).astype(np.float64)

    def _step_of(self, state: State, reward: Array, team_reward: Array, cost: Array, now: Array) -> core.Step:
        """Returns the `Step` that shows a state, with the rewards and costs that came with it."""
        obs = observe(state.position, state.velocity, state.landmark)
        worlds, n, _ = obs.shape
        return core.Step(
            obs=obs,
            state=obs.reshape(worlds, -1),  # (B, N, O) -> (B, N * O), the same memory
            adjacency=np.tile(~np.eye(n, dtype=bool), (worlds, 1, 1)),
            alive=np.ones((worlds, n), bool),
            action_mask=None,
            reward=reward.astype(np.float32),
            team_reward=team_reward.astype(np.float32),
            counterfactual=None if self.config.counterfactual == "none" else np.zeros((worlds, n), np.float32),
            cost=cost.astype(np.float32),
            terminated=np.zeros((worlds, n), bool),
            truncated=state.step >= self.max_steps,
            metrics=metrics_of(state, now),
        )

    def _counterfactual(self, state: State, team_reward: Array) -> NDArray[np.float32]:
        """Returns G of the others had agent i not been where `state` has it, or G less its Shapley value: (B, N)."""
        worlds, n, _ = state.position.shape
        if self.config.counterfactual == "shapley":
            key = keys_of(state.step, state.landmark)
            value = shapley(lambda members: self._worth(state, members), key, n, orders=self.config.orders)
            return (team_reward[:, None] - value).astype(np.float32)
        others = np.array([[j for j in range(n) if j != i] for i in range(n)], np.intp)  # (N, N - 1)
        position = state.position[:, others].reshape(worlds * n, n - 1, 2)  # (B, N, N - 1, 2) -> (B * N, N - 1, 2)
        _, team_reward, _, _ = score(position, np.repeat(state.landmark, n, axis=0), self.config.local_ratio)
        return team_reward.reshape(worlds, n).astype(np.float32)  # (B * N,) -> (B, N)

    def _worth(self, state: State, members: Array) -> NDArray[np.float64]:
        """Returns G of coalitions (B, C, N) had they been alone where `state` has them: (B, C)."""
        size = members.sum(axis=2)
        earned = np.zeros(size.shape)  # of nobody: 0
        for count in range(1, members.shape[2] + 1):
            world, coalition = np.nonzero(size == count)
            who = np.nonzero(members[world, coalition])[1].reshape(-1, count)
            position = state.position[world[:, None], who]  # (rows, count, 2)
            _, team_reward, _, _ = score(position, state.landmark[world], self.config.local_ratio)
            earned[world, coalition] = team_reward
        return earned
