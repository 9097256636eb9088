"""Anybody's environment for training: found by name, read, and stepped in worker processes.

    envs.adapters.vector("mpe2.simple_spread_v3", n_worlds=64, N=5)              a module of a PettingZoo package
    envs.adapters.vector("sisl/pursuit_v5", n_worlds=64)                         an id of PettingZoo's registry
    envs.adapters.vector("gymnasium:LunarLander-v3", n_worlds=8, n_copies=8)     a population of learners on one task
    envs.adapters.vector("rware:rware-tiny-2ag-v2", n_worlds=64)                 a list-style Gymnasium environment
    envs.adapters.vector("multigrid.envs:MultiGrid-Empty-8x8-v0", n_worlds=64)   dicts by agent in Gymnasium's clothes
    envs.adapters.vector("my_project.worlds:Maze", n_worlds=64)                  a class or function of yours
    envs.adapters.vector(Maze, n_worlds=64)                                      the same, from Python

Options are the constructor's keys, but for the fields of `Options`, which are the adapter's own: where a constructor
has a key of that name, the adapter's is meant and the constructor's keeps its default (`notes` says so).
What is done with what the environment shows stands in `envs.foreign` and docs/foreign.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .foreign import film, find, hints
from .foreign.as_rows import Rows
from .foreign.blame import is_ours, one_line, told
from .foreign.closing import close
from .foreign.find import is_foreign
from .foreign.layout import Layout, probe
from .foreign.parallel import as_parallel
from .foreign.pictures import Pictures, is_picture
from .foreign.seeds import episode_seed
from .foreign.vector import ForeignVector
from .foreign.versions import version_of
from .foreign.workers import ForeignError, PictureError, WorkerError, elsewhere, usable_cores

__all__ = [
    "RESERVED",
    "Foreign",
    "ForeignError",
    "ForeignVector",
    "Options",
    "PictureError",
    "Recipe",
    "Rows",
    "WorkerError",
    "episode_seed",
    "hint",
    "is_foreign",
    "keys",
    "parallel_env",
    "parse",
    "prepare",
    "texts",
    "vector",
    "version_of",
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
    seeds: int = 0
    """Different seeds that the environment takes, counted from 0, where it has only so many maps; 0: any."""

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
            "seeds": (0, 2**31),
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
    pictures: bool
    """Whether it may draw them, as far as its metadata say."""


@dataclass(frozen=True)
class Refusal:
    """Why an environment cannot be played."""

    reason: str


@dataclass(frozen=True)
class Foreign:
    """An environment that was found, built once and looked at: ready to be vectorised."""

    name: str
    recipe: Recipe
    layout: Layout
    drawing: Recipe | None = None
    """Builds one that draws, where that is another: with `render_mode`, which slows stepping and may need a screen."""

    @property
    def n_worlds(self) -> int:
        """A number of worlds that suits: every world of others costs a step in Python, and pictures cost memory."""
        return 8 if len(self.layout.observations.space.shape or ()) == 3 else 32

    def vector(
        self,
        n_worlds: int = 64,
        *,
        film: bool = False,
        stagger: bool = False,
        notify: Callable[[str], None] | None = None,
        said: set[str] | None = None,
    ) -> ForeignVector:
        """Worlds of it; see `ForeignVector`.

        Args:
            n_worlds: B.
            film: They are built so that they draw. Where that fails, they are built as all others are, and `render`
                says why it failed.
            stagger: See `ForeignVector`.
            notify: See `ForeignVector`.
            said: See `ForeignVector`.
        """
        recipe, blank = self.recipe, ""
        if film and self.drawing is not None:
            blank = _asked(try_to_draw, self.drawing)
            recipe = self.recipe if blank else self.drawing
        workers = self.recipe.options.n_workers
        how: Any = {"stagger": stagger, "notify": notify, "said": said, "blank": blank}
        return ForeignVector(recipe, self.layout, self.name, n_worlds, workers, **how)

    def in_order(self, agents: Sequence[str]) -> Foreign:
        """The same with its agents in the order of a run; see `Layout.in_order`."""
        return dataclasses.replace(self, layout=self.layout.in_order(agents))

    def maker(self) -> Callable[..., ForeignVector]:
        """`vector`, but worlds that are not staggered, which are for evaluation, are made once for each number of them.

        Starting processes takes a second; whoever evaluates resets the worlds anyway. A single world is the one that is
        filmed: it alone is built so that it draws.
        """
        kept: dict[int, ForeignVector] = {}
        said: set[str] = set()

        def make(n_worlds: int, *, stagger: bool = False) -> ForeignVector:
            if stagger:
                return self.vector(n_worlds, stagger=True, said=said)
            if n_worlds not in kept:
                kept[n_worlds] = self.vector(n_worlds, film=n_worlds == 1, said=said)
            return kept[n_worlds]

        return make


def vector(
    name: str | Callable[..., Any],
    /,
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
        **options: The constructor's keys, and fields of `Options`. A constructor that takes a key of the names above
            is built by `prepare(name, **options).vector(...)`. Give it `render_mode` for worlds that draw.

    Raises:
        ValueError: See `prepare`.
        WorkerError: A worker could not be started.
    """
    return prepare(name, n_workers=n_workers, **options).vector(n_worlds, stagger=stagger, notify=notify)


