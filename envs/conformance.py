"""The checks an environment must pass, for this suite and for anybody's environment behind the same contract.

    check_all("warehouse", task="tiny-2")        an environment of the table, in all its views
    check_batch_env(make_env)                    pure functions of a batch of worlds
    check_vector(make_env)                       worlds with auto-reset, in threads, copied
    check_parallel_env(make_parallel)            PettingZoo, AEC and SuperSuit
    check_foreign("my_project.worlds:Maze")      anybody's environment, as `envs.adapters` steps it: `foreign_checks`

or `python -m coterie.envs.conformance warehouse tiny-2`, or with `my_project.worlds:Maze` in place of the two names.
A failed check raises `AssertionError` and says what is wrong.
The single checks stand in `BATCH_CHECKS`, `VECTOR_CHECKS` and `PARALLEL_CHECKS` for test frameworks to list.
All take a function that makes the environment, so that two of them can be compared.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from . import adapters, aec_env, config, make, parallel_env
from .batch_checks import BATCH_CHECKS, SEEDED_STEPS, MakeEnv, assert_same, random_actions, world_of
from .core import ended
from .foreign.find import is_foreign
from .foreign_checks import FOREIGN_CHECKS
from .foreign_checks import check_foreign as check_foreign
from .sharing_checks import (
    MakeParallel,
    check_copies,
    check_parallel_threads,
    check_threads,
    check_vector_copies,
    chosen_actions,
    frozen,
)
from .vector import VectorView

TOLERATED = (
    "Observation numpy array is all zeros",  # a legitimate sight, and that of an agent that is not alive
    "State numpy array is all zeros",
    "maximum and minimum state space values are equal",  # a constant entry of the state
    "maximum and minimum observation space values are equal",
    "state space value is -infinity",  # honest where nothing bounds a value
    "state space value is infinity",
    "observation space value is -infinity",
    "observation space value is infinity",
)
"""Warnings of PettingZoo's tests that are no fault."""
MAX_CYCLES = 4
"""That the time limit is set to by `check_max_cycles`; PettingZoo's test sets the same."""


def check_all(name: str, task: str | None = None, **kwargs: Any) -> None:
    """Runs every check on an environment of the table."""
    check_batch_env(partial(make, name, task, **kwargs))
    check_vector(partial(make, name, task, **kwargs))
    limit = {"max_cycles": kwargs.pop("max_steps")} if "max_steps" in kwargs else {}  # PettingZoo's test sets its own

    def view(constructor: MakeParallel, **given: Any) -> Any:
        return constructor(name, task, **{**kwargs, **limit, **given})

    check_parallel_env(partial(view, parallel_env), partial(view, aec_env))


def check_batch_env(make_env: MakeEnv) -> None:
    """Runs `BATCH_CHECKS`: the contract of `envs.core`."""
    for check in BATCH_CHECKS:
        check(make_env)


def check_vector(make_env: MakeEnv) -> None:
    """Runs `VECTOR_CHECKS`: auto-reset, seeds, exact continuation, threads and copies."""
    for check in VECTOR_CHECKS:
        check(make_env)


def check_parallel_env(make_parallel: MakeParallel, make_aec: MakeParallel | None = None) -> None:
    """Runs `PARALLEL_CHECKS`: PettingZoo's tests, longer ones, and SuperSuit."""
    from pettingzoo.utils import parallel_to_aec

    def converted(**kwargs: Any) -> Any:
        return parallel_to_aec(make_parallel(**kwargs))

    for check in PARALLEL_CHECKS:
        check(make_parallel, make_aec or converted)


# Of worlds with auto-reset


def check_auto_reset(make_env: MakeEnv, worlds: int = 3, steps: int = 150) -> None:
    """Every world plays the episodes of its seeds, one after the other, as if it were alone."""
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
    """`state_dict`, pickled and loaded into a new view, goes on to the same bytes; a foreign one is refused."""
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


# Of PettingZoo, AEC and SuperSuit


