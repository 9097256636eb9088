"""The intersection as a `BatchEnv`: announcements, motion, judgement, entries, observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..core import Array
from ..kit.actions import checked
from ..kit.counterfactual import without_each
from . import judge, motion, planner
from .config import ACCELERATION, DECELERATION, Config
from .metrics import metrics_of
from .network import network_of
from .observe import obs_size, observe, sensors_of, state_size
from .planner import LIAR_RULE, PRIMITIVES, Rule
from .start import start
from .state import ARRIVED, CONTROL_STEP, DRIVING, POSITION, SPEED, State, copied

VERSION = 1
WINDOW_STEP = 3.0
"""Time between two windows that can be announced [s]."""
N_WINDOWS, N_BIDS = 3, 2
"""Windows and bids that a discrete action chooses from."""


class Orders(NamedTuple):
    """What actions mean, for all cars; rows of cars that are not on the road mean nothing."""

    accel: Array  # (B, V) acceleration [m/s^2]
    later: Array  # (B, V) how much later than possible the car announces to pass its line [s]
    bid: Array  # (B, V)


class Intersection:
    """B road networks with N vehicles each. See the package's docstring for everything a user needs to know."""

    name = f"intersection_v{VERSION}"
    step_seconds = CONTROL_STEP
    headline_metrics = ("success", "delay", "crash_rate")

    def __init__(self, config: Config) -> None:
        """Lays out the roads and fixes the spaces."""
        self.config = config
        self.network = network_of(config)
        self.n_agents = config.n_vehicles
        self.n_cars = config.n_vehicles + config.n_liars
        self.agents = tuple(f"vehicle_{i}" for i in range(self.n_agents))
        self.max_steps = config.max_steps
        self.declared = config.intent == "declared"
        self._sensors = sensors_of(config, self.network)
        self._weights = judge.weights_of(config)
        self._traffic = motion.traffic_of(config)
        self.observation_space = Box(-1.0, 1.0, (obs_size(self._sensors),), np.float32)
        self.state_space = Box(-1.0, 1.0, (state_size(self.n_cars),), np.float32)
        n_choices = len(PRIMITIVES) * (N_WINDOWS * N_BIDS if self.declared else 1)
        self.action_space: Box | Discrete = (
            Box(-1.0, 1.0, (3 if self.declared else 1,), np.float32) if config.continuous else Discrete(n_choices)
        )

    def __reduce__(self) -> tuple[type[Intersection], tuple[Config]]:
        """Builds copies anew: copied tables would be writable, and numba compiles kernels again for writable arrays."""
        return type(self), (self.config,)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, self.network, seeds)
        motion.admit(self._traffic, self.network, state)
        agents = (len(seeds), self.n_agents)
        nothing = np.zeros(agents)
        step = self._show(state, nothing, np.zeros(len(seeds)), nothing, np.zeros(agents, dtype=bool))
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=np.zeros(agents, dtype=np.float32))
        return state, step

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by 0.5 s; see `envs.core.BatchEnv.step`."""
        orders = self._decode(state, action)
        after, *outcome = self._advance(state, orders)
        step = self._show(after, *outcome)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=self._counterfactual(state, orders))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """G had vehicle i braked as hard as it can or, with `counterfactual="absent"`, not been there: (B, N)."""
        return self._counterfactual(state, self._decode(state, action))

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.intersection.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        state = core.take_worlds(state, np.array([world]))
        return draw(self.config, state, self.adjacency(state)[0])

    def between(self, before: State, after: State, share: float) -> State:
        """What to draw of a moment between two successive states: cars on their way, all else as before."""
        car = before.car.copy()
        on_road = before.status == DRIVING
        for column in (POSITION, SPEED):
            way = after.car[:, :, column] - before.car[:, :, column]
            car[:, :, column] += share * np.where(on_road, way, 0.0)
        return before._replace(car=car)

    def plan(self, state: State, rule: Rule, first: int = 0) -> tuple[Array, Array]:
        """Plans for all cars by a right-of-way rule, or for those from index `first` on.

        Returns:
            (B, V) indices into `planner.PRIMITIVES`, and (B, V) time until the cars pass their lines [s].
        """
        choice, passing = np.zeros(state.status.shape, dtype=np.int64), np.zeros(state.status.shape)
        planner.plan(rule, self.network, state, first, choice, passing)
        return choice, passing

    def adjacency(self, state: State) -> NDArray[np.bool_]:
        """(B, N, N): who can hear whom."""
        return self._observed(state)[1]

    def _decode(self, state: State, action: Array) -> Orders:
        """What actions mean; scripted cars get their orders, too."""
        accel, later, bid = (np.zeros(state.status.shape) for _ in range(3))
        n = self.n_agents
        action = checked(self.action_space, action, state.status[:, :n] == DRIVING)
        if isinstance(self.action_space, Discrete):
            accel[:, :n] = PRIMITIVES[action % len(PRIMITIVES)]
            if self.declared:
                later[:, :n] = WINDOW_STEP * (action // len(PRIMITIVES) % N_WINDOWS)
                bid[:, :n] = action // (len(PRIMITIVES) * N_WINDOWS)
        else:
            share = action[:, :, 0].astype(np.float64)
            accel[:, :n] = share * np.where(share > 0.0, ACCELERATION, DECELERATION)
            if self.declared:
                later[:, :n] = 0.5 * (1.0 + action[:, :, 1]) * WINDOW_STEP * (N_WINDOWS - 1)
                bid[:, :n] = 0.5 * (1.0 + action[:, :, 2])
        if self.n_cars > n:
            # Scripted cars announce to come last, bid nothing, and come at once.
            choice, _ = self.plan(state, LIAR_RULE, n)
            accel[:, n:] = PRIMITIVES[choice[:, n:]]
            later[:, n:] = WINDOW_STEP * (N_WINDOWS - 1)
        return Orders(accel, later, bid)

    def _advance(self, state: State, orders: Orders) -> tuple[State, Array, Array, Array, Array]:
        """The next state, (B, N) reward, (B,) team reward, and (B, N) cost and terminated."""
        after = copied(state)
        reward, cost, team_reward = (
            np.zeros(state.status.shape),
            np.zeros(state.status.shape),
            np.empty(len(after.step)),
        )
        motion.advance(self._traffic, self.network, after, *orders)
        judge.judge(self._weights, self._traffic, self.network, state, after, reward, cost, team_reward)
        n = self.n_agents
        terminated = (state.status[:, :n] == DRIVING) & (after.status[:, :n] != DRIVING)
        return after, reward[:, :n], team_reward, cost[:, :n], terminated

    def _observed(self, state: State) -> tuple[Array, Array, Array]:
        """Observations (B, N, O), adjacency (B, N, N) and global state (B, S)."""
        n_worlds, n = len(state.step), self.n_agents
        obs = np.zeros((n_worlds, n, *self.observation_space.shape), dtype=np.float32)
        adjacency = np.zeros((n_worlds, n, n), dtype=bool)
        overview = np.zeros((n_worlds, *self.state_space.shape), dtype=np.float32)
        observe(self._sensors, self.network, state, obs, adjacency, overview)
        return obs, adjacency, overview

    def _show(self, state: State, reward: Array, team_reward: Array, cost: Array, terminated: Array) -> core.Step:
        n = self.n_agents
        obs, adjacency, overview = self._observed(state)
        return core.Step(
            obs=obs,
            state=overview,
            adjacency=adjacency,
            alive=state.status[:, :n] == DRIVING,
            action_mask=None,
            reward=reward.astype(np.float32),
            team_reward=team_reward.astype(np.float32),
            counterfactual=None,
            cost=cost.astype(np.float32),
            terminated=terminated,
            truncated=state.step >= self.max_steps,
            metrics=metrics_of(self.network, n, state),
        )

    def _counterfactual(self, state: State, orders: Orders) -> NDArray[np.float32]:
        def advance(state: State, orders: Orders) -> tuple[State, Array]:
            after, _, team_reward, _, _ = self._advance(state, orders)
            return after, team_reward

        return without_each(advance, self._replace, state, orders, self.n_agents)

    def _replace(self, state: State, orders: Orders, copy: Array, agent: Array) -> None:
        """Lets an agent of each world do its default action; see `without_each`."""
        orders.accel[copy, agent], orders.later[copy, agent], orders.bid[copy, agent] = -DECELERATION, 0.0, 0.0
        if self.config.counterfactual == "absent":
            there = state.status[copy, agent] == DRIVING
            state.status[copy[there], agent[there]] = ARRIVED  # without having been paid for it
