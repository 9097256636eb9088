"""The configuration of a warehouse, and the named tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..kit.fields import check_fields
from ..kit.shapley import check_horizon, check_orders
from . import layout as maps
from .physics import CONTROL_STEP

MOST_ORDERS = 2_000_000
"""Most orders in a world's schedule. Each takes 50 bytes to draw and to keep, together 100 MB."""


@dataclass(frozen=True)
class Config:
    """One warehouse. Every field is an argument of `envs.make("warehouse", ...)` and an option `--env.FIELD`."""

    layout: str = "small"
    """Map: tiny, small, medium, large, corridor, huge, procedural:WxH:SEED, or the path of an ASCII map."""
    # A file is read at once and replaced here by the map in it, so later changes of the file do not matter.
    n_robots: int = 4
    """Number of robots, which are the agents."""
    dispatch: Literal["nearest", "fifo", "claim"] = "nearest"
    """Which robot gets an order: free robots get the nearest or the oldest; `claim`: the first at its face takes it."""
    continuous: bool = False
    """Actions are Box(2), target speed and turn rate, instead of Discrete(7)."""
    max_steps: int = 500
    """Time limit [control steps of 0.2 s]."""
    orders_per_hour: float = 1200.0
    """Mean arrival rate of orders, Poisson [1/h]."""
    rush: float = 1.0
    """Arrival rate in the middle third of the episode over the mean rate, which does not change."""
    backlog: int = 8
    """Number of orders that wait at the start."""
    deadline: float = 60.0
    """Mean time from an order's arrival to its deadline [s]; drawn uniformly within 50 % of it."""
    n_orders: int = 5
    """Number of oldest open orders that a dispatcher chooses from, and that robots see in `claim` dispatch."""
    shaping: float = 2.0
    """Weight of the potential-based shaping along the route; 0: none."""
    shaping_gamma: float = 0.99
    """Discount in the shaping term. With the learner's own, shaping keeps the optimal policy (Ng et al. 1999)."""
    contact_charge: float = 0.4
    """Reward lost for a contact impulse of 40 kg m/s, the momentum of an empty robot at full speed."""
    contact_limit: float = 15.0
    """Contact impulse in one control step above which it counts as cost [N s]."""
    battery: bool = False
    """Batteries drain, chargers charge, and a robot with an empty battery dies and stays in the way."""
    battery_capacity: float = 2.0
    """Energy of a full battery [Wh]. The default is small, so that charging matters within an episode."""
    charge_power: float = 600.0
    """Power of a charger [W]."""
    route_hint: bool = True
    """Robots observe the length and the direction of the shortest route to their goal; without, these entries are 0."""
    position: bool = False
    """Robots also observe their place on the map and their heading, as from a localiser."""
    n_rays: int = 16
    """Number of lidar rays, evenly spread, the first straight ahead."""
    lidar_range: float = 5.0
    """Range of the lidar [m]."""
    n_neighbors: int = 3
    """Number of nearest robots that each robot senses."""
    sensing_range: float = 5.0
    """Range within which a robot senses others [m]."""
    comm_range: float = 8.0
    """Range within which robots hear each other [m]."""
    comm_blocked: bool = False
    """Racks and walls block communication."""
    counterfactual: Literal["none", "stop", "absent", "shapley"] = "none"
    """Fills `Step.counterfactual` with G had the robot stopped, or not been there, or G less its Shapley value."""
    horizon: int = 1
    """Control steps over which a counterfactual is rolled out, with all actions held; 1 with Shapley values."""
    orders: int = 8
    """Orders of arrival over which Shapley values of groups of more than 8 are averaged, an even number."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range or at odds with each other."""
        check_fields(self, _RANGES)
        check_orders(self.orders)
        check_horizon(self.counterfactual, self.horizon)
        name = maps.named(self.layout)
        object.__setattr__(self, "layout", maps.settled(self.layout))  # the class is frozen for everybody else
        layout = maps.load(self.layout)
        room = len(layout.floor)
        if self.n_robots > room // 2:
            raise ValueError(
                f"n_robots={self.n_robots} do not fit layout {name}: it has {room} floor cells, room for at most "
                f"{room // 2} robots; take fewer or a larger layout"
            )
        orders = self.backlog + self.orders_per_hour / 3600.0 * self.max_steps * CONTROL_STEP
        if orders > MOST_ORDERS:
            raise ValueError(
                f"orders_per_hour={self.orders_per_hour!r} over max_steps={self.max_steps} brings {orders:,.0f} orders "
                f"to a world, where {MOST_ORDERS:,} fit: lower orders_per_hour or max_steps"
            )
        if self.battery and not layout.n_chargers:
            raise ValueError(f"battery=True needs a charger C on the map; layout {name} has none")


_INF = 1e9
_RANGES = (
    ("n_robots", 1, 1024),
    ("max_steps", 1, 1_000_000),
    ("orders_per_hour", 0, 1e6),
    ("rush", 1, 3),
    ("backlog", 0, 10_000),
    ("deadline", 1, 1e6),
    ("n_orders", 1, 64),
    ("shaping", 0, 100),
    ("shaping_gamma", 0, 1),
    ("contact_charge", 0, 100),
    ("contact_limit", 0, _INF),
    ("battery_capacity", 0.01, _INF),
    ("charge_power", 1, _INF),
    ("n_rays", 1, 256),
    ("lidar_range", 0.5, 100),
    ("n_neighbors", 0, 64),
    ("sensing_range", 0.5, 1000),
    ("comm_range", 0, 1000),
    ("horizon", 1, 1000),
    ("orders", 2, 10_000),
)

DEFAULT_TASK = "small-4"
_SMALL = Config()
_MEDIUM = replace(_SMALL, layout="medium", n_robots=8, orders_per_hour=2000, backlog=16, n_orders=8)
TASKS: dict[str, Config] = {
    "tiny-2": replace(_SMALL, layout="tiny", n_robots=2, orders_per_hour=700, backlog=4),
    "small-4": _SMALL,
    "medium-8": _MEDIUM,
    "large-16": replace(_MEDIUM, layout="large", n_robots=16, orders_per_hour=3200, backlog=32, contact_charge=0.2),
    "corridor-6": replace(_SMALL, layout="corridor", n_robots=6, orders_per_hour=1400, backlog=12),
    "rush-hour-8": replace(_MEDIUM, orders_per_hour=900, rush=2.5, backlog=4, deadline=40.0),
    "huge-64": replace(_MEDIUM, layout="huge", n_robots=64, orders_per_hour=7000, backlog=128, n_orders=16),
}
