"""The hand-written rules, and what the published game makes of always giving gas."""

from __future__ import annotations

import numpy as np
import pytest
from traffic_junction_scenes import BRAKE, GAS, junction, place_on, scene

import envs
from envs.traffic_junction.heuristic import heuristic

DOWN, UP, EAST, WEST = 0, 3, 6, 9
"""Routes of medium that go straight on."""
BARS = [
    ("easy", "priority", 0.998, 1.0),
    ("medium", "priority", 0.998, 1.0),
    ("hard", "priority", 0.998, 1.0),
    ("easy", "vision", 0.93, 0.99),
    ("medium", "vision", 0.92, 0.98),
    ("hard", "vision", 0.97, 1.0),
    ("easy", "gas", 0.25, 0.35),
    ("medium", "gas", 0.01, 0.06),
    ("hard", "gas", 0.04, 0.13),
]


@pytest.mark.parametrize(("level", "rule", "least", "most"), BARS)
def test_success_of_rules(level: str, rule: str, least: float, most: float) -> None:
    env = junction(f"{level}-0", rule=rule)
    act = envs.heuristic("traffic_junction", f"{level}-0", rule=rule)
    state, step = env.reset(range(1000))
    for _ in range(env.max_steps):
        state, step = env.step(state, act(state))
    assert least <= step.metrics["success"].mean() <= most
    assert np.nanmean(step.metrics["delay"]) < 0.8


def choices(rule: str, cars: list[tuple[int, tuple[int, int]]], task: str = "medium-0") -> list[int]:
    env = junction(task, rule=rule)
    state = scene(env, [(route, place_on(env, route, cell)) for route, cell in cars])
    return heuristic(env)(state)[0, : len(cars)].tolist()


def test_who_is_in_the_crossing_goes_first() -> None:
    cars = [(DOWN, (5, 6)), (DOWN, (4, 6)), (DOWN, (3, 6)), (WEST, (6, 7))]
    assert choices("priority", cars) == [BRAKE, BRAKE, BRAKE, GAS]


def test_a_car_that_turns_off_is_not_waited_for_by_those_who_know() -> None:
    up_and_away = (UP, (6, 7))  # drives on to (5, 7)
    assert choices("priority", [(DOWN, (5, 6)), up_and_away]) == [GAS, GAS]
    assert choices("vision", [(DOWN, (5, 6)), up_and_away]) == [BRAKE, GAS]


def test_the_longer_queue_goes_first() -> None:
    down, east = (0, (2, 3)), (1, (3, 2))
    assert choices("priority", [down, east], "easy-0") == [GAS, BRAKE]
    assert choices("priority", [east, down], "easy-0") == [GAS, BRAKE]
    assert choices("priority", [down, east, (1, (3, 1))], "easy-0") == [BRAKE, GAS, GAS]


def test_cars_in_one_cell_separate() -> None:
    assert choices("priority", [(DOWN, (2, 6)), (DOWN, (2, 6)), (DOWN, (1, 6))]) == [GAS, BRAKE, BRAKE]


def test_a_silent_car_keeps_its_distance_unless_it_would_be_in_the_way() -> None:
    assert choices("vision", [(DOWN, (3, 6)), (DOWN, (4, 6))]) == [BRAKE, GAS]
    assert choices("vision", [(DOWN, (2, 6)), (DOWN, (3, 6)), (DOWN, (4, 6))]) == [BRAKE, GAS, GAS]
    assert choices("vision", [(DOWN, (0, 6)), (DOWN, (1, 6))]) == [GAS, GAS], "another may enter behind it"
    assert choices("vision", [(DOWN, (9, 6)), (DOWN, (10, 6))]) == [GAS, GAS], "nobody brakes on the way out"


def test_always_gas() -> None:
    assert choices("gas", [(DOWN, (5, 6)), (WEST, (6, 7))]) == [GAS, GAS]
