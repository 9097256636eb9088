"""Random transitions without an environment, for checking an algorithm's promises.

Axes: B worlds, N agents, O observation, A actions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from algos.core import Algorithm, Obs, Spec, Transition


class Stream:
    """Random transitions: agents come late, die early or leave, worlds end by death and by time, masks come and go."""

    def __init__(self, spec: Spec, n_worlds: int = 5, seed: int = 0, *, noise_for_the_dead: int | None = None) -> None:
        self.spec, self.b, self.rng = spec, n_worlds, np.random.default_rng(seed)
        self.alive = np.ones((n_worlds, spec.n_agents), bool)
        self.started = np.ones(n_worlds, bool)
        self.born = self.alive  # at any time in the episode: agents do not come back
        self.dead_rng = None if noise_for_the_dead is None else np.random.default_rng(noise_for_the_dead)
        self.shown = 0
        self.now = self.seen(self.alive, self.started)

    def seen(self, alive, started):
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
        return Obs(obs, state, self.adjacency(), alive, mask, started)

    def adjacency(self):
        """(B, N, N) pairs that change with every row, without a draw: the other fields stay as they are."""
        ends = np.arange(self.b)[:, None, None] + np.arange(self.spec.n_agents)[:, None]  # (B, N, 1)
        self.shown += 1
        return (ends * 3 + np.arange(self.spec.n_agents) * 5 + self.shown) % 4 > 0

    def step(self, action):
        """The transition that the action leads to."""
        obs, b, n = self.now, self.b, self.spec.n_agents
        dies = (self.rng.random((b, n)) < 0.15) & self.alive
        leaves = (self.rng.random((b, n)) < 0.1) & self.alive & ~dies
        late = (self.rng.random((b, n)) < 0.3) & ~self.born & (self.alive & ~dies & ~leaves).any(1, keepdims=True)
        alive = (self.alive & ~dies & ~leaves) | late
        truncated = (self.rng.random(b) < 0.1) & alive.any(1)
        ended = truncated | ~alive.any(1)
        reward = self.rng.standard_normal((b, n), dtype=np.float32)
        reward[~self.alive] = 0
        if self.dead_rng is not None:
            reward[~self.alive] = 1e3 * self.dead_rng.standard_normal((~self.alive).sum())
        final = self.seen(alive | leaves, np.zeros(b, bool))._replace(alive=alive)
        born = self.rng.random((b, n)) < 0.7
        born[:, 0] = True
        self.born = np.where(ended[:, None], born, self.born | late)
        self.alive = np.where(ended[:, None], born, alive)
        self.now = self.seen(self.alive, ended)
        team = self.rng.standard_normal(b, dtype=np.float32)
        cost = dies.astype(np.float32)
        if self.dead_rng is not None:
            cost[~obs.alive] = 1e3 * self.dead_rng.standard_normal((~obs.alive).sum())
        return Transition(obs, action, reward, team, reward + cost, cost, dies, truncated, final, ended)


SPECS = [
    Spec(3, 4, 2, Discrete(3), ((0, 2), (1,))),
    Spec(3, 4, 0, Box(-1.0, 2.0, (2,), np.float32), ((0, 2), (1,))),
    Spec(3, 40, 0, Discrete(3), ((0, 2), (1,)), obs_shape=(2, 4, 5)),
]


def drive(algo: Algorithm, stream: Stream, steps: int) -> list[Any]:
    """Runs on a stream; returns all actions and statistics."""
    out: list[Any] = []
    for _ in range(steps):
        action = algo.act(stream.now)
        space = stream.spec.action_space
        assert action.dtype == (np.int64 if isinstance(space, Discrete) else np.float32)
        assert all(space.contains(a) for a in action.reshape(-1, *(space.shape or ())))
        algo.observe(stream.step(action))
        out += [action, algo.update()]
    return out


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, in nested containers."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")  # an undefined metric is NaN on both sides
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
