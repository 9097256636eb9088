"""The rovers as a `BatchEnv`: motion, then finds, then observations.

Axes: B worlds, N rovers, O observation, S global state.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .. import core
from ..core import Array
from ..kit.actions import checked
from . import finds, observe, steps
from .config import Config
from .finds import Outcome, rules_of
from .metrics import METRICS
from .motion import MOVES
from .observe import PLACE, Shown, obs_names, observation_space_of, sensors_of, state_space_of
from .shares import shares
from .start import start
from .state import VALUE, State, following

VERSION = 0
ACTIONS = "stay, left, right, down, up"
"""The five discrete actions, in order, for messages."""
MEANING = "the way along x and y over the top speed"
"""Meaning of the numbers of a continuous action, for messages."""


class Rovers:
    """B fields of N rovers. See the package's docstring for everything a user needs to know."""

    name = f"rovers_v{VERSION}"
    step_seconds = 0.5
    headline_metrics = ("score", "found_share")
    pose = (PLACE, PLACE + 1)

    def __init__(self, config: Config) -> None:
        """Fixes the spaces."""
        self.config = config
        self.agents = tuple(f"rover_{i}" for i in range(config.n_rovers))
        self.max_steps = config.max_steps
        self.pose_scale = 0.5 * config.size
        self.observation_space: Box = observation_space_of()
        self.obs_names = obs_names(config)
        self.state_space: Box = state_space_of(config)
        self.action_space: Box | Discrete = Box(-1.0, 1.0, (2,), np.float32) if config.continuous else Discrete(5)
        self._rules = rules_of(config)
        self._sensors = sensors_of(config)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        state = start(self.config, seeds)
        return state, self._step_of(state, self._nothing(len(seeds)))

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by one step; see `envs.core.BatchEnv.step`."""
        after, outcome = self._advanced(state, action)
        step = self._step_of(after, outcome)
        if self.config.counterfactual == "shapley":
            step = step._replace(counterfactual=_less_shares(state, after, outcome))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """Returns what this step would add to G had rover i never been there, in no step so far: (B, N).

        With `counterfactual="shapley"` it is what the step adds less the rover's Shapley value of that, see `shares`.
        """
        after, outcome = self._advanced(state, action)
        if self.config.counterfactual == "shapley":
            return _less_shares(state, after, outcome)
        return outcome.absent.astype(np.float32)

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.rovers.picture`."""
        from .picture import draw  # pygame is needed for pictures only

        return draw(self.config, core.take_worlds(state, np.array([world])))

    def between(self, before: State, after: State, share: float) -> State:
        """Returns a state to draw between two successive ones: rovers are on their way, all else is as before."""
        return before._replace(position=before.position + share * (after.position - before.position))

    def _advanced(self, state: State, action: Array) -> tuple[State, Outcome]:
        """Returns the state after a step, and what the step brings."""
        after, outcome = following(state), self._nothing(len(state.step))
        steps.advance(self._rules, finds.scratch(self.config.n_rovers), after, self._drive(state, action), outcome)
        return after, outcome

    def _drive(self, state: State, action: Array) -> Array:
        """Returns the way along x and y over the top speed: (B, N, 2) float64."""
        alive = np.ones(state.position.shape[:2], bool)
        action = checked(self.action_space, action, alive, MEANING if self.config.continuous else ACTIONS)
        return action.astype(np.float64, order="C") if self.config.continuous else MOVES[action]

    def _nothing(self, worlds: int) -> Outcome:
        n = self.config.n_rovers
        return Outcome(np.zeros((worlds, n)), np.zeros(worlds), np.zeros((worlds, n)))

    def _step_of(self, state: State, outcome: Outcome) -> core.Step:
        """Returns the `Step` that shows a state, with the rewards that came with it."""
        worlds, n, _ = state.position.shape
        shown = Shown(
            np.empty((worlds, n, *self.observation_space.shape), np.float32),
            np.empty((worlds, *self.state_space.shape), np.float32),
            np.empty((worlds, n, n), bool),
            np.empty((len(METRICS), worlds)),
        )
        steps.show(self._sensors, observe.scratch(n), state, shown)
        return core.Step(
            obs=shown.obs,
            state=shown.global_state,
            adjacency=shown.adjacency,
            alive=np.ones((worlds, n), bool),
            action_mask=None,
            reward=outcome.reward.astype(np.float32),
            team_reward=outcome.team_reward.astype(np.float32),
            counterfactual=None if self.config.counterfactual == "none" else outcome.absent.astype(np.float32),
            cost=np.zeros((worlds, n), np.float32),
            terminated=np.zeros((worlds, n), bool),
            truncated=state.step >= self.max_steps,
            metrics=dict(zip(METRICS, shown.metrics, strict=True)),
        )


def _less_shares(before: State, after: State, outcome: Outcome) -> NDArray[np.float32]:
    """Returns what a step has added to G less each rover's Shapley value of it: (B, N)."""
    value = after.poi[:, :, VALUE]
    added = shares(after.own, value) - shares(before.own, value)
    return (outcome.team_reward[:, None] - added).astype(np.float32)
