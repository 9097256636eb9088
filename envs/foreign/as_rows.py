"""An environment's observations as the rows that training sees, and rows of actions as its actions.

    env = adapters.parallel_env("my_project.worlds:Maze")
    rows = Rows(env)
    observations, infos = env.reset(seed=1)
    while env.agents:
        obs, alive, action_mask = rows.of(observations, infos, env.agents)
        observations, _, _, _, infos = env.step(rows.actions(my_policy(obs, action_mask), env.agents))

Axes: N agents, O observation, A actions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo.utils.env import ParallelEnv

from ..core import Array
from .own_spaces import described
from .pictures import Pictures
from .spaces import MASK, Actions, Observations


class Rows:
    """Turns observations of a `ParallelEnv` into rows of one shape, and rows of actions into its actions.

    Nothing is kept between calls. Pictures are flattened in their own size; `adapters.parallel_env` can prepare them.

    Args:
        env: The environment, with `possible_agents`.

    Raises:
        ValueError: Its spaces cannot be used, see `Observations` and `Actions`.
    """

    def __init__(self, env: ParallelEnv[Any, Any, Any]) -> None:
        self.keys = tuple(env.possible_agents)
        """(N,) the environment's names of its agents."""
        names = [str(key) for key in self.keys]
        spaces = [env.observation_space(key) for key in self.keys]
        pictures = isinstance(env, Pictures) and len({space.shape for space in spaces}) == 1
        self._observations = Observations(names, spaces, pictures=pictures)
        self._actions = Actions(names, [env.action_space(key) for key in self.keys])
        self._index = {key: i for i, key in enumerate(self.keys)}
        self._length = int(np.prod(self._observations.space.shape))
        self.own_spaces = described(env, self.keys, self._observations, self._actions)
        """The description of all this as plain data, see `foreign.own_spaces`."""

    @property
    def observation_space(self) -> Box:
        """Space of one agent's row: (O,), or (C, H, W) for pictures."""
        return self._observations.space

    @property
    def action_space(self) -> Box | Discrete:
        """Space of one agent's action."""
        return self._actions.space

    def of(
        self,
        observations: Mapping[Any, Any],
        infos: Mapping[Any, Mapping[str, Any]] | None = None,
        agents: Iterable[Any] | None = None,
    ) -> tuple[Array, Array, Array | None]:
        """Returns the rows of agents' observations.

        Args:
            observations: The environment's observations, by agent.
            infos: The environment's infos, by agent; an `action_mask` in them is used.
            agents: Agents that act next (`env.agents`); None: all in `observations`.

        Returns:
            Observations (N, O) float32, with zeros for agents that do not act; whether each agent acts, (N,) bool; and
            allowed actions, (N, A) bool, or None for a `Box`.

        Raises:
            ValueError: An agent is unknown, or its observation or mask does not fit its spaces.
        """
        told = infos or {}
        n = len(self.keys)
        rows, alive = np.zeros((n, self._length), np.float32), np.zeros(n, bool)
        mask = None
        if isinstance(self.action_space, Discrete):
            mask = np.ones((n, int(self.action_space.n)), bool)
            if self._actions.own is not None:
                mask &= self._actions.own
        for agent in observations if agents is None else agents:
            i = self._row(agent)
            alive[i] = True
            self._observations.write(i, observations[agent], rows[i])
            own = told.get(agent, {}).get(MASK)
            own = self._observations.mask(i, observations[agent]) if own is None else own
            if mask is not None and own is not None:
                mask[i] = self._actions.widen(i, own)
        return rows, alive, mask

    def actions(self, rows: Array, agents: Iterable[Any]) -> dict[Any, Any]:
        """Returns actions in the agents' own spaces, by agent.

        Args:
            rows: (N,) indices of choices, or (N, A) numbers in the common `Box`.
            agents: Agents that act (`env.agents`).

        Raises:
            ValueError: An agent is unknown, or has no such choice.
        """
        return {agent: self._actions.decode(i, rows[i]) for agent in agents for i in [self._row(agent)]}

    def _row(self, agent: Any) -> int:
        if agent not in self._index:
            raise ValueError(f"agent {agent!r} is not among possible_agents: {list(self.keys)}")
        return self._index[agent]
