"""Gymnasium environments for many agents whose spaces and returns are dicts by agent: MultiGrid, MetaDrive, RLlib's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Space
from pettingzoo.utils.env import ParallelEnv

from .film import draw
from .refusals import RefusedError
from .spaces import idle_action

ALL = "__all__"
"""The key by which RLlib's environments report that the episode ended for all agents."""


def spaces_by_agent(env: gymnasium.Env[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]] | None:
    """Returns observation and action spaces by agent; None for an environment that is not of this kind.

    It is of this kind if both spaces are dicts with the same keys, or if it names its agents in `possible_agents` and
    one of the spaces is a dict by agent; the other space then belongs to every agent.
    """
    bare = getattr(env, "unwrapped", env)
    observed, acted = (
        _dict_of(getattr(bare, f"{kind}_spaces", None)) or getattr(env, f"{kind}_space", None)
        for kind in ("observation", "action")
    )
    observed_by, acted_by = _dict_of(observed), _dict_of(acted)
    if observed_by and acted_by and observed_by.keys() == acted_by.keys():
        return observed_by, {agent: acted_by[agent] for agent in observed_by}
    named = getattr(bare, "possible_agents", None)
    if not isinstance(named, (list, tuple)) or not named:
        return None
    by_agent = [part if part and part.keys() >= set(named) else None for part in (observed_by, acted_by)]
    if by_agent == [None, None] and not isinstance(observed, Space):
        return None
    observation_spaces, action_spaces = (
        {agent: whole if part is None else part[agent] for agent in named}
        for part, whole in zip(by_agent, (observed, acted), strict=True)
    )
    return observation_spaces, action_spaces


class ByAgent(ParallelEnv[Any, Any, Any]):
    """Shows such an environment as a `ParallelEnv`.

    Endings may be dicts by agent, with `__all__` or without, or one flag for all agents. An environment that reports
    `__all__` is sent actions of the agents that are present only, as RLlib's are. Any other is sent an action for every
    agent, idle ones for agents that have ended. One reward for the team is given to every agent and counts as the
    team's reward. An info that is not by agent is shown to all.

    Args:
        env: The environment.
        observation_spaces: Observation spaces, by agent.
        action_spaces: Action spaces, by agent.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], observation_spaces: dict[Any, Any], action_spaces: dict[Any, Any]
    ) -> None:
        self.env = env
        self.metadata = dict(getattr(env, "metadata", None) or {})
        self.render_mode = getattr(env, "render_mode", None)
        self.possible_agents = list(observation_spaces)
        self.agents: list[Any] = []
        self.notes: tuple[str, ...] = ()
        """Notes for the user, one line each."""
        self._observation_spaces, self._action_spaces = observation_spaces, action_spaces
        self._idle = {agent: idle_action(space) for agent, space in action_spaces.items()}
        self._only_living = False
        self._ended: set[Any] = set()
        self._absent: set[Any] = set()

    @property
    def unwrapped(self) -> Any:
        """The environment behind all wrappers."""
        return getattr(self.env, "unwrapped", self.env)

    def observation_space(self, agent: Any) -> Space[Any]:
        """Returns the same object on every call."""
        return self._observation_spaces[agent]

    def action_space(self, agent: Any) -> Space[Any]:
        """Returns the same object on every call."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode."""
        more = {} if options is None else {"options": options}  # MetaDrive's takes none
        observations, info = self.env.reset(seed=seed, **more)
        self._ended, self._absent = set(), set()
        self.agents = self._acting_next(observations)
        self._only_living |= len(self.agents) < len(self.possible_agents)
        return {agent: observations[agent] for agent in self.agents}, self._infos(info, self.agents)

    def step(self, actions: dict[Any, Any]) -> Any:
        """Advances the environment; the agents that acted and those that appeared are shown."""
        acted = self.agents
        sent = {agent: actions[agent] for agent in acted}
        observations, rewards, terminated, truncated, info = self.env.step(
            sent if self._only_living else self._idle | sent
        )
        died, stopped = _ends(terminated, truncated, acted)
        for ends in (terminated, truncated):
            self._only_living |= isinstance(ends, Mapping) and ALL in ends
        self._ended.update(agent for agent in acted if died[agent] or stopped[agent])
        there = self._acting_next(observations)
        self._absent.update(agent for agent in acted if agent not in self._ended and agent not in observations)
        self.agents = there
        shown = [
            agent for agent in self.possible_agents if agent in observations and (agent in acted or agent in there)
        ]
        infos = self._infos(info, shown)
        if not isinstance(rewards, Mapping):
            rewards = shared_reward(rewards, acted, infos)
            self.notes = (SHARED,)
        return (
            {agent: observations[agent] for agent in shown},
            {agent: rewards[agent] for agent in acted if agent in rewards},
            died,
            stopped,
            infos,
        )

    def render(self) -> Any:
        """Returns what the environment draws."""
        return draw(self.env)

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _acting_next(self, observations: Any) -> list[Any]:
        """Returns the agents that act next: those that have an observation and have not ended."""
        if not isinstance(observations, Mapping):
            raise RefusedError(f"observations are a {type(observations).__name__}; the spaces are dicts by agent")
        for agent in observations:
            if agent not in self._observation_spaces:
                raise RefusedError(
                    f"agent {agent!r} is not among those that the spaces name: {self.possible_agents}; an environment "
                    "must not invent names during an episode (MetaDrive: allow_respawn=False)"
                )
            if agent in self._absent:
                raise RefusedError(
                    f"agent {agent!r} has no observation in some steps, so not all agents act at once: Coterie does "
                    "not train on turn-based games"
                )
        return [agent for agent in self.possible_agents if agent in observations and agent not in self._ended]

    def _infos(self, info: Any, agents: list[Any]) -> dict[Any, dict[str, Any]]:
        if not isinstance(info, Mapping):
            raise RefusedError(f"infos are a {type(info).__name__}; a dict is expected, by agent or for all")
        named = self._observation_spaces
        common = {key: value for key, value in info.items() if key not in named and not str(key).startswith("__")}
        return {agent: {**common, **(info.get(agent) or {})} for agent in agents}


SHARED = "the environment gives one reward for all: every agent gets it, and it is the team's reward"


def shared_reward(reward: Any, agents: list[Any], infos: dict[Any, dict[str, Any]]) -> dict[Any, Any]:
    """Gives one reward to every agent, and writes it into `infos` as the team's reward.

    Raises:
        ValueError: The reward is not one number.
    """
    if np.size(reward) != 1:
        raise RefusedError(f"reward has shape {np.shape(reward)}; give one number for all agents, or one for each")
    reward = float(np.asarray(reward).item())
    for info in infos.values():
        info.setdefault("team_reward", reward)
    return dict.fromkeys(agents, reward)


def _ends(terminated: Any, truncated: Any, agents: list[Any]) -> tuple[dict[Any, bool], dict[Any, bool]]:
    """Returns by agent whether it died and whether it was truncated; `__all__` applies to agents without an entry."""
    (died, all_died), (stopped, all_stopped) = (
        ({agent: bool(ends.get(agent, False)) for agent in agents}, bool(ends.get(ALL, False)))
        if isinstance(ends, Mapping)
        else (dict.fromkeys(agents, False), bool(ends))
        for ends in (terminated, truncated)
    )
    for agent in agents:
        stopped[agent] |= all_stopped
        died[agent] |= all_died and not stopped[agent]
    return died, stopped


def _dict_of(spaces: Any) -> dict[Any, Any] | None:
    if isinstance(spaces, Dict):
        return dict(spaces.spaces)
    return dict(spaces) if isinstance(spaces, Mapping) else None
