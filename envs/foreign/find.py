"""From what stands after `--env` to a constructor and the keys it takes.

There are four forms:

    mpe2.simple_spread_v3            a module that offers `parallel_env`, `env` or `raw_env`, as PettingZoo's do
    sisl/pursuit_v5                  an id in PettingZoo's registry
    gymnasium:LunarLander-v3         an id in Gymnasium's registry, after the module before the colon was imported
    my_project.worlds:Maze           a class or function in a module
"""

from __future__ import annotations

import difflib
import enum
import importlib
import inspect
import pkgutil
import re
import warnings
from ast import literal_eval
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import gymnasium
import pettingzoo
from gymnasium.envs.registration import load_env_creator
from pettingzoo.env_registry.exceptions import PettingZooRegistryError

from . import registered

REQUIRED = inspect.Parameter.empty
"""The default of a key that has none."""


@dataclass(frozen=True)
class Constructor:
    """How to build one environment."""

    name: str
    make: Callable[..., Any]
    keys: Mapping[str, Any] | None
    """Keyword arguments with their defaults; None where the constructor does not name them."""
    registered: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that the registry gives."""


def is_foreign(name: str) -> bool:
    """Whether a name is one of the forms above, and none in Coterie's own table."""
    return any(mark in name for mark in "./:")


def find(name: str | Callable[..., Any]) -> Constructor:
    """Finds a constructor.

    Args:
        name: One of the forms above, or the constructor itself.

    Raises:
        ValueError: Something is not installed or does not exist; the message names it, and what is near.
    """
    if callable(name):
        return Constructor(getattr(name, "__qualname__", repr(name)), name, parameters(name))
    module, colon, rest = name.partition(":")
    if colon:
        made = getattr(_import(module), rest, None)
        return Constructor(name, made, parameters(made)) if callable(made) else _of_gymnasium(name, rest)
    return _of_pettingzoo(name) if "/" in name else _of_module(name)


def refuse_unknown(constructor: Constructor, options: Iterable[str]) -> None:
    """Raises `ValueError` for a key that the constructor does not take, where it names them."""
    if constructor.keys is not None:
        for key in options:
            if key not in constructor.keys:
                raise ValueError(unknown(f"option of {constructor.name}", key, constructor.keys))


def parse(text: str, default: Any) -> Any:
    """A value as written on the command line.

    Args:
        text: A number, True, False, None, a tuple such as (3, 4), or a string. Lists become tuples.
        default: The key's default: where it is a string, so is the value; where it is an `Enum`, a member by name.
    """
    if isinstance(default, str):
        return text
    if isinstance(default, enum.Enum):
        members = type(default).__members__
        if text not in members:
            raise ValueError(unknown(f"member of {type(default).__name__}", text, members))
        return members[text]
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    try:
        value = literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return tuple(value) if isinstance(value, list) else value


def parameters(of: Callable[..., Any]) -> dict[str, Any] | None:
    """Keyword arguments with their defaults, None where it takes any or does not tell."""
    try:
        found = inspect.signature(of).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(one.kind is one.VAR_KEYWORD for one in found):
        return None
    named = (one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY))
    return {one.name: one.default for one in named if not one.name.startswith("_")}


def parameters_behind(env: Any) -> dict[str, Any] | None:
    """The keys of a built environment's class, or of what it holds as `env`, for constructors that do not tell.

    PettingZoo's `pursuit` and `multiwalker` hand everything to such an inner environment. A guess: good for hints, not
    for refusing anything.
    """
    bare = getattr(env, "unwrapped", env)
    for part in (bare, getattr(bare, "env", None)):
        if part is not None and (found := parameters(type(part))):
            return found
    return None


def unknown(what: str, came: str, allowed: Iterable[str]) -> str:
    """The message for a name that does not exist."""
    allowed = list(allowed)
    near = difflib.get_close_matches(came, allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what}: {came!r}; allowed: {', '.join(allowed) or 'none'}{hint}"


