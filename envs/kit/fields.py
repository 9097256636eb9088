"""The check of a `Config`: types and ranges of its fields, and the values of choices."""

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
        config: The dataclass. Fields of type `int`, `float`, `bool` and `str` must have that type; a `Literal` must be
            one of its values.
        ranges: Name, least and greatest value of each number; NaN and infinity are out of range.

    Raises:
        ValueError: Names the first field that is wrong, its value, and what is allowed.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        kinds = _KINDS.get(str(field.type))
        if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise ValueError(f"{field.name}={value!r} is a {type(value).__name__}: give a value of type {field.type}")
    for name, low, high in ranges:
        value = getattr(config, name)
        if not low <= value <= high:  # NaN fails both comparisons
            raise ValueError(f"{name}={shown(value)} is out of range: give a value from {low} to {high}")
    for name, hint in typing.get_type_hints(type(config)).items():
        if typing.get_origin(hint) is typing.Literal and getattr(config, name) not in typing.get_args(hint):
            allowed = ", ".join(typing.get_args(hint))
            raise ValueError(f"{name}={getattr(config, name)!r} is not known: give one of {allowed}")


def shown(value: Any) -> str:
    """Returns the `repr` of a value, or a description of an integer too long to read."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of more than twenty digits"
    return repr(value)
