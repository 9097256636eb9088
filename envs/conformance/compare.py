"""Comparison to the byte, for states, steps and what PettingZoo's views hand out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Step


def fingerprint(values: Any) -> Any:
    """Returns arrays as nested lists of their types, shapes and bytes, to compare by `==`."""
    if values is None:
        return None
    if isinstance(values, dict):
        return {key: fingerprint(value) for key, value in values.items()}
    if isinstance(values, (tuple, list)):
        return [fingerprint(value) for value in values]
    array = np.asarray(values)
    return array.dtype.str, array.shape, array.tobytes()


def differences(one: Any, other: Any) -> list[str]:
    """Returns the names of the fields in which two states or steps differ by a byte."""
    return [field for field, a, b in zip(one._fields, one, other, strict=True) if fingerprint(a) != fingerprint(b)]


def assert_same(one: Any, other: Any, what: str) -> None:
    """Raises `AssertionError`, which names the fields, unless two states or steps are equal to the byte."""
    fields = differences(one, other)
    assert not fields, f"{what}: {type(one).__name__}.{', '.join(fields)} differ"


def world_of(step: Step, rows: Any) -> Step:
    """Returns the given worlds of a step."""

    def take(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: take(part) for key, part in value.items()}
        return None if value is None else value[rows]

    return Step(*(take(value) for value in step))


def frozen(value: Any) -> Any:
    """Returns nested dictionaries in a form to compare by `==`, arrays by their bytes."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return [frozen(part) for part in value]
    if isinstance(value, float) and math.isnan(value):
        return "NaN"  # does not equal itself
    return fingerprint(value) if isinstance(value, np.ndarray) else value
