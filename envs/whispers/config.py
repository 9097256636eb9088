"""The configuration of a whispers environment, and the named tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..kit.fields import check_fields


@dataclass(frozen=True)
class Config:
    """One game of whispers. Every field is an argument of `envs.make("whispers", ...)` and an option `--env.FIELD`."""

    n_agents: int = 4
    """Number of agents; even with game=listener, where half of them speak and half listen."""
    n_symbols: int = 4
    """Number of symbols."""
    persistence: float = 0.0
    """Chance that a symbol stays in a step; otherwise it is drawn anew, uniformly, and may come out the same."""
    source_persistence: float = 1.0
    """Chance that all sources stay in a step; otherwise they are drawn anew."""
    game: Literal["reference", "listener"] = "reference"
    """Roles: in reference every agent speaks and listens; in listener the first half speaks and the others listen."""
    max_steps: int = 50
    """Time limit [steps]."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range or at odds with each other."""
        check_fields(self, _RANGES)
        if self.game == "listener" and self.n_agents % 2:
            raise ValueError(
                f"n_agents={self.n_agents} is odd, and game='listener' plays in pairs: give an even number"
            )


_RANGES = (
    ("n_agents", 2, 64),
    ("n_symbols", 2, 64),
    ("persistence", 0, 1),
    ("source_persistence", 0, 1),
    ("max_steps", 1, 10_000),
)

DEFAULT_TASK = "whispers-4"
TASKS = {"whispers-4": Config(), "whispers-4-slow": Config(persistence=0.9)}
