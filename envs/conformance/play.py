"""Random play, which most checks watch: one step, or an episode of a batch of worlds.

Axes: B worlds, N agents, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete

from ..core import Array, BatchEnv, Step, ended

MakeEnv = Callable[[], Any]
"""A function without arguments that makes an environment."""
MakeParallel = Callable[..., Any]
"""A function that makes a PettingZoo view of one, and takes `render_mode` and `max_cycles` by name."""
SEEDED_STEPS = 500
"""Steps over which the same seed must give the same bytes; PettingZoo's own test compares one."""


def random_actions(env: BatchEnv, step: Step, rng: np.random.Generator) -> Array:
    """Returns actions drawn uniformly among those allowed: (B, N) integers or (B, N, A) floats."""
    worlds, agents = step.alive.shape
    space = env.action_space
    if isinstance(space, Discrete):
        score = rng.random((worlds, agents, int(space.n)))
        if step.action_mask is not None:
            score = np.where(step.action_mask, score, -1.0)
        return score.argmax(axis=2) + int(space.start)
    return rng.uniform(space.low, space.high, (worlds, agents, *space.shape)).astype(np.float32)


def chosen_actions(env: Any, infos: dict[str, dict[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
    """Returns random actions that the masks in `infos` allow, by agent."""
    actions = {}
    for agent in env.agents:
        space = env.action_space(agent)
        space.seed(int(rng.integers(2**31)))
        mask = infos[agent].get("action_mask")
        actions[agent] = space.sample() if mask is None else space.sample(mask)
    return actions


def roll(
    env: BatchEnv, seeds: Sequence[int], steps: int, seed: int = 0
) -> Iterator[tuple[Any, Step, Array, Any, Step]]:
    """Yields (state, step, action, next state, next step) under random actions, until all worlds have ended."""
    rng = np.random.default_rng(seed)
    state, step = env.reset(seeds)
    for _ in range(steps):
        action = random_actions(env, step, rng)
        following, shown = env.step(state, action)
        yield state, step, action, following, shown
        state, step = following, shown
        if ended(step).all():
            return
