"""A first look at a foreign environment: it is built, played for a few steps and closed, in a process of its own.

Foreign code may raise anything, end its process or change global state, so the look is taken elsewhere where that is
possible, and what comes back is plain data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import film, find
from .blame import explain, is_ours, one_line
from .closing import close
from .layout import Layout, probe
from .recipe import Recipe
from .workers import ForeignError, elsewhere, usable_cores


@dataclass(frozen=True)
class Look:
    """Facts about one built environment."""

    layout: Layout
    """Shapes of what it shows, and how to read it."""
    keys: dict[str, Any] | None
    """The keys that `find.parameters_behind` finds in it."""
    pictures: bool
    """Whether it may draw pictures, by its metadata."""


@dataclass(frozen=True)
class Refusal:
    """The reason why an environment cannot be used."""

    reason: str


def look_at(recipe: Recipe) -> Look | Refusal:
    """Builds an environment, plays a few steps and returns what it showed, or why it cannot be used."""
    return _asked(_look, recipe)


def why_it_does_not_draw(recipe: Recipe) -> str:
    """Builds an environment and lets it draw; returns why that failed, empty where it did not."""
    return _asked(_try_to_draw, recipe)


def keys_of(name: str) -> dict[str, Any] | None:
    """Returns the keys of a constructor with their defaults; see `adapters.keys`."""
    constructor = find.find(name)
    if constructor.keys is not None or not usable_cores():
        return _keys_here(constructor)
    try:
        return elsewhere(_keys_of, name)
    except ForeignError:  # building it to read its keys ended its process
        return None


def _look(recipe: Recipe) -> Iterator[Look | Refusal]:
    """Yields the look, and closes the environment when it is resumed."""
    constructor = find.find(recipe.name)
    own = recipe.options
    env = None
    seen: Look | Refusal
    try:
        env = recipe()
        layout = probe(env, time_limit=own.time_limit, seeds=own.seeds)
        seen = Look(layout, find.parameters_behind(env), film.may_give_pictures(getattr(env, "metadata", None)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # foreign code may raise anything, SystemExit too
        seen = Refusal(_cannot_be_played(constructor, recipe, error))
    try:
        yield seen
    finally:
        if env is not None:
            close(env)


def _try_to_draw(recipe: Recipe) -> Iterator[str]:
    """Yields why drawing failed, empty where it did not, and closes the environment when it is resumed."""
    env, reason = None, ""
    try:
        env = recipe()
        env.reset(seed=0)
        film.picture(env)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = explain(error)
    try:
        yield reason
    finally:
        if env is not None:
            close(env)


def _asked(function: Callable[[Recipe], Iterator[Any]], recipe: Recipe) -> Any:
    """Returns the first value that a generator yields, in a process of its own unless the options ask for none."""
    if recipe.options.n_workers == 0 or not usable_cores():
        with contextlib.closing(function(recipe)) as found:  # pyright: ignore[reportArgumentType] - a generator
            return next(found)
    try:
        return elsewhere(function, recipe)
    except ForeignError as error:
        if function is _try_to_draw:
            return str(error)
        with_what = dict(recipe.arguments) or "its defaults"
        return Refusal(f"{find.find(recipe.name).name} cannot be played with {with_what}: {error}")


def _cannot_be_played(constructor: find.Constructor, recipe: Recipe, error: BaseException) -> str:
    """Returns why it could not be built or stepped; an unexpected key is reported as one that was checked before."""
    if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
        wrong = next((key for key in recipe.arguments if repr(key) in str(error)), None)
        allowed = _keys_here(constructor)
        if wrong is not None and allowed:
            return find.unknown(f"option of {constructor.name}", wrong, allowed)
    if isinstance(error, ValueError) and is_ours(error):
        return f"{constructor.name}: {explain(error)}"
    with_what = dict(recipe.arguments) or "its defaults"
    return f"{constructor.name} cannot be played with {one_line(str(with_what))}: {explain(error)}"


def _keys_of(name: str) -> dict[str, Any] | None:
    return _keys_here(find.find(name))


def _keys_here(constructor: find.Constructor) -> dict[str, Any] | None:
    """Returns the constructor's keys or, where it does not name them, those of the environment that it builds."""
    found = constructor.keys
    if found is None:
        try:
            env = constructor.make()
        except KeyboardInterrupt:
            raise
        except BaseException:  # it may need a key, or end its process, and this is only for hints
            return None
        found = find.parameters_behind(env)
        close(env)
    return None if found is None else {**found, **{k: v for k, v in constructor.registered.items() if k in found}}
