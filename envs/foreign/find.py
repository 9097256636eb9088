"""Finds the constructor, and the keys that it takes, for a name after `--env`.

A name has one of four forms:

    mpe2.simple_spread_v3            a module that offers `parallel_env`, `env` or `raw_env`, as PettingZoo's do
    sisl/pursuit_v5                  an id in PettingZoo's registry
    gymnasium:LunarLander-v3         an id in Gymnasium's registry, after the module before the colon is imported
    my_project.worlds:Maze           a class or function in a module, which may be in the current folder
"""

from __future__ import annotations

import enum
import inspect
import re
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

from . import hints, registered
from .blame import explain, one_line
from .modules import OFFERS, imported, near, shadow, unknown

REQUIRED = inspect.Parameter.empty
"""Stands for the default of a key without one."""


@dataclass(frozen=True)
class Constructor:
    """A way to build one environment."""

    name: str
    """Name for messages."""
    make: Callable[..., Any]
    """Builds the environment from keyword arguments."""
    keys: Mapping[str, Any] | None
    """Keyword arguments with their defaults; None where the constructor does not name them."""
    registered: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that the registry passes."""
    takes: tuple[str, ...] = ()
    """Keys that it certainly takes besides those that it names."""


def is_foreign(name: str) -> bool:
    """Returns whether a name has one of the forms above, so that it is not in Coterie's own table."""
    return any(mark in name for mark in "./:")


def find(name: str | Callable[..., Any]) -> Constructor:
    """Finds a constructor.

    Args:
        name: One of the forms above, or the constructor itself.

    Raises:
        ValueError: Something is not installed or does not exist; the message names it, and similar names.
    """
    if callable(name):
        return Constructor(getattr(name, "__qualname__", repr(name)), name, parameters(name))
    module, colon, rest = name.partition(":")
    if module.endswith(".py") or name.startswith(".") or (colon and re.search(r"[/\\]", module)):
        meant = hints.of_path(module, rest)
        raise ValueError(f"{name!r} names a file; name its module, from the folder that holds it: {meant}")
    if colon:
        if not (module and rest):
            raise ValueError(f"{name!r} is incomplete; give a module before the colon, and a name or id after it")
        return _of_attribute(name, imported(module), rest)
    return _of_pettingzoo(name) if "/" in name else _of_module(name)


def refuse_unknown(constructor: Constructor, options: Iterable[str]) -> None:
    """Raises `ValueError` for a key that the constructor does not take, if it names its keys."""
    if constructor.keys is not None:
        for key in options:
            if key not in constructor.keys:
                raise ValueError(unknown(f"option of {constructor.name}", key, constructor.keys))


def parse(text: str, default: Any) -> Any:
    """Returns the value of a text from the command line.

    Args:
        text: A number, True, False, None, a tuple such as (3, 4), or a string. Lists become tuples.
        default: The key's default. If it is a string, so is the value; if it is a member of an `Enum`, the text names
            another one.

    Raises:
        ValueError: The `Enum` has no such member.
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
    """Returns keyword arguments with their defaults; None for a callable that takes any, or has no signature."""
    try:
        found = inspect.signature(of).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(one.kind is one.VAR_KEYWORD for one in found):
        return None
    named = (one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY))
    return {one.name: one.default for one in named if not one.name.startswith("_")}


def parameters_behind(env: Any) -> dict[str, Any] | None:
    """Returns the keys of a built environment's class, or of the class of its attribute `env`.

    PettingZoo's `pursuit` and `multiwalker` pass all their keys to such an inner environment. This is a guess, which is
    good enough for hints but not for refusing a key.
    """
    bare = getattr(env, "unwrapped", env)
    for part in (bare, getattr(bare, "env", None)):
        if part is not None and (found := parameters(type(part))):
            return found
    return None


def _of_module(name: str) -> Constructor:
    last = name.rpartition(".")[2]
    if "-" in last and (meant := hints.of_gymnasium(last)):
        raise ValueError(f"{name} is no module; did you mean {meant}?")
    module = imported(name)
    for attribute in OFFERS:
        made = getattr(module, attribute, None)
        if callable(made):
            # `env` and `parallel_env` are wrappers that take any key and pass it to `raw_env`.
            keys = parameters(made) or _parameters_of(module, "raw_env")
            return Constructor(name, made, keys)
    raise ValueError(
        f"module {name} offers none of parallel_env, env and raw_env; {hints.instead_of_module(name, module)}"
    )


def _of_attribute(name: str, module: ModuleType, rest: str) -> Constructor:
    """Returns the constructor that a module has under the name after the colon, or that of an id of Gymnasium's."""
    made: Any = module
    for part in rest.split("."):
        made = getattr(made, part, None)
    if isinstance(made, ModuleType):
        return _of_module(f"{module.__name__}.{rest}")
    if callable(made):
        return Constructor(name, made, parameters(made))
    if made is not None:
        raise ValueError(f"{name} is of type {type(made).__name__}, not a class or function that builds an environment")
    return _of_gymnasium(name, module, rest)


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
            found = imported(module)
            keys = _parameters_of(found, attribute) or _parameters_of(found, "raw_env")
        elif spec.entry_point is not None:
            keys = parameters(spec.entry_point)
        return Constructor(name, spec.make, keys, spec.kwargs)
    known = near(name, ids, n=3)
    hint = f"; near: {', '.join(known)}" if known else ""
    if meant := hints.of_gymnasium(name) or hints.of_mpe(name.rpartition("/")[2]):
        hint = f"; did you mean {meant}?"
    raise ValueError(f"PettingZoo's registry has no {name!r}{hint}; packages that register when imported: MODULE:NAME")


def _of_gymnasium(name: str, module: ModuleType, rest: str) -> Constructor:
    try:
        spec = gymnasium.spec(rest)
    except Exception as error:  # for a name that is not an id, it is not one of Gymnasium's own errors
        has = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        similar = [f"{module.__name__}:{key}" for key in near(rest, has)]
        similar += [f"{module.__name__}:{found}" for found in near(rest, gymnasium.registry, n=3)]
        similar = similar[:3] or hints.example(module.__name__)
        hint = f"; near: {', '.join(similar)}" if similar else ""
        said = one_line(str(error)).rstrip(".")
        raise ValueError(
            f"{name}: the module has no {rest!r}, and Gymnasium says: {said}{hint}{shadow(module)}"
        ) from None
    keys = None
    if spec.entry_point is not None:
        try:
            made = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
            keys = parameters(made)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ValueError(f"{name} cannot be imported: {explain(error)}") from error
    if keys is not None:
        keys = {**keys, "max_episode_steps": spec.max_episode_steps}
    return Constructor(name, partial(registered.make, rest), keys, spec.kwargs, ("render_mode", "max_episode_steps"))


def _parameters_of(module: ModuleType, attribute: str) -> dict[str, Any] | None:
    made = getattr(module, attribute, None)
    return parameters(made) if callable(made) else None
