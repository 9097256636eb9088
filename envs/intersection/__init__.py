"""Intersection: vehicles that negotiate who crosses first.

Metrics: success crash_rate delay throughput min_ttc min_pet longest_wait fairness honesty emergency_delay
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Intersection, heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "Intersection",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> Intersection:
    """The environment of a configuration."""
    return Intersection(config)


parallel_env = partial(parallel_env, "intersection")
env = raw_env = partial(aec_env, "intersection")
