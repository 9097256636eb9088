"""The configuration of a network of signals, and the named tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..kit.fields import check_fields

CONTROL_STEP = 5.0
"""Time between two decisions [s]."""
SUBSTEP = 1.0
"""Integration step of the vehicles [s]."""
MOST_VEHICLES = 5_000_000
"""Most vehicles in a world's schedule; each takes 24 bytes to draw and to keep, 120 MB in all."""


@dataclass(frozen=True)
class Config:
    """One network. Every field is an argument of `envs.make("signals", ...)` and an option `--env.FIELD`."""

    rows: int = 2
    """Rows of crossings."""
    columns: int = 2
    """Columns of crossings."""
    lanes: int = 2
    """Lanes per approach: the innermost for left turns, the others straight on, the outermost for right turns, too."""
    flow: float = 380.0
    """Mean rate of arrivals at an entry, over all entries and the episode [vehicles/h]."""
    peak: float = 2.0
    """Ratio of the rate of arrivals in the middle of the episode to that at its ends."""
    imbalance: float = 0.5
    """Each entry's rate is drawn between 1 - imbalance and 1 + imbalance times `flow`."""
    left_share: float = 0.2
    """Share of vehicles that turn left at a crossing."""
    right_share: float = 0.2
    """Share of vehicles that turn right at a crossing."""
    approach: float = 150.0
    """Length of the road from an entry to its stop line [m]."""
    block: float = 150.0
    """Length of the road from a crossing's box to the next stop line [m]."""
    exit_length: float = 60.0
    """Length of the road from the last crossing's box to the exit [m]."""
    speed_limit: float = 13.9
    """Speed limit on straight roads [m/s]; in curves lateral acceleration is limited to 3 m/s^2."""
    yellow: float = 3.0
    """Yellow duration [s]."""
    all_red: float = 2.0
    """All-red duration between two phases [s]."""
    min_green: float = 10.0
    """Minimum green duration [s]."""
    n_blackouts: int = 0
    """Number of signals, drawn at reset, that go dark once in an episode; a dark crossing is an all-way stop."""
    blackout_seconds: float = 180.0
    """Duration of a blackout [s]."""
    reward_kind: Literal["delay", "pressure"] = "delay"
    """Reward of a signal: minus the time lost on the way to it, or minus its absolute pressure."""
    max_steps: int = 240
    """Time limit [control steps of 5 s]."""
    rule: Literal["fixed", "actuated", "max-pressure", "neighbour-demand", "agreed-demand"] = "max-pressure"
    """Rule of the hand-written policy."""
    consensus: Literal["none", "gossip"] = "none"
    """Whether signals come to agree with their neighbours on the demand around them, and observe it."""
    consensus_pull: float = 0.2
    """How much a signal is drawn to what it measures itself in a step: less reaches further, 0 to the whole town."""
    consensus_rounds: int = 1
    """Exchanges between neighbours in a control step."""
    consensus_loss: float = 0.0
    """Chance that an exchange between two neighbours is lost."""
    counterfactual: Literal["none", "hold"] = "none"
    """Fills `Step.counterfactual` with the team's reward had the signal kept its phase."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range or at odds with each other."""
        check_fields(self, _RANGES)
        if self.rows * self.columns > 64:
            raise ValueError(f"{self.rows} x {self.columns} crossings are too many: give at most 64 in all")
        if self.rule == "agreed-demand" and self.consensus == "none":
            raise ValueError("rule='agreed-demand' follows what signals agree on, and consensus='none': give 'gossip'")
        if self.left_share + self.right_share > 1.0:
            raise ValueError(
                f"left_share={self.left_share} and right_share={self.right_share} sum to more than 1: lower one"
            )
        if self.n_blackouts > self.rows * self.columns:
            raise ValueError(
                f"n_blackouts={self.n_blackouts} is more than the {self.rows * self.columns} signals: lower it"
            )
        busiest = self.flow / 3600.0 * self.max_steps * CONTROL_STEP * (1.0 + self.imbalance)
        vehicles = 2 * (self.rows + self.columns) * busiest
        if vehicles > MOST_VEHICLES:
            raise ValueError(
                f"flow={self.flow!r} over max_steps={self.max_steps} may bring {vehicles:,.0f} vehicles to the entries "
                f"of a world, where {MOST_VEHICLES:,} fit: lower flow, max_steps, rows or columns"
            )


_RANGES = (
    ("rows", 1, 64),
    ("columns", 1, 64),
    ("lanes", 2, 4),
    ("flow", 1, 3600),
    ("peak", 1, 10),
    ("imbalance", 0, 1),
    ("left_share", 0, 1),
    ("right_share", 0, 1),
    ("approach", 40, 1000),
    ("block", 40, 1000),
    ("exit_length", 20, 1000),
    ("speed_limit", 5, 40),
    ("yellow", 1, 10),
    ("all_red", 0, 10),
    ("min_green", 0, 120),
    ("n_blackouts", 0, 64),
    ("blackout_seconds", 5, 100_000),
    ("max_steps", 1, 10_000),
    ("consensus_pull", 0, 1),
    ("consensus_rounds", 1, 100),
    ("consensus_loss", 0, 1),
)

DEFAULT_TASK = "grid-2x2"
_GRID = Config()
TASKS: dict[str, Config] = {
    "single": replace(_GRID, rows=1, columns=1),
    "arterial-5": replace(_GRID, rows=1, columns=5),
    "grid-2x2": _GRID,
    "grid-4x4": replace(_GRID, rows=4, columns=4),
}
