"""The configuration of an intersection environment, and the named tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..kit.fields import check_fields
from ..kit.shapley import check_orders
from ..roads.cars import CAR_LENGTH

DECELERATION = 4.5
"""Hardest braking of a car [m/s^2]; SUMO's default for passenger cars, as is the acceleration."""
ACCELERATION = 2.6
"""Strongest acceleration of a car [m/s^2]."""


@dataclass(frozen=True)
class Config:
    """One road network. Every field is an argument of `envs.make("intersection", ...)` and an option `--env.FIELD`."""

    rows: int = 1
    """Rows of four-way crossings."""
    columns: int = 1
    """Columns of four-way crossings."""
    lanes: int = 1
    """Lanes per approach. Left turns leave the innermost, right turns the outermost; vehicles do not change lanes."""
    n_vehicles: int = 8
    """Number of agents: vehicles that enter in an episode."""
    n_liars: int = 0
    """Number of scripted vehicles, which announce that they come late, but come at once; needs intent=declared."""
    n_emergency: int = 0
    """Number of agents that are emergency vehicles."""
    flow: float = 1800.0
    """Mean rate of Poisson arrivals at all entries together [vehicles/h]; on an empty road the next comes at once."""
    left_share: float = 0.25
    """Share of vehicles that turn left at a crossing."""
    right_share: float = 0.25
    """Share of vehicles that turn right at a crossing."""
    approach: float = 50.0
    """Length of the road from an entry to the first stop line [m]."""
    block: float = 60.0
    """Length of the road from a crossing's box to the next stop line [m]."""
    exit_length: float = 25.0
    """Length of the road from the last crossing's box to the exit [m]."""
    speed_limit: float = 13.9
    """Speed limit on straight roads [m/s]; in curves lateral acceleration is limited to 3 m/s^2."""
    entry_speed: float = 9.0
    """Speed of a vehicle that enters [m/s]."""
    intent: Literal["none", "shared", "declared"] = "shared"
    """Knowledge that agents have of others' plans: none, their true path and arrival times, or what they announce."""
    intent_period: int = 2
    """Interval between two messages of a vehicle [control steps]."""
    comm_range: float = 60.0
    """Communication range [m]."""
    sensing_range: float = 60.0
    """Sensing range [m]."""
    n_conflicts: int = 4
    """Number of vehicles with a conflicting path that each vehicle observes."""
    continuous: bool = False
    """Use a Box action space (acceleration, and window and bid with intent=declared) instead of a Discrete one."""
    max_steps: int = 120
    """Time limit [control steps of 0.5 s]."""
    progress_reward: float = 1.0
    """Reward for driving the whole route, paid in proportion to the progress made."""
    time_charge: float = 0.1
    """Charge for time on the road [1/s]."""
    comfort_charge: float = 0.02
    """Charge for a control step of hardest braking; grows with the square of the acceleration."""
    exit_reward: float = 1.0
    """Reward for leaving by the exit."""
    crash_charge: float = 4.0
    """Charge for a crash, to each vehicle in it."""
    emergency_weight: float = 5.0
    """Factor on the time charge and the crash charge of an emergency vehicle."""
    rule: Literal["priority", "first-come", "reservation", "auction"] = "priority"
    """Right-of-way rule of the hand-written policy."""
    counterfactual: Literal["none", "stop", "absent", "shapley"] = "none"
    """Fills `Step.counterfactual` with G had the vehicle braked hard or not been there, or G less its Shapley value."""
    orders: int = 8
    """Orders of arrival over which Shapley values of groups of more than 8 are averaged, an even number."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range or at odds with each other."""
        check_fields(self, _RANGES)
        check_orders(self.orders)
        if self.rows * self.columns > 16:
            raise ValueError(f"{self.rows} x {self.columns} crossings are too many: give at most 16 in all")
        if self.left_share + self.right_share > 1.0:
            raise ValueError(
                f"left_share={self.left_share} and right_share={self.right_share} sum to more than 1: lower one"
            )
        if self.n_emergency > self.n_vehicles:
            raise ValueError(
                f"n_emergency={self.n_emergency} is more than n_vehicles={self.n_vehicles}: emergency vehicles are "
                "some of the agents, so give at most as many"
            )
        if self.entry_speed > self.speed_limit:
            raise ValueError(
                f"entry_speed={self.entry_speed} is above speed_limit={self.speed_limit}: lower it or raise the limit"
            )
        # A car that enters must be able to stop before the line: one control step of reaction, then braking.
        room = self.entry_speed**2 / (2 * DECELERATION) + 0.5 * self.entry_speed + CAR_LENGTH
        if room > self.approach:
            raise ValueError(
                f"entry_speed={self.entry_speed} m/s needs {room:.1f} m to stop before the line, approach is "
                f"{self.approach} m: lower the speed or lengthen the approach"
            )
        if self.n_liars and self.intent != "declared":
            raise ValueError(
                f"n_liars={self.n_liars} needs intent='declared', not {self.intent!r}: only announcements can be lies"
            )


_RANGES = (
    ("rows", 1, 16),
    ("columns", 1, 16),
    ("lanes", 1, 4),
    ("n_vehicles", 1, 256),
    ("n_liars", 0, 64),
    ("n_emergency", 0, 256),
    ("flow", 1, 100_000),
    ("left_share", 0, 1),
    ("right_share", 0, 1),
    ("approach", 10, 500),
    ("block", 20, 500),
    ("exit_length", 15, 500),
    ("speed_limit", 1, 40),
    ("entry_speed", 0.5, 40),
    ("intent_period", 1, 20),
    ("comm_range", 0, 10_000),
    ("sensing_range", 0, 10_000),
    ("n_conflicts", 0, 32),
    ("max_steps", 1, 1_000_000),
    ("progress_reward", 0, 1000),
    ("time_charge", 0, 1000),
    ("comfort_charge", 0, 1000),
    ("exit_reward", 0, 1000),
    ("crash_charge", 0, 1000),
    ("emergency_weight", 0, 1000),
    ("orders", 2, 10_000),
)

DEFAULT_TASK = "cross-8"
_CROSS = Config()
TASKS: dict[str, Config] = {
    "quiet-4": replace(_CROSS, n_vehicles=4, flow=900.0, max_steps=100),
    "cross-8": _CROSS,
    "busy-16": replace(_CROSS, n_vehicles=16, flow=2400.0, max_steps=200),
    "grid-2x2-24": replace(_CROSS, rows=2, columns=2, n_vehicles=24, flow=3600.0, max_steps=240),
    "liar-8": replace(_CROSS, n_liars=2, intent="declared", flow=2250.0),
    "emergency-8": replace(_CROSS, n_emergency=1),
    "blind-8": replace(_CROSS, intent="none", sensing_range=15.0),
}
