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
"""The key with which RLlib's kind says that the episode ended for all."""


def spaces_by_agent(env: gymnasium.Env[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]] | None:
    """Observation and action spaces by agent; None for an environment that is not of this kind.

    It is, where both spaces are dicts with the same keys, or where the environment names its agents in
    `possible_agents` and one of the two is such a dict; the other space is then every agent's.
    """
    bare = getattr(env, "unwrapped", env)
    seen, done = (
        _dict_of(getattr(bare, f"{kind}_spaces", None)) or getattr(env, f"{kind}_space", None)
        for kind in ("observation", "action")
    )
    seen_by, done_by = _dict_of(seen), _dict_of(done)
    if seen_by and done_by and seen_by.keys() == done_by.keys():
        return seen_by, {agent: done_by[agent] for agent in seen_by}
    named = getattr(bare, "possible_agents", None)
    if not isinstance(named, (list, tuple)) or not named:
        return None
    by_agent = [part if part and part.keys() >= set(named) else None for part in (seen_by, done_by)]
    if by_agent == [None, None] and not isinstance(seen, Space):
        return None
    seen_all, done_all = (
        {agent: whole if part is None else part[agent] for agent in named}
        for part, whole in zip(by_agent, (seen, done), strict=True)
    )
    return seen_all, done_all


class ByAgent(ParallelEnv[Any, Any, Any]):
    """Such an environment as a `ParallelEnv`.

    Endings may be dicts by agent, with `__all__` or without, or one flag for all. An environment that says `__all__`
    gets actions of those agents alone that are there, as RLlib's do; any other gets an action of its whole space, idle
    ones for agents that ended. One reward for the team goes to every agent, and is the team's reward. An info that is
    not by agent is shown to all.

    Args:
        env: The environment.
        seen: Observation spaces by agent.
        done: Action spaces by agent.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], seen: dict[Any, Any], done: dict[Any, Any]) -> None:
        self.env = env
        self.metadata = dict(getattr(env, "metadata", None) or {})
        self.render_mode = getattr(env, "render_mode", None)
        self.possible_agents = list(seen)
        self.agents: list[Any] = []
        self.notes: tuple[str, ...] = ()
        """What a user should know, a line each."""
        self._seen, self._done = seen, done
        self._idle = {agent: idle_action(space) for agent, space in done.items()}
        self._only_living = False
        self._ended: set[Any] = set()
        self._absent: set[Any] = set()

    @property
    def unwrapped(self) -> Any:
        """The environment behind all wrappers."""
        return getattr(self.env, "unwrapped", self.env)

    def observation_space(self, agent: Any) -> Space[Any]:
        """The identical object on every call."""
        return self._seen[agent]

    def action_space(self, agent: Any) -> Space[Any]:
        """The identical object on every call."""
        return self._done[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode."""
        more = {} if options is None else {"options": options}  # MetaDrive's takes none
        observations, info = self.env.reset(seed=seed, **more)
        self._ended, self._absent = set(), set()
        self.agents = self._there(observations)
        self._only_living |= len(self.agents) < len(self.possible_agents)
        return {agent: observations[agent] for agent in self.agents}, self._infos(info, self.agents)

    def step(self, actions: dict[Any, Any]) -> Any:
        """Steps; agents that acted and agents that came are shown."""
        acted = self.agents
        sent = {agent: actions[agent] for agent in acted}
        observations, rewards, terminated, truncated, info = self.env.step(
            sent if self._only_living else self._idle | sent
        )
        died, stopped = _ends(terminated, truncated, acted)
        for ends in (terminated, truncated):
            self._only_living |= isinstance(ends, Mapping) and ALL in ends
        self._ended.update(agent for agent in acted if died[agent] or stopped[agent])
        there = self._there(observations)
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
        """Whatever the environment draws."""
        return draw(self.env)

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _there(self, observations: Any) -> list[Any]:
        """Returns the agents that act next: those that are observed and have not ended."""
        if not isinstance(observations, Mapping):
            raise RefusedError(f"observations are a {type(observations).__name__}; the spaces are dicts by agent")
        for agent in observations:
            if agent not in self._seen:
                raise RefusedError(
                    f"agent {agent!r} is not among those that the spaces name: {self.possible_agents}; an environment "
                    "that makes up new names as it goes must stop that (MetaDrive: allow_respawn=False)"
                )
            if agent in self._absent:
                raise RefusedError(
                    f"agent {agent!r} was not observed in every step, so not all agents act at once: Coterie does not "
                    "train on games of turns"
                )
        return [agent for agent in self.possible_agents if agent in observations and agent not in self._ended]

    def _infos(self, info: Any, agents: list[Any]) -> dict[Any, dict[str, Any]]:
        if not isinstance(info, Mapping):
            raise RefusedError(f"infos are a {type(info).__name__}; a dict is expected, by agent or for all")
        common = {key: value for key, value in info.items() if key not in self._seen and not str(key).startswith("__")}
        return {agent: {**common, **(info.get(agent) or {})} for agent in agents}


SHARED = "the environment gives one reward for all: every agent gets it, and it is the team's reward"


def shared_reward(reward: Any, agents: list[Any], infos: dict[Any, dict[str, Any]]) -> dict[Any, Any]:
    """One reward for all, dealt out to every agent, and into `infos` as the team's.

    Raises:
        ValueError: It is not one number.
    """
    if np.size(reward) != 1:
        raise RefusedError(f"reward has shape {np.shape(reward)}; one number for all is expected, or one an agent")
    reward = float(np.asarray(reward).item())
    for info in infos.values():
        info.setdefault("team_reward", reward)
    return dict.fromkeys(agents, reward)


def _ends(terminated: Any, truncated: Any, agents: list[Any]) -> tuple[dict[Any, bool], dict[Any, bool]]:
    """Returns by agent whether it died, and whether it was stopped; `__all__` holds for agents that are not named."""
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
