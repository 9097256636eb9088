"""Whispers as a `BatchEnv`: names are judged, then the next symbols are shown.

Axes: B worlds, N agents, V symbols, O observation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..core import Array
from ..kit.actions import checked
from .config import Config
from .metrics import metrics_of
from .naming import judge
from .observe import obs_names, observe
from .start import start
from .state import State

VERSION = 0
MEANING = "the symbol that the source holds now"
"""Meaning of an action, for messages."""


class Whispers:
    """B worlds of N agents. See the package's docstring for everything a user needs to know."""

    name = f"whispers_v{VERSION}"
    step_seconds = 0.5
    headline_metrics = ("share_right",)

    def __init__(self, config: Config) -> None:
        n, v = config.n_agents, config.n_symbols
        self.config = config
        self.max_steps = config.max_steps
        self.observation_space = Box(0.0, 1.0, (2 * n + v,), np.float32)
        self.obs_names = obs_names(n, v)
        self.state_space = Box(0.0, 1.0, (n * (v + n),), np.float32)
        self.action_space = Discrete(v)
        self._pairs = config.game == "listener"
        if self._pairs:
            names = [f"{role}_{k}" for role in ("speaker", "listener") for k in range(n // 2)]
            self.groups = (tuple(range(n // 2)), tuple(range(n // 2, n)))
        else:
            names = [f"agent_{i}" for i in range(n)]
            self.groups = (tuple(range(n)),)
        self.agents = tuple(names)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, seeds)
        nothing = np.zeros(state.named.shape, np.float32)
        return state, self._step_of(state, nothing, np.zeros(len(seeds)))

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Judges the names and shows the next symbols; see `envs.core.BatchEnv.step`.

        Symbols and sources stay as they are after the time limit.
        """
        named = checked(self.action_space, action, np.ones(state.named.shape, bool), MEANING).astype(np.int8)
        reward, share = judge(state.symbol, state.source, state.step, named)
        after = state._replace(
            step=state.step + np.int32(1),
            named=named,
            right=state.right + share,
        )
        return after, self._step_of(after, reward, share)

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.whispers.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(state, world)

    def _step_of(self, state: State, reward: Array, share: Array) -> core.Step:
        """Returns the `Step` that shows a state, with the rewards (B, N) and shares (B,) that came with it."""
        obs, everything = observe(state.symbol, state.source, state.step, self.config.n_symbols, self._pairs)
        worlds, n, _ = obs.shape
        return core.Step(
            obs=obs,
            state=everything,
            adjacency=np.tile(~np.eye(n, dtype=bool), (worlds, 1, 1)),
            alive=np.ones((worlds, n), bool),
            action_mask=None,
            reward=reward,
            team_reward=share.astype(np.float32),
            counterfactual=None,
            cost=np.zeros((worlds, n), np.float32),
            terminated=np.zeros((worlds, n), bool),
            truncated=state.step >= self.max_steps,
            metrics=metrics_of(state, share),
        )
