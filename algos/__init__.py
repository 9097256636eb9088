"""CTDE multi-agent reinforcement learning: one line an algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .maddpg import Maddpg
from .maddpg_config import IddpgConfig, MaddpgConfig
from .mappo import Mappo
from .mappo_config import IppoConfig, MappoConfig
from .training.footprint import Part, of_maddpg, of_mappo
from .training.policy import load_policy

__all__ = ["ALGOS", "Entry", "load_policy"]


class Entry(NamedTuple):
    """One algorithm: `entry.algorithm(spec, config, seed=..., device=...)` fulfils `core.Algorithm`."""

    config: type
    """A frozen dataclass; its fields are the command line's options, its docstrings the help."""
    algorithm: type
    footprint: Callable[..., list[Part]]
    """What it takes of memory, see `footprint`; refuses options that make no sense for so many worlds."""


ALGOS: dict[str, Entry] = {
    "mappo": Entry(MappoConfig, Mappo, of_mappo),
    "ippo": Entry(IppoConfig, Mappo, of_mappo),
    "maddpg": Entry(MaddpgConfig, Maddpg, of_maddpg),
    "iddpg": Entry(IddpgConfig, Maddpg, of_maddpg),
}
"""Every algorithm, by the name that the command line knows it by."""
