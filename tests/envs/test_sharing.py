"""Threads and copies: cases that `envs.conformance.sharing` cannot provoke in every environment."""

from __future__ import annotations

import copy
import pickle
import threading
from functools import partial
from typing import Any

import numpy as np
import pytest

import envs
from envs.conformance.compare import fingerprint
from envs.conformance.sharing import assert_alike
from envs.kit import paint
from envs.vector import VectorView

CRAMPED = "#######\n#..S..#\n#.....#\n#..R..#\n#.....#\n#######"
"""Where six robots that drive about cannot but push each other and the walls."""


def test_crowds_in_threads_move_as_they_do_one_after_the_other() -> None:
    """Pymunk lets go of the interpreter's lock in the middle of a step, so a Space that two share is torn."""
    env = envs.make("warehouse", layout=CRAMPED, n_robots=6, continuous=True, max_steps=1000)

    def play(seed: int) -> Any:
        state, _ = env.reset([seed, seed + 100])
        rng = np.random.default_rng(seed)
        action = np.ones((2, 6, 2))
        for t in range(80):
            if t % 10 == 0:
                action[..., 1] = rng.choice([-0.2, 0.0, 0.2], (2, 6))
            state, _ = env.step(state, action)
        assert state.totals[:, 2].sum() > 10, "there must be contacts"
        return fingerprint(state)

    assert_alike([partial(play, seed) for seed in range(4)], "crowds")


def test_a_space_is_nobodys_while_it_is_in_use_and_kept_for_the_next() -> None:
    from envs.warehouse.physics import physics_of

    machine = physics_of(CRAMPED, 2)
    one, other = machine.take(), machine.take()
    assert one.space is not other.space
    machine.give_back(one)
    assert machine.take() is one
    assert physics_of(CRAMPED, 2) is machine
    assert physics_of(CRAMPED, 3) is not machine


def test_pictures_are_drawn_one_at_a_time() -> None:
    inside, most = [0], [0]

    @paint.one_at_a_time
    def draw() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.002)
        inside[0] -= 1

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    for name in envs.ENVS:
        module = __import__(f"envs.{name}.picture", fromlist=["draw"])
        assert hasattr(module.draw, "__wrapped__"), f"envs.{name}: decorate draw with paint.one_at_a_time"


@pytest.mark.parametrize("name", sorted(envs.ENVS))
def test_a_copy_shares_or_keeps_the_tables_that_nobody_may_write(name: str) -> None:
    """Numba compiles kernels anew for arrays that can be written: half a minute for a deep copy."""
    env = envs.make(name)
    tables = [part for value in vars(env).values() if isinstance(value, tuple) for part in value]
    locked = [part for part in tables if isinstance(part, np.ndarray) and not part.flags.writeable]
    assert bool(locked) == (name in ("warehouse", "intersection", "signals", "traffic_junction"))
    for one in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        parts = [part for value in vars(one).values() if isinstance(value, tuple) for part in value]
        again = [part for part in parts if isinstance(part, np.ndarray) and not part.flags.writeable]
        assert fingerprint(again) == fingerprint(locked)


def test_a_pickled_warehouse_is_small_and_whole() -> None:
    env = envs.make("warehouse", "huge-64")
    assert len(pickle.dumps(env)) < 5_000
    view = pickle.loads(pickle.dumps(VectorView(envs.make("warehouse", layout=CRAMPED, n_robots=2), 2)))
    assert view.reset(0).obs.shape[:2] == (2, 2)
