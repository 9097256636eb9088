"""Signals."""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Signals, heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "Signals",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> Signals:
    """The environment of a configuration."""
    return Signals(config)


parallel_env = partial(parallel_env, "signals")
env = raw_env = partial(aec_env, "signals")
