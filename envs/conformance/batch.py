"""Checks that an environment is a pure function of a batch of worlds, as `envs.core` demands.

Each takes a function that makes the environment, and raises `AssertionError` with a line that says what is wrong.

Axes: B worlds, N agents, O observation, A actions.
"""

from __future__ import annotations

import inspect
import pickle
import re
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
from gymnasium.spaces import Box, Discrete

from ..core import Array, BatchEnv, Step, ended, put_worlds, take_worlds
from .compare import assert_same, differences, fingerprint, world_of
from .play import SEEDED_STEPS, MakeEnv, random_actions, roll


def check_spaces(make_env: MakeEnv) -> None:
    """Checks that the attributes of `BatchEnv` are there, and bounded where they must be."""
    env = make_env()
    assert isinstance(env, BatchEnv), f"{type(env).__name__} lacks attributes or methods of envs.core.BatchEnv"
    assert re.fullmatch(r".+_v\d+", env.name), f"name is {env.name!r}, it must end in a version like _v0"
    assert env.agents, "there must be at least one agent"
    assert len(set(env.agents)) == len(env.agents), f"agents {env.agents} have equal names"
    assert isinstance(env.observation_space, Box), f"observation_space is {env.observation_space}, not a Box"
    assert len(env.observation_space.shape) == 1, f"observations must be vectors, are {env.observation_space.shape}"
    assert isinstance(env.action_space, (Box, Discrete)), f"action_space is {env.action_space}"
    if isinstance(env.action_space, Box):
        assert np.isfinite([env.action_space.low, env.action_space.high]).all(), "the action space must be bounded"
    assert env.max_steps >= 1, f"max_steps is {env.max_steps}"
    assert env.step_seconds > 0, f"step_seconds is {env.step_seconds}"
    pose, size = getattr(env, "pose", None), env.observation_space.shape[0]
    if pose is not None:
        two = len(set(pose)) == 2 and all(0 <= index < size for index in pose)
        assert two, f"pose is {pose}, it must be the indices of x and y in an observation of {size} numbers"
        assert getattr(env, "pose_scale", 0.0) > 0, "an environment with a pose needs pose_scale > 0"
    names = getattr(env, "obs_names", None)
    if names is not None:
        assert len(names) == size, f"there are {len(names)} obs_names for an observation of {size} numbers"
        assert all(isinstance(name, str) and name for name in names), "obs_names must be texts that are not empty"
        assert len(set(names)) == size, "obs_names holds a name twice"
    groups = getattr(env, "groups", (tuple(range(len(env.agents))),))
    members = sorted(index for group in groups for index in group)
    assert members == list(range(len(env.agents))), f"groups {groups} are no partition of {len(env.agents)} agents"


def check_episodes(make_env: MakeEnv, worlds: int = 3) -> None:
    """Checks shapes, types, ranges, and the rules of birth and death, over whole random episodes."""
    env = make_env()
    state, step = env.reset(range(worlds))
    _check_step(env, state, step, worlds)
    for field in ("reward", "cost", "terminated", "truncated"):
        assert not np.any(getattr(step, field)), f"{field} after reset must be zero"
    born = step.alive.copy()  # (B, N) agents that have ever been alive
    rolled = roll(env, range(worlds), env.max_steps)
    for length, (_, before, _, state, step) in enumerate(rolled, start=1):
        _check_step(env, state, step, worlds)
        assert not (step.alive & ~before.alive & born).any(), "an agent came back to life"
        died = before.alive & ~step.alive
        assert np.array_equal(step.terminated, died), (
            "terminated must be True exactly in the step in which an agent dies"
        )
        absent = ~before.alive
        assert not step.reward[absent].any(), "an agent that was not alive before the step was paid"
        born |= step.alive
        late = step.truncated != (length >= env.max_steps)
        late &= ~ended(before)
        assert not late.any(), f"truncated is {step.truncated} after step {length} of max_steps={env.max_steps}"


