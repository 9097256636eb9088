"""The parameters of the kernels: a `Config` as plain numbers."""

from __future__ import annotations

from typing import NamedTuple

from .config import Config
from .layout import Layout
from .state import CLAIM, FIFO, NEAREST
from .work import DWELL_METRES


class Params(NamedTuple):
    """Most are fields of `Config`, described there."""

    dispatch: int  # NEAREST, FIFO or CLAIM
    n_orders: int
    shaping: float
    shaping_gamma: float
    contact_charge: float
    contact_limit: float
    battery: bool
    battery_capacity: float
    charge_power: float
    route_hint: bool
    position: bool
    n_rays: int
    lidar_range: float
    n_neighbors: int
    sensing_range: float
    comm_range: float
    comm_blocked: bool
    max_steps: int
    mean_order: float  # typical way to go for an order, dwelling included [m]


def params_of(config: Config, layout: Layout) -> Params:
    """Returns the `Params` of a configuration and its map."""
    return Params(
        dispatch={"nearest": NEAREST, "fifo": FIFO, "claim": CLAIM}[config.dispatch],
        n_orders=int(config.n_orders),
        shaping=float(config.shaping),
        shaping_gamma=float(config.shaping_gamma),
        contact_charge=float(config.contact_charge),
        contact_limit=float(config.contact_limit),
        battery=bool(config.battery),
        battery_capacity=float(config.battery_capacity),
        charge_power=float(config.charge_power),
        route_hint=bool(config.route_hint),
        position=bool(config.position),
        n_rays=int(config.n_rays),
        lidar_range=float(config.lidar_range),
        n_neighbors=int(config.n_neighbors),
        sensing_range=float(config.sensing_range),
        comm_range=float(config.comm_range),
        comm_blocked=bool(config.comm_blocked),
        max_steps=int(config.max_steps),
        mean_order=2.0 * (layout.mean_route + DWELL_METRES),
    )
