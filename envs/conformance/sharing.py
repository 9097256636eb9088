"""Checks that users of an environment do not affect each other: in threads, and with copies.

They take functions that make the environment or its PettingZoo views.
"""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cloudpickle
import numpy as np

from ..vector import VectorView
from .compare import assert_same, fingerprint, frozen
from .play import MakeEnv, MakeParallel, chosen_actions, random_actions

THREADS = 4
"""Threads that run at the same time."""
SWITCH_INTERVAL = 1e-5
"""Time after which Python switches between threads in these checks [s]; its default is 5 ms."""


# The pieces the checks are made of


def assert_alike(tasks: Sequence[Callable[[], Any]], what: str) -> None:
    """Raises `AssertionError` unless tasks return the same at once, in a thread each, as one after the other."""
    alone = [task() for task in tasks]
    together: list[Any] = []
    start = threading.Barrier(len(tasks))

    def begin(task: Callable[[], Any]) -> Any:
        start.wait()
        return task()

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with ThreadPoolExecutor(len(tasks)) as pool:
            together = [future.result() for future in [pool.submit(begin, task) for task in tasks]]
    except Exception as error:
        raise AssertionError(f"{what} in threads raise {error!r}, one after the other they do not") from error
    finally:
        sys.setswitchinterval(before)
    assert together == alone, f"{what} in threads give other bytes than one after the other: they share something"


def copies_of(thing: Any) -> dict[str, Any]:
    """Returns a copy of a thing by each way of copying, by the way's name."""
    ways: dict[str, Callable[[Any], Any]] = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda it: pickle.loads(pickle.dumps(it)),
        "cloudpickle": lambda it: cloudpickle.loads(cloudpickle.dumps(it)),
    }
    made = {}
    for name, way in ways.items():
        try:
            made[name] = way(thing)
        except Exception as error:
            raise AssertionError(f"{name} of a {type(thing).__name__} fails: {error!r}") from error
    return made


# Of worlds with auto-reset


def check_threads(make_env: MakeEnv, worlds: int = 3, steps: int = 25) -> None:
    """Checks that worlds stepped and drawn in threads do not mix, over an environment each and over one for all."""
    together = make_env()

    def play(make: MakeEnv, seed: int) -> Any:
        view = VectorView(make(), worlds)
        step, rng = view.reset(seed), np.random.default_rng(seed)
        seen = [fingerprint(step)]
        for _ in range(steps):
            final, step = view.step(random_actions(view.env, step, rng))
            seen.append(fingerprint((final, step)))
        return [*seen, fingerprint(view.render(worlds - 1)), fingerprint(view.batch_state)]

    for make, what in ((make_env, "environments"), (lambda: together, "views of one environment")):
        assert_alike([partial(play, make, seed) for seed in range(THREADS)], what)


def check_vector_copies(make_env: MakeEnv, worlds: int = 3, before: int = 35, after: int = 40) -> None:
    """Checks that copies of a view in the middle of its episodes go on to the same bytes, each on its own."""
    view = VectorView(make_env(), worlds, stagger=True)
    step, rng = view.reset(5), np.random.default_rng(5)
    for _ in range(before):
        _, step = view.step(random_actions(view.env, step, rng))
    copies = copies_of(view)
    seen: list[Any] = []
    shown = step
    for _ in range(after):  # first one of the copies alone
        action = random_actions(view.env, shown, rng)
        final, shown = copies["deepcopy"].step(action)
        seen.append((action, final, shown, copies["deepcopy"].full_episodes))
    for name, one in {"original": view, **copies}.items():
        if name == "deepcopy":
            continue
        for action, final, shown, full in seen:
            for expected, found in zip((final, shown), one.step(action), strict=True):
                assert_same(expected, found, f"the {name} and a deepcopy, stepped on")
            assert np.array_equal(one.full_episodes, full), f"the {name} and a deepcopy count other episodes"


# Of PettingZoo


def check_parallel_threads(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:  # noqa: ARG001 - one signature
    """Checks that views stepped and drawn in threads show what they show one after the other."""

    def play(seed: int) -> Any:
        env = make_parallel(render_mode="rgb_array")
        rng, shown = np.random.default_rng(seed), env.reset(seed=seed)
        seen = [frozen(shown), frozen(env.render())]
        for _ in range(15):
            shown = env.step(chosen_actions(env, shown[-1], rng)) if env.agents else env.reset()
            seen += [frozen(shown), frozen(env.state())]
        return [*seen, frozen(env.render())]

    assert_alike([partial(play, seed) for seed in range(THREADS)], "parallel views")


def check_copies(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """Checks that copies go on alike, random spaces and unseeded episodes included, and share no array with callers."""
    env = make_parallel()
    rng = np.random.default_rng(0)
    shown = env.reset(seed=1)
    for _ in range(3):
        shown = env.step(chosen_actions(env, shown[-1], rng))
    for agent in env.possible_agents:
        env.action_space(agent).seed(3)  # of agents born later, too; unseeded spaces draw from the operating system
    copies = copies_of(env)
    before = env.state().copy()
    infos = copy.deepcopy(shown[-1])
    for array in (*shown[0].values(), env.state(), env.adjacency()):
        array[...] = 1  # this must not reach the environment
    assert np.array_equal(env.state(), before), "state() hands out the environment's own array"
    drawn = [frozen({a: one.action_space(a).sample() for a in env.agents}) for one in (env, *copies.values())]
    assert all(one == drawn[0] for one in drawn), "the spaces of a copy draw other actions"
    for _ in range(20):
        actions = chosen_actions(env, infos, rng)
        shown = env.step(actions) if env.agents else env.reset()
        infos = shown[-1]
        for name, one in copies.items():
            other = one.step(actions) if one.agents else one.reset()
            assert frozen(other) == frozen(shown), f"a copy by {name} goes on differently"
            assert np.array_equal(one.state(), env.state()), f"a copy by {name} goes on differently"
    _check_aec_copies(make_aec)


def _check_aec_copies(make_aec: MakeParallel) -> None:
    """Copies an AEC view in the middle of a round, when some agents have acted and others have not."""
    env = make_aec()
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    _take_turns(env, rng, 1 + len(env.agents))
    state = rng.bit_generator.state
    seen = None
    for name, one in {**copies_of(env), "original": env}.items():
        rng.bit_generator.state = state
        turns = _take_turns(one, rng, 3 * len(env.possible_agents))
        seen = turns if seen is None else seen
        assert turns == seen, f"AEC: the {name} goes on differently than a deepcopy"


def _take_turns(env: Any, rng: np.random.Generator, turns: int) -> list[Any]:
    seen = []
    for agent in env.agent_iter(turns):
        obs, reward, terminated, truncated, info = env.last()
        seen.append(frozen((agent, obs, reward, terminated, truncated, info)))
        space = env.action_space(agent)
        space.seed(int(rng.integers(2**31)))
        mask = info.get("action_mask")
        env.step(None if terminated or truncated else space.sample() if mask is None else space.sample(mask))
    return seen
