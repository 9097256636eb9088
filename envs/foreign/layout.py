"""The properties that all worlds of an environment share, found by building one and playing a few steps.

Axes: N agents, O observation, S global state, M metrics.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo.utils.env import ParallelEnv

from ..core import Array
from . import returns
from .blame import explain
from .news import numbers
from .own_spaces import described
from .parallel import Copies
from .pictures import Pictures, is_picture
from .spaces import MASK, Actions, Observations

LIMIT_AS_DEATH = ("rware.", "pettingzoo.sisl.multiwalker.")
"""Modules whose environments report their time limit as termination of all agents: `rware.warehouse.Warehouse.step`
("done" at `max_steps`) and `multiwalker.raw_env.step` (all `terminations` at `max_cycles`). Their limit is read from
their attributes, and such a termination becomes a truncation. For others, set the option `time_limit`."""

LARGE_SEED = 1_234_567_890
"""A seed as large as those of training, to find environments that take only as many seeds as they have maps."""
FRAMES_PER_SECOND = 30.0
"""Frame rate of environments whose metadata has none."""
LONGEST_STATE = 20_000
"""Length up to which a global state is used; longer ones are usually pictures."""
LONGEST_WAIT = 1000
"""Time limit of worlds of copies whose environment has none [steps]."""
PROBE_STEPS = 100
"""Steps of the first episode that are played: some environments first show infos or masks when an agent dies."""
_LIMIT_NAMES = ("max_cycles", "max_steps", "_max_episode_steps", "max_episode_steps")


@dataclass(frozen=True)
class Layout:
    """The shapes of an environment, and how to read what it returns."""

    keys: tuple[Any, ...]
    """(N,) the environment's names of its possible agents, in its order."""
    observations: Observations
    """Turns observations into rows."""
    actions: Actions
    """Turns rows of actions into the agents' own actions."""
    state_shape: tuple[int, ...]
    """Shape of what `state()` returns; it has S numbers in all."""
    state_dim: int
    """S; 0 where there is no state, or it only repeats the observations: critics then read the joint observation."""
    masks: bool
    """Whether there are action masks: the environment gives them, or agents have different numbers of choices."""
    neighbors: bool
    """Whether `infos` say who hears whom; otherwise all agents that are alive hear each other."""
    metrics: tuple[str, ...]
    """(M,) names of the numbers in `infos[agent]["metrics"]` that appeared in the first look."""
    time_limit: int
    """Steps after which the adapter truncates a world; 0: never, which leaves it to the environment."""
    max_steps: int
    """Steps to the time limit, if it is known; otherwise 0."""
    limit_found: int
    """Time limit in the environment's own attributes [steps]; 0 if there is none. If all agents that are left die in
    exactly that step, it is read as the time limit."""
    tells_limit: bool
    """Whether the environment distinguishes that limit from death by truncation, as copies of Gymnasium's do."""
    seeds: int
    """Number of different seeds that the environment takes, counted from 0; 0: any seed."""
    step_seconds: float
    """Duration of a step in films [s]."""
    notes: tuple[str, ...]
    """Notes for the user, one line each."""
    own_spaces: Mapping[str, Any] = field(default_factory=dict)
    """The agents' own spaces as plain data, see `foreign.own_spaces`."""

    @property
    def agents(self) -> tuple[str, ...]:
        """(N,) names of the agents."""
        return tuple(str(key) for key in self.keys)

    @property
    def state_space(self) -> Box:
        """Space of the global state, (S,)."""
        return Box(-np.inf, np.inf, (self.state_dim,), np.float32)

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Groups of agents whose names differ only in the number at the end, in the order of their first members."""
        members: dict[str, list[int]] = {}
        for index, name in enumerate(self.agents):
            members.setdefault(re.sub(r"[\W_]*\d+$", "", name), []).append(index)
        return tuple(tuple(group) for group in members.values())

    def in_order(self, agents: Sequence[str]) -> Layout:
        """Returns the same layout with its agents in the order of a run, whose policies know agents by their rows.

        Environments that keep their agents in a set list them in another order in every process.

        Raises:
            ValueError: `agents` are not this environment's agents.
        """
        index = {name: i for i, name in enumerate(self.agents)}
        if set(agents) != set(index):
            raise ValueError(f"the environment's agents are {_named(self.agents)}; expected are {_named(agents)}")
        rows = [index[name] for name in agents]
        if rows == list(range(len(rows))):
            return self
        shown, own = self.observations, self.own_spaces
        pictures = len(shown.space.shape) == 3
        return replace(
            self,
            keys=tuple(self.keys[row] for row in rows),
            observations=Observations(list(agents), [shown.given[row] for row in rows], pictures=pictures),
            actions=Actions(list(agents), [self.actions.source(row)[0] for row in rows]),
            own_spaces={**own, "agents": [own["agents"][row] for row in rows]},
        )


def _named(agents: Sequence[str]) -> str:
    """Returns the first few names, for messages."""
    return ", ".join([*agents[:8], *(["..."] if len(agents) > 8 else [])])


def probe(env: ParallelEnv[Any, Any, Any], *, time_limit: int = 0, seeds: int = 0) -> Layout:
    """Resets an environment, plays a few steps and returns what they show about it.

    Args:
        env: The environment; it is left in the middle of an episode.
        time_limit: Steps after which worlds are to be truncated; 0 for the environment's own limit.
        seeds: Number of different seeds that it takes, counted from 0; 0 for any seed.

    Raises:
        ValueError: The environment cannot be used; the message says why, and what is expected.
    """
    keys = getattr(env, "possible_agents", None)
    if not keys:
        raise ValueError(
            "the environment has no possible_agents; give it the list of all agents that may ever appear, because "
            "networks and arrays have a fixed number of rows"
        )
    # The order of a set differs between processes.
    keys = tuple(sorted(keys, key=str) if isinstance(keys, (set, frozenset)) else keys)
    names = [str(key) for key in keys]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"agents share the name {_named(twice)}; possible_agents must differ as text")
    seen_spaces = [env.observation_space(key) for key in keys]
    pictures = isinstance(env, Pictures) and len({space.shape for space in seen_spaces}) == 1
    observations = Observations(names, seen_spaces, pictures=pictures)
    actions = Actions(names, [env.action_space(key) for key in keys])

    found = _play(env, keys, observations, actions)
    discrete = isinstance(actions.space, Discrete)
    if found.masks and not discrete:
        raise ValueError(f"infos hold an {MASK!r}, but agents act in {actions.space}; masks are for Discrete spaces")
    if not seeds:
        _refuse_few_seeds(env)
    notes = [found.note] if found.note else []
    notes += [*observations.notes, *getattr(_behind_pictures(env), "notes", ())]

    registered, own_limit = _registered_limit(env), _limit_of(env)
    limit_found = own_limit
    if registered and own_limit and own_limit < registered:
        notes.append(
            f"Gymnasium's limit is {registered} steps, but the environment itself ends after {own_limit}; set the "
            "environment's own option to change that"
        )
    own_limit = min(registered, own_limit) if registered and own_limit else registered or own_limit
    if not time_limit and type(getattr(env, "unwrapped", env)).__module__.startswith(LIMIT_AS_DEATH):
        time_limit = own_limit
    if not (time_limit or own_limit) and isinstance(_behind_pictures(env), Copies):
        time_limit = LONGEST_WAIT
        notes.append(
            f"the environment has no time limit, and a world lasts until its last copy has ended, so worlds are "
            f"truncated after {time_limit} steps; set time_limit to change that"
        )
    rate = getattr(env, "metadata", {}).get("render_fps") or FRAMES_PER_SECOND
    return Layout(
        keys=keys,
        observations=observations,
        actions=actions,
        state_shape=found.state_shape if found.state_dim else (),
        state_dim=found.state_dim,
        masks=discrete and (found.masks or observations.has_masks or actions.own is not None),
        neighbors=found.neighbors,
        metrics=tuple(found.metrics),
        time_limit=time_limit,
        max_steps=min(time_limit, own_limit) if time_limit and own_limit else time_limit or own_limit,
        limit_found=limit_found,
        tells_limit=isinstance(_behind_pictures(env), Copies),
        seeds=seeds,
        step_seconds=1.0 / float(rate),
        notes=tuple(notes),
        own_spaces=described(env, keys, observations, actions),
    )


@dataclass
class _Found:
    """Facts that only show when the environment is played."""

    masks: bool = False
    neighbors: bool = False
    metrics: dict[str, None] = field(default_factory=dict)  # names in the order in which they came
    state_shape: tuple[int, ...] = ()
    state_dim: int = 0
    note: str = ""


def _play(
    env: ParallelEnv[Any, Any, Any], keys: tuple[Any, ...], observations: Observations, actions: Actions
) -> _Found:
    """Plays the first episode, for at most `PROBE_STEPS` steps, with random allowed actions."""
    found = _Found()
    rng = np.random.default_rng(0)
    index = {key: i for i, key in enumerate(keys)}
    seen, infos = returns.of_reset(env.reset(seed=0))
    states_differ = False
    for step in range(PROBE_STEPS + 1):
        for key in env.agents:
            if key not in seen:
                raise ValueError(f"there is no observation of agent {key!r}, which is among the environment's agents")
        for info in infos.values():
            found.masks |= MASK in info
            found.neighbors |= "neighbors" in info
            if "metrics" in info:
                found.metrics |= dict.fromkeys(numbers(info["metrics"]))
        if env.agents and (step == 0 or found.state_dim):
            joint = _joint(keys, seen, observations)
            state, shape, note = _state_of(env)
            found.note = found.note or note
            if state is not None and found.state_dim and shape != found.state_shape:
                raise ValueError(f"state() has shape {shape}; before it had {found.state_shape}")
            found.state_shape, found.state_dim = shape, 0 if state is None else state.size
            states_differ |= state is not None and not np.array_equal(state, joint)
        if not env.agents or step == PROBE_STEPS:
            break
        chosen = {}
        for key in env.agents:
            if key not in index:
                raise ValueError(f"agent {key!r} is not among possible_agents: {list(keys)}")
            chosen[key] = _random_action(index[key], actions, observations, seen.get(key), infos.get(key, {}), rng)
        seen, _, _, _, infos = returns.of_step(env.step(chosen))
    if not states_differ:
        # The state only repeats the joint observation, and reading it takes time: a tenth of a step in mpe2.
        found.state_dim = 0
    return found


def _random_action(
    agent: int, actions: Actions, observations: Observations, seen: Any, info: Any, rng: np.random.Generator
) -> Any:
    if isinstance(actions.space, Box):
        return actions.decode(agent, rng.uniform(actions.space.low, actions.space.high))
    mask = info.get(MASK)
    if mask is None and seen is not None:
        mask = observations.mask(agent, seen)
    if mask is not None:
        allowed = actions.widen(agent, mask)
    else:
        allowed = np.ones(int(actions.space.n), bool) if actions.own is None else actions.own[agent]
    return actions.decode(agent, rng.choice(np.flatnonzero(allowed)))


def _joint(keys: tuple[Any, ...], seen: Any, observations: Observations) -> Array:
    """Returns the observations of all agents that have one, concatenated without padding."""
    parts = []
    for i, key in enumerate(keys):
        if key in seen:
            row = np.zeros(observations.sizes[i], np.float32)
            observations.write(i, seen[key], row)
            parts.append(row)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _refuse_few_seeds(env: ParallelEnv[Any, Any, Any]) -> None:
    """Raises `ValueError` for an environment that takes the seed 0 but not a large one."""
    try:
        env.reset(seed=LARGE_SEED)
    except Exception as error:
        raise ValueError(
            f"reset(seed=0) works and reset(seed={LARGE_SEED}) does not: {explain(error)}; give the number of seeds "
            "that it takes, counted from 0, as the option seeds"
        ) from error


def _state_of(env: Any) -> tuple[Array | None, tuple[int, ...], str]:
    """Returns `state()` as flat float32, or None; its own shape; and a note where it exists but is not used."""
    instead = "the critic reads the joint observation instead"
    if not hasattr(_behind_pictures(env), "state"):
        return None, (), ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a state that is a picture may warn about the render mode
            state = np.asarray(env.state())
        flat = state.reshape(-1).astype(np.float32)
    except NotImplementedError:
        return None, (), ""
    except Exception as error:  # foreign code may raise anything
        return None, (), f"state() fails ({explain(error)}); {instead}"
    if is_picture(state) or flat.size > LONGEST_STATE:
        return None, (), f"state() is a picture or too long, {state.dtype} {state.shape}; {instead}"
    return flat, state.shape, ""


def _behind_pictures(env: Any) -> Any:
    return env.env if isinstance(env, Pictures) else env


def _limit_of(env: Any) -> int:
    """Returns the environment's own time limit [steps], if an attribute holds it; otherwise 0."""
    for part in _layers(env):
        for name in _LIMIT_NAMES:
            limit = getattr(part, name, None)
            if isinstance(limit, (int, np.integer)) and not isinstance(limit, bool) and limit > 0:
                return int(limit)
    return 0


def _registered_limit(env: Any) -> int:
    """Returns the time limit [steps] of Gymnasium's wrapper, which truncates; 0 if there is none."""
    spec = getattr(_behind_pictures(env), "spec", None)
    return int(getattr(spec, "max_episode_steps", None) or 0)


def _layers(env: Any) -> Iterator[Any]:
    """Yields the environment, the one behind its wrappers, and that one's `env`: one of them has the attributes."""
    yield env
    bare = getattr(env, "unwrapped", env)
    for part in (bare, getattr(bare, "env", None)):
        if part is not None and part is not env:
            yield part
