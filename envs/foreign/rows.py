"""Writes a value of a space into a row of numbers, and checks its shape every time.

The numbers are those of `gymnasium.spaces.flatten`. That function accepts any shape, so the numbers of a (3, 2) value
of a (2, 3) space would silently be in a wrong order. Here such a value is refused, also inside a `Dict` or `Tuple`.
Only axes of length one may be missing or added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from gymnasium.spaces.utils import flatdim, flatten

from ..core import Array
from .refusals import RefusedError

Writer = Callable[[Any, Array], None]
"""A function that writes a value into its place in a row."""


def writer(space: Space[Any], whose: str, start: int = 0) -> Writer:
    """Returns a function that writes values of a space.

    Args:
        space: A space with a fixed length (`is_np_flattenable`).
        whose: Name of the value for messages, such as "observation of agent_0".
        start: Index in the row of the first number.

    Returns:
        A function that raises `RefusedError` for a value that does not fit.
    """
    if isinstance(space, (Box, MultiBinary)):
        return _array(space, whose, start)
    if isinstance(space, Discrete):
        return _choice(space, whose, start)
    if isinstance(space, MultiDiscrete):
        return _choices(space, whose, start)
    if isinstance(space, Dict):
        return _entries(space, whose, start)
    if isinstance(space, Tuple):
        return _parts(space, whose, start)
    return _anything(space, whose, start)


def _array(space: Box | MultiBinary, whose: str, start: int) -> Writer:
    shape, where = space.shape, slice(start, start + flatdim(space))

    def write(value: Any, row: Array) -> None:
        value = np.asarray(value)
        if value.shape != shape and _squeezed(value.shape) != _squeezed(shape):
            raise RefusedError(f"{whose} has shape {value.shape}, its space is {space}")
        row[where] = value.reshape(-1)

    return write


def _choice(space: Discrete, whose: str, start: int) -> Writer:
    first, count = int(space.start), int(space.n)
    where = slice(start, start + count)

    def write(value: Any, row: Array) -> None:
        if np.size(value) != 1:
            raise RefusedError(f"{whose} has shape {np.shape(value)}, its space is {space}")
        number = int(np.asarray(value).item()) - first
        if not 0 <= number < count:  # a negative index would count from the end
            raise RefusedError(f"{whose} is {value}, its space is {space}")
        row[where] = 0.0
        row[start + number] = 1.0

    return write


def _choices(space: MultiDiscrete, whose: str, start: int) -> Writer:
    shape, counts = space.nvec.shape, space.nvec.reshape(-1)
    starts = np.asarray(space.start).reshape(-1)
    first = start + np.concatenate(([0], np.cumsum(counts)[:-1]))  # start of each choice's one-hot
    where = slice(start, start + int(counts.sum()))

    def write(value: Any, row: Array) -> None:
        value = np.asarray(value)
        if value.shape != shape and _squeezed(value.shape) != _squeezed(shape):
            raise RefusedError(f"{whose} has shape {value.shape}, its space is {space}")
        numbers = value.reshape(-1).astype(np.int64) - starts
        if (numbers < 0).any() or (numbers >= counts).any():
            raise RefusedError(f"{whose} is {value.tolist()}, its space is {space}")
        row[where] = 0.0
        row[first + numbers] = 1.0

    return write


def _entries(space: Dict, whose: str, start: int) -> Writer:
    parts: list[tuple[Any, Writer]] = []
    for key, part in space.spaces.items():
        parts.append((key, writer(part, f"{whose}, entry {key!r}", start)))
        start += flatdim(part)

    def write(value: Any, row: Array) -> None:
        for key, put in parts:
            try:
                own = value[key]
            except (KeyError, IndexError, TypeError):
                raise RefusedError(f"{whose} has no entry {key!r}, its space is {space}") from None
            put(own, row)

    return write


def _parts(space: Tuple, whose: str, start: int) -> Writer:
    parts: list[Writer] = []
    for index, part in enumerate(space.spaces):
        parts.append(writer(part, f"{whose}, part {index}", start))
        start += flatdim(part)

    def write(value: Any, row: Array) -> None:
        if not hasattr(value, "__len__") or len(value) != len(parts):
            came = f"{len(value)} parts" if hasattr(value, "__len__") else f"a {type(value).__name__}"
            raise RefusedError(f"{whose} is {came}, its space is {space}")
        for own, put in zip(value, parts, strict=True):
            put(own, row)

    return write


def _anything(space: Space[Any], whose: str, start: int) -> Writer:
    size = flatdim(space)

    def write(value: Any, row: Array) -> None:
        flat = np.asarray(flatten(space, value))
        if flat.size != size:
            raise RefusedError(f"{whose} has shape {flat.shape}, its space is {space}")
        row[start : start + size] = flat.reshape(-1)

    return write


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)
