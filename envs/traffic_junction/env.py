"""The traffic junction as a `BatchEnv`: cars drive, new ones enter, then charges and observations.

Axes: B worlds, N agents, C cars that may be on the roads at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..core import Array
from ..kit.actions import checked
from . import steps, traffic
from .config import Config
from .counterfactual import team_reward_without_each
from .metrics import METRICS
from .observe import Shown, obs_names, observation_space_of, sensors_of, state_space_of
from .routes import PLANS, network_of
from .start import most_arrivals, start
from .state import NAME, PLACE, State, copied
from .traffic import Outcome

VERSION = 0
ACTIONS = "gas, brake"
"""The two actions, in order, for messages."""


class TrafficJunction:
    """B maps with up to N cars each. See the package's docstring for everything a user needs to know."""

    name = f"traffic_junction_v{VERSION}"
    step_seconds = 0.5
    headline_metrics = ("success", "throughput")

    def __init__(self, config: Config) -> None:
        """Lays out the roads and fixes the spaces."""
        self.config = config
        self.network = network_of(config.difficulty, config.vision)
        self.n_agents = most_arrivals(config)
        self.agents = tuple(f"car_{i}" for i in range(self.n_agents))
        self.max_steps = config.max_steps
        if config.encoding == "compact":  # in the other one no two entries say where the agent is
            self.pose = (0, 1)
            self.pose_scale = float(PLANS[config.difficulty].size - 1)
        self._rules = traffic.rules_of(config, self.n_agents)
        self._sensors = sensors_of(config)
        self.observation_space: Box = observation_space_of(config, self.network)
        self.obs_names = obs_names(config, self.network)
        self.state_space: Box = state_space_of(config, self.network)
        self.action_space: Box | Discrete = Discrete(2)

    def __reduce__(self) -> tuple[type[TrafficJunction], tuple[Config]]:
        """Builds copies anew: copied tables would be writable, and numba compiles kernels again for writable arrays."""
        return type(self), (self.config,)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds with a car each; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, seeds)
        shown, outcome = self._blank(len(seeds)), self._no_outcome(len(seeds))
        steps.begin_and_show(self.network, self._rules, self._sensors, state, shown)
        step = self._step_of(state, outcome, shown)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=np.zeros(shown.alive.shape, np.float32))
        return state, step

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by one step; see `envs.core.BatchEnv.step`."""
        worlds = len(state.step)
        action = self._checked(state, action)
        after, shown, outcome = copied(state), self._blank(worlds), self._no_outcome(worlds)
        steps.advance_and_show(self.network, self._rules, self._sensors, after, action, outcome, shown)
        step = self._step_of(after, outcome, shown)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=self._without(state, action))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """Returns G had car i not been there, for every i: (B, N)."""
        return self._without(state, self._checked(state, action))

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.traffic_junction.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(self.config, core.take_worlds(state, np.array([world])))

    def between(self, before: State, after: State, share: float) -> State:
        """Returns a state to draw between two successive states: cars are on their way, all else is as before."""
        place = np.full((len(before.step), self.n_agents), -1)  # (B, N) afterwards
        for b, live in enumerate(after.live):
            place[b, after.car[b, :live, NAME]] = after.car[b, :live, PLACE]
        stays = np.take_along_axis(place, before.car[:, :, NAME].astype(np.intp), axis=1) == before.car[:, :, PLACE]
        car = before.car.astype(np.float32)
        car[:, :, PLACE] += share * ~stays
        return before._replace(car=car)

    def _checked(self, state: State, action: Array) -> Array:
        """Returns the actions as (B, N) int8."""
        alive = np.zeros((len(state.step), self.n_agents), bool)
        steps.find_alive(state.car, state.live, alive)
        return checked(self.action_space, action, alive, ACTIONS).astype(np.int8, order="C")

    def _no_outcome(self, worlds: int) -> Outcome:
        shape = (worlds, self.n_agents)
        return Outcome(
            np.zeros(shape, np.float32), np.zeros(worlds), np.zeros(shape, np.float32), np.zeros(shape, bool)
        )

    def _blank(self, worlds: int) -> Shown:
        n = self.n_agents
        return Shown(
            np.zeros((worlds, n, *self.observation_space.shape), np.float32),
            np.zeros((worlds, *self.state_space.shape), np.float32),
            np.zeros((worlds, n, n), bool),
            np.zeros((worlds, n), bool),
            np.empty((len(METRICS), worlds)),
        )

    def _step_of(self, state: State, outcome: Outcome, shown: Shown) -> core.Step:
        """Returns the `Step` that shows a state, with the charges that came with it."""
        return core.Step(
            obs=shown.obs,
            state=shown.global_state,
            adjacency=shown.adjacency,
            alive=shown.alive,
            action_mask=None,
            reward=outcome.reward,
            team_reward=outcome.team_reward.astype(np.float32),
            counterfactual=None,
            cost=outcome.cost,
            terminated=outcome.terminated,
            truncated=state.step >= self.max_steps,
            metrics=dict(zip(METRICS, shown.metrics, strict=True)),
        )

    def _without(self, state: State, action: Array) -> NDArray[np.float32]:
        team_reward = np.empty(action.shape)
        team_reward_without_each(self.network, self._rules, copied(state), action, team_reward)
        return team_reward.astype(np.float32)
