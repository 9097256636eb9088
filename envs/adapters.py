"""Anybody's environment for training: found by name, read, and stepped in worker processes.

    envs.adapters.vector("mpe2.simple_spread_v3", n_worlds=64, N=5)              a module of a PettingZoo package
    envs.adapters.vector("sisl/pursuit_v5", n_worlds=64)                         an id of PettingZoo's registry
    envs.adapters.vector("gymnasium:LunarLander-v3", n_worlds=8, n_copies=8)     a population of learners on one task
    envs.adapters.vector("rware:rware-tiny-2ag-v2", n_worlds=64)                 a list-style Gymnasium environment
    envs.adapters.vector("my_project.worlds:Maze", n_worlds=64)                  a class or function of yours
    envs.adapters.vector(Maze, n_worlds=64)                                      the same, from Python

Options are the constructor's keys, but for the fields of `Options`, which are the adapter's own: where a constructor
has a key of that name, the adapter's is meant and the constructor's keeps its default (`notes` says so).
What is done with what the environment shows stands in `envs.foreign` and docs/foreign.md.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .foreign import find
from .foreign.find import is_foreign
from .foreign.layout import Layout, probe
from .foreign.parallel import as_parallel
from .foreign.pictures import Pictures, is_picture
from .foreign.vector import ForeignVector
from .foreign.workers import ForeignError, PictureError, WorkerError, elsewhere, usable_cores
from .foreign.world import episode_seed

__all__ = [
    "RESERVED",
    "Foreign",
    "ForeignError",
    "ForeignVector",
    "Options",
    "PictureError",
    "Recipe",
    "WorkerError",
    "episode_seed",
    "is_foreign",
    "keys",
    "parse",
    "prepare",
    "texts",
    "vector",
]


@dataclass(frozen=True)
class Options:
    """How somebody else's environment is run."""

    n_workers: int | None = None
    """Processes that step the worlds; none: as many as there are usable cores; 0: step them in the training process."""
    n_copies: int = 1
    """Copies of a single-agent Gymnasium environment in a world, one an agent."""
    time_limit: int = 0
    """Steps after which a world is truncated; 0: what the environment itself does. Say it for an environment that
    reports its time limit as death."""
    image_size: int = 64
    """Pixels a side that pictures are resized to; 0: leave their size."""
    frame_stack: int = 4
    """Last pictures that an agent sees at once."""
    grayscale: bool = True
    """Reduce pictures of three colours to one."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        ranges = {
            "n_workers": (0, 1024),
            "n_copies": (1, 1024),
            "time_limit": (0, 10**9),
            "image_size": (0, 2048),
            "frame_stack": (1, 64),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if name == "n_workers" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                what = f"{name} is {value!r}; it must be a whole number of at least {low}, at most {high}"
                raise ValueError(what)


RESERVED = tuple(field.name for field in dataclasses.fields(Options))
"""Keys that are never handed to a constructor."""


@dataclass(frozen=True)
class Recipe:
    """Builds one environment; plain data where `name` is a string, so that workers can build their own."""

    name: str | Callable[..., Any]
    arguments: Mapping[str, Any]
    options: Options

    def __call__(self) -> Any:
        """A `ParallelEnv`, with small pictures where it shows pictures."""
        make = find.find(self.name).make
        env = as_parallel(lambda: make(**self.arguments), self.options.n_copies)
        if any(is_picture(env.observation_space(agent)) for agent in getattr(env, "possible_agents", ())):
            own = self.options
            env = Pictures(env, size=own.image_size, stack=own.frame_stack, grayscale=own.grayscale)
        return env


@dataclass(frozen=True)
class Look:
    """What one built environment showed."""

    layout: Layout
    keys: dict[str, Any] | None
    """What `find.parameters_behind` says of it."""
    render_modes: tuple[str, ...]


@dataclass(frozen=True)
class Foreign:
    """An environment that was found, built once and looked at: ready to be vectorised."""

    name: str
    recipe: Recipe
    layout: Layout

    @property
    def n_worlds(self) -> int:
        """A number of worlds that suits: every world of others costs a step in Python, and pictures cost memory."""
        return 8 if len(self.layout.observations.space.shape or ()) == 3 else 32

    def vector(
        self, n_worlds: int = 64, *, stagger: bool = False, notify: Callable[[str], None] | None = None
    ) -> ForeignVector:
        """Worlds of it; see `ForeignVector`."""
        workers = self.recipe.options.n_workers
        return ForeignVector(self.recipe, self.layout, self.name, n_worlds, workers, stagger=stagger, notify=notify)

    def maker(self) -> Callable[..., ForeignVector]:
        """`vector`, but worlds that are not staggered, which are for evaluation, are made once for each number of them.

        Starting processes takes a second; whoever evaluates resets the worlds anyway.
        """
        kept: dict[int, ForeignVector] = {}

        def make(n_worlds: int, *, stagger: bool = False) -> ForeignVector:
            if stagger:
                return self.vector(n_worlds, stagger=True)
            if n_worlds not in kept:
                kept[n_worlds] = self.vector(n_worlds)
            return kept[n_worlds]

        return make


def vector(
    name: str | Callable[..., Any],
    n_worlds: int = 64,
    n_workers: int | None = None,
    *,
    stagger: bool = False,
    notify: Callable[[str], None] | None = None,
    **options: Any,
) -> ForeignVector:
    """Builds `n_worlds` worlds of anybody's environment, with auto-reset.

    Args:
        name: See the module, or a constructor.
        n_worlds: B.
        n_workers: Processes that step them; None for as many as there are usable cores, 0 for none.
        stagger: See `ForeignVector`.
        notify: Told when a worker died and was started again; None writes to stderr.
        **options: The constructor's keys, and fields of `Options`.

    Raises:
        ValueError: See `prepare`.
        WorkerError: A worker could not be started.
    """
    return prepare(name, n_workers=n_workers, **options).vector(n_worlds, stagger=stagger, notify=notify)


def prepare(name: str | Callable[..., Any], **options: Any) -> Foreign:
    """Finds an environment, builds one and plays a few steps, to know its shapes.

    Args:
        name: See the module.
        **options: The constructor's keys, and fields of `Options`.

    Raises:
        ValueError: It does not exist or is not installed, an option is wrong, it cannot be built, or it is of a kind
            that cannot be served. The message is one line that says what came, what is allowed and how to mend it.
    """
    own = Options(**{key: options.pop(key) for key in RESERVED if key in options})
    constructor = find.find(name)
    find.refuse_unknown(constructor, options)
    recipe = Recipe(name, options, own)
    try:
        # Elsewhere, for it may print, open windows or bring the process down.
        seen: Look = look(recipe) if own.n_workers == 0 or not usable_cores() else elsewhere(look, recipe)
    except ForeignError as error:
        raise ValueError(f"{constructor.name} cannot be played with {options or 'its defaults'}: {error}") from error
    layout, known, modes = seen.layout, constructor.keys, seen.render_modes
    if known is None:
        known = seen.keys
    notes = list(layout.notes)
    if own_too := [key for key in RESERVED if key in (known or ())]:
        notes.append(f"{', '.join(own_too)}: the adapter's option; the constructor's of that name keeps its default")
    if unchecked := [key for key in options if key not in (known or ())]:
        notes.append(f"{', '.join(unchecked)}: handed on unchecked, for the constructor does not name its keys")
    if "rgb_array" in modes and "render_mode" in (known or ()) and "render_mode" not in options:
        recipe = dataclasses.replace(recipe, arguments={**options, "render_mode": "rgb_array"})
    return Foreign(constructor.name, recipe, dataclasses.replace(layout, notes=tuple(notes)))


def keys(name: str) -> dict[str, Any] | None:
    """A constructor's keys with their defaults (`find.REQUIRED` where there is none); None where it tells none.

    Raises:
        ValueError: See `prepare`.
    """
    constructor = find.find(name)
    if constructor.keys is not None or not usable_cores():
        return _keys_here(constructor)
    try:
        return elsewhere(_keys_of, name)
    except ForeignError:  # building it for its keys brought its process down
        return None


def texts(name: str) -> tuple[dict[str, str], bool]:
    """A constructor's keys with their defaults as one would write them, "" for one that must be given.

    Returns:
        They, and whether there are surely no others.

    Raises:
        ValueError: See `prepare`.
    """
    complete = find.find(name).keys is not None
    found = {key: _written(default) for key, default in (keys(name) or {}).items() if key not in RESERVED}
    return found, complete


def parse(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as written on the command line, as values; those in `RESERVED` are values already.

    Raises:
        ValueError: See `prepare`.
    """
    defaults = keys(name) or {} if set(options).difference(RESERVED) else {}
    return {k: v if k in RESERVED else find.parse(v, defaults.get(k)) for k, v in options.items()}


