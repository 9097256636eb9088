"""Protocols for the environments of a run, which `algos` never imports: the caller hands them in.

`envs.builder`, a module, fulfils `Environments`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol


class Environment(Protocol):
    """An environment that worlds can be made of."""

    @property
    def version(self) -> str | None:
        """Its version; None where it is not known."""
        ...

    @property
    def n_worlds(self) -> int:
        """Number of worlds that suits it."""
        ...

    @property
    def heuristic(self) -> Callable[[Any], Any] | None:
        """Hand-written policy from `env.batch_state` to the actions of all worlds; None where there is none."""
        ...

    @property
    def vector(self) -> Callable[..., Any]:
        """`vector(n_worlds, stagger=False)` makes worlds, a `VectorEnv`."""
        ...

    def warm_up(self) -> int:
        """Compiles its kernels; returns the most bytes that a world takes, 0 if that is not known."""
        ...


class Environments(Protocol):
    """All environments, by name."""

    @property
    def ENVS(self) -> Mapping[str, str]:  # noqa: N802 - a table, as in `envs`
        """The names of Coterie's own."""
        ...

    @property
    def ForeignError(self) -> type[Exception]:  # noqa: N802 - a class
        """Raised where an environment of others has failed."""
        ...

    def is_foreign(self, name: str) -> bool:
        """Returns whether a name is that of an environment of others."""
        ...

    def hint(self, name: str) -> str:
        """Returns a suggestion for an unknown name; "" if no name is similar."""
        ...

    def tasks(self, name: str) -> tuple[str, ...]:
        """Returns the tasks of one of Coterie's environments."""
        ...

    def default_task(self, name: str) -> str | None:
        """Returns the task that None stands for."""
        ...

    def version_of(self, name: str) -> str | None:
        """Returns the version of an environment; None where it is not known."""
        ...

    def options(self, name: str, task: str | None = None) -> Any:
        """Returns a dataclass instance of the options whose types are known beforehand."""
        ...

    def constructor_options(self, name: str, given: Iterable[str] = ()) -> dict[str, str]:
        """Returns the other options, those of a foreign constructor, with their defaults as text."""
        ...

    def build(
        self,
        name: str,
        task: str | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        agents: Sequence[str] = (),
    ) -> Environment:
        """Builds an environment from plain data, its agents in the given order."""
        ...
