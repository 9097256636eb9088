"""Ranges of numbers, and the one check of the values of a dataclass of options."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np


class Range(NamedTuple):
    """The numbers that an option may have."""

    low: float
    high: float
    above: bool = False
    """`low` itself is not allowed."""

    def __contains__(self, value: object) -> bool:
        """Returns whether a number is allowed; NaN never is."""
        number: Any = value
        return bool((self.low < number if self.above else self.low <= number) and number <= self.high)

    def __str__(self) -> str:
        """Says what is allowed, to stand after "allowed are"."""
        least = f"numbers above {_short(self.low)}, at most" if self.above else f"{_short(self.low)} to"
        return f"{least} {_short(self.high)}"


STEPS = Range(0, 10**15)
"""Steps between two events of a run."""
SHARE = Range(0.0, 1.0)
"""Fractions."""
RATE = Range(0.0, 1e6, above=True)
"""Positive numbers, such as a learning rate. A value that is too large for learning is found only in the run."""
LENGTH = Range(0.0, 1e12, above=True)
"""Norms that gradients are clipped to; a large one switches clipping off."""
WEIGHT = Range(0.0, 1e6)
"""Weights, which zero switches off."""
LAYER = Range(1, 8192)
"""Units of a layer: initial weights of a larger one would take minutes."""
MOST_LAYERS = 32


def check(config: Any) -> None:
    """Checks every field of a dataclass against its annotation.

    Args:
        config: The dataclass. Fields may be `int`, `float`, `bool`, `str`, a `Literal`, a tuple of `int` or of `str`,
            any of them or None, or a dataclass that checks itself. The range of a number is in its annotation,
            `Annotated[int, Range(1, 10)]`; that of a tuple holds for each of its numbers.

    Raises:
        ValueError: Names the first wrong field: what came, and what is allowed.
    """
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        value, hint, allowed = getattr(config, field.name), hints[field.name], None
        if typing.get_origin(hint) is Annotated:
            hint, *extras = typing.get_args(hint)
            allowed = next((extra for extra in extras if isinstance(extra, Range)), None)
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            if value is None:
                continue
            hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
        _check_one(field.name, value, hint, allowed)


def _check_one(name: str, value: Any, hint: Any, allowed: Range | None) -> None:
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; allowed are {', '.join(map(repr, choices))}")
    elif hint == tuple[str, ...]:
        if not isinstance(value, (tuple, list)) or not all(isinstance(one, str) and one for one in value):
            raise ValueError(f"{name} is {value!r}; it must be a list of texts")
    elif typing.get_origin(hint) is tuple:
        assert allowed is not None, f"{name} has no range"
        if not isinstance(value, (tuple, list)) or not 1 <= len(value) <= MOST_LAYERS:
            raise ValueError(f"{name} is {value!r}; name the sizes of 1 to {MOST_LAYERS} layers, as in 64 64")
        for one in value:
            _check_number(name, one, int, allowed, f"{value!r}")
    elif hint in (int, float):
        assert allowed is not None, f"{name} has no range"
        _check_number(name, value, hint, allowed)
    elif is_dataclass(hint):
        if not isinstance(value, hint):  # type: ignore[arg-type]
            raise ValueError(f"{name} is {value!r}; it must be a {getattr(hint, '__name__', hint)}")
    elif hint in (bool, str) and not isinstance(value, (hint, np.bool_) if hint is bool else hint):
        kind = "True or False" if hint is bool else "text"
        raise ValueError(f"{name} is {value!r}; it must be {kind}")


def _check_number(name: str, value: Any, kind: type, allowed: Range, came: str = "") -> None:
    kinds = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
    what = "a whole number" if kind is int else "a number"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, kinds):
        raise ValueError(f"{name} is {came or repr(value)}; it must be {what}: {allowed}")
    if value not in allowed:
        raise ValueError(f"{name} is {came or short(value)}; {_sense(allowed)}")


def _sense(allowed: Range) -> str:
    """Says which numbers are allowed, in the usual words for such a range."""
    if allowed.low == allowed.high:
        return f"it must be {_short(allowed.low)}"
    if allowed.above and allowed.low == 0:
        return f"it must be a positive number, at most {_short(allowed.high)}"
    return f"allowed are {allowed}"


def short(number: object) -> str:
    """Returns a number as text, rounded if it has too many digits to read."""
    text = repr(number)
    if len(text) <= 25:
        return text
    try:
        return f"{float(number):.3g}"  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return f"{text[:8]}... ({len(text)} digits)"


def _short(number: float) -> str:
    if isinstance(number, int) or float(number).is_integer():
        return str(int(number)) if abs(number) < 10**12 else f"{float(number):.0e}".replace("e+", "e")
    return f"{number:g}"