def look(recipe: Recipe) -> Look:
    """Builds an environment, plays a few steps and closes it.

    Raises:
        ValueError: See `prepare`.
    """
    constructor = find.find(recipe.name)
    env = None
    try:
        env = recipe()
        modes = (getattr(env, "metadata", None) or {}).get("render_modes") or ()
        return Look(probe(env, time_limit=recipe.options.time_limit), find.parameters_behind(env), tuple(modes))
    except ValueError as error:
        raise ValueError(f"{constructor.name}: {_line(error)}") from error
    except Exception as error:  # foreign code may raise anything
        raise ValueError(_cannot_be_played(constructor, recipe, error)) from error
    finally:
        if env is not None:
            env.close()


def _cannot_be_played(constructor: find.Constructor, recipe: Recipe, error: Exception) -> str:
    """Why it could not be built or stepped; an unexpected key is named like one that was refused beforehand."""
    if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
        wrong = next((key for key in recipe.arguments if repr(key) in str(error)), None)
        allowed = _keys_here(constructor)
        if wrong is not None and allowed:
            return find.unknown(f"option of {constructor.name}", wrong, allowed)
    with_what = dict(recipe.arguments) or "its defaults"
    return f"{constructor.name} cannot be played with {with_what}: {type(error).__name__}: {_line(error)}"


def _keys_here(constructor: find.Constructor) -> dict[str, Any] | None:
    """The constructor's keys, or those of what it builds."""
    found = constructor.keys
    if found is None:
        try:
            env = constructor.make()
        except Exception:  # it may need a key, and this is only for hints
            return None
        found = find.parameters_behind(env)
        env.close()
    return None if found is None else {**found, **{k: v for k, v in constructor.registered.items() if k in found}}


def _keys_of(name: str) -> dict[str, Any] | None:
    return _keys_here(find.find(name))


def _written(default: Any) -> str:
    if default is find.REQUIRED:
        return ""
    return default.name if isinstance(default, enum.Enum) else str(default)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
