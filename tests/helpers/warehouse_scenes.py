"""Hand-made warehouses for tests: a map, states written by hand, a simple driver, and geometry done the slow way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from envs.warehouse import TASKS, Config, Warehouse, heuristic
from envs.warehouse.physics import ANGLE, RADIUS, TOP_TURN_RATE, X, Y
from envs.warehouse.state import IDLE, NOBODY, State

YARD = """
############
#..........#
#.RRRRRR...#
#..........#
#.RR..R....#
#..........#
#S..S...C..#
############
"""
"""Faces north and south of the long rack are near each other as the crow flies, and far by road."""


def yard(n_robots: int, **kwargs: Any) -> Warehouse:
    """The yard with nothing going on: no orders but those a test writes, no shaping, no charges."""
    calm: dict[str, Any] = {"orders_per_hour": 0.0, "backlog": 0, "shaping": 0.0, "contact_charge": 0.0}
    return Warehouse(Config(layout=YARD, n_robots=n_robots, **{"contact_limit": 1e9, **calm, **kwargs}))


def task(name: str, **kwargs: Any) -> Warehouse:
    return Warehouse(replace(TASKS[name], **kwargs))


def target_at(env: Warehouse, x: float, y: float) -> int:
    """Index of the target in the cell whose lower left corner is (x, y)."""
    (found,) = np.nonzero((env.layout.targets == (x + 0.5, y + 0.5)).all(axis=1))
    return int(found[0])


def begin(env: Warehouse, poses: Sequence[tuple[float, float, float]], orders: Sequence[tuple[int, ...]] = ()) -> State:
    """Returns one world with all robots idle and at rest.

    Args:
        env: The warehouse.
        poses: x, y [m] and heading [rad] of every robot.
        orders: release [step], deadline [step], face and station of every order, ascending by release.
    """
    state, _ = env.reset([0])
    body = np.zeros_like(state.body)
    body[0, :, :3] = poses
    book = np.array(orders or [(10**8, 2 * 10**8, 0, env.layout.n_faces)], dtype=np.int32)[None]  # (1, K, 4)
    return state._replace(
        body=body,
        anchor=body[:, :, :2].copy(),
        phase=np.full_like(state.phase, IDLE),
        goal=np.full_like(state.goal, NOBODY),
        order=np.full_like(state.order, NOBODY),
        order_status=np.zeros(book.shape[:2], dtype=np.int8),
        head=np.zeros_like(state.head),
        order_release=book[:, :, 0],
        order_deadline=book[:, :, 1],
        order_face=book[:, :, 2],
        order_station=book[:, :, 3],
    )


def moved(state: State, robot: int, x: float, y: float, heading: float = 0.0, world: int = 0) -> State:
    """The same state with one robot standing somewhere else."""
    body = state.body.copy()
    body[world, robot] = [x, y, heading, 0.0, 0.0, 0.0]
    return state._replace(body=body)


def with_values(state: State, **rows: Any) -> State:
    """A one-world state with some fields replaced, each given as the row of that world."""
    return state._replace(
        **{name: np.asarray(row, dtype=getattr(state, name).dtype)[None] for name, row in rows.items()}
    )


def stop(env: Warehouse, state: State) -> np.ndarray:
    """Returns the action that asks all robots to stand still."""
    shape = state.alive.shape
    return np.zeros((*shape, 2)) if env.config.continuous else np.zeros(shape, dtype=np.int64)


def follow(env: Warehouse, state: State) -> np.ndarray:
    """A plain driver for `continuous=True`: turns towards the next waypoint, drives once it faces it."""
    way = env.waypoints(state)
    goal = np.where((state.goal != NOBODY)[:, :, None], env.layout.targets[state.goal], state.body[:, :, :2])
    ahead = way[:, :, :2] - state.body[:, :, :2]
    off = np.arctan2(ahead[:, :, 1], ahead[:, :, 0]) - state.body[:, :, 2]
    off = np.mod(off + np.pi, 2.0 * np.pi) - np.pi
    left = np.linalg.norm(goal - state.body[:, :, :2], axis=2)
    speed = np.where((np.abs(off) < 0.5) & (left > 0.2), np.minimum(1.0, left), 0.0)
    turn = np.where(left > 0.2, np.clip(3.0 * off / TOP_TURN_RATE, -1.0, 1.0), 0.0)
    return np.stack([speed, turn], axis=2)


def random_action(env: Warehouse, state: State, rng: np.random.Generator) -> np.ndarray:
    shape = state.alive.shape
    return rng.uniform(-1.0, 1.0, (*shape, 2)) if env.config.continuous else rng.integers(0, 7, shape)


def gap_to_walls(env: Warehouse, xy: np.ndarray) -> np.ndarray:
    """Distance from each point to the nearest blocked cell [m]; (..., 2) -> (...)."""
    y0, x0 = np.nonzero(env.layout.blocked)
    dx = np.maximum(np.maximum(x0 - xy[..., :1], xy[..., :1] - x0 - 1.0), 0.0)
    dy = np.maximum(np.maximum(y0 - xy[..., 1:], xy[..., 1:] - y0 - 1.0), 0.0)
    return np.hypot(dx, dy).min(axis=-1)


def gap_between_robots(xy: np.ndarray) -> np.ndarray:
    """Distance between the two nearest centres [m]; (..., N, 2) -> (...)."""
    apart = np.linalg.norm(xy[..., :, None, :] - xy[..., None, :, :], axis=-1)
    index = np.arange(xy.shape[-2])
    apart[..., index, index] = np.inf
    return apart.min(axis=(-2, -1))


def same_bytes(a: Any, b: Any) -> bool:
    """Whether two States or Steps are equal to the last bit."""
    if a is None or b is None:
        return a is b
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_bytes(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return type(a) is type(b) and all(same_bytes(x, y) for x, y in zip(a, b, strict=True))
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


BUMPER_GAP = 2.0 * RADIUS
"""Centres of two robots whose bumpers just touch are this far apart [m]."""


def episode(
    name: str, change: dict[str, Any], mode: str, steps: int, visit: Callable[..., None], worlds: int = 2
) -> State:
    """Plays some worlds, calls `visit(state, action)` before every step, and returns the last state."""
    env = task(name, continuous=mode != "heuristic", **change)
    rng, plan = np.random.default_rng(11), heuristic(env)
    state, _ = env.reset(range(4, 4 + worlds))
    aim, loose = np.ones((worlds, len(env.agents), 2)), np.zeros(state.alive.shape, dtype=bool)
    for t in range(steps):
        if t % 30 == 0 and mode != "random":  # all but the loose ones head for one place, or in one direction
            place = env.layout.floor[rng.integers(len(env.layout.floor), size=(worlds, 1))]
            aim[:] = place if mode == "chase" else rng.normal(size=(worlds, 1, 2))
            loose = rng.random(state.alive.shape) < 0.3
        if mode == "heuristic":
            action = plan(state)
        elif mode == "random":
            action = aim = np.where(rng.random(aim.shape) < 0.3, rng.choice([-1.0, 0.0, 1.0, 1.0], aim.shape), aim)
        else:
            ahead = aim - state.body[:, :, X : Y + 1] if mode == "chase" else aim
            off = np.arctan2(ahead[:, :, 1], ahead[:, :, 0]) - state.body[:, :, ANGLE]
            off = np.mod(off + math.pi, 2.0 * math.pi) - math.pi
            action = np.stack([np.where(np.abs(off) < 1.0, 1.0, 0.0), np.clip(2.0 * off, -1.0, 1.0)], axis=2)
            action = np.where(loose[:, :, None], rng.uniform(-1.0, 1.0, action.shape), action)
            action = np.where(rng.random(loose.shape)[:, :, None] < 0.1, 0.0, action)
        visit(state, action)
        state, _ = env.step(state, action)
    return state
