"""The intersection as a `BatchEnv`: announcements, motion, judgement, entries, observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..core import Array
from ..kit.actions import checked
from . import entries, judge, motion, planner, steps
from .coalitions import shapley_values
from .config import ACCELERATION, DECELERATION, Config
from .counterfactual import team_reward_without_each
from .judge import Outcome
from .metrics import METRICS
from .motion import Orders
from .network import network_of
from .observe import Shown, obs_names, obs_size, sensors_of, state_size
from .planner import LIAR_RULE, PRIMITIVES, Rule
from .start import start
from .state import CONTROL_STEP, DRIVING, POSITION, SPEED, State, copied

VERSION = 1
WINDOW_STEP = 3.0
"""Time between two windows that can be announced [s]."""
N_WINDOWS, N_BIDS = 3, 2
"""Windows and bids that a discrete action chooses from."""


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
        self.obs_names = obs_names(self._sensors)
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
        entries.admit(self._traffic, self.network, state)
        step = self._step_of(state, state, self._no_outcome(state), self._shown(state))
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=np.zeros((len(seeds), self.n_agents), dtype=np.float32))
        return state, step

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by 0.5 s; see `envs.core.BatchEnv.step`."""
        orders = self._decode(state, action)
        after, outcome, shown = copied(state), self._no_outcome(state), self._blank(len(state.step))
        steps.advance_and_show(
            self._traffic, self._weights, self._sensors, self.network, state, after, orders, outcome, shown
        )
        step = self._step_of(state, after, outcome, shown)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=self._counterfactual(state, orders))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """Returns G had vehicle i braked as hard as it can or, with `counterfactual="absent"`, been absent: (B, N).

        With `counterfactual="shapley"` it is G less the vehicle's Shapley value, see `coalitions`.
        """
        return self._counterfactual(state, self._decode(state, action))

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.intersection.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        state = core.take_worlds(state, np.array([world]))
        return draw(self.config, state, self.adjacency(state)[0])

    def between(self, before: State, after: State, share: float) -> State:
        """Returns a state to draw between two successive states: cars are on their way, all else is as before."""
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
        """Returns (B, N, N) bool; [b, i, j]: agent i can hear agent j."""
        return self._shown(state).adjacency

    def _decode(self, state: State, action: Array) -> Orders:
        """Returns the orders that actions stand for, and those of scripted cars."""
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
            # Scripted cars announce the latest window, bid nothing, and come at once.
            choice, _ = self.plan(state, LIAR_RULE, n)
            accel[:, n:] = PRIMITIVES[choice[:, n:]]
            later[:, n:] = WINDOW_STEP * (N_WINDOWS - 1)
        return Orders(accel, later, bid)

    def _no_outcome(self, state: State) -> Outcome:
        shape = state.status.shape
        return Outcome(np.zeros(shape), np.zeros(shape), np.zeros(len(state.step)))

    def _shown(self, state: State) -> Shown:
        """Returns all that the worlds show in a state."""
        shown = self._blank(len(state.step))
        steps.show(self._sensors, self.network, state, shown)
        return shown

    def _blank(self, n_worlds: int) -> Shown:
        n = self.n_agents
        return Shown(
            np.zeros((n_worlds, n, *self.observation_space.shape), dtype=np.float32),
            np.zeros((n_worlds, n, n), dtype=bool),
            np.zeros((n_worlds, *self.state_space.shape), dtype=np.float32),
            np.empty((len(METRICS), n_worlds)),
        )

    def _step_of(self, before: State, after: State, outcome: Outcome, shown: Shown) -> core.Step:
        """Returns the `Step` that shows a state, with the rewards and costs that came with it."""
        n = self.n_agents
        alive = after.status[:, :n] == DRIVING
        return core.Step(
            obs=shown.obs,
            state=shown.global_state,
            adjacency=shown.adjacency,
            alive=alive,
            action_mask=None,
            reward=outcome.reward[:, :n].astype(np.float32),
            team_reward=outcome.team_reward.astype(np.float32),
            counterfactual=None,
            cost=outcome.cost[:, :n].astype(np.float32),
            terminated=(before.status[:, :n] == DRIVING) & ~alive,
            truncated=after.step >= self.max_steps,
            metrics=dict(zip(METRICS, shown.metrics, strict=True)),
        )

    def _counterfactual(self, state: State, orders: Orders) -> NDArray[np.float32]:
        if self.config.counterfactual == "shapley":
            whole, value = shapley_values(
                self._traffic, self._weights, self.network, state, orders.accel, self.config.orders
            )
            return (whole[:, None] - value).astype(np.float32)
        team_reward, absent = np.empty((len(state.step), self.n_agents)), self.config.counterfactual == "absent"
        team_reward_without_each(
            self._traffic, self._weights, self.network, state, copied(state), orders.accel, absent, team_reward
        )
        return team_reward.astype(np.float32)
