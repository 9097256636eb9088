"""The contract every environment fulfils: a pure function of a batch of worlds.

Axes: B worlds, N agents, O observation, S global state, A actions.

A `State` is a value. It is a `NamedTuple` of numpy arrays whose first axis is B, private to the environment that
made it. `step` never mutates its arguments, so a kept state is a snapshot, and passing it again is a replay.
All chance is drawn at `reset`, from one `numpy.random.Generator` per world, and travels inside the state; a world's
fate depends on its seed and its actions only, never on the batch it sits in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

Array = NDArray[Any]
State = tuple[Array, ...]
"""What an environment's own `NamedTuple` of arrays is to everybody else: opaque, first axis B."""
S = TypeVar("S", bound=State)


class Step(NamedTuple):
    """What a batch of worlds shows after `reset` or `step`."""

    obs: Array  # (B, N, O) float32, each in its declared Box; zeros for agents that are not alive
    state: Array  # (B, S) float32, what a centralised critic may see
    adjacency: Array  # (B, N, N) bool; [b, i, j]: i can hear j. The diagonal is False
    alive: Array  # (B, N) bool; an agent is born at most once and never comes back within an episode
    action_mask: Array | None  # (B, N, A) bool for Discrete spaces that need one, True where allowed
    reward: Array  # (B, N) float32, each agent's own; zero for agents that were not alive before the step
    team_reward: Array  # (B,) float32, the global utility G
    counterfactual: Array | None  # (B, N) float32, G had agent i done the default action; only when asked for
    cost: Array  # (B, N) float32, safety cost, never mixed into reward
    terminated: Array  # (B, N) bool, True only in the step in which the agent dies: its value is cut here
    truncated: Array  # (B,) bool, the time limit: bootstrap here, never cut the value
    metrics: dict[str, Array]  # (B,) each, cumulative over the episode; NaN where undefined, as a mean of nothing is


@runtime_checkable
class BatchEnv(Protocol):
    """B independent worlds stepped at once. B is whatever `reset` was given; nothing is remembered between calls."""

    name: str
    """Registered name with its version, e.g. `warehouse_v0`."""
    agents: tuple[str, ...]
    """(N,) names, e.g. `robot_0`."""
    observation_space: Box
    """Of one agent; the same for all."""
    action_space: Box | Discrete
    """Of one agent; the same for all."""
    state_space: Box
    max_steps: int
    """Control steps to the time limit."""
    step_seconds: float
    """Simulated duration of one control step [s]; the frame rate of pictures is its inverse."""

    def reset(self, seeds: Sequence[int]) -> tuple[Any, Step]:
        """Starts `len(seeds)` worlds, world b from `SeedSequence(seeds[b])` alone.

        Returns:
            The state, and a `Step` whose reward, cost, terminated and truncated are zero.
        """
        ...

    def step(self, state: Any, action: Array) -> tuple[Any, Step]:
        """Advances every world by one control step without touching `state` or `action`.

        What is returned belongs to the caller, but for arrays that are those of `state` still.

        Args:
            state: What `reset` or `step` returned.
            action: (B, N) integers for `Discrete`, (B, N, A) floats for `Box`. Rows of dead agents are ignored.

        Raises:
            ValueError: The action has the wrong shape, lies outside its space or is not finite.
        """
        ...

    def render(self, state: Any, world: int = 0) -> Array:
        """Draws one world: (height, width, 3) uint8, without a display."""
        ...


def ended(step: Step) -> Array:
    """Which worlds are over, (B,) bool: the time limit is reached or nobody is left alive."""
    return step.truncated | ~step.alive.any(axis=1)


def take_worlds(values: S, rows: Array | slice) -> S:
    """The given worlds of a state, as a new state."""
    return type(values)(*(value[rows] for value in values))


def put_worlds(values: S, rows: Array, new: S) -> S:
    """A copy of `values` in which `rows` (indices or a mask) are replaced by the worlds of `new`."""
    merged = []
    for value, replacement in zip(values, new, strict=True):
        value = value.copy()
        value[rows] = replacement
        merged.append(value)
    return type(values)(*merged)
