"""Errors for values that an environment returned and that cannot be used, each one line that names the value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core import Array
from .news import is_number


class RefusedError(ValueError):
    """An environment returned a value that cannot be used; the message is one line that names it."""


def number_of(value: Any, what: str, whose: Any) -> float:
    """Returns a reward or a cost as a float; arrays of one number are allowed.

    Raises:
        RefusedError: The value is not one number.
    """
    if is_number(value):
        return float(value)
    array = np.asarray(value) if isinstance(value, (list, tuple)) or hasattr(value, "shape") else None
    if array is not None and array.size == 1 and array.dtype.kind in "biuf":
        return float(array.reshape(-1)[0])
    came = f"{value!r}" if array is None else f"of shape {array.shape}"
    raise RefusedError(f"{what} {whose!r} is {came}; it must be one number")


def unpaid(key: Any, rewards: Iterable[Any]) -> RefusedError:
    """Returns the error for an agent that acted and has no reward."""
    return RefusedError(
        f"there is no reward of agent {key!r}, which acted; there are rewards of {list(rewards)}: an agent that acted "
        "must get one, 0 where it earned nothing"
    )


def unseen(key: Any) -> RefusedError:
    """Returns the error for an agent that goes on and has no observation."""
    return RefusedError(f"there is no observation of agent {key!r}, which is among the environment's agents")


def unknown_agent(key: Any, known: Iterable[Any], where: str = "agents") -> RefusedError:
    """Returns the error for a name that no agent has."""
    return RefusedError(f"{where} name {key!r}, which is not among possible_agents: {list(known)}")


def all_finite(numbers: Array) -> bool:
    """Returns whether an array (K,) of floats holds no NaN and no infinity."""
    # The sum of squares is one pass in BLAS. It may overflow with finite numbers, so only a finite sum is an answer.
    return math.isfinite(np.dot(numbers, numbers)) or bool(np.isfinite(numbers).all())


def refuse_infinite(numbers: Array, what: str, keys: Iterable[Any] = ()) -> None:
    """Raises `RefusedError` for NaN and infinity.

    Args:
        numbers: One number or row for each of `keys`; of any shape if there are no keys.
        what: Name of the numbers, for the message.
        keys: Names of the agents, for the message.
    """
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        first = tuple(wrong[0].tolist())
        named = [f" of agent {key!r}" for key in keys]
        whose, inside = (named[first[0]], first[1:]) if named else ("", first)
        place = f" at index {inside[0]}" if inside else ""
        raise RefusedError(f"{what}{whose} is {numbers[first]}{place}; an environment must return finite numbers")
