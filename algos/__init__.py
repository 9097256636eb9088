"""CTDE multi-agent reinforcement learning: one line an algorithm."""

from __future__ import annotations

from typing import NamedTuple

from .maddpg import Maddpg
from .maddpg_config import IddpgConfig, MaddpgConfig
from .mappo import Mappo
from .mappo_config import IppoConfig, MappoConfig
from .policy import load_policy

__all__ = ["ALGOS", "Entry", "load_policy"]


class Entry(NamedTuple):
    """One algorithm: `entry.algorithm(spec, config, seed=..., device=...)` fulfils `core.Algorithm`."""

    config: type
    """A frozen dataclass; its fields are the command line's options, its docstrings the help."""
    algorithm: type


ALGOS: dict[str, Entry] = {
    "mappo": Entry(MappoConfig, Mappo),
    "ippo": Entry(IppoConfig, Mappo),
    "maddpg": Entry(MaddpgConfig, Maddpg),
    "iddpg": Entry(IddpgConfig, Maddpg),
}
"""Every algorithm, by the name that the command line knows it by."""
