"""Collisions: boxes against shapely, and that no two cars are ever inside each other without having crashed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from shapely.affinity import rotate, translate
from shapely.geometry import box

import envs
from envs.core import ended
from envs.intersection import TASKS, Intersection
from envs.intersection.motion import touch
from envs.intersection.observe import poses_of
from envs.intersection.state import CRASHED, DRIVING, State
from envs.roads.cars import CAR_LENGTH, CAR_WIDTH, overlap

CAR = box(-0.5 * CAR_LENGTH, -0.5 * CAR_WIDTH, 0.5 * CAR_LENGTH, 0.5 * CAR_WIDTH)


def polygon(x: float, y: float, heading: float) -> Any:
    return translate(rotate(CAR, heading, origin=(0.0, 0.0), use_radians=True), x, y)


def test_boxes_overlap_where_shapely_says_so():
    rng = np.random.default_rng(0)
    overlapping = 0
    for _ in range(2000):
        a, b = ((rng.uniform(-3.5, 3.5), rng.uniform(-3.5, 3.5), rng.uniform(-math.pi, math.pi)) for _ in range(2))
        area = polygon(*a).intersection(polygon(*b)).area
        if 0.0 < area < 1e-9:
            continue  # too close to decide
        (ax, ay, aa), (bx, by, ba) = a, b
        expected = area > 0.0
        overlapping += expected
        poses = (ax, ay, math.cos(aa), math.sin(aa), bx, by, math.cos(ba), math.sin(ba))
        assert touch(*poses) == expected, (a, b, area)
        assert bool(overlap(*(np.array(value) for value in (*a, *b)))) == expected, (a, b, area)
    assert 500 < overlapping < 1500


def overlapping_cars(env: Intersection, state: State) -> list[tuple[int, int, int]]:
    """(world, one, other) of cars on the road that share ground, by shapely."""
    found = []
    pose = np.zeros((env.n_cars, 4))
    for b in range(len(state.step)):
        driving = np.flatnonzero(state.status[b] == DRIVING)
        poses_of(env.network.segment, state.car, state.route, driving, b, pose)
        shapes = {i: polygon(pose[i, 0], pose[i, 1], math.atan2(pose[i, 3], pose[i, 2])) for i in driving.tolist()}
        for i, one in shapes.items():
            for j, other in shapes.items():
                if i < j and math.dist(pose[i, :2], pose[j, :2]) < CAR_LENGTH + CAR_WIDTH:
                    found += [(b, i, j)] if one.intersection(other).area > 1e-9 else []
    return found


@pytest.mark.parametrize(
    "options",
    [*({"task": task} for task in TASKS), {"lanes": 2, "n_vehicles": 16, "flow": 20_000.0}],
    ids=lambda options: str(next(iter(options.values()))),
)
def test_nobody_is_inside_another_without_having_crashed(options: dict[str, Any]):
    env = envs.make("intersection", **options)
    assert isinstance(env, Intersection)
    rng = np.random.default_rng(0)
    state, step = env.reset(range(6))
    crashes = 0
    for _ in range(60):
        bold = rng.random(step.alive.shape) < 0.7  # mostly full throttle: crashes, and queues behind cars that brake
        action = np.where(bold, 4, rng.integers(0, 5, step.alive.shape))
        before = state
        state, step = env.step(state, action)
        assert not overlapping_cars(env, state)
        fresh = (state.status == CRASHED) & (before.status != CRASHED)
        crashes += fresh.sum()
        assert np.array_equal(fresh[:, : env.n_agents], step.terminated & (state.status == CRASHED)[:, : env.n_agents])
        counted = (state.status[:, : env.n_agents] == CRASHED).mean(axis=1)
        assert np.allclose(step.metrics["crash_rate"], counted)
        assert np.all(fresh.sum(axis=1) != 1), "a crash takes two"
        if ended(step).all():
            break
    assert crashes > 0
