"""The contract that every environment fulfils: pure functions of a batch of worlds.

Axes: B worlds, N agents, O observation, S global state, A actions.

A `State` is a value: a `NamedTuple` of numpy arrays whose first axis is B, with fields that only its own environment
reads. `step` never changes its arguments, so a state that is kept is a snapshot, and stepping from it again is a
replay. All chance is drawn in `reset`, from one `numpy.random.Generator` per world, and is carried in the state. A
world's course depends on its seed and its actions only, never on the other worlds of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

Array = NDArray[Any]
State = tuple[Array, ...]
"""An environment's own `NamedTuple` of arrays, as all other code sees it: opaque, with B as the first axis."""
S = TypeVar("S", bound=State)


class Step(NamedTuple):
    """All that a batch of worlds shows after `reset` or `step`."""

    obs: Array  # (B, N, O) float32, inside `observation_space`; zeros for agents that are not alive
    state: Array  # (B, S) float32, the global state that a centralised critic may read
    adjacency: Array  # (B, N, N) bool; [b, i, j]: agent i can hear agent j. The diagonal is False
    alive: Array  # (B, N) bool; an agent is born at most once in an episode, and never comes back
    action_mask: Array | None  # (B, N, A) bool, True where an action is allowed; None: all actions always are
    reward: Array  # (B, N) float32, each agent's own; zero for agents that were not alive before the step
    team_reward: Array  # (B,) float32, the global utility G
    counterfactual: (
        Array | None
    )  # (B, N) float32, G less what is agent i's part in it: see `config.counterfactual`; None: not asked
    cost: Array  # (B, N) float32, safety cost; never part of the reward
    terminated: Array  # (B, N) bool, True only in the step in which the agent dies: its return ends here
    truncated: Array  # (B,) bool, True when the time limit ends the episode: bootstrap from this step's values
    metrics: dict[str, Array]  # (B,) each, over the episode so far; NaN where undefined, such as a mean of nothing


@runtime_checkable
class BatchEnv(Protocol):
    """B independent worlds that are stepped at once.

    B is the number of seeds that `reset` was given. The object remembers nothing between calls.

    An environment may have further attributes, which its views pass on:

    - `groups: tuple[tuple[int, ...], ...]`: indices of agents of one kind. Without it all are of one kind.
    - `headline_metrics: tuple[str, ...]`: the metrics to show first.
    - `pose: tuple[int, ...]`: indices of the two numbers of an agent's own observation that are its absolute position
      x, y. Only for observations that hold one: communication can then send it along, and know distances.
    - `pose_scale: float`: metres per unit of these numbers, or units of length of a world that has no metres.
    - `obs_names: tuple[str, ...]`: (O,) names of the entries of an observation, no two equal. Entries of equal name are
      the same quantity in the same unit in all tasks of the environment: a policy can so be used where observations
      agree in part. What depends on an option that tasks may set otherwise, such as a range, has that in its name.
    """

    name: str
    """Registered name with its version, e.g. `warehouse_v1`."""
    agents: tuple[str, ...]
    """(N,) names of the agents, e.g. `robot_0`."""
    observation_space: Box
    """Space of one agent's observation; all agents have the same."""
    action_space: Box | Discrete
    """Space of one agent's action; all agents have the same."""
    state_space: Box
    """Space of one world's global state, (S,)."""
    max_steps: int
    """Time limit of an episode [steps]."""
    step_seconds: float
    """Simulated duration of one step [s]; pictures are shown at `1 / step_seconds` frames a second."""

    def reset(self, seeds: Sequence[int]) -> tuple[Any, Step]:
        """Starts one world for each seed, world b from `SeedSequence(seeds[b])` alone.

        Args:
            seeds: (B,) whole numbers of at least 0.

        Returns:
            The state, and a `Step` whose reward, cost, terminated and truncated are zero.
        """
        ...

    def step(self, state: Any, action: Array) -> tuple[Any, Step]:
        """Advances every world by one step and changes neither `state` nor `action`.

        The environment keeps no reference to what it returns. The new state may share arrays with `state` where the
        step changed nothing in them, so copy an array of a state before you write into it.

        Args:
            state: A state that `reset` or `step` returned.
            action: (B, N) integers for `Discrete`, (B, N, A) floats for `Box`. Rows of agents that are not alive are
                ignored.

        Returns:
            The new state, and what the worlds show in it.

        Raises:
            ValueError: The action has the wrong shape, lies outside its space or is not finite.
        """
        ...

    def render(self, state: Any, world: int = 0) -> Array:
        """Returns a picture of one world, (height, width, 3) uint8. No display is needed."""
        ...


def ended(step: Step) -> Array:
    """Returns (B,) bool: worlds whose episode is over, by the time limit or because no agent is alive."""
    return step.truncated | ~step.alive.any(axis=1)


def take_worlds(values: S, rows: Array | slice) -> S:
    """Returns the worlds in `rows` (indices, a mask or a slice) as a state of their own."""
    return type(values)(*(value[rows] for value in values))


def put_worlds(values: S, rows: Array, new: S) -> S:
    """Returns a copy of `values` in which the worlds in `rows` (indices or a mask) are those of `new`."""
    merged = []
    for value, replacement in zip(values, new, strict=True):
        value = value.copy()
        value[rows] = replacement
        merged.append(value)
    return type(values)(*merged)
