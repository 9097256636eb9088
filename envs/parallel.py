"""An environment as PettingZoo knows it: a `ParallelEnv` over a batch of one world.

Axes: N agents, O observation, A actions. No dynamics of its own: it turns dictionaries into rows and back.

`infos[agent]` holds

    neighbors      names of the agents it can hear
    cost           its safety cost of this step
    team_reward    the global utility of this step
    metrics        the episode's metrics so far, by name; NaN where undefined
    action_mask    (A,) int8, 1 where allowed; only in environments that need one
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

Reward = Literal["individual", "team", "difference"]
RENDER_MODES = ("rgb_array", "human")
LONGEST_STEP, FRAME_RATE = 0.5, 20.0
"""A window shows a control step for its own time, but for no longer than this [s]; frames a second where there are
moments to draw between two steps."""

Infos = dict[str, dict[str, Any]]


class ParallelView(ParallelEnv[str, Array, Any]):
    """Steps one world of a `BatchEnv` by dictionaries.

    Args:
        env: The dynamics.
        render_mode: None, `rgb_array` or `human` (a window that follows reset and step).
        reward: What `step` pays each agent: its own reward (`individual`), the global utility G (`team`), or
            G minus what G had been had the agent done its default action (`difference`).

    Raises:
        ValueError: A mode is unknown, or the environment offers no counterfactuals for `difference`.
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
            "render_fps": 1.0 / min(env.step_seconds, LONGEST_STEP),
        }
        self.possible_agents = list(env.agents)
        self.agents: list[str] = []
        self.state_space = env.state_space
        self.step_seconds = env.step_seconds
        # One space an agent, so that seeding one leaves the others alone.
        self._observation_spaces = {agent: _fresh(env.observation_space) for agent in env.agents}
        self._action_spaces = {agent: _fresh(env.action_space) for agent in env.agents}

        # (N,) or (N, A), the rows of agents that are not there
        self._idle = np.repeat(_idle_action(env.action_space)[None], len(env.agents), axis=0)
        self._rng: np.random.Generator | None = None
        self._state: Any = None
        self._step: Step | None = None
        self._rows: list[int] = []  # of self.agents among possible_agents
        self._hearing: tuple[bytes, list[tuple[str, ...]]] = (b"", [])  # adjacency seen last, and its names
        self._window: Any = None
        if reward == "difference" and not callable(getattr(env, "counterfactual", None)):
            _, probe = env.reset([0])
            if probe.counterfactual is None:
                raise ValueError(
                    f"reward='difference' needs counterfactuals, which {env.name} does not offer; "
                    "allowed here: individual, team"
                )

    def observation_space(self, agent: str) -> Box:
        """The space of one agent: the identical object on every call."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Box | Discrete:
        """The space of one agent: the identical object on every call."""
        return self._action_spaces[agent]

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - PettingZoo's signature
    ) -> tuple[dict[str, Array], Infos]:
        """Starts an episode.

        Args:
            seed: The episode is a function of it and the actions. None draws the next one from this object's own
                generator, which the last given seed set; from the operating system if there never was one.
            options: Ignored.
        """
        if seed is not None:
            if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
                raise ValueError(f"seed is {seed!r}; it must be None or a whole number of at least 0")
            # Not default_rng(seed): the world itself draws from that stream.
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
        """Advances the world by one control step.

        Args:
            actions: One for each of `self.agents`. Those of agents that are gone are ignored.

        Returns:
            Observations, rewards, terminations, truncations and infos of the agents that acted and of those just
            born, who are left out in the last step: they would never act, which PettingZoo's `parallel_to_aec` takes
            for impossible. Who died or reached the time limit is in there for the last time.

        Raises:
            RuntimeError: No episode is running. Only `step({})` after an end is not refused, and does nothing:
                SuperSuit's `black_death_v3` calls it.
            ValueError: An action is missing, outside its space or not finite, or belongs to no agent.
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
        """(S,) float32: what a centralised critic may see."""
        return self._shown().state[0].copy()

    def adjacency(self) -> Array:
        """(N, N) bool over `possible_agents`; [i, j]: i can hear j. The diagonal is False."""
        return self._shown().adjacency[0].copy()

    def counterfactual_rewards(self, actions: dict[str, Any]) -> dict[str, float]:
        """What each agent's action would contribute: D_i = G(actions) - G(actions, but i does its default action).

        The world does not move: the step is a pure function of a kept state.

        Args:
            actions: As for `step`.

        Raises:
            ValueError: The actions are wrong, or the environment offers no counterfactuals.
        """
        batch = self._batch(actions)
        _, step = self._advance(self._state, batch, actions)
        return dict(
            zip(self.agents, _pick(self._difference(self._state, batch, step).tolist(), self._rows), strict=True)
        )

    def check_action(self, agent: str, action: Any) -> None:
        """Refuses what is no action of the agent, as `step` would.

        Raises:
            ValueError: It is not in the agent's action space.
        """
        if wrong := fault(self._action_spaces[agent], action):
            raise ValueError(f"action of {agent} is {wrong}")

    def render(self) -> Array | None:
        """(height, width, 3) uint8 in mode `rgb_array`; None in mode `human`, which draws into its window."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode: give render_mode='rgb_array' or 'human' to the env")
            return None
        self._shown()
        frame = self.env.render(self._state, 0)
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            self._window = _Window(self.env.name, self._frames_a_step / min(self.step_seconds, LONGEST_STEP))
        self._window.show(frame)
        return None

    @property
    def _frames_a_step(self) -> int:
        blends = callable(getattr(self.env, "between", None))
        return max(1, round(min(self.step_seconds, LONGEST_STEP) * FRAME_RATE)) if blends else 1

    def _follow(self, before: Any) -> None:
        """Shows the way from the state before the last step in the window."""
        n_frames = self._frames_a_step
        between: Any = getattr(self.env, "between", None)
        for frame in range(1, n_frames):
            if self._window is not None and not self._window.shut:
                self._window.show(self.env.render(between(before, self._state, frame / n_frames), 0))
        self.render()

    def close(self) -> None:
        """Closes the window, if there is one. The world stays as it is."""
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
        """The actions as rows, (1, N) or (1, N, A), with idle rows for agents that are not there."""
        if not self.agents:
            self._shown()
            raise RuntimeError("the episode is over: call reset() before the next step")
        batch, space = self._idle.copy(), self.env.action_space
        try:
            for index, agent in zip(self._rows, self.agents, strict=True):
                batch[index] = row(space, actions[agent])
        except Exception as error:  # somebody's own type may raise anything on its way to a number
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
        """Finds whose action is wrong; only called when one is, so that a good step pays nothing for it."""
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
        """(N,) D_i of a step from `before`."""
        without = step.counterfactual  # (1, N)
        if without is None:
            counterfactual = getattr(self.env, "counterfactual", None)
            if not callable(counterfactual):
                raise ValueError(f"{self.env.name} offers no counterfactuals; use its reward or team_reward instead")
            without = np.asarray(counterfactual(before, batch))
        return (step.team_reward[:, None] - without)[0]

    def _observations(self, step: Step, agents: list[str], rows: list[int]) -> dict[str, Array]:
        # One copy for all, so that nothing the caller writes into reaches the environment.
        return dict(zip(agents, _pick(list(step.obs[0].copy()), rows), strict=True))

    def _infos(self, step: Step, agents: list[str], rows: list[int]) -> Infos:
        team_reward = float(step.team_reward[0])
        metrics = {name: _told(value.item()) for name, value in step.metrics.items()}
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
    """NaN that equals itself, for infos.

    Equal episodes have equal infos then, also where a metric is undefined; PettingZoo's seed tests ask for that.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and math.isnan(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return 0


