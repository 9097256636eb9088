"""Warehouse robots."""

from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Warehouse
from .heuristic import heuristic


def build(config: Config) -> Warehouse:
    """The environment of a configuration."""
    return Warehouse(config)
