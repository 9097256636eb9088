"""The warehouse as a `BatchEnv`: physics, then work, then observations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..kit.actions import checked
from ..kit.counterfactual import without_each
from . import layout as maps
from .coalitions import Coalitions
from .config import Config
from .metrics import metrics_of
from .observe import hear, obs_names, obs_size, observe, state_size, waypoints
from .params import params_of
from .physics import ANGLE, CONTROL_STEP, SUBSTEPS, TOP_SPEED, TOP_TURN_RATE, physics_of
from .start import start
from .state import Array, State, copied
from .steps import Outcome, move, work_on
from .without import Without, gone
from .work import dispatch, total

VERSION = 1
PRIMITIVES = ("stop", "forward", "forward-left", "forward-right", "turn left", "turn right", "reverse")
"""The seven discrete actions, in order."""
MEANING = "shares of the top speed and of the top turn rate"
"""Meaning of the numbers of a continuous action, for messages."""
TARGETS = np.array(
    [
        [0.0, 0.0],
        [TOP_SPEED, 0.0],
        [TOP_SPEED, 0.5 * TOP_TURN_RATE],
        [TOP_SPEED, -0.5 * TOP_TURN_RATE],
        [0.0, TOP_TURN_RATE],
        [0.0, -TOP_TURN_RATE],
        [-0.5 * TOP_SPEED, 0.0],
    ]
)
"""(7, 2) target speed [m/s] and turn rate [rad/s] of each discrete action."""


class Warehouse:
    """B warehouses of N robots. See the package's docstring for everything a user needs to know."""

    name = f"warehouse_v{VERSION}"
    step_seconds = CONTROL_STEP
    headline_metrics = ("orders_per_hour", "contacts")

    def __init__(self, config: Config) -> None:
        """Loads the layout and fixes the spaces."""
        self.config = config
        self.layout = maps.load(config.layout)
        self.agents = tuple(f"robot_{i}" for i in range(config.n_robots))
        self.max_steps = config.max_steps
        self.params = params_of(config, self.layout)
        self._physics = physics_of(config.layout, config.n_robots)
        self._without = Without(config, self.params, self.layout)
        self._coalitions = Coalitions(config, self.params, self.layout)
        directions = 2.0 * math.pi * np.arange(config.n_rays) / config.n_rays
        self._ray = np.stack([np.cos(directions), np.sin(directions)], axis=1)  # (R, 2)
        self.observation_space = Box(-1.0, 1.0, (obs_size(self.params),), np.float32)
        self.state_space = Box(-1.0, 1.0, (state_size(self.params, config.n_robots),), np.float32)
        self.obs_names = obs_names(self.params, max(self.layout.blocked.shape))
        if config.position:  # see `envs.core.BatchEnv.pose`
            end = self.observation_space.shape[0]
            self.pose = (end - 4, end - 3)
            self.pose_scale = float(max(self.layout.blocked.shape))
        self.action_space: Box | Discrete = (
            Box(-1.0, 1.0, (2,), np.float32) if config.continuous else Discrete(len(PRIMITIVES))
        )

    def __reduce__(self) -> tuple[type[Warehouse], tuple[Config]]:
        """Builds copies anew from the configuration, because a pymunk Space cannot be copied."""
        return type(self), (self.config,)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, self.layout, seeds)
        dispatch(self.params, self.layout, state)
        nothing = np.zeros(state.alive.shape)
        step = self._step_of(state, nothing, nothing, np.zeros(state.alive.shape, dtype=bool))
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=np.zeros(state.alive.shape, dtype=np.float32))
        return state, step

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by 0.2 s; see `envs.core.BatchEnv.step`."""
        target = self._targets(state, action)
        if self.config.counterfactual == "none":
            outcome, counterfactual = self._advance(state, target), None
        else:
            outcome, counterfactual = self._advance_and_compare(state, target)
        return outcome.state, self._step_of(*outcome)._replace(counterfactual=counterfactual)

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """Returns G had robot i done the default action, for every i: (B, N).

        With a horizon of h > 1 it is G - D_i, where D_i is the sum over h steps of the team's reward with robot i's
        action less that with the default, all actions held, up to the time limit. The default is to stop or, with
        `counterfactual="absent"`, not to be there. A horizon of 1 costs what the defaults change, see `without`; a
        longer one steps every world once for each robot. With `counterfactual="shapley"` it is G less the robot's
        Shapley value, see `coalitions`.
        """
        return self._advance_and_compare(state, self._targets(state, action))[1]

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.warehouse.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(self.config, state, world)

    def between(self, before: State, after: State, share: float) -> State:
        """Returns a state to draw between two successive ones: robots are on their way, all else is as before."""
        way = after.body - before.body
        way[:, :, ANGLE] = np.mod(way[:, :, ANGLE] + math.pi, 2.0 * math.pi) - math.pi  # the shorter way round
        return before._replace(body=before.body + share * way)

    def waypoints(self, state: State) -> Array:
        """Returns x, y of every robot's next waypoint on its shortest route, and the route's length [m]: (B, N, 3)."""
        way = np.empty((*state.alive.shape, 3))
        waypoints(self.layout, state, way)
        return way

    def adjacency(self, state: State) -> NDArray[np.bool_]:
        """Returns which robots hear each other, (B, N, N) bool."""
        n_robots = state.alive.shape[1]
        adjacency = np.zeros((len(state.step), n_robots, n_robots), dtype=bool)
        hear(self.params, self.layout, state, adjacency)
        return adjacency

    def _targets(self, state: State, action: Array) -> Array:
        """Returns the target speed [m/s] and turn rate [rad/s] of every robot, (B, N, 2); dead robots brake."""
        discrete = isinstance(self.action_space, Discrete)
        action = checked(self.action_space, action, state.alive, ", ".join(PRIMITIVES) if discrete else MEANING)
        target = TARGETS[action] if discrete else action * np.array([TOP_SPEED, TOP_TURN_RATE])
        if not state.alive.all():
            target[~state.alive] = 0.0
        return target

    def _advance(self, state: State, target: Array) -> Outcome:
        return work_on(self.params, self.layout, copied(state), move(self._physics.advance, state, target))

    def _advance_and_compare(self, state: State, target: Array) -> tuple[Outcome, NDArray[np.float32]]:
        """Returns the outcome, and the counterfactual of every robot, (B, N)."""
        if self.config.horizon > 1:
            outcome = self._advance(state, target)
            return outcome, self._by_stepping(state, target, total(outcome.reward))
        path = np.empty((*state.alive.shape, SUBSTEPS, 2))
        motion = move(partial(self._physics.advance, path=path), state, target)
        outcome = work_on(self.params, self.layout, copied(state), motion)
        if self.config.counterfactual == "shapley":
            value = self._coalitions.values(state, target, path, motion, outcome)
            return outcome, (total(outcome.reward)[:, None] - value).astype(np.float32)
        return outcome, self._without.each(state, target, path, motion, outcome)

    def _step_of(self, state: State, reward: Array, cost: Array, terminated: Array) -> core.Step:
        """Returns the `Step` that shows a state, with the rewards and costs that came with it."""
        n_worlds, n_robots = state.alive.shape
        obs = np.zeros((n_worlds, n_robots, *self.observation_space.shape), dtype=np.float32)
        global_state = np.zeros((n_worlds, *self.state_space.shape), dtype=np.float32)
        way = np.empty((n_worlds, n_robots, 3))
        adjacency = np.zeros((n_worlds, n_robots, n_robots), dtype=bool)
        observe(self.params, self.layout, state, self._ray, way, obs, adjacency, global_state)
        return core.Step(
            obs=obs,
            state=global_state,
            adjacency=adjacency,
            alive=state.alive.copy(),
            action_mask=None,
            reward=reward.astype(np.float32),
            team_reward=total(reward),
            counterfactual=None,
            cost=cost.astype(np.float32),
            terminated=terminated,
            truncated=state.step >= self.max_steps,
            metrics=metrics_of(state),
        )

    def _by_stepping(self, state: State, target: Array, team_reward: Array) -> NDArray[np.float32]:
        """Returns the counterfactuals by stepping every world once for each robot: slow, for any horizon."""
        absent = self.config.counterfactual == "absent"

        def advance(state: State, target: Array) -> tuple[State, Array]:
            braked = np.where(state.alive[:, :, None], target, 0.0)  # robots that died on the way
            outcome = self._advance(state, braked)
            return outcome.state, total(outcome.reward)

        def replace(state: State, target: Array, copy: Array, robot: Array) -> None:
            target[copy, robot] = 0.0
            if absent:
                state.body[copy, robot] = gone(self.config.n_robots)[robot]
                state.alive[copy, robot] = False

        return without_each(
            advance,
            replace,
            state,
            target,
            n_agents=state.alive.shape[1],
            horizon=self.config.horizon,
            team_reward=team_reward,
            left=self.max_steps - state.step,
        )
