"""The intersection as a `BatchEnv`: announcements, motion, judgement, entries, senses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..kit.actions import checked
from . import judge, motion, rules
from . import senses as sensing
from .config import ACCELERATION, DECELERATION, LENGTH, Config
from .metrics import metrics_of
from .roads import LINE, roads_of
from .rules import PRIMITIVES
from .state import ARRIVED, CONTROL_STEP, DRIVING, DUE, POSITION, SPEED, Array, State, copied, start

VERSION = 1
LATER = 3.0
"""Between two windows that can be announced [s]."""
N_WINDOWS, N_BIDS = 3, 2
"""That a discrete action chooses from."""


class Intersection:
    """B road networks with N vehicles each. See the package's docstring for everything a user needs to know."""

    name = f"intersection_v{VERSION}"
    step_seconds = CONTROL_STEP
    headline_metrics = ("success", "delay", "crash_rate")

    def __init__(self, config: Config) -> None:
        """Lays out the roads and fixes the spaces."""
        self.config = config
        self.roads = roads_of(config)
        self.n_agents = config.n_vehicles
        self.n_cars = config.n_vehicles + config.n_liars
        self.agents = tuple(f"vehicle_{i}" for i in range(self.n_agents))
        self.max_steps = config.max_steps
        self.declared = config.intent == "declared"
        self._senses = sensing.senses_of(config, self.roads)
        self._prices = judge.Prices(
            progress=float(config.progress_reward),
            time=float(config.time_charge),
            comfort=float(config.comfort_charge),
            leaving=float(config.exit_reward),
            crash=float(config.crash_charge),
            emergency=float(config.emergency_weight),
            declared=self.declared,
            n_agents=self.n_agents,
        )
        self._traffic = motion.Traffic(
            n_agents=self.n_agents,
            entry_speed=float(config.entry_speed),
            intent_period=int(config.intent_period),
            declared=self.declared,
        )
        self.observation_space = Box(-1.0, 1.0, (sensing.obs_size(self._senses),), np.float32)
        self.state_space = Box(-1.0, 1.0, (sensing.state_size(self.n_cars),), np.float32)
        n_choices = len(PRIMITIVES) * (N_WINDOWS * N_BIDS if self.declared else 1)
        self.action_space: Box | Discrete = (
            Box(-1.0, 1.0, (3 if self.declared else 1,), np.float32) if config.continuous else Discrete(n_choices)
        )

    def __reduce__(self) -> tuple[type[Intersection], tuple[Config]]:
        """Copies are built anew: kernels would be compiled again for tables that can be written, as copied ones can."""
        return type(self), (self.config,)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, self.roads, seeds)
        motion.admit(self._traffic, self.roads, state.car, state.status, state.leg, state.route, state.step)
        agents = (len(seeds), self.n_agents)
        nothing = np.zeros(agents)
        step = self._show(state, nothing, np.zeros(len(seeds)), nothing, np.zeros(agents, dtype=bool))
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=np.zeros(agents, dtype=np.float32))
        return state, step

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by 0.5 s; see `envs.core.BatchEnv.step`."""
        accel, later, bid = self._decode(state, action)
        after, *outcome = self._advance(state, accel, later, bid)
        step = self._show(after, *outcome)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=self._counterfactual(state, accel, later, bid))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """G had vehicle i braked as hard as it can or, with `counterfactual="absent"`, not been there: (B, N)."""
        return self._counterfactual(state, *self._decode(state, action))

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.intersection.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(self, state, world)

    def between(self, before: State, after: State, share: float) -> State:
        """What to draw of a moment between two successive states: cars on their way, all else as before."""
        car = before.car.copy()
        on_road = before.status == DRIVING
        for column in (POSITION, SPEED):
            way = after.car[:, :, column] - before.car[:, :, column]
            car[:, :, column] += share * np.where(on_road, way, 0.0)
        return before._replace(car=car)

    def plan(self, state: State, rule: int, begin: int = 0) -> tuple[Array, Array]:
        """What a rule lets all cars do: (B, V) primitives, and (B, V) how long until they pass their lines [s]."""
        choice, passing = np.zeros(state.status.shape, dtype=np.int64), np.zeros(state.status.shape)
        rules.plan(
            rules.MANNERS[rule], self.roads, state.car, state.status, state.leg, state.route, state.emergency,
            state.step, begin, choice, passing,
        )  # fmt: skip
        return choice, passing

    def adjacency(self, state: State) -> NDArray[np.bool_]:
        """(B, N, N): who can hear whom."""
        return self._sensed(state)[1]

    def _decode(self, state: State, action: Array) -> tuple[Array, Array, Array]:
        """(B, V) acceleration [m/s^2], announced lateness [s] and bid; rows of those not on the road mean nothing."""
        accel, later, bid = (np.zeros(state.status.shape) for _ in range(3))
        n = self.n_agents
        action = checked(self.action_space, action, state.status[:, :n] == DRIVING)
        if isinstance(self.action_space, Discrete):
            accel[:, :n] = PRIMITIVES[action % len(PRIMITIVES)]
            if self.declared:
                later[:, :n] = LATER * (action // len(PRIMITIVES) % N_WINDOWS)
                bid[:, :n] = action // (len(PRIMITIVES) * N_WINDOWS)
        else:
            share = action[:, :, 0].astype(np.float64)
            accel[:, :n] = share * np.where(share > 0.0, ACCELERATION, DECELERATION)
            if self.declared:
                later[:, :n] = 0.5 * (1.0 + action[:, :, 1]) * LATER * (N_WINDOWS - 1)
                bid[:, :n] = 0.5 * (1.0 + action[:, :, 2])
        if self.n_cars > n:
            # They announce to come last, bid nothing and come at once.
            choice, _ = self.plan(state, rules.LIAR, n)
            accel[:, n:] = PRIMITIVES[choice[:, n:]]
            later[:, n:] = LATER * (N_WINDOWS - 1)
        return accel, later, bid

    def _advance(
        self, state: State, accel: Array, later: Array, bid: Array
    ) -> tuple[State, Array, Array, Array, Array]:
        """The next state, (B, N) reward, (B,) team reward, and (B, N) cost and terminated."""
        after = copied(state)
        reward, cost = np.zeros(state.status.shape), np.zeros(state.status.shape)
        world = (after.car, after.status, after.leg)
        motion.advance(self._traffic, self.roads, *world, state.route, after.step, accel, later, bid)
        team_reward = np.empty(len(after.step))
        judge.judge(
            self._prices, self._traffic, self.roads, state.car, state.status, state.leg, *world, after.left,
            after.totals, after.step, state.route, state.emergency, reward, cost, team_reward,
        )  # fmt: skip
        n = self.n_agents
        terminated = (state.status[:, :n] == DRIVING) & (after.status[:, :n] != DRIVING)
        return after, reward[:, :n], team_reward, cost[:, :n], terminated

    def _sensed(self, state: State) -> tuple[Array, Array, Array]:
        """Observations (B, N, O), adjacency (B, N, N) and global state (B, S)."""
        n_worlds, n = len(state.step), self.n_agents
        obs = np.zeros((n_worlds, n, *self.observation_space.shape), dtype=np.float32)
        adjacency = np.zeros((n_worlds, n, n), dtype=bool)
        overview = np.zeros((n_worlds, *self.state_space.shape), dtype=np.float32)
        sensing.sense(
            self._senses, self.roads, state.car, state.status, state.leg, state.route, state.emergency, state.step,
            obs, adjacency, overview,
        )  # fmt: skip
        return obs, adjacency, overview

    def _show(self, state: State, reward: Array, team_reward: Array, cost: Array, terminated: Array) -> core.Step:
        n = self.n_agents
        obs, adjacency, overview = self._sensed(state)
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
            metrics=metrics_of(self.roads, n, state),
        )

    def _counterfactual(self, state: State, accel: Array, later: Array, bid: Array) -> NDArray[np.float32]:
        n_worlds, n = len(state.step), self.n_agents
        rows = np.repeat(np.arange(n_worlds), n)  # world of each counterfactual, (B * N,)
        agents = np.tile(np.arange(n), n_worlds)  # and who is replaced in it
        each = np.arange(len(rows))
        other = core.take_worlds(state, rows)
        other_accel, other_later, other_bid = accel[rows], later[rows], bid[rows]
        other_accel[each, agents], other_later[each, agents], other_bid[each, agents] = -DECELERATION, 0.0, 0.0
        if self.config.counterfactual == "absent":
            there = other.status[each, agents] == DRIVING
            other.status[each[there], agents[there]] = ARRIVED  # without having been paid for it
        _, _, team_reward, _, _ = self._advance(other, other_accel, other_later, other_bid)
        return team_reward.reshape(n_worlds, n).astype(np.float32)  # (B * N,) -> (B, N)


def heuristic(env: Intersection) -> Callable[[State], Array]:
    """The policy of `Config.rule`; see `envs.intersection.rules`. It announces what it plans, and bids its hurry.

    Returns:
        A function from the state of B worlds to actions: (B, N) int64, or (B, N, 1 or 3) float32 if continuous.
    """
    rule, n = rules.RULES[env.config.rule], env.n_agents
    shares = np.where(PRIMITIVES > 0.0, PRIMITIVES / ACCELERATION, PRIMITIVES / DECELERATION)  # (5,)

    def act(state: State) -> Array:
        choice, passing = env.plan(state, rule)
        choice = choice[:, :n]
        if not env.declared:
            return choice if isinstance(env.action_space, Discrete) else shares[choice][:, :, None].astype(np.float32)
        line = np.take_along_axis(env.roads.leg[state.route, :, LINE], state.leg[:, :, None], axis=2)[:, :, 0]
        room = np.maximum(line - 0.5 * LENGTH - state.car[:, :, POSITION], 0.0)[:, :n]
        speed, top = state.car[:, :n, SPEED], env.config.speed_limit
        until = (top - speed) / ACCELERATION
        gone = 0.5 * (speed + top) * until
        soonest = np.where(
            gone >= room,
            (np.sqrt(speed**2 + 2.0 * ACCELERATION * room) - speed) / ACCELERATION,
            until + (room - gone) / top,
        )
        window = np.clip((passing[:, :n] - soonest + judge.LENIENCE) // LATER, 0, N_WINDOWS - 1).astype(np.int64)
        late = state.step[:, None] * CONTROL_STEP - state.car[:, :n, DUE] > 10.0
        bid = (late | state.emergency[:, :n]).astype(np.int64)
        if isinstance(env.action_space, Discrete):
            return choice + len(PRIMITIVES) * (window + N_WINDOWS * bid)
        parts = (shares[choice], 2.0 * window / (N_WINDOWS - 1) - 1.0, 2.0 * bid - 1.0)
        return np.stack(parts, axis=2).astype(np.float32)

    return act
