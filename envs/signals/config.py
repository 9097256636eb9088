"""The configuration of a network of signals, and the named tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..consensus import most_liars
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
    rule: Literal["fixed", "actuated", "max-pressure", "neighbour-demand"] = "max-pressure"
    """Rule of the hand-written policy."""
    consensus: Literal["none", "gossip", "robust"] = "none"
    """Rule by which signals agree on the mean demand at a crossing, which they observe then; see `envs.consensus`."""
    consensus_hops: int = 2
    """Crossings over which signed estimates are relayed."""
    consensus_rounds: int = 1
    """Exchanges of estimates in a control step."""
    consensus_loss: float = 0.0
    """Probability that an exchange between two signals is lost."""
    consensus_tolerance: int = 1
    """f: liars among the signals that a signal hears which `robust` stands; it takes at least 3 f + 1 heard."""
    consensus_pull: float = 0.05
    """Share by which an estimate moves to the signal's own measurement in every control step, so that errors fade."""
    n_liars: int = 0
    """Number of signals, drawn at reset, that tell the others that there is no demand at their crossing."""
    counterfactual: Literal["none", "hold"] = "none"
    """Fills `Step.counterfactual` with the team's reward had the signal kept its phase."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range or at odds with each other."""
        check_fields(self, _RANGES)
        if self.rows * self.columns > 64:
            raise ValueError(f"{self.rows} x {self.columns} crossings are too many: give at most 64 in all")
        if self.left_share + self.right_share > 1.0:
            raise ValueError(
                f"left_share={self.left_share} and right_share={self.right_share} sum to more than 1: lower one"
            )
        if self.n_blackouts > self.rows * self.columns:
            raise ValueError(
                f"n_blackouts={self.n_blackouts} is more than the {self.rows * self.columns} signals: lower it"
            )
        if self.n_liars > self.rows * self.columns:
            raise ValueError(f"n_liars={self.n_liars} is more than the {self.rows * self.columns} signals: lower it")
        heard = min(peers(self))
        if self.consensus == "robust" and self.consensus_tolerance > most_liars(heard):
            raise ValueError(
                f"consensus_tolerance={self.consensus_tolerance} liars take {3 * self.consensus_tolerance + 1} signals "
                f"heard (3 f + 1), where one in a corner hears {heard}: tolerate at most {most_liars(heard)}, or raise "
                "rows, columns or consensus_hops"
            )
        busiest = self.flow / 3600.0 * self.max_steps * CONTROL_STEP * (1.0 + self.imbalance)
        vehicles = 2 * (self.rows + self.columns) * busiest
        if vehicles > MOST_VEHICLES:
            raise ValueError(
                f"flow={self.flow!r} over max_steps={self.max_steps} may bring {vehicles:,.0f} vehicles to the entries "
                f"of a world, where {MOST_VEHICLES:,} fit: lower flow, max_steps, rows or columns"
            )


def peers(config: Config) -> list[int]:
    """Returns the number of other signals within `consensus_hops` crossings of each signal, (N,)."""
    places = [(row, column) for row in range(config.rows) for column in range(config.columns)]
    return [
        sum(0 < abs(r - row) + abs(c - column) <= config.consensus_hops for r, c in places) for row, column in places
    ]


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
    ("consensus_hops", 1, 64),
    ("consensus_rounds", 1, 100),
    ("consensus_loss", 0, 1),
    ("consensus_tolerance", 0, 64),
    ("consensus_pull", 0, 1),
    ("n_liars", 0, 64),
    ("max_steps", 1, 10_000),
)

DEFAULT_TASK = "grid-2x2"
_GRID = Config()
TASKS: dict[str, Config] = {
    "single": replace(_GRID, rows=1, columns=1),
    "arterial-5": replace(_GRID, rows=1, columns=5),
    "grid-2x2": _GRID,
    "grid-4x4": replace(_GRID, rows=4, columns=4),
}
