"""An environment as PettingZoo's `ParallelEnv`, over a batch of one world.

Axes: N agents, O observation, S global state, A actions. The view has no dynamics: it turns dictionaries into rows and
back.

`infos[agent]` holds

    neighbors      names of the agents that the agent can hear
    cost           the agent's safety cost of this step
    team_reward    the global utility G of this step
    metrics        the metrics of the episode so far, by name; NaN where undefined
    action_mask    (A,) int8, 1 where an action is allowed; only in environments with action masks
"""

from __future__ import annotations

import math
from itertools import compress
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo.utils.env import ParallelEnv

from .core import Array, BatchEnv, Step
from .kit.actions import fault, row
from .window import Window, frames_a_step, shown_seconds

Reward = Literal["individual", "team", "difference", "shapley"]
RENDER_MODES = ("rgb_array", "human")

Infos = dict[str, dict[str, Any]]


class ParallelView(ParallelEnv[str, Array, Any]):
    """Steps one world of a `BatchEnv` with dictionaries by agent.

    Args:
        env: The environment.
        render_mode: None, `rgb_array`, or `human` for a window that follows `reset` and `step`.
        reward: The reward that `step` gives each agent: its own (`individual`), the global utility G (`team`), or G
            minus what G would be had the agent done its default action (`difference`), or the agent's Shapley value of
            G (`shapley`), which the environment must be built with `counterfactual="shapley"` for.

    Raises:
        ValueError: A mode is unknown, or the environment does not give what the reward is made of.
    """

    def __init__(self, env: BatchEnv, render_mode: str | None = None, reward: Reward = "individual") -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"unknown render_mode {render_mode!r}; allowed: None, {', '.join(RENDER_MODES)}")
        if reward not in get_args(Reward):
            raise ValueError(f"unknown reward {reward!r}; allowed: {', '.join(get_args(Reward))}")
        self.env = env
        self.render_mode = render_mode
        self.reward = reward
        self.metadata = {
            "name": env.name,
            "render_modes": list(RENDER_MODES),
            "is_parallelizable": True,
            "render_fps": 1.0 / shown_seconds(env.step_seconds),
        }
        self.possible_agents = list(env.agents)
        self.agents: list[str] = []
        self.state_space = env.state_space
        self.step_seconds = env.step_seconds
        # Each agent has a space object of its own, so that seeding one does not change what the others sample.
        self._observation_spaces = {agent: _fresh(env.observation_space) for agent in env.agents}
        self._action_spaces = {agent: _fresh(env.action_space) for agent in env.agents}

        # (N,) or (N, A), actions in the rows of agents that are not alive
        self._idle = np.repeat(_idle_action(env.action_space)[None], len(env.agents), axis=0)
        self._rng: np.random.Generator | None = None
        self._state: Any = None
        self._step: Step | None = None
        self._rows: list[int] = []  # indices of self.agents in possible_agents
        self._hearing: tuple[bytes, list[tuple[str, ...]]] = (b"", [])  # the last adjacency and its names
        self._window: Any = None
        kind = getattr(getattr(env, "config", None), "counterfactual", None)
        told = callable(getattr(env, "counterfactual", None))
        if reward in ("difference", "shapley") and not told and env.reset([0])[1].counterfactual is None:
            raise ValueError(
                f"reward={reward!r} needs counterfactuals, which {env.name} does not have; allowed here: individual, "
                "team"
            )
        if (reward, kind == "shapley") in (("shapley", False), ("difference", True)):
            fitting = "shapley" if kind == "shapley" else "difference"
            further = "; Shapley values need counterfactual='shapley', where an environment has them"
            raise ValueError(
                f"reward={reward!r} does not fit counterfactual={kind!r}; give reward={fitting!r}"
                f"{further if reward == 'shapley' else ''}"
            )

    def observation_space(self, agent: str) -> Box:
        """Returns the observation space of one agent: the same object on every call."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Box | Discrete:
        """Returns the action space of one agent: the same object on every call."""
        return self._action_spaces[agent]

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - PettingZoo's signature
    ) -> tuple[dict[str, Array], Infos]:
        """Starts an episode.

        Args:
            seed: Any integer of at least 0; it and the actions decide the whole episode. None draws a seed from this
                object's generator, which the last given seed has set, or the operating system if none was given.
            options: Ignored.

        Returns:
            Observations and infos of the agents that are alive.

        Raises:
            ValueError: The seed is something else.
        """
        if seed is not None:
            if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
                raise ValueError(f"seed is {seed!r}; it must be None or a whole number of at least 0")
            # Not default_rng(seed), because the world itself draws from that stream.
            self._rng = np.random.default_rng([int(seed), 1])
        else:
            if self._rng is None:
                self._rng = np.random.default_rng()
            seed = int(self._rng.integers(2**63))
        self._state, step = self.env.reset([int(seed)])
        self._step = step
        alive = step.alive[0].tolist()  # (N,)
        self._rows = [row for row, there in enumerate(alive) if there]
        self.agents = [self.possible_agents[row] for row in self._rows]
        if self.render_mode == "human":
            self.render()
        return self._observations(step, self.agents, self._rows), self._infos(step, self.agents, self._rows)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Array], dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Advances the world by one step.

        Args:
            actions: One action for each of `self.agents`. Actions of agents that have died are ignored.

        Returns:
            Observations, rewards, terminations, truncations and infos of the agents that acted, and of those born in
            this step. An agent that dies or reaches the time limit in this step still has its entries. An agent born
            in the last step of the episode has none, because PettingZoo's `parallel_to_aec` fails for an agent that
            never acts.

        Raises:
            RuntimeError: No episode is running. An exception is `step({})` after the end of an episode, which does
                nothing, because SuperSuit's `black_death_v3` calls it.
            ValueError: An action is missing, outside its space or not finite, or its agent is unknown.
        """
        if not actions and not self.agents and self._step is not None:
            return {}, {}, {}, {}, {}
        before = self._state
        batch = self._batch(actions)  # (1, N) or (1, N, A)
        self._state, step = self._advance(before, batch, actions)
        self._step = step

        agents, rows = self.agents, self._rows
        truncated = bool(step.truncated[0])
        alive = step.alive[0].tolist()  # (N,)
        if sum(alive) != len(rows) or not all(_pick(alive, rows)):
            self._rows = [row for row, there in enumerate(alive) if there]
            self.agents = [self.possible_agents[row] for row in self._rows]
            born = set(self._rows).difference(rows)
            if born and not truncated:
                rows = sorted(born.union(rows))
                agents = [self.possible_agents[row] for row in rows]
        if truncated:
            self.agents, self._rows = [], []

        if self.reward == "individual":
            pay = _pick(step.reward[0].tolist(), rows)
        elif self.reward == "team":
            pay = [float(step.team_reward[0])] * len(rows)
        else:
            pay = _pick(self._difference(before, batch, step).tolist(), rows)
        if self.render_mode == "human":
            self._follow(before)
        return (
            self._observations(step, agents, rows),
            dict(zip(agents, pay, strict=True)),
            dict(zip(agents, _pick(step.terminated[0].tolist(), rows), strict=True)),
            dict.fromkeys(agents, truncated),
            self._infos(step, agents, rows),
        )

    def state(self) -> Array:
        """Returns the global state that a centralised critic may read, (S,) float32."""
        return self._shown().state[0].copy()

    def adjacency(self) -> Array:
        """Returns (N, N) bool over `possible_agents`; [i, j]: agent i can hear agent j. The diagonal is False."""
        return self._shown().adjacency[0].copy()

    def counterfactual_rewards(self, actions: dict[str, Any]) -> dict[str, float]:
        """Returns each agent's difference reward D_i = G(actions) - G(actions with agent i's replaced by its default).

        With `counterfactual="shapley"` it is the agent's Shapley value.
        The world does not advance, because the environment's `step` is a pure function of the state.

        Args:
            actions: As for `step`.

        Raises:
            RuntimeError: No episode is running.
            ValueError: The actions are wrong, or the environment has no counterfactuals.
        """
        batch = self._batch(actions)
        _, step = self._advance(self._state, batch, actions)
        return dict(
            zip(self.agents, _pick(self._difference(self._state, batch, step).tolist(), self._rows), strict=True)
        )

    def check_action(self, agent: str, action: Any) -> None:
        """Raises the error with which `step` would refuse an agent's action.

        Raises:
            ValueError: The action is not in the agent's action space.
        """
        if wrong := fault(self._action_spaces[agent], action):
            raise ValueError(f"action of {agent} is {wrong}")

    def render(self) -> Array | None:
        """Returns a picture, (height, width, 3) uint8, in mode `rgb_array`; shows it in the window in mode `human`."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs render_mode='rgb_array' or 'human' when the environment is built")
            return None
        self._shown()
        frame = self.env.render(self._state, 0)
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            self._window = Window(self.env.name, frames_a_step(self.env) / shown_seconds(self.step_seconds))
        self._window.show(frame)
        return None

    def _follow(self, before: Any) -> None:
        """Shows the last step in the window, starting from the state before it."""
        n_frames = frames_a_step(self.env)
        between: Any = getattr(self.env, "between", None)
        for frame in range(1, n_frames):
            if self._window is not None and not self._window.shut:
                self._window.show(self.env.render(between(before, self._state, frame / n_frames), 0))
        self.render()

    def close(self) -> None:
        """Closes the window, if there is one. The episode can go on."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_window": None}

    def _shown(self) -> Step:
        if self._step is None:
            raise RuntimeError("no episode yet: call reset() first")
        return self._step

    def _batch(self, actions: dict[str, Any]) -> Array:
        """Returns the actions as rows, (1, N) or (1, N, A); agents that are not alive get an idle action."""
        if not self.agents:
            self._shown()
            raise RuntimeError("the episode is over: call reset() before the next step")
        batch, space = self._idle.copy(), self.env.action_space
        try:
            for index, agent in zip(self._rows, self.agents, strict=True):
                batch[index] = row(space, actions[agent])
        except Exception as error:  # converting a user's own type to a number may raise anything
            raise self._blame(actions, error) from None
        if len(actions) != len(self.agents) and not actions.keys() <= self._action_spaces.keys():
            raise self._blame(actions, None)
        return batch[None]

    def _advance(self, state: Any, batch: Array, actions: dict[str, Any]) -> tuple[Any, Step]:
        try:
            return self.env.step(state, batch)
        except ValueError as error:
            raise self._blame(actions, error) from error

    def _blame(self, actions: Any, error: Exception | None) -> Exception:
        """Returns an error that names the wrong action; called only when there is one, so good steps cost nothing."""
        if not isinstance(actions, dict):
            return ValueError(f"actions is a {type(actions).__name__}; it must be a dict of one action per agent")
        unknown = [agent for agent in actions if agent not in self._action_spaces]
        if unknown:
            return ValueError(f"actions for unknown agents {unknown}; agents are {self.agents}")
        missing = [agent for agent in self.agents if agent not in actions]
        if missing:
            return ValueError(f"no action for {', '.join(missing)}; each of {self.agents} needs one")
        for agent in self.agents:
            if wrong := fault(self._action_spaces[agent], actions[agent]):
                return ValueError(f"action of {agent} is {wrong}")
        return error if error is not None else ValueError(f"wrong actions: {actions!r}")

    def _difference(self, before: Any, batch: Array, step: Step) -> Array:
        """Returns the difference rewards D_i (N,) of a step from the state `before`."""
        without = step.counterfactual  # (1, N)
        if without is None:
            counterfactual = getattr(self.env, "counterfactual", None)
            if not callable(counterfactual):
                raise ValueError(f"{self.env.name} has no counterfactuals; use its reward or team_reward instead")
            without = np.asarray(counterfactual(before, batch))
        return (step.team_reward[:, None] - without)[0]

    def _observations(self, step: Step, agents: list[str], rows: list[int]) -> dict[str, Array]:
        # A copy, so that a caller who writes into an observation does not change the environment's arrays.
        return dict(zip(agents, _pick(list(step.obs[0].copy()), rows), strict=True))

    def _infos(self, step: Step, agents: list[str], rows: list[int]) -> Infos:
        team_reward = float(step.team_reward[0])
        metrics = {name: _equal_to_itself(value.item()) for name, value in step.metrics.items()}
        cost = step.cost[0].tolist()  # (N,)
        adjacency = step.adjacency[0]  # (N, N)
        seen = adjacency.tobytes()
        if seen != self._hearing[0]:
            self._hearing = (seen, [tuple(compress(self.possible_agents, row)) for row in adjacency.tolist()])
        hears = self._hearing[1]
        infos = {
            agent: {
                "neighbors": hears[row],
                "cost": cost[row],
                "team_reward": team_reward,
                "metrics": metrics.copy(),
            }
            for agent, row in zip(agents, rows, strict=True)
        }
        if step.action_mask is not None:
            masks = list(step.action_mask[0].astype(np.int8))  # PettingZoo's and Gymnasium's type; a copy
            for agent, row in zip(agents, rows, strict=True):
                infos[agent]["action_mask"] = masks[row]
        return infos


class Undefined(float):
    """A NaN that equals itself, for undefined metrics in infos.

    PettingZoo's seed tests compare the infos of equal episodes, and an ordinary NaN differs from itself.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and math.isnan(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return 0


_UNDEFINED = Undefined(math.nan)


def _equal_to_itself(value: float) -> float:
    return value if value == value else _UNDEFINED


def _fresh(space: Any) -> Any:
    """Returns a copy of a space, with a random stream of its own."""
    if isinstance(space, Discrete):
        return Discrete(int(space.n), start=int(space.start))
    return Box(low=space.low, high=space.high, dtype=space.dtype.type)


def _idle_action(space: Box | Discrete) -> Array:
    if isinstance(space, Discrete):
        return np.asarray(space.start, np.int64)
    return np.clip(np.zeros(space.shape, np.float32), space.low, space.high)


def _pick(values: list[Any], rows: list[int]) -> list[Any]:
    return values if len(rows) == len(values) else [values[row] for row in rows]
