"""The check of actions that all environments and their views share.

Axes: B worlds, N agents, A numbers of a continuous action.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from ..core import Array

_LARGEST = float(np.finfo(np.float32).max)


def checked(space: Box | Discrete, action: Any, alive: Array, meaning: str = "") -> Array:
    """Checks the actions of a batch of worlds.

    Args:
        space: Action space of one agent.
        action: (B, N) integers for `Discrete`, (B, N, A) numbers for `Box`.
        alive: (B, N) bool. Rows of agents that are not alive may hold any numbers; where these lie outside the space,
            they are replaced by the lowest action.
        meaning: What the actions mean, for error messages.

    Returns:
        The array that was passed in, or a copy.

    Raises:
        ValueError: The array has another shape or type, or a live agent's action lies outside the space or is not
            finite.
    """
    discrete = isinstance(space, Discrete)
    one = () if discrete else space.shape
    shape = (*alive.shape, *one)
    try:
        found = np.asarray(action)
    except ValueError:  # rows of unequal length
        found = None
    if found is None or found.shape != shape or found.dtype.kind not in ("iu" if discrete else "fiu"):
        came = "rows of unequal length" if found is None else f"{found.dtype}{list(found.shape)}"
        raise ValueError(f"actions are {came}: give {'integers' if discrete else 'floats'} of shape {list(shape)}")
    low, high = _bounds(space)
    # Almost every batch passes here, without temporary arrays. NaN makes both comparisons False.
    least, most = (low, high) if discrete else (low.max(), high.min())
    if not found.size or (found.min() >= least and found.max() <= most):
        return found
    inside = (found >= low) & (found <= high)
    if not discrete:
        inside = inside.all(axis=tuple(range(2, found.ndim)))  # (B, N)
    wrong = np.argwhere(alive & ~inside)
    if len(wrong):
        world, agent = wrong[0].tolist()
        raise ValueError(
            f"action {_shortened(found[world, agent].tolist())} is outside {_name(space)}: give {_wanted(space)}"
            f"{f' ({meaning})' if meaning else ''}; agent {agent} in world {world} chose it"
        )
    return np.where(inside.reshape(*alive.shape, *(1 for _ in one)), found, low)


def row(space: Box | Discrete, action: Any) -> Any:
    """Returns one agent's action as an int or an array of the space's shape, without checking that it is in the space.

    Raises:
        TypeError: It is not a number, or not of the kind that the space asks for.
        ValueError: It has another shape, or is too large for float32.
    """
    if isinstance(space, Discrete):
        plain = isinstance(action, (int, np.integer)) and not isinstance(action, bool)
        if not plain and (np.asarray(action).shape or np.asarray(action).dtype.kind == "b"):
            raise TypeError("not an integer")
        return operator.index(action)
    value = np.asarray(action)
    if value.dtype.kind not in "fiu":
        raise TypeError("not numbers")
    if value.shape != space.shape:
        raise ValueError("another shape")  # it would be broadcast
    if value.dtype != np.float32 and not np.abs(value).max(initial=0) < _LARGEST:
        raise ValueError("a number is not finite, or would not be as float32")
    return value


def fault(space: Box | Discrete, action: Any) -> str:
    """Returns what is wrong with one agent's action, as the end of a sentence; empty if nothing is."""
    try:
        value = row(space, action)
        value = value if isinstance(space, Discrete) else value.astype(space.dtype)
        low, high = _bounds(space)
        inside = bool(np.all((value >= low) & (value <= high)))  # False for NaN
    except Exception:  # a type of the user's own may raise anything when it is converted
        inside = False
    return "" if inside else f"{_shortened(action)}; it must be {_wanted(space)}"


def _bounds(space: Box | Discrete) -> tuple[Any, Any]:
    """Returns the least and the greatest action: () for `Discrete`, (A,) for `Box`."""
    if isinstance(space, Discrete):
        return space.start, space.start + space.n - 1  # numpy's integers
    return space.low, space.high


def _name(space: Box | Discrete) -> str:
    if isinstance(space, Discrete):
        return f"Discrete({space.n})" if not space.start else f"Discrete({space.n}, start={space.start})"
    low, high = space.low.min(), space.high.max()
    equal = (space.low == low).all() and (space.high == high).all()
    return f"Box({low:g}, {high:g})" if equal else "the Box"


def _wanted(space: Box | Discrete) -> str:
    if isinstance(space, Discrete):
        low, high = _bounds(space)
        return f"an integer from {low} to {high}"
    low, high = space.low, space.high
    count = "one number" if space.shape == (1,) else f"{space.shape[0]} numbers" if len(space.shape) == 1 else "numbers"
    if (low == low.min()).all() and (high == high.max()).all():
        return f"{count} from {low.min():g} to {high.max():g}, all finite"
    return f"{count} from {_shortened(low.tolist())} to {_shortened(high.tolist())}, all finite"


def _shortened(value: Any, most: int = 80) -> str:
    """Returns a value in one line that is not too long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an integer of thousands of digits, or a type of the user's own
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}..."
