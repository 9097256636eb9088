"""The configuration of a spread environment, and the named tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..kit.fields import check_fields
from ..kit.shapley import check_orders


@dataclass(frozen=True)
class Config:
    """One spread. Every field is an argument of `envs.make("spread", ...)` and an option `--env.FIELD`."""

    n_agents: int = 3
    """Number of agents, and of landmarks."""
    local_ratio: float = 0.5
    """Weight of an agent's own collisions in its reward; 1 minus it is the weight of the distance that all share."""
    continuous: bool = False
    """Actions are Box(5), the shares of the five actions, instead of Discrete(5)."""
    max_steps: int = 25
    """Time limit [steps of 0.1 s]."""
    counterfactual: Literal["none", "absent", "shapley"] = "none"
    """Fills `Step.counterfactual` with the others' reward had the agent not been there, or G less its Shapley value."""
    orders: int = 8
    """Orders of arrival over which Shapley values of more than 8 agents are averaged, an even number."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range."""
        check_fields(self, _RANGES)
        check_orders(self.orders)


_RANGES = (("n_agents", 1, 1000), ("local_ratio", 0, 1), ("max_steps", 1, 1_000_000), ("orders", 2, 10_000))

DEFAULT_TASK = "spread-3"
TASKS = {f"spread-{n}": Config(n_agents=n) for n in (3, 5, 10)}
