"""What holds for the fields of every environment's `Config`: their types, their ranges, what may be chosen."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

_KINDS = {
    "int": (int, np.integer),
    "float": (int, float, np.integer, np.floating),
    "bool": (bool, np.bool_),
    "str": (str,),
}


def check_fields(config: Any, ranges: Iterable[tuple[str, float, float]]) -> None:
    """Checks a dataclass whose annotations are strings, as `from __future__ import annotations` makes them.

    Args:
        config: The dataclass. Fields of `int`, `float`, `bool` and `str` must be that, a `Literal` one of its values.
        ranges: Name, least and greatest value of numbers, which must be finite.

    Raises:
        ValueError: The first field that is wrong: what came, and what is allowed.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        kinds = _KINDS.get(str(field.type))
        if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise ValueError(f"{field.name}={value!r} is a {type(value).__name__}: give a value of type {field.type}")
    for name, low, high in ranges:
        value = getattr(config, name)
        if not low <= value <= high:  # NaN is not, and nothing is too long to compare
            raise ValueError(f"{name}={shown(value)} is out of range: give a value from {low} to {high}")
    for name, hint in typing.get_type_hints(type(config)).items():
        if typing.get_origin(hint) is typing.Literal and getattr(config, name) not in typing.get_args(hint):
            allowed = ", ".join(typing.get_args(hint))
            raise ValueError(f"{name}={getattr(config, name)!r} is not known: give one of {allowed}")


def shown(value: Any) -> str:
    """A value as it came, unless it is an integer of more digits than anyone reads."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of more than twenty digits"
    return repr(value)
