"""The signals as a `BatchEnv`: orders, traffic, senses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..kit.actions import checked
from . import rules, senses, steps, traffic
from .config import CONTROL_STEP, Config
from .network import N_MOVEMENTS, N_PHASES, network_of
from .state import PHASE, State, start, successor

Array = NDArray[Any]

VERSION = 0


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
        change = float(config.yellow + config.all_red)
        self._driving = traffic.Driving(config.lanes, float(config.speed_limit), float(config.yellow), change)
        self._senses = senses.Senses(config.lanes, change, float(config.min_green), config.max_steps)
        self.observation_space = Box(0.0, 1.0, (senses.N_OBS,), np.float32)
        self.state_space = Box(0.0, 1.0, (senses.STATE_PER_SIGNAL * n + 1,), np.float32)
        self.action_space = Discrete(N_PHASES)

    def __reduce__(self) -> tuple[type[Signals], tuple[Config]]:
        """Copies are built anew: kernels would be compiled again for tables that can be written, as copied ones can."""
        return type(self), (self.config,)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, self.network, seeds)
        traffic.begin(self._driving, self.network, state)
        nothing = np.zeros((len(seeds), len(self.agents)))
        shown = self._blank(len(seeds))
        steps.show(self._driving, self._senses, self.network, state, *shown)
        step = self._made(state, nothing, nothing, *shown)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=nothing.astype(np.float32))
        return state, step

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by 5 s; see `envs.core.BatchEnv.step`."""
        action = self._checked(state, action)
        after, step = self._advance(state, action)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=self._counterfactual(state, action))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """G had signal i kept its phase: (B, N)."""
        return self._counterfactual(state, self._checked(state, action))

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.signals.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(self, state, world)

    def between(self, before: State, after: State, share: float) -> State:
        """What to draw of a moment between two successive states of one world; see `envs.signals.moments`."""
        from .moments import between  # for pictures only

        return between(self, before, after, share)

    def metrics(self, state: State) -> dict[str, Array]:
        """Each (B,) float64, over the episode so far; what they mean stands in the package's docstring."""
        values = np.empty((len(steps.METRICS), len(state.step)))
        for b in range(len(state.step)):
            steps.measure(state.step, state.entered, state.totals, len(self.agents), b, values)
        return dict(zip(steps.METRICS, values, strict=True))

    def counts(self, state: State) -> Array:
        """(B, N, 4, 12) vehicles by plane and movement, see `senses.survey`."""
        counts = np.empty((len(state.step), len(self.agents), 4, N_MOVEMENTS))
        steps.survey_all(self.config.lanes, self.network, state, counts)
        return counts

    def _checked(self, state: State, action: Array) -> Array:
        return checked(self.action_space, action, np.ones((len(state.step), len(self.agents)), bool))

    def _advance(self, state: State, action: Array) -> tuple[State, core.Step]:
        after = successor(state)
        reward, cost = np.empty(action.shape), np.zeros(action.shape)
        shown = self._blank(len(action))
        steps.advance(
            self._driving, self._senses, self.network, self.config.reward_kind == "pressure", state, after, action,
            reward, cost, *shown,
        )  # fmt: skip
        return after, self._made(after, reward, cost, *shown)

    def _blank(self, worlds: int) -> tuple[Array, Array, Array, Array, Array]:
        """Room for observations, adjacency, global state, action mask and metrics."""
        n = len(self.agents)
        return (
            np.zeros((worlds, n, *self.observation_space.shape), np.float32),
            np.zeros((worlds, n, n), bool),
            np.zeros((worlds, *self.state_space.shape), np.float32),
            np.zeros((worlds, n, N_PHASES), bool),
            np.empty((len(steps.METRICS), worlds)),
        )

    def _made(
        self,
        state: State,
        reward: Array,
        cost: Array,
        obs: Array,
        adjacency: Array,
        overview: Array,
        mask: Array,
        metrics: Array,
    ) -> core.Step:
        return core.Step(
            obs=obs,
            state=overview,
            adjacency=adjacency,
            alive=np.ones(reward.shape, bool),
            action_mask=mask,
            reward=reward.astype(np.float32),
            team_reward=reward.sum(axis=1).astype(np.float32),
            counterfactual=None,
            cost=cost.astype(np.float32),
            terminated=np.zeros(reward.shape, bool),
            truncated=state.step >= self.max_steps,
            metrics=dict(zip(steps.METRICS, metrics, strict=True)),
        )

    def _counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        worlds, n = action.shape
        rows = np.repeat(np.arange(worlds), n)  # world of each counterfactual, (B * N,)
        agents = np.tile(np.arange(n), worlds)  # and who is replaced in it
        each = np.arange(len(rows))
        other, chosen = core.take_worlds(state, rows), action[rows]
        chosen[each, agents] = other.signal[each, agents, PHASE].astype(chosen.dtype)
        _, step = self._advance(other, chosen)
        return step.team_reward.reshape(worlds, n)  # (B * N,) -> (B, N)


def heuristic(env: Signals) -> Callable[[State], Array]:
    """The policy of `Config.rule`; see `envs.signals.rules`.

    Returns:
        A function from the state of B worlds to actions, (B, N) int64.
    """
    rule = rules.RULES[env.config.rule]

    def act(state: State) -> Array:
        return rule(env.config, env.network, env.counts(state), state.signal, state.step * CONTROL_STEP)

    return act
