"""What `reset()` and `step()` give back, checked while an environment is looked at: the kinds of things, and rewards.

Training reads the same without these checks, so each costs nothing there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

STEP = ("observations", "rewards", "terminations", "truncations", "infos")


def of_reset(came: Any) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    """(observations, infos).

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(came, (tuple, list)) or len(came) != 2 or not all(isinstance(part, Mapping) for part in came):
        raise ValueError(f"reset() gave {_kind(came)}; two dicts by agent are expected: observations and infos")
    return came[0], came[1]


def of_step(came: Any) -> tuple[Mapping[Any, Any], ...]:
    """(observations, rewards, terminations, truncations, infos).

    Raises:
        ValueError: It is something else, or a reward is not one number.
    """
    if not isinstance(came, (tuple, list)) or len(came) != len(STEP):
        raise ValueError(f"step() gave {_kind(came)}; five dicts by agent are expected: {', '.join(STEP)}")
    for name, part in zip(STEP, came, strict=True):
        if not isinstance(part, Mapping):
            raise ValueError(
                f"{name} of step() are {_kind(part)} for all agents; a dict of one entry an agent is expected"
            )
    for agent, reward in came[1].items():
        refuse_vector(agent, reward)
    return tuple(came)


def refuse_vector(agent: Any, reward: Any) -> None:
    """Raises `ValueError` for a reward that is not one number."""
    if np.size(reward) != 1:
        raise ValueError(
            f"reward of {agent} has shape {np.shape(reward)}; it must be one number: wrap the environment in one that "
            "weighs them"
        )
    try:
        float(np.asarray(reward).item())
    except (TypeError, ValueError):
        raise ValueError(f"reward of {agent} is {reward!r}; it must be a number") from None


def _kind(came: Any) -> str:
    if isinstance(came, (tuple, list)):
        return f"a {type(came).__name__} of {len(came)} ({', '.join(type(part).__name__ for part in came)})"
    shape = f" of shape {came.shape}" if isinstance(came, np.ndarray) else ""
    return f"a {type(came).__name__}{shape}"
