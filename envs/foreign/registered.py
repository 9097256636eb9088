"""Environments of Gymnasium's registry, built."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

LIMIT = "max_episode_steps"
TAKEN = ("id", "disable_env_checker", "vectorization_mode")


def make(name: str, /, **arguments: Any) -> gymnasium.Env[Any, Any]:
    """`gymnasium.make`, but a time limit reaches the environment where its constructor takes one.

    A constructor's key that is also one of `gymnasium.make`'s own goes to the constructor. `gymnasium.make` would keep
    `max_episode_steps` for a wrapper that truncates; an environment that ends by a limit of its own, like lbforaging's,
    would never hear of it, and end earlier.

    Args:
        name: The id.
        **arguments: The constructor's, and `max_episode_steps`.
    """
    spec = copy.deepcopy(gymnasium.spec(name))
    for key in TAKEN:
        if key in arguments:
            spec.kwargs[key] = arguments.pop(key)
    limit = arguments.get(LIMIT)
    if limit is not None and _takes_limit(spec.entry_point):
        spec.kwargs[LIMIT] = limit
        if spec.max_episode_steps is None:  # the environment ends by itself, and no wrapper is needed
            del arguments[LIMIT]
    # Its checker warns of rewards in lists, and slows stepping.
    return gymnasium.make(spec, disable_env_checker=True, **arguments)


def _takes_limit(entry: Any) -> bool:
    if entry is None:
        return False
    made = load_env_creator(entry) if isinstance(entry, str) else entry
    try:
        return LIMIT in inspect.signature(made).parameters
    except (TypeError, ValueError):  # it does not tell
        return False
