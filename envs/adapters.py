"""Anybody's environment for training: found by name, read, and stepped in worker processes.

    envs.adapters.vector("mpe2.simple_spread_v3", n_worlds=64, N=5)              a module of a PettingZoo package
    envs.adapters.vector("sisl/pursuit_v5", n_worlds=64)                         an id of PettingZoo's registry
    envs.adapters.vector("gymnasium:LunarLander-v3", n_worlds=8, n_copies=8)     a population of learners on one task
    envs.adapters.vector("rware:rware-tiny-2ag-v2", n_worlds=64)                 a list-style Gymnasium environment
    envs.adapters.vector("multigrid.envs:MultiGrid-Empty-8x8-v0", n_worlds=64)   a Gymnasium one with dicts by agent
    envs.adapters.vector("my_project.worlds:Maze", n_worlds=64)                  a class or function of your own
    envs.adapters.vector(Maze, n_worlds=64)                                      the same, from Python

Options are the constructor's keys and the adapter's own, which are the fields of `Options`. Where a constructor has a
key of the same name, the option is the adapter's and the constructor's key keeps its default (`notes` says so).
How an environment is read is described in docs/foreign.md, and where that is done in `envs.foreign`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .foreign import film, find, hints
from .foreign.as_rows import Rows
from .foreign.blame import one_line
from .foreign.find import is_foreign
from .foreign.layout import Layout
from .foreign.look import Refusal, keys_of, look_at, why_it_does_not_draw
from .foreign.pictures import Pictures
from .foreign.recipe import RESERVED, Options, Recipe
from .foreign.seeds import episode_seed
from .foreign.vector import ForeignVector
from .foreign.versions import version_of
from .foreign.workers import ForeignError, PictureError, WorkerError

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
class Foreign:
    """An environment that was found, built once and looked at, from which vectors of worlds are made."""

    name: str
    """Its name, for messages and checkpoints."""
    recipe: Recipe
    """Builds one environment."""
    layout: Layout
    """Shapes of what it shows, and how to read it."""
    drawing: Recipe | None = None
    """Builds one that draws, where `recipe` does not; its `render_mode` slows stepping and may need a screen."""

    @property
    def n_worlds(self) -> int:
        """A suitable number of worlds: each of them is stepped in Python, and pictures take memory."""
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
        """Builds worlds of it; see `ForeignVector`.

        Args:
            n_worlds: Number of worlds, B.
            film: Build worlds that draw. Where that fails, they are built like all others, and `render` raises an error
                that says why.
            stagger: See `ForeignVector`.
            notify: See `ForeignVector`.
            said: See `ForeignVector`.
        """
        recipe, blank = self.recipe, ""
        if film and self.drawing is not None:
            blank = why_it_does_not_draw(self.drawing)
            recipe = self.recipe if blank else self.drawing
        workers = self.recipe.options.n_workers
        how: Any = {"stagger": stagger, "notify": notify, "said": said, "blank": blank}
        return ForeignVector(recipe, self.layout, self.name, n_worlds, workers, **how)

    def in_order(self, agents: Sequence[str]) -> Foreign:
        """Returns the same environment with its agents in the order of a run; see `Layout.in_order`."""
        return dataclasses.replace(self, layout=self.layout.in_order(agents))

    def maker(self) -> Callable[..., ForeignVector]:
        """Returns a function like `vector` that makes worlds for evaluation once for each number of them.

        Worlds for evaluation are those that are not staggered. They are kept because starting their processes takes a
        second, and every evaluation resets them anyway. Only a single world is built so that it draws: it is for films.
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
        name: A name of one of the forms above, or a constructor.
        n_worlds: Number of worlds, B.
        n_workers: Processes that step them; None for as many as there are usable cores, 0 for none.
        stagger: See `ForeignVector`.
        notify: Called with a line for the user, such as that a worker died and was started again; None writes to
            stderr.
        **options: The constructor's keys, and fields of `Options`; `render_mode` builds worlds that draw. If the
            constructor has a key with the name of an argument above, use `prepare(name, **options).vector(...)`.

    Raises:
        ValueError: See `prepare`.
        WorkerError: A worker could not be started.
    """
    return prepare(name, n_workers=n_workers, **options).vector(n_worlds, stagger=stagger, notify=notify)


def parallel_env(name: str | Callable[..., Any], /, *, prepare_pictures: bool = False, **options: Any) -> Any:
    """Builds anybody's environment as a PettingZoo `ParallelEnv`, with the same agents as in training.

    Args:
        name: A name of one of the forms above, or a constructor.
        prepare_pictures: Show pictures as training sees them. A loaded policy needs the original ones.
        **options: The constructor's keys, and fields of `Options`.

    Raises:
        ValueError: See `prepare`.
    """
    own = Options(**{key: options.pop(key) for key in RESERVED if key in options})
    find.refuse_unknown(find.find(name), options)
    env = Recipe(name, options, own)()
    return env.env if isinstance(env, Pictures) and not prepare_pictures else env


def prepare(name: str | Callable[..., Any], /, **options: Any) -> Foreign:
    """Finds an environment, builds one and plays a few steps to learn its shapes.

    Args:
        name: A name of one of the forms above, or a constructor.
        **options: The constructor's keys, and fields of `Options`.

    Raises:
        ValueError: It does not exist or is not installed, an option is wrong, it cannot be built, or it is of a kind
            that cannot be used. The message is one line that says what came, what is allowed and how to mend it.
    """
    own = Options(**{key: options.pop(key) for key in RESERVED if key in options})
    constructor = find.find(name)
    find.refuse_unknown(constructor, options)
    recipe = Recipe(name, options, own)
    seen = look_at(recipe)
    if isinstance(seen, Refusal):
        raise ValueError(seen.reason)
    layout, known = seen.layout, constructor.keys
    if known is None:
        known = {**dict.fromkeys(constructor.takes), **(seen.keys or {})}
    notes = list(layout.notes)
    if in_both := [key for key in RESERVED if key in known]:
        notes.append(f"{', '.join(in_both)}: the adapter's option; the constructor's of that name keeps its default")
    if unchecked := [key for key in options if key not in known]:
        notes.append(f"{', '.join(unchecked)}: passed on unchecked, because the constructor does not name its keys")
    drawing = None
    takes_it = "render_mode" in known or constructor.keys is None  # if unsure, drawing is tried before it is used
    if seen.pictures and takes_it and "render_mode" not in options:
        drawing = dataclasses.replace(recipe, arguments={**options, "render_mode": film.MODE})
    return Foreign(constructor.name, recipe, dataclasses.replace(layout, notes=tuple(notes)), drawing)


def keys(name: str) -> dict[str, Any] | None:
    """Returns a constructor's keys with their defaults, `find.REQUIRED` for none; None where its keys are unknown.

    Raises:
        ValueError: See `prepare`.
    """
    return keys_of(name)


def texts(name: str) -> tuple[dict[str, str], bool]:
    """Returns a constructor's keys with their defaults as text, "" for a key that must be given.

    Returns:
        Keys and texts, and whether these are surely all keys.

    Raises:
        ValueError: See `prepare`.
    """
    complete = find.find(name).keys is not None
    found = {key: _written(default) for key, default in (keys(name) or {}).items() if key not in RESERVED}
    return found, complete


def parse(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Turns options from text, as on the command line, into values; those in `RESERVED` are values already.

    Raises:
        ValueError: See `prepare`.
    """
    defaults = keys(name) or {} if set(options).difference(RESERVED) else {}
    return {k: v if k in RESERVED else find.parse(v, defaults.get(k)) for k, v in options.items()}


def hint(name: str) -> str:
    """Returns a hint for an unknown name without dot, slash or colon; empty where no known name is near.

    For `CartPole-v1` it suggests `gymnasium:CartPole-v1`.
    """
    return hints.hint(name)


def _written(default: Any) -> str:
    if default is find.REQUIRED:
        return ""
    return default.name if isinstance(default, enum.Enum) else one_line(str(default))
