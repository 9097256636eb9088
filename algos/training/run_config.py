"""The config of a run as a value: which environment, which algorithm, and how they are run.

It goes to and from JSON, and `builder` makes an environment, an algorithm and a session of it. Options of environment
and algorithm are plain data by name; their own dataclasses check them when they are built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from ..maths.ranges import Range
from .evaluation import FIRST_SEED
from .schedule import Schedule
from .typed import fields, refuse_unknown


class ConfigError(ValueError):
    """A config that nothing can be built from; the message is one line without the name of the part to blame.

    Attributes:
        part: The part to blame: "env", "algo", "run" or "peers".
    """

    def __init__(self, part: str, message: object) -> None:
        super().__init__(str(message))
        self.part = part


@dataclass(frozen=True)
class RunOptions(Schedule):
    """Options of the run."""

    seed: Annotated[int, Range(0, FIRST_SEED - 1)] = 0
    """Seed of worlds, initial weights and exploration; 0 to 2^31 - 1, because evaluations use the seeds above."""
    n_worlds: Annotated[int, Range(0, 100_000)] = 64
    """Number of worlds stepped side by side; 0: as many as suit the environment."""
    log_dir: str = "runs"
    """Folder in which run folders are made."""
    run_name: str = ""
    """Name of the run folder; empty: <env>-<task>-<algo>-<seed>-<time>, without a task where there is none."""
    device: str = "cpu"
    """Device on which networks compute: cpu, cuda, cuda:1, ..."""
    threads: Annotated[int, Range(0, 1024)] = 0
    """Threads of torch on the CPU; 0: chosen, see docs/training.md. Runs repeat exactly only with the same number."""
    quiet: bool = False
    """Show no progress."""

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: A value is not allowed; the message says what came and what is allowed.
        """
        super().__post_init__()
        if self.run_name in (".", "..") or "/" in self.run_name or "\\" in self.run_name:
            raise ValueError(f"run_name is {self.run_name!r}; it names one folder inside log_dir")


@dataclass(frozen=True)
class EnvironmentConfig:
    """The environment of a run."""

    name: str
    """Name of one of Coterie's environments, or anybody's."""
    task: str | None = None
    """Named set of options to start from; None for an environment of others, which has none."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options by name; a missing one has the task's value."""
    version: str | None = None
    """Version of the environment, such as "spread_v0"; None: not known."""


@dataclass(frozen=True)
class AlgorithmConfig:
    """The algorithm of a run."""

    name: str
    """Name in the table of algorithms."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options by name; a missing one has the algorithm's own default."""


@dataclass(frozen=True)
class PeersPart:
    """How the learners of a run learn from each other."""

    options: dict[str, Any] = field(default_factory=dict)
    """Options by name, see `peers.config`; a missing one has its default."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run learns."""

    env: EnvironmentConfig
    algo: AlgorithmConfig
    run: RunOptions = field(default_factory=RunOptions)
    peers: PeersPart = field(default_factory=PeersPart)

    def to_plain(self) -> dict[str, dict[str, Any]]:
        """Returns the config as plain data for JSON."""
        return {part.name: options_of(getattr(self, part.name)) for part in dataclasses.fields(self)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> RunConfig:
        """Undoes `to_plain`, also after JSON has turned tuples into lists.

        Raises:
            ValueError: A key is missing or unknown, or a value has the wrong type; the message is one line.
        """
        refuse_unknown(plain, PARTS, "")
        return cls(**{name: read_part(name, plain.get(name, {})) for name in PARTS})

    def flat(self) -> dict[str, Any]:
        """Returns the values of all options by dotted name: `algo.options.lr`, `run.seed`."""
        return _flat(self.to_plain())


PARTS: dict[str, type[Any]] = {
    "env": EnvironmentConfig,
    "algo": AlgorithmConfig,
    "run": RunOptions,
    "peers": PeersPart,
}
"""The dataclass of each part of a config."""


def read_part(name: str, plain: Any) -> Any:
    """Reads one part of a config from plain data.

    Args:
        name: "env", "algo", "run" or "peers".
        plain: Its fields by name.

    Raises:
        ValueError: See `RunConfig.from_plain`.
    """
    kind = PARTS[name]
    found = fields(kind, plain, name)
    for one in dataclasses.fields(kind):
        if one.default is one.default_factory is dataclasses.MISSING and one.name not in found:
            raise ValueError(f"{name}.{one.name} is missing")
    if "options" in found:
        found["options"] = with_tuples(found["options"])
    return kind(**found)


def with_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options from JSON, which has no tuples, as dataclasses have them."""
    return {key: _with_tuples(value) for key, value in options.items()}


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return with_tuples(value)
    return tuple(value) if isinstance(value, list) else value


def options_of(config: Any) -> dict[str, Any]:
    """Returns the fields of a dataclass by name, and of dataclasses in it, without a copy of their values."""
    return {one.name: _plain(getattr(config, one.name)) for one in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return options_of(value) if dataclasses.is_dataclass(value) else value


def _flat(nested: Mapping[str, Any], lead: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _flat(value, f"{lead}{key}.") if isinstance(value, Mapping) else {lead + key: value}
    return flat
