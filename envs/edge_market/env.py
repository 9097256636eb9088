"""The edge market as a `BatchEnv`: a market, then work, then observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..kit.actions import checked
from ..kit.counterfactual import without_each
from ..kit.kernels import kernel
from .absence import welfare_without_each
from .agreement import agree
from .coalitions import shapley_values
from .config import Config
from .metrics import metrics_of
from .observe import obs_names, obs_size, observe, state_size
from .params import params_of
from .start import start
from .state import ASK_MARKUP, BID_MARKUP, KEEP, NOBODY, SCORES, THRESHOLD, Array, State, copied
from .work import begin, run_slot, sum_welfare

VERSION = 2
DECIDED = 2.0 / 3.0
"""A model's score counts as 0 up to this: otherwise the noise of a policy would make nodes read models all the time."""
READY_MADE = {
    "alone": (0.0, 0.0, 1.0, 1.0),
    "truthful": (0.0, 0.0, 0.0, 0.0),
    "truthful, early": (0.0, 0.0, 0.0, -0.4),
    "bid low": (-0.3, 0.0, 0.0, 0.0),
    "ask high": (0.0, 0.3, 0.0, 0.0),
    "generous": (0.0, 0.0, -1.0, 0.0),
    "reserved": (0.0, 0.3, 0.6, 0.0),
    "hand on": (0.3, 0.0, -1.0, -0.8),
}
"""The eight discrete actions in order: bid markup, ask markup, kept share and threshold as in the Box; scores are 0."""
MEANING = "two markups, kept share, threshold and a score a model"
"""Meaning of the numbers of a continuous action, for messages."""


class Play(NamedTuple):
    """The strategies of all nodes in a slot, and the node that is absent from it."""

    strategy: Array  # (B, N, 4 + M), see `state`
    absent: Array  # (B,) int32 a node, or NOBODY


