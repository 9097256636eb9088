"""Checks plain data from JSON against the types of dataclass fields; a wrong type gives one line, not a traceback."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal


def typed(value: Any, hint: Any, where: str) -> Any:
    """Checks that a value has the type that an annotation names, and turns lists into tuples where it names tuples.

    Args:
        value: The value, from JSON.
        hint: None, bool, int, float, str, a `Literal`, a tuple, list or dict, a union of them, or `Any`.
        where: Name of the value, for the message.

    Raises:
        ValueError: The value has another type.
    """
    if not _fits(value, hint):
        shown = repr(value)
        raise ValueError(f"{where} is {shown[:60]}{'...' * (len(shown) > 60)}; expected {_in_words(hint)}")
    return _read(value, hint)


def fields(cls: type[Any], plain: Any, where: str, *, unknown: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Returns arguments of a dataclass from plain data; missing fields are left to their defaults.

    Args:
        cls: The dataclass. A field that is a dataclass itself is read in the same way.
        plain: Values by the names of its fields.
        where: Name of the data, for messages.
        unknown: Called with one line for each key that is no field, which is then left out; None: it is an error.

    Raises:
        ValueError: `plain` is no dictionary, or a value is of the wrong type, or a key is not known.
    """
    typed(plain, dict[str, Any], where)
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    refuse_unknown(plain, names, where, unknown)
    found = {name: typed(plain[name], hints[name], f"{where}.{name}") for name in names if name in plain}
    return nested(cls, found, where, unknown=unknown)


def nested(
    cls: type[Any], values: Mapping[str, Any], where: str, *, unknown: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Returns arguments of a dataclass in which fields that are dataclasses are made from plain data; see `fields`."""
    hints = typing.get_type_hints(cls)
    found = dict(values)
    for name, value in found.items():
        if dataclasses.is_dataclass(hints.get(name)) and isinstance(value, dict):
            kind = typing.cast("type[Any]", hints[name])
            found[name] = kind(**fields(kind, value, f"{where}.{name}", unknown=unknown))
    return found


def refuse_unknown(
    plain: Mapping[str, Any], known: Iterable[str], where: str, unknown: Callable[[str], None] | None = None
) -> None:
    """Reports each unknown key, with the nearest known one, to `unknown`; without it, raises `ValueError`."""
    known = list(known)
    for key in plain:
        if key in known:
            continue
        near = difflib.get_close_matches(key, known, n=1)
        line = f"{where + '.' if where else ''}{key} is not known" + (f"; did you mean {near[0]}?" if near else "")
        if unknown is None:
            raise ValueError(line)
        unknown(f"{line}; it is not used" if not near else f"{line} It is not used")


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint is None or hint is type(None):
        return value is None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple)):
            return False
        if origin is list or (len(arguments) == 2 and arguments[1] is ...):
            return all(_fits(one, arguments[0]) for one in value)
        return len(value) == len(arguments) and all(_fits(v, one) for v, one in zip(value, arguments, strict=True))
    if origin in (dict, Mapping) or hint is dict:
        inner = arguments[1] if arguments else Any
        return isinstance(value, dict) and all(isinstance(k, str) and _fits(v, inner) for k, v in value.items())
    if dataclasses.is_dataclass(hint):
        return isinstance(value, (dict, typing.cast(type, hint)))
    if hint is float and isinstance(value, float):
        return not math.isnan(value)
    if hint in (int, float):
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    if hint in (tuple, list):
        return isinstance(value, (list, tuple))
    return not isinstance(hint, type) or isinstance(value, hint)


def _read(value: Any, hint: Any) -> Any:
    if isinstance(value, list) and not _wants_list(hint):
        return tuple(_read(one, Any) for one in value)
    return value


def _wants_list(hint: Any) -> bool:
    return hint is list or typing.get_origin(hint) is list


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", dict: "a dictionary"}


def _in_words(hint: Any) -> str:
    if hint is None or hint is type(None):
        return "null"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_in_words(one) for one in arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (tuple, list):
        return f"a list, each {_in_words(arguments[0])}"
    return _WORDS.get(origin or hint, getattr(hint, "__name__", str(hint)))