def _of_module(name: str) -> Constructor:
    module = _import(name)
    for attribute in ("parallel_env", "env", "raw_env"):
        made = getattr(module, attribute, None)
        if callable(made):
            # `env` and `parallel_env` are wrappers that take any key and hand it to `raw_env`.
            keys = parameters(made) or _parameters_of(module, "raw_env")
            return Constructor(name, made, keys)
    raise ValueError(
        f"module {name} offers none of parallel_env, env and raw_env; name a class or function as {name}:NAME"
    )


def _of_pettingzoo(name: str) -> Constructor:
    if name.startswith("coterie/"):
        own = name.removeprefix("coterie/").rpartition("_v")[0] or name.removeprefix("coterie/")
        raise ValueError(f"{name} is Coterie's own; use its name {own!r}, which steps all worlds at once")
    ids = {}
    for kind in ("parallel", "aec"):
        try:
            spec = pettingzoo.spec(kind, name)
        except PettingZooRegistryError:
            registry = pettingzoo.parallel_registry if kind == "parallel" else pettingzoo.aec_registry
            ids |= dict.fromkeys(known.replace("-v", "_v") for known in registry if not known.startswith("coterie/"))
            continue
        keys = None
        if isinstance(spec.entry_point, str):
            module, _, attribute = spec.entry_point.partition(":")
            imported = _import(module)
            keys = _parameters_of(imported, attribute) or _parameters_of(imported, "raw_env")
        elif spec.entry_point is not None:
            keys = parameters(spec.entry_point)
        return Constructor(name, spec.make, keys, spec.kwargs)
    near = difflib.get_close_matches(name, ids, n=3)
    hint = f"; near: {', '.join(near)}" if near else ""
    raise ValueError(f"PettingZoo's registry has no {name!r}{hint}; packages that register when imported: MODULE:NAME")


def _of_gymnasium(name: str, rest: str) -> Constructor:
    try:
        spec = gymnasium.spec(rest)
    except gymnasium.error.Error as error:
        near = difflib.get_close_matches(rest, list(gymnasium.registry), n=3)
        hint = f"; near: {', '.join(near)}" if near else ""
        said = " ".join(str(error).split())
        raise ValueError(f"{name}: the module has no {rest!r}, and Gymnasium says: {said}{hint}") from None
    keys = None
    if spec.entry_point is not None:
        try:
            made = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
            keys = parameters(made)
        except (ImportError, gymnasium.error.Error) as error:  # the second where a package that it needs is missing
            raise ValueError(f"{name} cannot be imported: {' '.join(str(error).split())}") from error
    if keys is not None:
        keys = {**keys, "max_episode_steps": spec.max_episode_steps}
    return Constructor(name, partial(registered.make, rest), keys, spec.kwargs)


def _parameters_of(module: ModuleType, attribute: str) -> dict[str, Any] | None:
    made = getattr(module, attribute, None)
    return parameters(made) if callable(made) else None


def _import(name: str) -> ModuleType:
    try:
        with warnings.catch_warnings():
            # PettingZoo's own modules with a version in their names warn that ids are preferred; both are welcome here.
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        top = name.partition(".")[0]
        if missing == top:
            raise ValueError(f"package {top!r} is not installed (pip install {top}), or not on Python's path") from None
        if name == missing or name.startswith(missing + "."):
            parent, _, last = missing.rpartition(".")
            inside = [found.name for found in pkgutil.iter_modules(importlib.import_module(parent).__path__)]
            inside = [name for name in inside if re.search(r"_v\d+$", name)] or inside  # a package of environments
            raise ValueError(unknown(f"module of {parent}", last, inside)) from None
        extra = f" (pip install 'pettingzoo[{name.split('.')[1]}]')" if name.startswith("pettingzoo.") else ""
        raise ValueError(f"{name} needs {missing!r}, which is not installed{extra}") from error
    except ImportError as error:
        raise ValueError(f"{name} cannot be imported: {' '.join(str(error).split())}") from error
