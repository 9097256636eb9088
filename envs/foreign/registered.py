"""Builds environments of Gymnasium's registry."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

LIMIT = "max_episode_steps"
TAKEN = ("id", "disable_env_checker", "vectorization_mode")


def make(name: str, /, **arguments: Any) -> gymnasium.Env[Any, Any]:
    """Calls `gymnasium.make`, but passes a time limit to the environment's constructor if it takes one.

    `gymnasium.make` uses `max_episode_steps` only for a wrapper that truncates. An environment with a limit of its own,
    such as lbforaging's, would not get it and would end earlier. Other keys that both `gymnasium.make` and the
    constructor have are passed to the constructor.

    Args:
        name: The id.
        **arguments: Arguments of the constructor, and `max_episode_steps`.
    """
    spec = copy.deepcopy(gymnasium.spec(name))
    for key in TAKEN:
        if key in arguments:
            spec.kwargs[key] = arguments.pop(key)
    limit = arguments.get(LIMIT)
    if limit is not None and _takes_limit(spec.entry_point):
        spec.kwargs[LIMIT] = limit
        if spec.max_episode_steps is None:  # the environment ends by itself and needs no wrapper
            del arguments[LIMIT]
    # Gymnasium's checker warns of rewards in lists and slows stepping.
    return gymnasium.make(spec, disable_env_checker=True, **arguments)


def _takes_limit(entry: Any) -> bool:
    if entry is None:
        return False
    made = load_env_creator(entry) if isinstance(entry, str) else entry
    try:
        return LIMIT in inspect.signature(made).parameters
    except (TypeError, ValueError):  # it has no signature
        return False