def _check_step(env: BatchEnv, state: Any, step: Step, worlds: int) -> None:
    agents, observations = len(env.agents), env.observation_space
    expected: dict[str, tuple[tuple[int, ...], type]] = {
        "obs": ((worlds, agents, *observations.shape), np.float32),
        "state": ((worlds, *env.state_space.shape), np.float32),
        "adjacency": ((worlds, agents, agents), np.bool_),
        "alive": ((worlds, agents), np.bool_),
        "reward": ((worlds, agents), np.float32),
        "team_reward": ((worlds,), np.float32),
        "cost": ((worlds, agents), np.float32),
        "terminated": ((worlds, agents), np.bool_),
        "truncated": ((worlds,), np.bool_),
    }
    if step.counterfactual is not None:
        expected["counterfactual"] = ((worlds, agents), np.float32)
    if isinstance(env.action_space, Discrete) and step.action_mask is not None:
        expected["action_mask"] = ((worlds, agents, int(env.action_space.n)), np.bool_)
    for field, (shape, dtype) in expected.items():
        value = getattr(step, field)
        assert value.shape == shape, f"{field} has shape {value.shape}, it must be {shape}"
        assert value.dtype == dtype, f"{field} is {value.dtype}, it must be {np.dtype(dtype)}"
        assert np.isfinite(value).all(), f"{field} is not finite"
    for field, space in (("obs", observations), ("state", env.state_space)):
        value = getattr(step, field)
        outside = ((value < space.low) | (value > space.high)).reshape(-1, *space.shape).any(axis=0)
        assert not outside.any(), f"{field} leaves its Box at index {np.flatnonzero(outside).tolist()}"
    assert not step.obs[~step.alive].any(), "observations of agents that are not alive must be zero"
    assert not step.adjacency[:, range(agents), range(agents)].any(), "the diagonal of adjacency must be False"
    if step.action_mask is not None:
        assert step.action_mask[step.alive].any(axis=-1).all(), "a live agent has no allowed action"
    for name, value in step.metrics.items():
        assert value.shape == (worlds,), f"metric {name} has shape {value.shape}, it must be ({worlds},)"
        assert not np.isinf(value).any(), f"metric {name} is infinite"  # NaN: it is undefined
    for field, value in zip(state._fields, state, strict=True):
        assert len(value) == worlds, f"State.{field} has first axis {len(value)}, it must be the {worlds} worlds"
        assert value.dtype.kind in "biuf", f"State.{field} is {value.dtype}; checkpoints hold numbers only"


def check_metrics_documented(make_env: MakeEnv) -> None:
    """Checks that every metric is in the docstring of the environment's module or of one of its packages."""
    env = make_env()
    _, step = env.reset([0])
    parts = type(env).__module__.split(".")
    pages = [sys.modules[".".join(parts[:end])].__doc__ or "" for end in range(1, len(parts) + 1)]
    manual = "\n".join([*pages, inspect.getdoc(type(env)) or ""])
    missing = [name for name in step.metrics if not re.search(rf"\b{re.escape(name)}\b", manual)]
    assert not missing, f"metrics {missing} are not in the docstring of {type(env).__module__}"
    unknown = set(getattr(env, "headline_metrics", ())) - set(step.metrics)
    assert not unknown, f"headline_metrics {sorted(unknown)} are not among the metrics"


def check_purity(make_env: MakeEnv, steps: int = 60) -> None:
    """Checks that steps change neither arguments nor past results, and that snapshots replay to the same bytes."""
    env = make_env()
    kept = []
    for state, _, action, following, shown in roll(env, [0, 1], steps):
        kept.append((state, action, following, shown, fingerprint((state, action, following, shown))))
    other, seen = env.reset([77, 78, 79])
    rng = np.random.default_rng(1)
    for state, action, following, shown, before in kept:
        now = fingerprint((state, action, following, shown))
        names = ("the state passed in", "the action", "the state returned", "the step returned")
        changed = [name for name, a, b in zip(names, before, now, strict=True) if a != b]
        assert not changed, f"env.step is not pure: {', '.join(changed)} changed later"
        other, seen = env.step(other, random_actions(env, seen, rng))
        again, replayed = env.step(state, action)
        assert_same(again, following, "a replayed snapshot, other worlds stepped in between")
        assert_same(replayed, shown, "a replayed snapshot, other worlds stepped in between")