def parallel_env(name: str | Callable[..., Any], /, *, prepare_pictures: bool = False, **options: Any) -> Any:
    """Builds anybody's environment as a PettingZoo `ParallelEnv`, with the agents that training knows.

    Args:
        name: See the module, or a constructor.
        prepare_pictures: Show pictures as training sees them. A loaded policy wants them as they are.
        **options: The constructor's keys, and fields of `Options`.

    Raises:
        ValueError: See `prepare`.
    """
    own = Options(**{key: options.pop(key) for key in RESERVED if key in options})
    find.refuse_unknown(find.find(name), options)
    env = Recipe(name, options, own)()
    return env.env if isinstance(env, Pictures) and not prepare_pictures else env


def prepare(name: str | Callable[..., Any], /, **options: Any) -> Foreign:
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
    seen = _asked(look, recipe)
    if isinstance(seen, Refusal):
        raise ValueError(seen.reason)
    layout, known = seen.layout, constructor.keys
    if known is None:
        known = {**dict.fromkeys(constructor.takes), **(seen.keys or {})}
    notes = list(layout.notes)
    if own_too := [key for key in RESERVED if key in known]:
        notes.append(f"{', '.join(own_too)}: the adapter's option; the constructor's of that name keeps its default")
    if unchecked := [key for key in options if key not in known]:
        notes.append(f"{', '.join(unchecked)}: handed on unchecked, for the constructor does not name its keys")
    drawing = None
    takes_it = (
        "render_mode" in known or constructor.keys is None
    )  # where it may not, drawing is tried before it is used
    if seen.pictures and takes_it and "render_mode" not in options:
        drawing = dataclasses.replace(recipe, arguments={**options, "render_mode": film.MODE})
    return Foreign(constructor.name, recipe, dataclasses.replace(layout, notes=tuple(notes)), drawing)


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


def hint(name: str) -> str:
    """What to write in place of a name without dot, slash or colon that is none of ours; empty where nothing is near.

    `CartPole-v1` is `gymnasium:CartPole-v1`.
    """
    return hints.hint(name)


def look(recipe: Recipe) -> Iterator[Look | Refusal]:
    """Builds an environment, plays a few steps, yields what it saw, and closes the environment when it goes on."""
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


def try_to_draw(recipe: Recipe) -> Iterator[str]:
    """Builds an environment and lets it draw; yields why that failed, empty where it did not, and closes it."""
    env, reason = None, ""
    try:
        env = recipe()
        env.reset(seed=0)
        film.picture(env)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = told(error)
    try:
        yield reason
    finally:
        if env is not None:
            close(env)


def _asked(function: Callable[[Recipe], Iterator[Any]], recipe: Recipe) -> Any:
    """The first value that a generator yields, elsewhere where that can be: foreign code may bring its process down."""
    if recipe.options.n_workers == 0 or not usable_cores():
        with contextlib.closing(function(recipe)) as found:  # pyright: ignore[reportArgumentType] - a generator
            return next(found)
    try:
        return elsewhere(function, recipe)
    except ForeignError as error:
        if function is try_to_draw:
            return str(error)
        with_what = dict(recipe.arguments) or "its defaults"
        return Refusal(f"{find.find(recipe.name).name} cannot be played with {with_what}: {error}")


def _cannot_be_played(constructor: find.Constructor, recipe: Recipe, error: BaseException) -> str:
    """Why it could not be built or stepped; an unexpected key is named like one that was refused beforehand."""
    if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
        wrong = next((key for key in recipe.arguments if repr(key) in str(error)), None)
        allowed = _keys_here(constructor)
        if wrong is not None and allowed:
            return find.unknown(f"option of {constructor.name}", wrong, allowed)
    if isinstance(error, ValueError) and is_ours(error):
        return f"{constructor.name}: {told(error)}"
    with_what = dict(recipe.arguments) or "its defaults"
    return f"{constructor.name} cannot be played with {one_line(str(with_what))}: {told(error)}"


def _keys_here(constructor: find.Constructor) -> dict[str, Any] | None:
    """The constructor's keys, or those of what it builds."""
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


def _keys_of(name: str) -> dict[str, Any] | None:
    return _keys_here(find.find(name))


def _written(default: Any) -> str:
    if default is find.REQUIRED:
        return ""
    return default.name if isinstance(default, enum.Enum) else one_line(str(default))
