"""What an algorithm is told, what it must do, and what it needs of an environment: data in, actions out.

Axes: B worlds, N agents, O observation, S global state, A actions.

Algorithms never import environments. The runner turns an environment's steps into `Obs` and `Transition`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .experience.replay import Replay
    from .nets.actor import Actor

Array = NDArray[Any]
Action = NDArray[Any]
"""(B, N) int64 for `Discrete`, (B, N, A) float32 inside the `Box` otherwise."""


@dataclass(frozen=True)
class Spec:
    """The shapes an algorithm is built for."""

    n_agents: int
    obs_dim: int
    state_dim: int
    """Length of the centralised critic's state; 0 when the environment has none (the joint observation serves)."""
    action_space: Box | Discrete
    groups: tuple[tuple[int, ...], ...]
    """Agent indices by group: a partition of range(n_agents). `share="group"` gives each group its own parameters."""
    obs_shape: tuple[int, ...] = ()
    """Of one agent's observation before it was flattened, (C, H, W) for an image; left out: (obs_dim,)."""
    pixels: bool = False
    """Observations are images whose numbers are multiples of 1/255 from 0 to 1: experience keeps them as bytes."""

    def __post_init__(self) -> None:
        """Fills in `obs_shape`.

        Raises:
            ValueError: `obs_shape` is not a shape of `obs_dim` numbers.
        """
        shape = tuple(self.obs_shape) or (self.obs_dim,)
        if math.prod(shape) != self.obs_dim:
            raise ValueError(f"obs_shape is {shape}, {math.prod(shape)} numbers; obs_dim is {self.obs_dim}")
        object.__setattr__(self, "obs_shape", shape)


class Obs(NamedTuple):
    """What is known before acting. Only `obs`, `adjacency`, `alive`, `action_mask`, `started` may shape an action."""

    obs: Array  # (B, N, O) float32
    state: Array  # (B, S) float32, for centralised critics only
    adjacency: Array  # (B, N, N) bool; [b, i, j]: i can hear j
    alive: Array  # (B, N) bool
    action_mask: Array | None  # (B, N, A) bool, True where allowed
    started: Array  # (B,) bool, True at the first step of an episode: recurrent memory begins anew


class Transition(NamedTuple):
    """One step of all worlds, from the `Obs` acted on to the moment before any reset."""

    obs: Obs  # what was acted on; its `alive` says whose transition this is
    action: Action
    reward: Array  # (B, N) float32, each agent's own
    team_reward: Array  # (B,) float32
    counterfactual: Array | None  # (B, N) float32
    terminated: Array  # (B, N) bool: the agent died in this step, its value is cut
    truncated: Array  # (B,) bool: the time limit, bootstrap from `final`
    final: Obs  # the moment the action led to, before any reset: what to bootstrap from. Who was `alive`, is not any
    # more and did not die has left: its own time limit, bootstrapped from its last observation, which is in `final.obs`
    ended: Array  # (B,) bool: the world was reset after this step (time limit, or nobody left alive)


class Algorithm(Protocol):
    """Acts, is told what came of it, and learns."""

    policy: Actor
    """All that execution needs; its parameters are the entry "policy" of `state_dict`."""
    progress: float
    """Fraction of the run that is over, 0 to 1; set by whoever runs it, for schedules."""

    @property
    def replay(self) -> Replay | None:
        """Past experience that is learned from again, saved beside `state_dict` only when asked for; None: none."""
        ...

    def begin(self, obs: Obs) -> tuple[str, ...]:
        """Told once, before the first act, what that will be: how many worlds, masks or none.

        Returns:
            Notes for who runs it, one line each.
        """
        ...

    def act(self, obs: Obs, *, greedy: bool = False) -> Action:
        """Actions for all worlds and agents, from nothing an agent could not see or hear."""
        ...

    def take_back(self) -> None:
        """Makes the last `act` undone, draws and memory, where nothing came of it: the worlds could not step."""
        ...

    def observe(self, transition: Transition) -> None:
        """Stores what came of the last `act`."""
        ...

    def update(self) -> dict[str, float]:
        """Learns once enough data is there; {} until then. Otherwise scalars to log, by name."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything but `replay` needed to go on bit for bit: tensors, arrays and plain data only."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class StepLike(Protocol):
    """The fields of an environment's step that training reads; see `envs.core.Step` for their meaning."""

    @property
    def obs(self) -> Array: ...
    @property
    def state(self) -> Array: ...
    @property
    def adjacency(self) -> Array: ...
    @property
    def alive(self) -> Array: ...
    @property
    def action_mask(self) -> Array | None: ...
    @property
    def reward(self) -> Array: ...
    @property
    def team_reward(self) -> Array: ...
    @property
    def counterfactual(self) -> Array | None: ...
    @property
    def cost(self) -> Array: ...
    @property
    def terminated(self) -> Array: ...
    @property
    def truncated(self) -> Array: ...
    @property
    def metrics(self) -> dict[str, Array]: ...


class VectorEnv(Protocol):
    """B worlds with auto-reset: what training runs on."""

    n_worlds: int
    agents: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    observation_space: Box
    action_space: Box | Discrete
    state_space: Box
    max_steps: int
    step_seconds: float

    def reset(self, seed: int) -> StepLike:
        """Starts all worlds; world w's e-th episode depends on (seed, w, e) alone."""
        ...

    def step(self, action: Action) -> tuple[StepLike, StepLike]:
        """(final, next): the moment the action led to, and the one after any auto-reset (equal where none was)."""
        ...

    def render(self, world: int = 0) -> Array:
        """(height, width, 3) uint8."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Arrays and plain data from which `load_state_dict` continues exactly."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> StepLike:
        """Returns the step to act on next."""
        ...


def spec_of(env: VectorEnv) -> Spec:
    """The `Spec` of an environment."""
    shape = tuple(env.observation_space.shape)
    return Spec(
        n_agents=len(env.agents),
        obs_dim=int(np.prod(env.observation_space.shape)),
        state_dim=int(np.prod(env.state_space.shape)),
        action_space=env.action_space,
        groups=env.groups,
        obs_shape=shape,
        pixels=bool(getattr(env, "pixels", False)) and len(shape) == 3 and min(shape[1:]) >= 3,  # read as an image
    )
