"""The recipe of a foreign environment: its name, its constructor's arguments, and the adapter's options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import find
from .parallel import as_parallel
from .pictures import Pictures, is_picture


@dataclass(frozen=True)
class Options:
    """The adapter's options: how a foreign environment is run."""

    n_workers: int | None = None
    """Processes that step the worlds; none: as many as there are usable cores; 0: step them in the training process."""
    n_copies: int = 1
    """Copies of a single-agent Gymnasium environment in a world, one for each agent."""
    time_limit: int = 0
    """Steps after which a world is truncated, where the environment reports its limit as death; 0: its own limit."""
    image_size: int = 64
    """Width and height of resized pictures [pixels]; 0: their original size."""
    frame_stack: int = 4
    """Number of latest pictures that an agent sees at once."""
    grayscale: bool = True
    """Reduce pictures of three colours to one."""
    seeds: int = 0
    """Number of different seeds, counted from 0, for an environment that has only so many maps; 0: any seed."""

    def __post_init__(self) -> None:
        """Checks every number.

        Raises:
            ValueError: A value is not allowed; the message says what came and what is allowed.
        """
        ranges = {
            "n_workers": (0, 1024),
            "n_copies": (1, 1024),
            "time_limit": (0, 10**9),
            "image_size": (0, 2048),
            "frame_stack": (1, 64),
            "seeds": (0, 2**31),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if name == "n_workers" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                what = f"{name} is {value!r}; it must be a whole number of at least {low}, at most {high}"
                raise ValueError(what)


RESERVED = tuple(field.name for field in dataclasses.fields(Options))
"""Keys that belong to the adapter and are never passed to a constructor."""


@dataclass(frozen=True)
class Recipe:
    """Builds one environment. It is plain data where `name` is a string, so that workers can build their own."""

    name: str | Callable[..., Any]
    """Name as after `--env`, or a constructor."""
    arguments: Mapping[str, Any]
    """Arguments of the constructor."""
    options: Options
    """Options of the adapter."""

    def __call__(self) -> Any:
        """Returns a `ParallelEnv`, with its pictures, if it has any, prepared for training."""
        make = find.find(self.name).make
        env = as_parallel(lambda: make(**self.arguments), self.options.n_copies)
        if any(is_picture(env.observation_space(agent)) for agent in getattr(env, "possible_agents", ())):
            own = self.options
            env = Pictures(env, size=own.image_size, stack=own.frame_stack, grayscale=own.grayscale)
        return env
