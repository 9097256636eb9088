"""Edge resource market."""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, EdgeMarket
from .heuristic import HEURISTICS, heuristic

__all__ = [
    "DEFAULT_TASK",
    "HEURISTICS",
    "TASKS",
    "VERSION",
    "Config",
    "EdgeMarket",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> EdgeMarket:
    """The environment of a configuration."""
    return EdgeMarket(config)


parallel_env = partial(parallel_env, "edge_market")
env = raw_env = partial(aec_env, "edge_market")
