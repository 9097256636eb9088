"""Shows the environment that a constructor builds as a `ParallelEnv`, be it PettingZoo's or Gymnasium's.

There are three kinds of Gymnasium environments:

- environments whose spaces and returned values are dicts by agent, such as MultiGrid's: see `by_agent`;
- list-style environments for many agents, such as RWARE: spaces in a `Tuple` or a list, observations and rewards in
  sequences;
- single-agent environments: a world has N independent copies, one for each agent, as a population of learners on one
  task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Space, Tuple
from pettingzoo.utils.conversions import aec_to_parallel
from pettingzoo.utils.env import AECEnv, ParallelEnv

from .by_agent import SHARED, ByAgent, shared_reward, spaces_by_agent
from .closing import close
from .film import draw
from .refusals import RefusedError
from .seeds import copy_seed
from .spaces import MASK, idle_action


def as_parallel(build: Callable[[], Any], n_copies: int = 1) -> ParallelEnv[Any, Any, Any]:
    """Builds an environment and shows it as a `ParallelEnv`.

    Args:
        build: Makes the environment.
        n_copies: Number of copies of a single-agent Gymnasium environment; 1 for all others.

    Raises:
        ValueError: The environment is of no kind that can be shown in this way; the message says why.
    """
    env = build()
    if isinstance(env, gymnasium.Env):
        if by_agent := spaces_by_agent(env):
            parallel: Any = ByAgent(env, *by_agent)
        elif isinstance(env.action_space, (Tuple, list, tuple)):
            parallel = ListStyle(env)
        else:
            return Copies([env, *(build() for _ in range(n_copies - 1))])
    elif isinstance(env, AECEnv):
        if not env.metadata.get("is_parallelizable", False):
            raise ValueError(
                f"{env} is a turn-based game (its metadata has no is_parallelizable); Coterie trains on environments "
                "in which all agents act at once"
            )
        parallel = aec_to_parallel(env)
    elif callable(getattr(env, "step", None)) and hasattr(env, "possible_agents"):  # not all subclass ParallelEnv
        by_agent = None if callable(getattr(env, "observation_space", None)) else spaces_by_agent(env)
        parallel = ByAgent(env, *by_agent) if by_agent else env
    else:
        older = any(kind.__module__.partition(".")[0] == "gym" for kind in type(env).__mro__)
        mend = "; it is an environment of the older gym, which shimmy converts to Gymnasium" if older else ""
        raise ValueError(
            f"the constructor gave a {type(env).__name__}; allowed are PettingZoo's ParallelEnv and AECEnv, and "
            f"gymnasium.Env{mend}"
        )
    if n_copies != 1:
        raise ValueError(
            f"n_copies is {n_copies}, but the environment has agents of its own; only single-agent Gymnasium "
            "environments are copied"
        )
    return parallel


class ListStyle(ParallelEnv[str, Any, Any]):
    """Shows a Gymnasium environment whose spaces, observations and rewards are sequences over agents.

    Endings and rewards may be sequences or one for all agents; one reward for all counts as the team's reward. For an
    agent that has ended while others go on, the environment is sent an idle action. `info` may be a sequence with one
    dict for each agent. A single dict is shown to every agent, and each agent gets its own element of sequences of
    length N under `action_mask` and `cost`.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        acted, observed = _spaces(env.action_space), _spaces(env.observation_space)
        if len(observed) != len(acted):
            raise ValueError(
                f"action_space has {len(acted)} spaces, observation_space is {env.observation_space}; in a list-style "
                "environment both must be a Tuple, or a list, with one space for each agent"
            )
        self.env = env
        self.metadata = dict(env.metadata)
        self.render_mode = env.render_mode
        self.spec = env.spec
        self.possible_agents = [f"agent_{i}" for i in range(len(acted))]
        self.agents: list[str] = []
        self.notes: tuple[str, ...] = ()
        """Notes for the user, one line each."""
        self._observation_spaces = dict(zip(self.possible_agents, observed, strict=True))
        self._action_spaces = dict(zip(self.possible_agents, acted, strict=True))

    @property
    def unwrapped(self) -> Any:
        """The environment behind all wrappers."""
        return self.env.unwrapped

    def observation_space(self, agent: str) -> Space[Any]:
        """Returns the same object on every call."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """Returns the same object on every call."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode."""
        observations, info = self.env.reset(seed=seed, **({} if options is None else {"options": options}))
        self.agents = self.possible_agents[:]
        _refuse_other_length("observations", observations, self.agents)
        return dict(zip(self.agents, observations, strict=True)), self._infos(info)

    def step(self, actions: dict[str, Any]) -> Any:
        """Advances the environment; only agents that acted are shown."""
        agents = self.possible_agents
        spaces = self._action_spaces
        chosen = tuple(actions[agent] if agent in actions else idle_action(spaces[agent]) for agent in agents)
        observations, rewards, terminated, truncated, info = self.env.step(chosen)
        _refuse_other_length("observations", observations, agents)
        died = dict(zip(agents, _each(terminated, len(agents)), strict=True))
        stopped = dict(zip(agents, _each(truncated, len(agents)), strict=True))
        infos = self._infos(info)
        acted = self.agents
        paid: Any = rewards  # a sequence, or one number for all agents
        if np.ndim(paid) == 0 and not isinstance(paid, Sequence):
            paid = list(shared_reward(paid, agents, infos).values())
            self.notes = (SHARED,)
        _refuse_other_length("rewards", paid, agents)
        self.agents = [agent for agent in acted if not (died[agent] or stopped[agent])]
        rows = [agents.index(agent) for agent in acted]
        return (
            {agents[i]: observations[i] for i in rows},
            {agents[i]: paid[i] for i in rows},
            {agent: died[agent] for agent in acted},
            {agent: stopped[agent] for agent in acted},
            {agent: infos[agent] for agent in acted},
        )

    def render(self) -> Any:
        """Returns what the environment draws."""
        return draw(self.env)

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _infos(self, info: Any) -> dict[str, dict[str, Any]]:
        agents = self.possible_agents
        if not isinstance(info, dict):
            return {agent: dict(own) for agent, own in zip(agents, info, strict=True)}
        infos = {agent: dict(info) for agent in agents}
        for key in (MASK, "cost"):
            if isinstance(info.get(key), (list, tuple, np.ndarray)) and len(info[key]) == len(agents):
                for agent, own in zip(agents, info[key], strict=True):
                    infos[agent][key] = own
        return infos


