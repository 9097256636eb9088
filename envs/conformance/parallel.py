"""Checks of PettingZoo's views of an environment: PettingZoo's own tests, longer ones, and SuperSuit.

Each takes a function that makes the parallel view and one that makes the AEC view, so that two can be compared.
"""

from __future__ import annotations

import contextlib
import io
import os
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np

from .compare import frozen
from .play import SEEDED_STEPS, MakeParallel, chosen_actions
from .sharing import check_copies, check_parallel_threads

TOLERATED = (
    "Observation numpy array is all zeros",  # a legitimate sight, and that of an agent that is not alive
    "State numpy array is all zeros",
    "maximum and minimum state space values are equal",  # a constant entry of the state
    "maximum and minimum observation space values are equal",
    "state space value is -infinity",  # honest where nothing bounds a value
    "state space value is infinity",
    "observation space value is -infinity",
    "observation space value is infinity",
    "No agents present but not all possible_agents are terminated or truncated",  # some may never come
)
"""Warnings of PettingZoo's tests that do not fail a check."""
MAX_CYCLES = 4
"""Time limit that `check_max_cycles` sets, as PettingZoo's own test does."""


def check_api(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """Runs PettingZoo's parallel_api_test and api_test."""
    with _strict() as tests:
        tests.parallel_api_test(_sampling(make_parallel()), num_cycles=200)
        tests.api_test(_sampling(make_aec()), num_cycles=50)


def check_pettingzoo_seeds(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """Runs PettingZoo's parallel_seed_test and seed_test."""
    with _strict() as tests:
        tests.parallel_seed_test(make_parallel, num_cycles=20)
        tests.seed_test(lambda: _sampling(make_aec()), num_cycles=20)  # it seeds no spaces of agents born later


def check_state(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """Runs PettingZoo's state_test."""
    with _strict() as tests:
        tests.state_test(_sampling(make_aec()), _sampling(make_parallel()))


def check_pettingzoo_render(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """Runs PettingZoo's render_test in every mode."""
    with _strict() as tests, mock.patch.dict(os.environ, SDL_VIDEODRIVER="dummy"):  # `human` without a screen
        tests.render_test(make_aec)
        env = make_parallel(render_mode="rgb_array")
        env.reset(seed=0)
        first = env.render()
        assert isinstance(first, np.ndarray), f"render gave a {type(first).__name__}"
        assert first.min() != first.max(), "the frame is blank"
        env.close()


def check_max_cycles(make_parallel: MakeParallel, make_aec: MakeParallel) -> None:
    """Runs PettingZoo's max_cycles_test: the time limit can be set.

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
    """Checks that one seed and the same actions give equal dictionaries for 500 steps, later episodes included."""
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
    """Checks that misuse raises an error that says what is wrong."""
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
    """Plays a round in which the first agent does something wrong."""
    aec.step(wrong)
    for agent in aec.agents[1:]:
        aec.step(good[agent])


def _no_actions(space: Any) -> dict[str, Any]:
    """Returns values that are not in an action space, by what they are."""
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
    """Checks that SuperSuit vectorises it, in this process and in two others. Dying agents need its black_death_v3."""
    import supersuit

    first, _ = make_parallel().reset(seed=3)
    if len(first) < len(make_parallel().possible_agents):
        return  # SuperSuit does not support agents that are born later
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
    """Yields PettingZoo's module of tests, silenced; warnings other than `TOLERATED` become failures."""
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
    """Seeds the spaces from which PettingZoo's tests draw actions, and returns the environment."""
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
