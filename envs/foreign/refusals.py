"""Refusals of what an environment returned, each in one line that names it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core import Array
from .tellings import is_number


class RefusedError(ValueError):
    """What an environment returned cannot be used; the message is one line that says what it was."""


def number_of(value: Any, what: str, whose: Any) -> float:
    """The number that a reward or a cost is; arrays of one number are welcome.

    Raises:
        RefusedError: It is no number.
    """
    if is_number(value):
        return float(value)
    array = np.asarray(value) if isinstance(value, (list, tuple)) or hasattr(value, "shape") else None
    if array is not None and array.size == 1 and array.dtype.kind in "biuf":
        return float(array.reshape(-1)[0])
    came = f"{value!r}" if array is None else f"of shape {array.shape}"
    raise RefusedError(f"{what} {whose!r} is {came}; it must be one number")


def unpaid(key: Any, rewards: Iterable[Any]) -> RefusedError:
    """An agent acted and has no reward."""
    return RefusedError(
        f"there is no reward of agent {key!r}, which acted; rewards are there of {list(rewards)}: an agent that "
        "acted must get one, 0 where it earned nothing"
    )


def unseen(key: Any) -> RefusedError:
    """An agent goes on and sees nothing."""
    return RefusedError(f"there is no observation of agent {key!r}, which is among the environment's agents")


def unknown_agent(key: Any, known: Iterable[Any], where: str = "agents") -> RefusedError:
    """A name that no agent has."""
    return RefusedError(f"{where} name {key!r}, which is not among possible_agents: {list(known)}")


def all_finite(numbers: Array) -> bool:
    """Whether an array (K,) of floats holds no NaN and no infinity."""
    # The sum of squares is one pass in BLAS; it may overflow where the numbers are fine, so it is asked for "yes" only.
    return math.isfinite(np.dot(numbers, numbers)) or bool(np.isfinite(numbers).all())


def refuse_infinite(numbers: Array, what: str, keys: Iterable[Any] = ()) -> None:
    """Raises `RefusedError` for NaN and infinity.

    Args:
        numbers: One for each of `keys`, or a row for each; of any shape where there are no keys.
        what: They are.
        keys: Agents, to be named.
    """
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        first = tuple(wrong[0].tolist())
        named = [f" of agent {key!r}" for key in keys]
        whose, inside = (named[first[0]], first[1:]) if named else ("", first)
        place = f" at index {inside[0]}" if inside else ""
        raise RefusedError(f"{what}{whose} is {numbers[first]}{place}; what an environment returns must be finite")
