"""Scenes of traffic junctions: cars put where a test wants them, and nobody who arrives unless it says so."""

from __future__ import annotations

from typing import Any

import numpy as np

import envs
from envs.traffic_junction.env import TrafficJunction
from envs.traffic_junction.state import State

GAS, BRAKE = 0, 1


def junction(task: str = "medium-1", **options: Any) -> Any:
    env = envs.make("traffic_junction", task, **options)
    assert isinstance(env, TrafficJunction)
    return env


def scene(env: Any, cars: list[tuple[int, int]], *, step: int = 0, age: int = 0) -> State:
    """Returns one world in which car k is on route `cars[k][0]` with `cars[k][1]` cells behind it."""
    state, _ = env.reset([0])
    car = np.zeros_like(state.car)
    for k, (route, place) in enumerate(cars):
        car[0, k] = (k, route, place, step - age, 0)
    return state._replace(
        step=np.array([step], np.int32),
        car=car,
        live=np.array([len(cars)], np.int32),
        born=np.array([len(cars)], np.int32),
        arriving=np.full_like(state.arriving, -1),
    )


def act(env: Any, *choices: int) -> Any:
    """Returns the actions of the first cars, (1, N); all others give gas."""
    action = np.zeros((1, env.n_agents), int)
    action[0, : len(choices)] = choices
    return action


def cell_of(env: Any, route: int, place: int) -> tuple[int, int]:
    """Returns row and column of a cell of a route."""
    cell = env.network.path[route, place]
    return int(env.network.row[cell]), int(env.network.column[cell])


def place_on(env: Any, route: int, cell: tuple[int, int]) -> int:
    """Returns how many cells of a route lie before a cell."""
    return next(k for k in range(env.network.length[route]) if cell_of(env, route, k) == cell)
