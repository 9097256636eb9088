"""The configuration of a rovers environment, and the named tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..kit.fields import check_fields


@dataclass(frozen=True)
class Config:
    """One field of rovers. Every field is an argument of `envs.make("rovers", ...)` and an option `--env.FIELD`."""

    n_rovers: int = 16
    """Number of rovers, which are the agents."""
    n_pois: int = 16
    """Number of points of interest."""
    size: float = 30.0
    """Side of the square field [m]."""
    start_size: float = 2.0
    """Side of the square in the middle of the field where rovers start [m]."""
    speed: float = 1.0
    """Way that a rover covers in a step at most [m]."""
    radius: float = 2.5
    """Distance up to which a rover observes a point of interest [m]."""
    min_distance: float = 1.0
    """Distance below which coming closer earns nothing more [m]."""
    least_value: float = 0.5
    """Lowest value of a point of interest; values are drawn uniformly from there to 1."""
    coupling: int = 1
    """Number of rovers that must observe a point of interest at once."""
    continuous: bool = False
    """Actions are Box(2), the way along x and y over `speed`, instead of Discrete(5)."""
    max_steps: int = 40
    """Time limit [steps]."""
    comm_range: float = 10.0
    """Range within which rovers hear each other [m]."""
    counterfactual: Literal["none", "absent", "shapley"] = "none"
    """Fills `Step.counterfactual` with G had the rover never been there, or with G less its Shapley value."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range or at odds with each other."""
        check_fields(self, _RANGES)
        if self.coupling > self.n_rovers:
            raise ValueError(
                f"coupling={self.coupling} asks for more rovers at once than there are: give at most "
                f"n_rovers={self.n_rovers}, or more rovers"
            )
        if self.counterfactual == "shapley" and self.coupling > 1:
            raise ValueError(
                f"counterfactual='shapley' has a closed form for coupling=1 only, and coupling is {self.coupling}: "
                "give counterfactual='absent', or coupling=1"
            )
        if self.radius < self.min_distance:
            raise ValueError(
                f"radius={self.radius!r} is below min_distance={self.min_distance!r}, so no distance would be "
                f"told from another: give a radius of at least {self.min_distance!r}"
            )
        if self.start_size > self.size:
            raise ValueError(
                f"start_size={self.start_size!r} does not fit into the field: give at most size={self.size!r}"
            )


_RANGES = (
    ("n_rovers", 1, 256),
    ("n_pois", 1, 256),
    ("size", 1, 10_000),
    ("start_size", 0, 10_000),
    ("speed", 0.001, 1000),
    ("radius", 0.001, 10_000),
    ("min_distance", 0.001, 10_000),
    ("least_value", 0.001, 1),
    ("coupling", 1, 256),
    ("max_steps", 1, 1_000_000),
    ("comm_range", 0, 100_000),
)

DEFAULT_TASK = "rovers-16"
_ROVERS = Config()
TASKS: dict[str, Config] = {
    "rovers-8": replace(_ROVERS, n_rovers=8, n_pois=8),
    "rovers-16": _ROVERS,
    "rovers-32": replace(_ROVERS, n_rovers=32, n_pois=32),
    "coupled-16": replace(_ROVERS, n_pois=8, coupling=2),
}