class EdgeMarket:
    """B edge markets of N nodes. See the package's docstring for everything a user needs to know."""

    name = f"edge_market_v{VERSION}"
    headline_metrics = ("welfare", "completion_rate", "miss_rate")

    def __init__(self, config: Config) -> None:
        """Fixes the spaces."""
        self.config = config
        self.params = params_of(config)
        self.agents = tuple(f"node_{i}" for i in range(config.n_nodes))
        self.max_steps = int(config.max_steps)
        self.step_seconds = float(config.slot_seconds)
        self.observation_space = Box(-1.0, 1.0, (obs_size(config),), np.float32)
        self.obs_names = obs_names(config)
        self.state_space = Box(-1.0, 1.0, (state_size(config),), np.float32)
        self._width = SCORES + config.n_models
        self.action_space: Box | Discrete = (
            Discrete(len(READY_MADE)) if config.discrete else Box(-1.0, 1.0, (self._width,), np.float32)
        )
        table = np.zeros((1, len(READY_MADE), self._width))
        table[0, :, :SCORES] = list(READY_MADE.values())
        _read(table, table)
        self._table = table[0]  # (8, 4 + M)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, self.params, seeds)
        nothing = np.zeros(state.n_held.shape)
        begin(self.params, state, nothing.copy(), nothing.copy())
        if self.config.consensus != "none":
            agree(self.params, state)
        if self.config.bound:
            from .bound import welfare_bound  # scipy is needed for the bound only

            state = state._replace(bound=welfare_bound(self.config, state))
        step = self._step_of(state, nothing, nothing, np.zeros(len(state.step)))
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=np.zeros(nothing.shape, np.float32))
        return state, step

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by one slot; see `envs.core.BatchEnv.step`."""
        strategy = self.strategy(state, action)
        after, reward, cost, exchange = self._advance(state, Play(strategy, _nobody(state)))
        if self.config.consensus != "none":  # counterfactuals do without: actions are held in them
            agree(self.params, after)
        step = self._step_of(after, reward, cost, exchange)
        if self.config.counterfactual != "none":
            step = step._replace(counterfactual=self._counterfactual(state, strategy, step.team_reward))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """Returns the welfare of the others and the exchange, had node i not been there, for every i: (B, N).

        An absent node neither offers nor asks, runs nothing and says nothing; what it holds waits. With a horizon of
        h > 1 it is G - D_i, where D_i is the sum over h slots of welfare with node i less that without it, all actions
        held, up to the time limit; then all slots are simulated for each node, while for one slot only what its absence
        changes is. With
        `counterfactual="shapley"` it is G less the node's Shapley value, see `coalitions`.
        """
        strategy = self.strategy(state, action)
        _, reward, _, exchange = self._advance(state, Play(strategy, _nobody(state)))
        team_reward = np.empty(len(state.step))
        sum_welfare(reward, exchange, _nobody(state), team_reward)
        return self._counterfactual(state, strategy, team_reward.astype(np.float32))

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.edge_market.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(self.config, state, world)

    def strategy(self, state: State, action: Array) -> Array:
        """Returns strategies (B, N, 4 + M): markups, kept share in [0, 1], threshold in [0, 2], scores -1, 0 or 1.

        Raises:
            ValueError: The action has the wrong shape, lies outside its space or is not finite.
        """
        discrete = isinstance(self.action_space, Discrete)
        alive = np.ones(state.n_held.shape, bool)
        action = checked(self.action_space, action, alive, "; ".join(READY_MADE) if discrete else MEANING)
        if discrete:
            return self._table[action]
        strategy = np.empty(action.shape)
        _read(np.ascontiguousarray(action, np.float32 if action.dtype == np.float32 else np.float64), strategy)
        return strategy

    def _advance(self, state: State, play: Play) -> tuple[State, Array, Array, Array]:
        """Returns the next state, profit and cost (B, N), and the exchange's account (B,)."""
        after = copied(state)
        reward, cost, exchange = np.zeros(state.n_held.shape), np.zeros(state.n_held.shape), np.zeros(len(state.step))
        run_slot(self.params, after, play.strategy, play.absent, reward, cost, exchange)
        return after, reward, cost, exchange

    def _step_of(self, state: State, reward: Array, cost: Array, exchange: Array) -> core.Step:
        """Returns the `Step` that shows a state, with the rewards and costs that came with it."""
        n_worlds, n_nodes = state.n_held.shape
        obs = np.zeros((n_worlds, n_nodes, *self.observation_space.shape), np.float32)
        global_state = np.zeros((n_worlds, *self.state_space.shape), np.float32)
        adjacency = np.zeros((n_worlds, n_nodes, n_nodes), np.bool_)
        observe(self.params, state, obs, adjacency, global_state)
        team_reward = np.empty(n_worlds)
        sum_welfare(reward, exchange, _nobody(state), team_reward)
        return core.Step(
            obs=obs,
            state=global_state,
            adjacency=adjacency,
            alive=np.ones((n_worlds, n_nodes), np.bool_),
            action_mask=None,
            reward=reward.astype(np.float32),
            team_reward=team_reward.astype(np.float32),
            counterfactual=None,
            cost=cost.astype(np.float32),
            terminated=np.zeros((n_worlds, n_nodes), np.bool_),
            truncated=state.step >= self.max_steps,
            metrics=metrics_of(self.config, state, latency_low=self.params.latency_low),
        )

    def _counterfactual(self, state: State, strategy: Array, team_reward: Array) -> NDArray[np.float32]:
        if self.config.counterfactual == "shapley":
            value = shapley_values(self.params, state, strategy, self.config.orders)
            return (team_reward[:, None] - value).astype(np.float32)
        if self.config.horizon == 1:
            welfare = np.empty(state.n_held.shape)
            welfare_without_each(self.params, state, copied(state), strategy, welfare)
            return welfare.astype(np.float32)

        def advance(state: State, play: Play) -> tuple[State, Array]:
            after, reward, _, exchange = self._advance(state, play)
            welfare = np.empty(len(reward))
            sum_welfare(reward, exchange, play.absent, welfare)
            return after, welfare

        def replace(_: State, play: Play, copy: Array, node: Array) -> None:
            play.absent[copy] = node

        return without_each(
            advance,
            replace,
            state,
            Play(strategy, _nobody(state)),
            n_agents=state.n_held.shape[1],
            horizon=self.config.horizon,
            team_reward=team_reward,
            left=self.max_steps - state.step,
        )


def _nobody(state: State) -> Array:
    """Returns (B,) int32 for `Play.absent`: no node is absent."""
    return np.full(len(state.step), NOBODY, np.int32)


@kernel
def _read(action, strategy):
    """Translates actions (B, N, 4 + M) into strategies, written into an array of the same shape."""
    for b in range(action.shape[0]):
        for i in range(action.shape[1]):
            strategy[b, i, BID_MARKUP], strategy[b, i, ASK_MARKUP] = action[b, i, BID_MARKUP], action[b, i, ASK_MARKUP]
            strategy[b, i, KEEP] = 0.5 * (1.0 + float(action[b, i, KEEP]))
            strategy[b, i, THRESHOLD] = 1.0 + float(action[b, i, THRESHOLD])
            for column in range(SCORES, action.shape[2]):
                score = action[b, i, column]
                strategy[b, i, column] = 1.0 if score > DECIDED else -1.0 if score < -DECIDED else 0.0


assert (BID_MARKUP, ASK_MARKUP, KEEP, THRESHOLD, SCORES) == (0, 1, 2, 3, 4)  # the order of READY_MADE