_UNDEFINED = Undefined(math.nan)


def _told(value: float) -> float:
    return value if value == value else _UNDEFINED


class _Window:
    """A window that shows frames at the speed of the simulated clock."""

    def __init__(self, title: str, frames_per_second: float) -> None:
        self.title = title
        self.frames_per_second = frames_per_second
        self.shut = False
        self._screen: Any = None
        self._clock: Any = None

    def show(self, frame: Array) -> None:
        import pygame  # here, so that training and headless pictures never need a display

        if self.shut:
            return
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption(self.title)
            self._screen = pygame.display.set_mode((frame.shape[1], frame.shape[0]))
            self._clock = pygame.time.Clock()
        self._screen.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))  # pygame is width first
        pygame.display.flip()
        self._clock.tick(self.frames_per_second)
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            self.close()
            self.shut = True  # who closed the window by hand does not want it back at the next step

    def close(self) -> None:
        if self._screen is not None:
            import pygame

            pygame.display.quit()
            self._screen = None


def _fresh(space: Any) -> Any:
    """The same space with a random stream of its own."""
    if isinstance(space, Discrete):
        return Discrete(int(space.n), start=int(space.start))
    return Box(low=space.low, high=space.high, dtype=space.dtype.type)


def _idle_action(space: Box | Discrete) -> Array:
    if isinstance(space, Discrete):
        return np.asarray(space.start, np.int64)
    return np.clip(np.zeros(space.shape, np.float32), space.low, space.high)


def _pick(values: list[Any], rows: list[int]) -> list[Any]:
    return values if len(rows) == len(values) else [values[row] for row in rows]
