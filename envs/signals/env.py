"""The signals as a `BatchEnv`: orders, traffic, observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..core import Array
from ..kit.actions import checked
from . import agreement, steps, traffic
from .config import CONTROL_STEP, Config
from .counterfactual import rewards_without_each
from .metrics import METRICS, consensus_metrics_of
from .network import N_MOVEMENTS, N_PHASES, network_of
from .observe import STATE_PER_SIGNAL, Shown, obs_names, sensors_of
from .start import start
from .state import State, successor

VERSION = 1


class Signals:
    """B networks of N signals. See the package's docstring for everything a user needs to know."""

    name = f"signals_v{VERSION}"
    step_seconds = CONTROL_STEP
    headline_metrics = ("delay", "queue", "throughput")

    def __init__(self, config: Config) -> None:
        """Lays out the network and fixes the spaces."""
        self.config = config
        self.network = network_of(config)
        n = config.rows * config.columns
        self.agents = tuple(f"signal_{c}" for c in range(n))
        self.max_steps = config.max_steps
        self._driving = traffic.driving_of(config)
        self._sensors = sensors_of(config)
        self._pressure = config.reward_kind == "pressure"
        self._accord = None if config.consensus == "none" else agreement.accord_of(config, self.network)
        self.obs_names = obs_names(config)
        self.observation_space = Box(0.0, 1.0, (len(self.obs_names),), np.float32)
        self.state_space = Box(0.0, 1.0, (STATE_PER_SIGNAL * n + 1,), np.float32)
        self.action_space = Discrete(N_PHASES)

    def __reduce__(self) -> tuple[type[Signals], tuple[Config]]:
        """Builds copies anew: copied tables would be writable, and numba compiles kernels again for writable arrays."""
        return type(self), (self.config,)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, self.network, seeds)
        traffic.begin(self._driving, self.network, state)
        nothing, shown = np.zeros((len(seeds), len(self.agents))), self._shown(state)
        if self._accord is not None:
            agreement.agree(self._accord, state, shown.obs)
        step = self._step_of(state, nothing, nothing, shown)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=nothing.astype(np.float32))
        return state, step

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by 5 s; see `envs.core.BatchEnv.step`."""
        action = self._checked(state, action)
        after, step = self._advance(state, action)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=self._counterfactual(state, action, step.team_reward))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """Returns G had signal i kept its phase: (B, N)."""
        action = self._checked(state, action)
        return self._counterfactual(state, action, self._advance(state, action)[1].team_reward)

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.signals.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(self.config, core.take_worlds(state, np.array([world])))

    def between(self, before: State, after: State, share: float) -> State:
        """Returns a state to draw between two successive states of one world; see `envs.signals.frames`."""
        from .frames import between  # for pictures only

        return between(self.config, before, after, share)

    def counts(self, state: State) -> Array:
        """Returns (B, N, 4, 12) vehicles by plane and movement; see `survey`."""
        counts = np.empty((len(state.step), len(self.agents), 4, N_MOVEMENTS))
        steps.survey_all(self.config.lanes, self.network, state, counts)
        return counts

    def _checked(self, state: State, action: Array) -> Array:
        return checked(self.action_space, action, np.ones((len(state.step), len(self.agents)), bool))

    def _advance(self, state: State, action: Array) -> tuple[State, core.Step]:
        after = successor(state)
        reward, cost = np.zeros(action.shape), np.zeros(action.shape)
        shown = self._blank(len(action))
        steps.advance(
            self._driving, self._sensors, self.network, self._pressure, state, after, action, reward, cost, shown
        )  # fmt: skip
        if self._accord is not None:
            agreement.agree(self._accord, after, shown.obs)
        return after, self._step_of(after, reward, cost, shown)

    def _shown(self, state: State) -> Shown:
        """Returns all that the worlds show in a state."""
        shown = self._blank(len(state.step))
        steps.show(self._driving, self._sensors, self.network, state, shown)
        return shown

    def _blank(self, n_worlds: int) -> Shown:
        n = len(self.agents)
        return Shown(
            np.zeros((n_worlds, n, *self.observation_space.shape), np.float32),
            np.zeros((n_worlds, n, n), bool),
            np.zeros((n_worlds, *self.state_space.shape), np.float32),
            np.zeros((n_worlds, n, N_PHASES), bool),
            np.empty((len(METRICS), n_worlds)),
        )

    def _step_of(self, state: State, reward: Array, cost: Array, shown: Shown) -> core.Step:
        """Returns the `Step` that shows a state, with the rewards and costs that came with it."""
        metrics: dict[str, Array] = dict(zip(METRICS, shown.metrics, strict=True))
        if self._accord is not None:
            metrics |= consensus_metrics_of(state)
        return core.Step(
            obs=shown.obs,
            state=shown.global_state,
            adjacency=shown.adjacency,
            alive=np.ones(reward.shape, bool),
            action_mask=shown.mask,
            reward=reward.astype(np.float32),
            team_reward=reward.sum(axis=1).astype(np.float32),
            counterfactual=None,
            cost=cost.astype(np.float32),
            terminated=np.zeros(reward.shape, bool),
            truncated=state.step >= self.max_steps,
            metrics=metrics,
        )

    def _counterfactual(self, state: State, action: Array, team_reward: Array) -> NDArray[np.float32]:
        n_worlds, n = action.shape
        reward, differs = np.zeros((n_worlds, n, n)), np.zeros((n_worlds, n), bool)
        rewards_without_each(
            self._driving, self._sensors.min_green, self.network, self._pressure, state, successor(state),
            action.copy(), reward, differs,
        )  # fmt: skip
        return np.where(differs, reward.sum(axis=2).astype(np.float32), team_reward[:, None])