def check_rows(make_env: MakeEnv, steps: int = 60) -> None:
    """Checks that row k of a batch equals the same world alone, and that the order of worlds does not matter."""
    env = make_env()
    seeds = [11, 7, 5, 3]
    alone = [env.reset([seed])[0] for seed in seeds]
    order = np.array([2, 0, 3, 1])
    shuffled, _ = env.reset([seeds[k] for k in order])
    for _, _, action, following, shown in roll(env, seeds, steps):
        for k in range(len(seeds)):
            alone[k], single = env.step(alone[k], action[k : k + 1])
            assert_same(single, world_of(shown, slice(k, k + 1)), f"row {k} of a batch and the same world alone")
            assert_same(
                alone[k], take_worlds(following, slice(k, k + 1)), f"row {k} of a batch and the same world alone"
            )
        shuffled, mixed = env.step(shuffled, action[order])
        assert_same(mixed, world_of(shown, order), "the same worlds in another order")


def check_seeds(make_env: MakeEnv) -> None:
    """Checks for 500 steps that two objects give the same episode for one seed, and others for other seeds."""
    one, other = make_env(), make_env()
    passed, seed, differed = 0, 0, False
    while passed < SEEDED_STEPS:
        state, step = one.reset([seed])
        twin, shown = other.reset([seed])
        assert_same(step, shown, f"two resets by seed {seed}")
        stranger, strange = other.reset([seed + 10_000])
        rng = np.random.default_rng(seed)
        differed |= bool(differences(step, strange))
        while passed < SEEDED_STEPS and not ended(step).all():
            action = random_actions(one, step, rng)
            state, step = one.step(state, action)
            twin, shown = other.step(twin, action)
            assert_same(state, twin, f"two episodes of seed {seed}")
            assert_same(step, shown, f"two episodes of seed {seed}")
            if not differed:
                stranger, strange = other.step(stranger, action)
                differed = bool(differences(step, strange))
            passed += 1
        seed += 1
    assert differed, "different seeds give the same episodes: the seed is not used"


def check_seed_kinds(make_env: MakeEnv) -> None:
    """Checks that any integer of at least 0 is a seed, and that the global random state is not touched."""
    env = make_env()
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002 - it is what must not change
    for seed in (0, 1, 2**31, 2**63, 2**64 - 1, np.int64(5), np.uint64(2**63)):
        state, step = env.reset([seed])
        env.step(state, random_actions(env, step, np.random.default_rng(0)))
    after = pickle.dumps(np.random.get_state())  # noqa: NPY002
    assert before == after, "the environment draws from numpy's global random state"


def check_dead(make_env: MakeEnv, worlds: int = 4) -> None:
    """Checks that the actions of agents that are not alive make no difference."""
    env = make_env()
    rng = np.random.default_rng(5)
    for state, step, action, following, shown in roll(env, range(worlds), env.max_steps):
        if step.alive.all():
            continue
        other = random_actions(env, step._replace(action_mask=None), rng)
        other[step.alive] = action[step.alive]
        changed, seen = env.step(state, other)
        assert_same(seen, shown, "the same step with other actions of dead agents")
        assert_same(changed, following, "the same step with other actions of dead agents")


def check_counterfactual(make_env: MakeEnv, steps: int = 8) -> None:
    """Checks that G without agent i does not depend on what i does; skipped where there are no counterfactuals.

    Shapley values, and differences over several steps, are taken from a G that holds what i does: of these only the
    shape and the numbers are checked.
    """
    env = make_env()
    counterfactual = getattr(env, "counterfactual", None)
    if not callable(counterfactual):
        return
    config = getattr(env, "config", None)
    of_others = getattr(config, "counterfactual", None) != "shapley" and getattr(config, "horizon", 1) == 1
    rng = np.random.default_rng(6)
    for state, step, action, _, shown in roll(env, [0, 1], steps):
        before = fingerprint((state, action))
        without = np.asarray(counterfactual(state, action))
        assert fingerprint((state, action)) == before, "counterfactual changed its arguments"
        assert without.shape == action.shape[:2], f"counterfactual has shape {without.shape}, not (B, N)"
        assert np.isfinite(without).all(), "counterfactual is not finite"
        if shown.counterfactual is not None:
            assert np.array_equal(shown.counterfactual, without), "Step.counterfactual is not what the method gives"
        other = random_actions(env, step, rng)
        for i in range(len(env.agents) if of_others else 0):
            mixed = action.copy()
            mixed[:, i] = other[:, i]
            again = np.asarray(counterfactual(state, mixed))
            assert np.array_equal(again[:, i], without[:, i]), f"G without {env.agents[i]} depends on its own action"


