"""A small PettingZoo environment for tests of the channel: agents on a line, born and dying when they are told to."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv


class Parrots(ParallelEnv[str, Any, Any]):
    """N agents that observe the step and their index; nothing that they do matters."""

    def __init__(
        self,
        n: int = 3,
        steps: int = 40,
        action: Any = None,
        dies: dict[str, int] | None = None,
        born: dict[str, int] | None = None,
    ) -> None:
        self.possible_agents = [f"parrot_{i}" for i in range(n)]
        self.agents: list[str] = []
        self.metadata = {"name": "parrots_v0"}
        self.render_mode = None
        self.steps, self.clock = steps, 0
        self.dies, self.born = dies or {}, born or {}
        self.taken: list[dict[str, Any]] = []
        self.places = {name: (float(i), 0.0) for i, name in enumerate(self.possible_agents)}
        self._observations = {name: Box(-1.0, 1e6, (2,), np.float32) for name in self.possible_agents}
        self._actions = {name: action or Discrete(3, start=1) for name in self.possible_agents}

    def observation_space(self, agent: str) -> Any:
        return self._observations[agent]

    def action_space(self, agent: str) -> Any:
        return self._actions[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.clock, self.taken = 0, []
        self.agents = [name for name in self.possible_agents if name not in self.born]
        return self._look(self.agents), {name: {"note": 1} for name in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        """`dies` maps an agent to the step in which it dies, `born` to the one in which it is born; 0 is the first."""
        self.taken.append(actions)
        acted = self.agents
        dead = {name: self.dies.get(name) == self.clock for name in acted}
        come = [name for name in self.possible_agents if self.born.get(name) == self.clock]
        self.clock += 1
        over = self.clock == self.steps
        shown = acted + come
        self.agents = [] if over else [name for name in shown if not dead.get(name)]
        return (
            self._look(shown),
            dict.fromkeys(shown, 0.0),
            {name: dead.get(name, False) for name in shown},
            dict.fromkeys(shown, over),
            {name: {"note": 1} for name in shown},
        )

    def state(self) -> Any:
        return np.array([self.clock], np.float32)

    def _look(self, agents: list[str]) -> dict[str, Any]:
        return {name: np.array([self.clock, self.possible_agents.index(name)], np.float32) for name in agents}
