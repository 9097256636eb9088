"""Checks of worlds with auto-reset, as `envs.vector` steps them.

Axes: B worlds, N agents.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import ended
from ..vector import VectorView
from .compare import assert_same, world_of
from .play import MakeEnv, random_actions
from .sharing import check_threads, check_vector_copies


def check_auto_reset(make_env: MakeEnv, worlds: int = 3, steps: int = 150) -> None:
    """Checks that every world plays the episodes of its seeds, one after the other, as if it were alone."""
    env = make_env()
    view = VectorView(make_env(), worlds)
    step = view.reset(9)
    rng = np.random.default_rng(0)
    episode = [0] * worlds

    def start(world: int) -> Any:
        words = np.random.SeedSequence([9, world, episode[world]]).generate_state(1, np.uint64)
        return env.reset([int(words[0])])

    alone = [start(world) for world in range(worlds)]
    for _ in range(steps):
        action = random_actions(env, step, rng)
        final, step = view.step(action)
        over = ended(final)
        assert (step is final) == (not over.any()), "next must be the same object as final when no world ended"
        assert np.array_equal(view.full_episodes, over), "full_episodes must name the worlds that ended"
        for world in range(worlds):
            row = slice(world, world + 1)
            alone[world] = env.step(alone[world][0], action[row])
            assert_same(world_of(final, row), alone[world][1], f"world {world} before its reset, and alone")
            if over[world]:
                episode[world] += 1
                alone[world] = start(world)
            assert_same(world_of(step, row), alone[world][1], f"world {world} after its reset, and alone")


def check_continuation(make_env: MakeEnv, worlds: int = 3, steps: int = 40) -> None:
    """Checks that a view loaded from a pickled `state_dict` goes on to the same bytes, and refuses a wrong one."""
    view = VectorView(make_env(), worlds, stagger=True)
    step = view.reset(2)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        _, step = view.step(random_actions(view.env, step, rng))
    other = VectorView(make_env(), worlds)
    loaded = other.load_state_dict(pickle.loads(pickle.dumps(view.state_dict())))
    assert_same(loaded, step, "the step that load_state_dict returns")
    for _ in range(steps):
        action = random_actions(view.env, step, rng)
        final, step = view.step(action)
        for one, two in zip((final, step), other.step(action), strict=True):
            assert_same(one, two, "a run that was saved and loaded")
    try:
        VectorView(make_env(), worlds + 1).load_state_dict(view.state_dict())
    except ValueError:
        return
    raise AssertionError("load_state_dict took the state of another number of worlds")


VECTOR_CHECKS: tuple[Callable[[MakeEnv], None], ...] = (
    check_auto_reset,
    check_continuation,
    check_threads,
    check_vector_copies,
)
