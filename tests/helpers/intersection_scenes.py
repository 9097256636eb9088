"""Scenes for tests of the intersection: cars are put where they need to be by writing into the state, a value."""

from __future__ import annotations

from typing import Any

import numpy as np

import envs
from envs.core import Step
from envs.intersection import Intersection
from envs.intersection.network import LINE, MOVEMENT
from envs.intersection.state import ARRIVED, DRIVING, POSITION, QUEUED, SENT, SPEED, State, copied
from envs.roads.crossing import LEFT, RIGHT, STRAIGHT, movements

EAST, NORTH, WEST, SOUTH = range(4)
"""Headings."""
BRAKE, SLOW_DOWN, KEEP, GENTLY, SPEED_UP = range(5)
"""Discrete actions."""
__all__ = [
    "BRAKE",
    "EAST",
    "GENTLY",
    "KEEP",
    "LEFT",
    "NORTH",
    "RIGHT",
    "SLOW_DOWN",
    "SOUTH",
    "SPEED_UP",
    "STRAIGHT",
    "WEST",
    "act",
    "crossing",
    "driven",
    "route_of",
    "scene",
]  # turns are exported, too


def crossing(n_cars: int, **kwargs: Any) -> Intersection:
    """Returns an environment of one crossing with so many agents."""
    env = envs.make("intersection", n_vehicles=n_cars, **kwargs)
    assert isinstance(env, Intersection)
    return env


def route_of(env: Intersection, heading: int, turn: int) -> int:
    """Returns the route through a single crossing that comes with a heading and makes a turn."""
    ways = movements(env.config.lanes)
    found = [m for m, way in enumerate(ways) if (way.heading, way.turn) == (heading, turn)]
    routes = np.flatnonzero(np.isin(env.network.leg[:, 0, MOVEMENT], found))
    return int(routes[0])


def scene(env: Intersection, *cars: tuple[int, int, float, float]) -> State:
    """Returns a state with these agents on the road: (heading, turn, metres from front to stop line, speed) each."""
    state = copied(env.reset([0])[0])
    route = state.route.copy()
    state.status[:] = ARRIVED
    for i, (heading, turn, to_line, speed) in enumerate(cars):
        route[0, i] = route_of(env, heading, turn)
        state.status[0, i], state.leg[0, i] = DRIVING, 0
        line = env.network.leg[route[0, i], 0, LINE]
        state.car[0, i, POSITION], state.car[0, i, SPEED] = line - 2.4 - to_line, speed
        state.car[0, i, QUEUED] = -10.0 + 0.1 * i
        state.car[0, i, SENT : SENT + 4] = 0.0, line - 2.4 - to_line, speed, 0.0
    return state._replace(route=route)


def act(*actions: int) -> np.ndarray:
    """Returns actions of one world."""
    return np.array([actions])


def driven(env: Intersection, state: State, *actions: int, steps: int) -> tuple[State, Step]:
    """Returns state and step after the same actions for so many steps."""
    state, step = env.step(state, act(*actions))
    for _ in range(steps - 1):
        state, step = env.step(state, act(*actions))
    return state, step