def check_bad_actions(make_env: MakeEnv) -> None:
    """Checks that actions of wrong shape, outside the space or not finite raise `ValueError`."""
    env = make_env()
    state, step = env.reset([0, 1])
    good = random_actions(env, step, np.random.default_rng(0))
    bad: dict[str, Any] = {
        "an agent too many": np.concatenate([good, good[:, :1]], axis=1),
        "a world too few": good[:1],
        "no worlds axis": good[0],
        "nothing": None,
        "bools": np.ones(good.shape, bool),
        "objects": np.full(good.shape, 10**30, object),
        "rows of unequal length": [*good.tolist()[:-1], good.tolist()[-1][:-1]],
        "complex numbers": good.astype(complex),
    }
    i = int(np.flatnonzero(step.alive[0])[0])  # actions of the dead may be anything
    if isinstance(env.action_space, Discrete):
        start, n = int(env.action_space.start), int(env.action_space.n)
        bad["an action past the last"] = _with(good, i, start + n)
        bad["an action before the first"] = _with(good, i, start - 1)
        bad["half an action"] = _with(good.astype(np.float64), i, start + 0.5)
        bad["NaN"] = _with(good.astype(np.float64), i, np.nan)
    else:
        bad["an action above the Box"] = _with(good, i, env.action_space.high + 1)
        bad["an action below the Box"] = _with(good, i, env.action_space.low - 1)
        bad["NaN"] = _with(good, i, np.nan)
        bad["infinity"] = _with(good, i, np.inf)
    for what, action in bad.items():
        try:
            env.step(state, action)
        except ValueError as error:
            assert str(error), f"the ValueError for {what} says nothing"
        except Exception as error:
            raise AssertionError(f"env.step raises {error!r} for {what}, it must be a ValueError") from error
        else:
            raise AssertionError(f"env.step took {what} without a ValueError")


def _with(action: Array, agent: int, value: Any) -> Array:
    action = action.copy()
    action[0, agent] = value
    return action


def check_pickle(make_env: MakeEnv, steps: int = 5) -> None:
    """Checks that pickled and cloudpickled environments and states go on to the same bytes."""
    env = make_env()
    for state, _, action, following, shown in roll(env, [4], steps):
        for module in (pickle, cloudpickle):
            try:
                copy, kept = module.loads(module.dumps((env, state)))
            except Exception as error:
                raise AssertionError(f"{module.__name__} of the environment and its state fails: {error!r}") from error
            continued, seen = copy.step(kept, action)
            assert_same(continued, following, f"after {module.__name__}")
            assert_same(seen, shown, f"after {module.__name__}")


def check_render(make_env: MakeEnv) -> None:
    """Checks that pictures are RGB, not blank, of the world asked for, and that drawing changes nothing."""
    env = make_env()
    states = [following for _, _, _, following, _ in roll(env, [0, 1], 10)]
    state = states[-1]
    before = fingerprint(state)
    frame = env.render(state, 0)
    assert isinstance(frame, np.ndarray), f"render returned a {type(frame).__name__}"
    assert frame.dtype == np.uint8, f"the frame is {frame.dtype}, not uint8"
    assert frame.ndim == 3, f"the frame has shape {frame.shape}, not (height, width, 3)"
    assert frame.shape[2] == 3, f"the frame has shape {frame.shape}, not (height, width, 3)"
    assert frame.min() != frame.max(), "the frame is blank"
    assert np.array_equal(frame, env.render(state, 0)), "two pictures of one state differ"
    assert fingerprint(state) == before, "render changed the state"
    swapped = put_worlds(state, np.array([0, 1]), take_worlds(state, np.array([1, 0])))
    assert np.array_equal(frame, env.render(swapped, 1)), "the picture does not follow the `world` argument"
    assert not np.array_equal(frame, env.render(env.reset([0, 1])[0], 0)), "ten steps later the picture is the same"


BATCH_CHECKS: tuple[Callable[[MakeEnv], None], ...] = (
    check_spaces,
    check_episodes,
    check_metrics_documented,
    check_purity,
    check_rows,
    check_seeds,
    check_seed_kinds,
    check_dead,
    check_counterfactual,
    check_bad_actions,
    check_pickle,
    check_render,
)
