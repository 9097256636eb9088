"""Checks of what `reset()` and `step()` return in the first look at an environment: types, numbers, flags.

Training reads the same values without these checks, so they do not slow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

STEP = ("observations", "rewards", "terminations", "truncations", "infos")


def of_reset(came: Any) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    """Returns (observations, infos).

    Raises:
        ValueError: `reset()` returned something else.
    """
    if not isinstance(came, (tuple, list)) or len(came) != 2 or not all(isinstance(part, Mapping) for part in came):
        raise ValueError(f"reset() gave {_kind(came)}; two dicts by agent are expected: observations and infos")
    _check_infos(came[1])
    return came[0], came[1]


def of_step(came: Any) -> tuple[Mapping[Any, Any], ...]:
    """Returns (observations, rewards, terminations, truncations, infos).

    Raises:
        ValueError: `step()` returned something else, or a reward or a flag has the wrong type.
    """
    if not isinstance(came, (tuple, list)) or len(came) != len(STEP):
        raise ValueError(f"step() gave {_kind(came)}; five dicts by agent are expected: {', '.join(STEP)}")
    for name, part in zip(STEP, came, strict=True):
        if not isinstance(part, Mapping):
            raise ValueError(
                f"{name} of step() are {_kind(part)} for all agents; a dict with one entry for each agent is expected"
            )
    _, rewards, terminations, truncations, infos = came
    for agent, reward in rewards.items():
        _refuse_no_number(f"reward of {agent}", reward, "wrap the environment and weight them into one")
    for what, flags in (("termination", terminations), ("truncation", truncations)):
        for agent, flag in flags.items():
            if np.size(flag) != 1:
                raise ValueError(f"{what} of {agent} has shape {np.shape(flag)}; it must be one flag")
    _check_infos(infos)
    return tuple(came)


def _check_infos(infos: Mapping[Any, Any]) -> None:
    for agent, info in infos.items():
        if not isinstance(info, Mapping):
            raise ValueError(f"info of {agent} is {_kind(info)}; a dict is expected")
        for name in ("cost", "team_reward"):
            if info.get(name) is not None:
                _refuse_no_number(f"{name} in the info of {agent}", info[name], "rename it or wrap the environment")


def _refuse_no_number(what: str, came: Any, mend: str) -> None:
    if np.size(came) != 1:
        raise ValueError(f"{what} has shape {np.shape(came)}; it must be one number: {mend}")
    try:
        float(np.asarray(came).item())
    except (TypeError, ValueError):
        raise ValueError(f"{what} is {came!r}; it must be a number") from None


def _kind(came: Any) -> str:
    if isinstance(came, (tuple, list)):
        return f"a {type(came).__name__} of {len(came)} ({', '.join(type(part).__name__ for part in came)})"
    shape = f" of shape {came.shape}" if isinstance(came, np.ndarray) else ""
    return f"a {type(came).__name__}{shape}"
