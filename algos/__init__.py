"""CTDE multi-agent reinforcement learning: one line for each algorithm in `ALGOS`."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

from .core import Spec
from .training.footprint import Part
from .training.loading import load_policy_of
from .training.policy import Policy

__all__ = ["ALGOS", "Entry", "load_policy"]


class Entry(NamedTuple):
    """One algorithm: `entry.algorithm(spec, config, seed=..., device=...)` fulfils `core.Algorithm`."""

    config: type
    """A frozen dataclass: its fields are the options of the command line, and their docstrings the help."""
    algorithm: type
    footprint: Callable[..., list[Part]]
    """Counts the memory that it takes, see `training.footprint`; refuses options that do not fit so many worlds."""


def _entry(file: str, algorithm: str, config: str) -> Entry:
    """Returns the entry of an algorithm: the names of its file, of its class and of its options in that file."""
    module = importlib.import_module(f".{file}", __name__)
    return Entry(getattr(module, config), getattr(module, algorithm), module.footprint)


ALGOS: dict[str, Entry] = {
    "mappo": _entry("mappo", "Mappo", "MappoConfig"),
    "ippo": _entry("mappo", "Mappo", "IppoConfig"),
    "maddpg": _entry("maddpg", "Maddpg", "MaddpgConfig"),
    "iddpg": _entry("maddpg", "Maddpg", "IddpgConfig"),
}
"""All algorithms, by their names on the command line."""


def load_policy(
    run_folder: str | PathLike[str],
    *,
    which: str = "latest",
    device: str = "cpu",
    warn: Callable[[str], None] = warnings.warn,
    agents: Sequence[str] | None = None,
    channel: Mapping[str, Any] | None = None,
    spec: Spec | None = None,
    learner: int | None = None,
) -> Policy:
    """Loads the policy of a run.

    Args:
        run_folder: The folder, such as runs/NAME.
        which: "latest", or "best" by the evaluations during training.
        device: Where to compute.
        warn: Called with one line if a newer checkpoint is damaged and an older one is taken, and for each unknown key
            in config.json.
        agents: (N,) names of the agents to act for; None: those that it was trained with. There may be more or fewer of
            them if the policy is the same for all.
        channel: Options of the medium between agents that talk which differ from those in training, by name, such as
            `{"loss": 1.0}`.
        spec: Shapes of the worlds to act in (`core.spec_of`), if they are others than those of the training: where in
            observations an agent's position stands, and in what unit, may differ. None: they are the same.
        learner: Index of the one agent whose policy is wanted, where agents share no parameters, as in a population of
            copies of one task: the policy then acts for one agent of that name. None: all agents.

    Raises:
        ValueError: The folder is not a run, its config.json is damaged, no checkpoint in it can be read, or the
            checkpoint belongs to another run; or the policy cannot act for these agents or through this channel. The
            message is one line.
    """
    return load_policy_of(
        ALGOS,
        run_folder,
        which=which,
        device=device,
        warn=warn,
        agents=agents,
        channel=channel,
        spec=spec,
        learner=learner,
    )
