"""The configuration of a traffic junction environment, and the named tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..kit.fields import check_fields


@dataclass(frozen=True)
class Config:
    """One map. Every field is an argument of `envs.make("traffic_junction", ...)` and an option `--env.FIELD`."""

    difficulty: Literal["easy", "medium", "hard"] = "medium"
    """Map: two one-way roads on 7 x 7 cells, two two-way roads on 14 x 14, or four two-way roads on 18 x 18."""
    vision: int = 1
    """Distance that a car sees along rows and columns [cells]; 0: only its own cell."""
    n_cars: int = 10
    """Most cars that are on the roads at once."""
    arrival_rate: float = 0.2
    """Chance that a car arrives at an entry in a step."""
    least_rate_share: float = 1.0
    """Lowest arrival rate of an episode as a share of `arrival_rate`; each episode's is drawn uniformly in between."""
    max_steps: int = 40
    """Time limit [steps]."""
    time_charge: float = 0.01
    """Charge of a car for each step, times the steps that it has been on the road."""
    crash_charge: float = 10.0
    """Charge of a car for each step in which it shares its cell with another car."""
    encoding: Literal["compact", "published"] = "compact"
    """Layout of observations: one-hot route, row and column, or the published one-hot of every cell that is seen."""
    comm_range: float = 100.0
    """Distance up to which cars hear each other [cells]; no map has a distance above 25 cells."""
    rule: Literal["priority", "vision", "gas"] = "priority"
    """Rule of the hand-written policy: right of way with full information, with a vision of 1, or always gas."""
    counterfactual: Literal["none", "absent"] = "none"
    """Fills `Step.counterfactual` with the team's reward had the car not been there."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range."""
        check_fields(self, _RANGES)


_RANGES = (
    ("vision", 0, 3),
    ("n_cars", 1, 200),
    ("arrival_rate", 0, 1),
    ("least_rate_share", 0, 1),
    ("max_steps", 1, 2000),
    ("time_charge", 0, 1000),
    ("crash_charge", 0, 1000),
    ("comm_range", 0, 10_000),
)

DEFAULT_TASK = "medium-1"
_LEVELS = {
    "easy": Config(difficulty="easy", n_cars=5, arrival_rate=0.3, max_steps=20),
    "medium": Config(),
    "hard": Config(difficulty="hard", n_cars=20, arrival_rate=0.05, max_steps=80),
}
TASKS = {f"{level}-{vision}": replace(config, vision=vision) for level, config in _LEVELS.items() for vision in (1, 0)}
