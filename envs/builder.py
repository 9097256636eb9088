"""The environment of a run from plain data: a name, a task and options, as config.json and a command line have them.

    environment = build("warehouse", "small-4", {"battery": True})
    worlds = environment.vector(64, stagger=True)

The name is that of one of Coterie's environments, or anybody's (`envs.adapters`). Building a run needs nothing else
of `envs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from . import ENVS, adapters, config, heuristic, make
from .adapters import ForeignError, hint, is_foreign
from .vector import VectorView

__all__ = [
    "ENVS",
    "Environment",
    "ForeignError",
    "build",
    "constructor_options",
    "default_task",
    "hint",
    "is_foreign",
    "options",
    "tasks",
    "version_of",
]

WORLDS = 64
"""Number of worlds that suits Coterie's own environments."""


@dataclass(frozen=True)
class Environment:
    """An environment that worlds can be made of."""

    name: str
    """Its name, as `build` took it."""
    version: str | None
    """Its version, such as "spread_v0"; None where it is not known."""
    n_worlds: int
    """Suitable number of worlds."""
    heuristic: Callable[[Any], Any] | None
    """Hand-written policy from a `State` to the actions of all worlds; None where there is none."""
    vector: Callable[..., Any]
    """`vector(n_worlds, stagger=False)` makes worlds with auto-reset, a `VectorView` or a `ForeignVector`."""

    def warm_up(self) -> int:
        """Compiles all kernels, which takes half a minute once for each version of the code.

        Returns:
            A generous upper bound on the memory of a world [bytes]; 0 for a foreign environment, where none is known.
        """
        if is_foreign(self.name):
            return 0
        env = self.vector(1)
        step = env.reset(0)
        space = env.action_space
        if isinstance(space, Box):
            nothing = np.zeros((*step.reward.shape, *space.shape), np.float32)
            env.step(np.clip(nothing, space.low, space.high))
        else:
            env.step(np.zeros(step.reward.shape, int) if step.action_mask is None else step.action_mask.argmax(axis=-1))
        if self.heuristic is not None:
            self.heuristic(env.batch_state)
        kept = env.state_dict()
        return 3 * (_bytes_of(kept["state"]) + _bytes_of(kept["step"]))  # before a step, after it, and at its restart


def build(
    name: str, task: str | None = None, options: Mapping[str, Any] | None = None, *, agents: Sequence[str] = ()
) -> Environment:
    """Builds an environment.

    Args:
        name: A name in `ENVS`, or anybody's environment as `envs.adapters` finds it.
        task: A task of one of Coterie's environments; None is its default.
        options: Fields of its `Config`, or fields of `adapters.Options` and, as text, keys of a foreign constructor.
            Lists, as JSON has them, are taken for tuples.
        agents: (N,) names of the agents in the order of a run that is resumed; empty: in the environment's own order.

    Raises:
        ValueError: Something is unknown or not allowed; the message is one line that says what is.
    """
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in (options or {}).items()}
    if is_foreign(name):
        foreign = adapters.prepare(name, **adapters.parse(name, given))
        if agents:
            foreign = foreign.in_order(agents)
        return Environment(name, version_of(name), foreign.n_worlds, None, foreign.maker())
    dynamics, act = make(name, task, **given), heuristic(name, task, **given)

    def vector(n_worlds: int, *, stagger: bool = False) -> VectorView:
        return VectorView(dynamics, n_worlds, stagger=stagger)

    return Environment(name, version_of(name), WORLDS, act, vector)


def tasks(name: str) -> tuple[str, ...]:
    """Returns the names of the tasks of one of Coterie's environments."""
    return tuple(_module(name).TASKS)


def default_task(name: str) -> str | None:
    """Returns the task that None stands for; None for a foreign environment, which has no tasks."""
    return None if is_foreign(name) else _module(name).DEFAULT_TASK


def version_of(name: str) -> str | None:
    """Returns the version of an environment, such as "spread_v0"; None where it is not known."""
    if is_foreign(name):
        return adapters.version_of(name)
    return f"{name}_v{_module(name).VERSION}"


def options(name: str, task: str | None = None) -> Any:
    """Returns the typed options as a dataclass: the task's `Config`, or `adapters.Options`.

    Raises:
        ValueError: The name or the task is unknown.
    """
    return adapters.Options() if is_foreign(name) else config(name, task)


def constructor_options(name: str, given: Iterable[str] = ()) -> dict[str, str]:
    """Returns the keys of a foreign constructor with their defaults as text, "" for none; {} for Coterie's own.

    Args:
        name: The environment.
        given: Keys that the user gives. Where the constructor does not name its keys, they are passed on unchecked, and
            the constructor refuses those that it does not take.

    Raises:
        ValueError: There is no such environment.
    """
    if not is_foreign(name):
        return {}
    texts, complete = adapters.texts(name)
    return texts if complete else {**dict.fromkeys(sorted(set(given).difference(adapters.RESERVED)), ""), **texts}


def _module(name: str) -> Any:
    if name not in ENVS:
        config(name)  # raises, with the names that there are
    return import_module(f".{name}", __package__)


def _bytes_of(arrays: Any) -> int:
    if isinstance(arrays, dict):
        return sum(_bytes_of(part) for part in arrays.values())
    return getattr(arrays, "nbytes", 0)
