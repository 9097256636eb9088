"""Random transitions without an environment, for checking an algorithm: everything that worlds can do, in few steps.

Agents are born late, die and leave; worlds end because nobody is left and by the time limit; masks come and go.

Axes: B worlds, N agents, O observation, S global state, A actions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete

from ..core import Action, Algorithm, Array, Obs, Spec, Transition


class Stream:
    """Worlds of pure noise: what agents observe and earn does not depend on what they do.

    Attributes:
        now: The observations to act on next.
    """

    def __init__(self, spec: Spec, n_worlds: int = 5, seed: int = 0, *, noise_for_the_dead: int | None = None) -> None:
        """Starts all worlds with all agents alive.

        Args:
            spec: Shapes.
            n_worlds: B.
            seed: Source of everything.
            noise_for_the_dead: Seed of what agents that are not alive observe, are allowed and earn, which must change
                nothing. None: zeros, and all actions forbidden.
        """
        self.spec, self.b, self.rng = spec, n_worlds, np.random.default_rng(seed)
        self.alive = np.ones((n_worlds, spec.n_agents), bool)
        self.started = np.ones(n_worlds, bool)
        self.born = self.alive  # at any time in the episode: no agent is born twice
        self.dead_rng = None if noise_for_the_dead is None else np.random.default_rng(noise_for_the_dead)
        self.shown = 0  # how often the worlds were looked at
        self.now = self._seen(self.alive, self.started)

    def step(self, action: Action) -> Transition:
        """Moves on by one step, and resets the worlds that end."""
        obs, b, n = self.now, self.b, self.spec.n_agents
        dies = (self.rng.random((b, n)) < 0.15) & self.alive
        leaves = (self.rng.random((b, n)) < 0.1) & self.alive & ~dies
        late = (self.rng.random((b, n)) < 0.3) & ~self.born & (self.alive & ~dies & ~leaves).any(1, keepdims=True)
        alive = (self.alive & ~dies & ~leaves) | late
        truncated = (self.rng.random(b) < 0.1) & alive.any(1)
        ended = truncated | ~alive.any(1)
        reward = self.rng.standard_normal((b, n), dtype=np.float32)
        cost = (reward > 1).astype(np.float32)
        for paid in (reward, cost):
            paid[~self.alive] = 0
            if self.dead_rng is not None:
                paid[~self.alive] = 1e3 * self.dead_rng.standard_normal((~self.alive).sum())
        final = self._seen(alive | leaves, np.zeros(b, bool))._replace(alive=alive)
        born = self.rng.random((b, n)) < 0.7
        born[:, 0] = True
        self.born = np.where(ended[:, None], born, self.born | late)
        self.alive = np.where(ended[:, None], born, alive)
        self.now = self._seen(self.alive, ended)
        return Transition(
            obs=obs,
            action=action,
            reward=reward,
            team_reward=self.rng.standard_normal(b, dtype=np.float32),
            counterfactual=reward + cost,
            cost=cost,
            terminated=dies,
            truncated=truncated,
            final=final,
            ended=ended,
        )

    def _seen(self, alive: Array, started: Array) -> Obs:
        b, n, spec = self.b, self.spec.n_agents, self.spec
        obs = self.rng.standard_normal((b, n, spec.obs_dim), dtype=np.float32)
        mask = None
        if isinstance(spec.action_space, Discrete):
            mask = self.rng.random((b, n, int(spec.action_space.n))) < 0.7
            mask[..., 0] = True
            mask[~alive] = False
        obs[~alive] = 0
        if self.dead_rng is not None:
            obs[~alive] = self.dead_rng.standard_normal(((~alive).sum(), spec.obs_dim))
            if mask is not None:
                mask[~alive] = self.dead_rng.random(((~alive).sum(), mask.shape[-1])) < 0.5
        state = self.rng.standard_normal((b, spec.state_dim), dtype=np.float32)
        return Obs(obs, state, self._adjacency(), alive, mask, started)

    def _adjacency(self) -> Array:
        """Returns (B, N, N) pairs that change every time, without a draw, so that the other fields stay as they are."""
        agents = np.arange(self.spec.n_agents)
        ends = np.arange(self.b)[:, None, None] + agents[:, None]  # (B, N, 1)
        self.shown += 1
        return (ends * 3 + agents * 5 + self.shown) % 4 > 0


def drive(algo: Algorithm, stream: Stream, steps: int) -> list[Any]:
    """Trains for so many steps of all worlds.

    Returns:
        Two entries a step: the actions, and the statistics of the update.

    Raises:
        AssertionError: An action is outside its space, of the wrong type, or masked for an agent that is alive.
    """
    out: list[Any] = []
    for _ in range(steps):
        action = algo.act(stream.now)
        check_actions(action, stream.now, stream.spec)
        algo.observe(stream.step(action))
        out += [action, algo.update()]
    return out


def check_actions(action: Action, obs: Obs, spec: Spec) -> None:
    """Checks that actions (B, N) or (B, N, A) fit their space, and their masks where agents are alive.

    Raises:
        AssertionError: They do not.
    """
    space = spec.action_space
    expected = np.dtype(np.int64 if isinstance(space, Discrete) else np.float32)
    shape = (*obs.alive.shape, *(space.shape or ()))
    assert isinstance(action, np.ndarray), f"act returned a {type(action).__name__}, not an array"
    assert action.dtype == expected, f"actions are {action.dtype}, not {expected}"
    assert action.shape == shape, f"actions have shape {action.shape}, not {shape}"
    for one in action.reshape(-1, *(space.shape or ())):
        assert space.contains(one), f"action {one} is outside {space}"
    if obs.action_mask is not None:
        allowed = np.take_along_axis(obs.action_mask, action[..., None], -1)[..., 0]  # (B, N)
        assert allowed[obs.alive].all(), "an agent that is alive chose an action that its mask forbids"


def same(a: Any, b: Any) -> bool:
    """Returns whether two nested containers of tensors, arrays and plain data have equal bits; NaN equals NaN."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")  # an undefined metric is NaN on both sides
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
