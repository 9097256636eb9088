"""The contract of algorithms: the data that they get, the methods that they have, and the worlds that they train on.

Axes: B worlds, N agents, O observation, S global state, A actions.

Algorithms never import environments. The training loop turns an environment's steps into `Obs` and `Transition`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Action = NDArray[Any]
"""(B, N) int64 for `Discrete`, (B, N, A) float32 inside the `Box` otherwise."""
Memory = dict[str, Tensor]
"""All that execution carries from one step to the next, by name, (B, N, ...) each; empty where nothing is carried."""
NOTHING = 255
"""Age of the message of an agent of which nothing is heard, in one byte; others are ages in steps."""


@dataclass(frozen=True)
class Spec:
    """The shapes an algorithm is built for."""

    n_agents: int
    obs_dim: int
    state_dim: int
    """Length of the global state that a centralised critic reads; 0 where the environment has none, and the joint
    observation takes its place."""
    action_space: Box | Discrete
    groups: tuple[tuple[int, ...], ...]
    """Agent indices by group: a partition of range(n_agents). `share="group"` gives each group its own parameters."""
    obs_shape: tuple[int, ...] = ()
    """Shape of one agent's observation before it was flattened, (C, H, W) for an image; left out: (obs_dim,)."""
    pixels: bool = False
    """Observations are images whose numbers are multiples of 1/255 from 0 to 1: experience keeps them as bytes."""
    pose: tuple[int, ...] = ()
    """Indices of the numbers of an observation that say where its agent is, x and y; left out: it does not say."""
    pose_scale: float = 1.0
    """Length that 1 stands for in these numbers, in the environment's unit of length."""

    def __post_init__(self) -> None:
        """Fills in `obs_shape`.

        Raises:
            ValueError: `obs_shape` is not a shape of `obs_dim` numbers.
        """
        shape = tuple(self.obs_shape) or (self.obs_dim,)
        if math.prod(shape) != self.obs_dim:
            raise ValueError(f"obs_shape is {shape}, {math.prod(shape)} numbers; obs_dim is {self.obs_dim}")
        object.__setattr__(self, "obs_shape", shape)

    @property
    def action_dim(self) -> int:
        """A: entries of a `Box`, choices of a `Discrete`."""
        space = self.action_space
        return int(np.prod(space.shape)) if isinstance(space, Box) else int(space.n)


class Obs(NamedTuple):
    """All worlds before a step. Only `obs`, `adjacency`, `alive`, `action_mask` and `started` may shape an action."""

    obs: Array  # (B, N, O) float32
    state: Array  # (B, S) float32, for centralised critics only
    adjacency: Array  # (B, N, N) bool; [b, i, j]: i can hear j
    alive: Array  # (B, N) bool
    action_mask: Array | None  # (B, N, A) bool, True where allowed
    started: Array  # (B,) bool, True at the first step of an episode: memory begins anew


class Transition(NamedTuple):
    """One step of all worlds: the `Obs` that the agents acted on, and everything that came of their actions.

    An agent that was alive before the step, is not alive in `final` and has not terminated was truncated alone: it left
    while its world goes on. Its value bootstraps from its own last observation, which `final.obs` still holds.
    """

    obs: Obs  # before the step; the rows of agents that are not `alive` in it are to be ignored
    action: Action
    reward: Array  # (B, N) float32, each agent's own
    team_reward: Array  # (B,) float32
    counterfactual: Array | None  # (B, N) float32, G without agent i; None where the environment does not give it
    cost: Array  # (B, N) float32, what constraints count
    terminated: Array  # (B, N) bool: the agent died in this step, nothing is bootstrapped
    truncated: Array  # (B,) bool: the time limit of the world was reached, values bootstrap from `final`
    final: Obs  # after the step and before any reset
    ended: Array  # (B,) bool: the world was reset after this step (time limit, or no agent left alive)


class Savable(Protocol):
    """An object with a state of tensors, arrays and plain data, from which an equal object continues."""

    def state_dict(self) -> dict[str, Any]:
        """Returns the state."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Restores the state of an equal object."""
        ...


class Acting(Protocol):
    """Chooses the actions of all agents in B worlds: the one way that training, evaluation and saved policies share."""

    @property
    def device(self) -> torch.device:
        """The device that it computes on: the memory and the generator live there."""
        ...

    def first_memory(self, n_worlds: int, seed: int | None = None) -> Memory:
        """Returns the memory with which B worlds begin; it holds nothing of any past.

        Args:
            n_worlds: B.
            seed: Seed of the chance that the policy meets apart from its own, such as that of the medium between
                agents that talk; None: that of the training.
        """
        ...

    def act(self, obs: Obs, memory: Memory, generator: torch.Generator | None = None) -> tuple[Action, Memory]:
        """Chooses one action for each agent in each world.

        It reads `obs.obs`, `adjacency`, `alive`, `action_mask` and `started`, and nothing else: nothing that an agent
        could not see or hear reaches its action. Agents that are not alive get actions too, which have no effect.

        Args:
            obs: All worlds before the step. Where `started`, a world's memory begins anew.
            memory: The memory after the step before, or `first_memory`. It is not changed.
            generator: Source of chance for sampled actions; None takes the most likely ones.

        Returns:
            Actions inside the action space, (B, N) int64 or (B, N, A) float32, and the memory for the next step.
        """
        ...