class Copies(ParallelEnv[str, Any, Any]):
    """Shows N independent copies of a single-agent Gymnasium environment, one for each of N learners.

    Each copy terminates or is truncated by itself. Its agent is then not alive until the world's next episode, which
    starts when the last copy has ended. A copy that has ended is not stepped, and its rows are masked out of every
    loss. Cutting the longest episodes short instead would bias every mean return. So copies need a time limit
    (`time_limit`).

    Copy i of a world is seeded from the world's seed and i.
    """

    def __init__(self, envs: Sequence[gymnasium.Env[Any, Any]]) -> None:
        self.envs = dict(zip((f"learner_{i}" for i in range(len(envs))), envs, strict=True))
        self.metadata = dict(envs[0].metadata)
        self.render_mode = envs[0].render_mode
        self.spec = envs[0].spec
        self.possible_agents = list(self.envs)
        self.agents: list[str] = []

    @property
    def unwrapped(self) -> Any:
        """The environment behind all wrappers of the first copy."""
        return next(iter(self.envs.values())).unwrapped

    def observation_space(self, agent: str) -> Space[Any]:
        """Returns the same object on every call."""
        return self.envs[agent].observation_space

    def action_space(self, agent: str) -> Space[Any]:
        """Returns the same object on every call."""
        return self.envs[agent].action_space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode in every copy."""
        self.agents = self.possible_agents[:]
        more = {} if options is None else {"options": options}  # not every reset() takes options
        observations, infos = {}, {}
        for i, (agent, env) in enumerate(self.envs.items()):
            own = None if seed is None else copy_seed(seed, i)
            observations[agent], infos[agent] = env.reset(seed=own, **more)
        return observations, infos

    def step(self, actions: dict[str, Any]) -> Any:
        """Advances the copies whose agents act."""
        return self.tell([self.envs[agent].step(actions[agent]) for agent in self.agents])

    def tell(self, came: Sequence[tuple[Any, Any, Any, Any, Any]]) -> Any:
        """Turns what the copies' `step` returned, in the order of `agents`, into PettingZoo's five dictionaries."""
        observations, rewards, terminations, truncations, infos = (
            dict(zip(self.agents, column, strict=True)) for column in zip(*came, strict=True)
        )
        self.agents = [agent for agent in self.agents if not (terminations[agent] or truncations[agent])]
        return observations, rewards, terminations, truncations, infos

    def render(self) -> Any:
        """Returns one picture with all copies side by side."""
        frames = [np.asarray(draw(env)) for env in self.envs.values()]
        if any(frame.ndim != 3 for frame in frames):
            return frames[0]
        columns = math.ceil(math.sqrt(len(frames)))
        frames += [np.zeros_like(frames[0])] * (-len(frames) % columns)
        rows = [np.concatenate(frames[i : i + columns], axis=1) for i in range(0, len(frames), columns)]
        return np.concatenate(rows, axis=0)

    def close(self) -> None:
        """Closes all copies, also if closing one of them fails.

        Raises:
            RuntimeError: Closing a copy failed; the message is that of the first one.
        """
        failed = [said for said in map(close, self.envs.values()) if said]
        if failed:
            raise RuntimeError(failed[0])


def _spaces(space: Any) -> tuple[Any, ...]:
    """Returns the spaces in a `Tuple` or a sequence; () for anything else."""
    if isinstance(space, Tuple):
        return space.spaces
    return tuple(space) if isinstance(space, (list, tuple)) else ()


def _refuse_other_length(what: str, came: Any, agents: Sequence[str]) -> None:
    if len(came) != len(agents):
        known = f"{len(agents)}: {', '.join(agents)}"
        raise RefusedError(f"there are {len(came)} {what}; each agent must get one, and there are {known}")


def _each(flags: Any, n: int) -> list[bool]:
    """Returns one flag for each agent, from a sequence or one flag for all."""
    if isinstance(flags, (list, tuple, np.ndarray)) and np.ndim(flags) == 1:
        if len(flags) != n:
            raise RefusedError(
                f"there are {len(flags)} flags of endings; give one for all agents, or one for each of {n}"
            )
        return [bool(flag) for flag in flags]
    return [bool(flags)] * n
