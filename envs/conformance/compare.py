"""Comparison to the byte, for states, steps and what PettingZoo's views hand out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Step


def fingerprint(values: Any) -> Any:
    """Nested bytes of arrays, with their types and shapes, to compare by `==`."""
    if values is None:
        return None
    if isinstance(values, dict):
        return {key: fingerprint(value) for key, value in values.items()}
    if isinstance(values, (tuple, list)):
        return [fingerprint(value) for value in values]
    array = np.asarray(values)
    return array.dtype.str, array.shape, array.tobytes()


def differences(one: Any, other: Any) -> list[str]:
    """Names of the fields of two states or steps that are not the same bytes."""
    return [field for field, a, b in zip(one._fields, one, other, strict=True) if fingerprint(a) != fingerprint(b)]


def assert_same(one: Any, other: Any, what: str) -> None:
    """Fails, naming the fields, unless two states or steps are the same bytes."""
    fields = differences(one, other)
    assert not fields, f"{what}: {type(one).__name__}.{', '.join(fields)} differ"


def world_of(step: Step, rows: Any) -> Step:
    """The given worlds of a step."""

    def take(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: take(part) for key, part in value.items()}
        return None if value is None else value[rows]

    return Step(*(take(value) for value in step))


def frozen(value: Any) -> Any:
    """Dictionaries of dictionaries as something to compare, arrays by their bytes."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return [frozen(part) for part in value]
    if isinstance(value, float) and math.isnan(value):
        return "NaN"  # does not equal itself
    return fingerprint(value) if isinstance(value, np.ndarray) else value