class SavablePolicy(Acting, Savable, Protocol):
    """A policy that can be saved, such as a network."""


class Player:
    """A policy with a memory and a generator of its own: it acts without disturbing the training of the policy."""

    def __init__(self, policy: Acting, *, generator: torch.Generator | None = None) -> None:
        """Starts with a first memory.

        Args:
            policy: The policy; it is shared, not copied.
            generator: Source of sampled actions; None acts greedily.
        """
        self._policy, self._generator = policy, generator
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forgets everything, but goes on drawing actions from its generator.

        Args:
            seed: Seed of the medium between agents that talk, see `Acting.first_memory`.
        """
        self._memory: Memory | None = None
        self._seed = seed

    def __call__(self, obs: Obs) -> Action:
        """Returns actions for all worlds, (B, N) int64 or (B, N, A) float32."""
        memory = memory_for(self._policy, obs, self._memory, self._seed)
        action, self._memory = self._policy.act(obs, memory, self._generator)
        return action

    def attention(self, obs: Obs) -> Tensor | None:
        """Returns how much agents would listen to each other now, (B, N, N); None where they do not talk.

        Nothing changes: the next call acts as if it had not been asked.
        """
        asked = getattr(self._policy, "attention", None)
        return None if asked is None else asked(obs, memory_for(self._policy, obs, self._memory, self._seed))


def memory_for(policy: Acting, obs: Obs, memory: Memory | None, seed: int | None = None) -> Memory:
    """Returns `memory` if it belongs to as many worlds as `obs` shows, else the policy's first memory with a seed."""
    n_worlds = len(obs.alive)
    if memory is None or any(len(part) != n_worlds for part in memory.values()):
        return policy.first_memory(n_worlds, seed)
    return memory


class Algorithm(Protocol):
    """Acts, observes the outcome, and learns."""

    progress: float
    """Fraction of the run that is over, 0 to 1, for the algorithm's schedules; the training loop sets it."""

    @property
    def policy(self) -> SavablePolicy:
        """All that execution needs; its state is the entry "policy" of `state_dict`."""
        ...

    @property
    def replay(self) -> Savable | None:
        """Past experience that is drawn again, saved beside `state_dict` only if asked for; None: there is none."""
        ...

    def begin(self, obs: Obs) -> tuple[str, ...]:
        """Allocates; called once before the first `act`, with the observations that it will get.

        Returns:
            Notes for the user, one line each.
        """
        ...

    def act(self, obs: Obs, *, greedy: bool = False) -> Action:
        """Returns actions for all worlds and agents, from what each agent can see and hear alone.

        Greedy actions explore nothing and leave no trace: neither draws nor memory of training change.
        """
        ...

    def take_back(self) -> None:
        """Undoes the last `act`, its draws and its change of memory: the worlds could not make the step."""
        ...

    def observe(self, transition: Transition) -> None:
        """Stores the outcome of the last `act` that was not greedy."""
        ...

    def update(self) -> dict[str, float]:
        """Learns if enough data is there; returns scalars to log by name, {} where nothing was learned."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns all that is needed to continue bit for bit, but `replay`: tensors, arrays and plain data only."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the `state_dict` of an algorithm built for the same spec and config."""
        ...


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
        """Makes one step of every world.

        Returns:
            (final, next): the worlds after the step, and after any auto-reset (the same where no world was reset).
        """
        ...

    def render(self, world: int = 0) -> Array:
        """Draws one world: (height, width, 3) uint8."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns arrays and plain data from which `load_state_dict` continues exactly."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> StepLike:
        """Restores `state_dict`; returns the step to act on next."""
        ...


def spec_of(env: VectorEnv) -> Spec:
    """Returns the `Spec` of an environment."""
    shape = tuple(env.observation_space.shape)
    return Spec(
        n_agents=len(env.agents),
        obs_dim=int(np.prod(env.observation_space.shape)),
        state_dim=int(np.prod(env.state_space.shape)),
        action_space=env.action_space,
        groups=env.groups,
        obs_shape=shape,
        pixels=bool(getattr(env, "pixels", False)) and len(shape) == 3 and min(shape[1:]) >= 3,  # read as an image
        pose=tuple(getattr(env, "pose", ())),
        pose_scale=float(getattr(env, "pose_scale", 1.0)),
    )