def check_api(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """PettingZoo's parallel_api_test and api_test."""
    with _strict() as tests:
        tests.parallel_api_test(_sampling(make_parallel()), num_cycles=200)
        tests.api_test(_sampling(make_aec()), num_cycles=50)


def check_pettingzoo_seeds(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """PettingZoo's parallel_seed_test and seed_test."""
    with _strict() as tests:
        tests.parallel_seed_test(make_parallel, num_cycles=20)
        tests.seed_test(lambda: _sampling(make_aec()), num_cycles=20)  # it seeds no spaces of agents born later


def check_state(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """PettingZoo's state_test."""
    with _strict() as tests:
        tests.state_test(_sampling(make_aec()), _sampling(make_parallel()))


def check_pettingzoo_render(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """PettingZoo's render_test, in every mode."""
    with _strict() as tests, mock.patch.dict(os.environ, SDL_VIDEODRIVER="dummy"):  # `human` without a screen
        tests.render_test(make_aec)
        env = make_parallel(render_mode="rgb_array")
        env.reset(seed=0)
        first = env.render()
        assert isinstance(first, np.ndarray), f"render gave a {type(first).__name__}"
        assert first.min() != first.max(), "the frame is blank"
        env.close()


def check_max_cycles(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """PettingZoo's max_cycles_test: the time limit can be set.

    That test wants half of all agents to act in every step, so where some are born later the cycles are counted here.
    """
    env = _sampling(make_parallel(max_cycles=MAX_CYCLES))
    first, _ = env.reset(seed=0)
    if len(first) == len(env.possible_agents):
        with _strict() as tests:
            tests.max_cycles_test(types.SimpleNamespace(parallel_env=make_parallel, env=make_aec))
        return
    cycles = 0
    while env.agents:
        env.step({agent: env.action_space(agent).sample() for agent in env.agents})
        cycles += 1
    assert cycles == MAX_CYCLES, f"the parallel view makes {cycles} steps with max_cycles={MAX_CYCLES}"
    aec = _sampling(make_aec(max_cycles=MAX_CYCLES))
    aec.reset(seed=0)
    turns = dict.fromkeys(aec.possible_agents, 0)
    for agent in aec.agent_iter():
        over = aec.terminations[agent] or aec.truncations[agent]
        turns[agent] += not over
        aec.step(None if over else aec.action_space(agent).sample())
    assert max(turns.values()) == MAX_CYCLES, f"an agent acts {max(turns.values())} times with max_cycles={MAX_CYCLES}"


def check_long_seeds(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:  # noqa: ARG001 - one signature
    """The same seed and actions give equal dictionaries for 500 steps; without a seed the episodes follow the last."""
    one, other = make_parallel(), make_parallel()
    rng = np.random.default_rng(0)
    seed: int | None = 42  # later episodes come from the generators that it set
    shown, twin = one.reset(seed=seed), other.reset(seed=seed)
    for _ in range(SEEDED_STEPS):
        assert frozen(shown) == frozen(twin), "two episodes of one seed differ"
        if not one.agents:
            shown, twin = one.reset(), other.reset()
            continue
        actions = chosen_actions(one, shown[-1], rng)
        shown, twin = one.step(actions), other.step(actions)
    again = one.reset(seed=42)
    assert frozen(again) == frozen(other.reset(seed=42)), "the seed does not decide the episode alone"


def check_misuse(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """Misuse raises an error that says what is wrong."""
    env = make_parallel()
    agent = env.possible_agents[0]
    _refused(RuntimeError, "step before reset", env.step, {agent: env.action_space(agent).sample()})
    _refused(RuntimeError, "state before reset", env.state)
    _refused(ValueError, "a negative seed", env.reset, seed=-1)
    shown = env.reset(seed=0)
    good = chosen_actions(env, shown[-1], np.random.default_rng(0))
    agent = env.agents[0]
    _refused(ValueError, "an unknown agent", env.step, {**good, "nobody": good[agent]})
    _refused(ValueError, "a missing action", env.step, {a: v for a, v in good.items() if a != agent})
    _refused(ValueError, "a list of actions", env.step, list(good.values()))
    aec = make_aec()
    for what, value in _no_actions(env.action_space(agent)).items():
        _refused(ValueError, what, env.step, {**good, agent: value})
        aec.reset(seed=0)
        _refused(ValueError, f"{what}, taking turns,", _play_round, aec, value, good)
    while env.agents:
        shown = env.step(chosen_actions(env, shown[-1], np.random.default_rng(0)))
    _refused(RuntimeError, "a step after the end", env.step, good)
    _refused(ValueError, "a foreign render_mode", make_parallel, render_mode="ascii")


def _play_round(aec: Any, wrong: Any, good: dict[str, Any]) -> None:
    """A round in which the first agent does something wrong."""
    aec.step(wrong)
    for agent in aec.agents[1:]:
        aec.step(good[agent])


def _no_actions(space: Any) -> dict[str, Any]:
    """What is not in an action space, by what it is."""
    wrong: dict[str, Any] = {
        "None": None,
        "NaN": np.full(space.shape, np.nan),
        "text": "forward",
        "True": True,
        "numpy's True": np.ones(space.shape, bool),
        "an integer beyond 64 bits": 10**30,
        "a complex number": np.ones(space.shape, complex),
    }
    if hasattr(space, "high"):
        most = np.full(space.shape, 1e300)
        return {**wrong, "a number above the Box": space.high + 1, "infinity": np.inf + most, "1e300": most}
    beyond = int(space.start + space.n)
    return {
        **wrong,
        "a number past the last": beyond,
        "a float": float(space.start),
        "one before": int(space.start) - 1,
    }


def check_supersuit(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:  # noqa: ARG001 - one signature
    """SuperSuit vectorises it, in this process and in two others. Dying agents need its black_death_v3."""
    import supersuit

    first, _ = make_parallel().reset(seed=3)
    if len(first) < len(make_parallel().possible_agents):
        return  # it knows no agents that are born later
    for processes in (1, 2):
        env = supersuit.black_death_v3(make_parallel())
        single = supersuit.pettingzoo_env_to_vec_env_v1(env)
        vector: Any = supersuit.concat_vec_envs_v1(single, 2, num_cpus=processes, base_class="gymnasium")
        obs, _ = vector.reset(seed=3)
        agents = len(env.possible_agents)
        assert obs.shape[0] == 2 * agents, f"SuperSuit shows {obs.shape[0]} rows for 2 x {agents} agents"
        assert not np.array_equal(obs[:agents], obs[agents:]), "two worlds of different seeds look the same"
        vector.action_space.seed(0)
        for _ in range(10):
            action = np.stack([vector.action_space.sample() for _ in range(2 * agents)])
            obs, reward, *_ = vector.step(action)
            assert np.isfinite(obs).all(), "an observation is not finite"
            assert np.isfinite(reward).all(), "a reward is not finite"
        vector.close()


PARALLEL_CHECKS: tuple[Callable[[MakeParallel, MakeParallel], None], ...] = (
    check_api,
    check_pettingzoo_seeds,
    check_state,
    check_pettingzoo_render,
    check_max_cycles,
    check_long_seeds,
    check_copies,
    check_parallel_threads,
    check_misuse,
    check_supersuit,
)


@contextlib.contextmanager
def _strict() -> Iterator[Any]:
    """PettingZoo's tests, silenced, their warnings turned into failures, save the tolerated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they import an environment by its deprecated name
        from pettingzoo import test as tests
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield tests
    faults = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    faults = [fault for fault in faults if not any(known in fault for known in TOLERATED)]
    assert not faults, "PettingZoo's test warns: " + "; ".join(sorted(set(faults)))


def _sampling(env: Any) -> Any:
    """Seeds the spaces that PettingZoo's tests draw their actions from."""
    for i, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(i)
    return env


def _refused(kind: type[Exception], what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    try:
        call(*args, **kwargs)
    except kind as error:
        assert len(str(error)) > 10, f"the error for {what} says nothing"
    except Exception as error:
        raise AssertionError(f"{what} raises {error!r}, it must raise {kind.__name__}") from error
    else:
        raise AssertionError(f"{what} raises no {kind.__name__}")


def command(words: Sequence[str]) -> int:
    """The command line: checks what is named, and says in one line what is wrong with it.

    Returns:
        Exit code: 0 where all passed, 1 where a check failed, 2 where the words name nothing that can be checked.
    """
    foreign = bool(words) and is_foreign(words[0])
    if not 1 <= len(words) <= (1 if foreign else 2):
        print(
            "conformance: expected is NAME [TASK] for an environment of Coterie, MODULE:NAME for any other; in Python "
            "constructors can be given arguments: check_foreign(NAME, key=value)",
            file=sys.stderr,
        )
        return 2
    named = " ".join(words)
    try:
        if foreign:
            there = adapters.prepare(words[0])
            checks = [partial(check, there) for check in FOREIGN_CHECKS]
            count = len(checks)
        else:
            config(*words)
            checks = [partial(check_all, *words)]
            count = len(BATCH_CHECKS + VECTOR_CHECKS + PARALLEL_CHECKS)
    except (ValueError, adapters.ForeignError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    try:
        for check in checks:
            check()
    except AssertionError as error:
        if not str(error):  # nothing is said but where it stands
            raise
        print(f"conformance: {named} fails: {error}", file=sys.stderr)
        return 1
    print(f"{named}: all {count} checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
