"""What cars see, whom they hear, and what a critic is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from traffic_junction_scenes import BRAKE, act, cell_of, junction, place_on, scene

from envs.core import Step
from envs.traffic_junction.state import State

DOWN, UP, EAST, WEST = 0, 3, 6, 9
"""Routes of medium that go straight on."""


def shown(env: Any, state: State) -> Step:
    """Returns a step in which nobody moves."""
    return env.step(state, act(env, *[BRAKE] * int(state.live[0])))[1]


@pytest.mark.parametrize(("vision", "size"), [(0, 1), (1, 9), (2, 25)])
def test_layout(vision: int, size: int) -> None:
    env = junction(vision=vision)
    at = place_on(env, DOWN, (5, 6))
    obs = shown(env, scene(env, [(DOWN, at)])).obs[0, 0]
    assert len(obs) == 4 + 2 * size + 12 + 14 + 14
    assert obs[:4] == pytest.approx([6 / 13, 5 / 13, 1.0, 0.0])
    assert env.pose == (0, 1)
    assert obs[list(env.pose)] * env.pose_scale == pytest.approx([6, 5])
    hot = obs[4 + 2 * size :]
    assert np.flatnonzero(hot).tolist() == [DOWN, 12 + 5, 12 + 14 + 6]


def test_roads_and_other_cars_in_the_square_that_it_sees() -> None:
    env = junction()
    cars = [(DOWN, (5, 6)), (WEST, (6, 7)), (UP, (5, 7)), (UP, (5, 7)), (EAST, (7, 6)), (DOWN, (3, 6))]
    state = scene(env, [(route, place_on(env, route, cell)) for route, cell in cars])
    obs = shown(env, state).obs[0]
    road, others = obs[0, 4:13].reshape(3, 3), obs[0, 13:22].reshape(3, 3)
    assert road.tolist() == [[0, 1, 1], [0, 1, 1], [1, 1, 1]]
    assert others.tolist() == [[0, 0, 0], [0, 0, 2], [0, 0, 1]], "neither itself nor cars two cells away"
    assert obs[2, 13:22].reshape(3, 3).tolist() == [[0, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_beyond_the_rim_there_is_no_road() -> None:
    env = junction()
    obs = shown(env, scene(env, [(DOWN, 0)])).obs[0, 0]
    assert obs[4:13].reshape(3, 3).tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 1]]


def test_with_a_vision_of_0_it_sees_who_is_in_its_cell() -> None:
    env = junction("medium-0")
    obs = shown(env, scene(env, [(DOWN, 3), (DOWN, 3), (DOWN, 4)])).obs[0]
    assert obs[:3, 4:6].tolist() == [[1, 1], [1, 1], [1, 0]]


def test_cars_in_one_cell_on_one_route_can_tell_that_they_are_two() -> None:
    env = junction()
    obs = shown(env, scene(env, [(DOWN, 3), (UP, 1), (DOWN, 3), (DOWN, 3)])).obs[0]
    assert obs[:4, 3].tolist() == [0, 0, 1, 2]
    others = np.delete(obs, 3, axis=1)
    assert np.array_equal(others[0], others[2]), "nothing else would tell"


@pytest.mark.parametrize(("task", "length"), [("easy-1", 137), ("medium-1", 533), ("hard-1", 1325), ("hard-0", 149)])
def test_length_of_the_published_encoding(task: str, length: int) -> None:
    env = junction(task, encoding="published")
    assert env.observation_space.shape == (length,)
    assert not hasattr(env, "pose")


def test_the_published_encoding() -> None:
    env = junction("hard-1", encoding="published")
    route = 55
    state = scene(env, [(route, 0), (route, 0), (route, 1)])
    obs = shown(env, state).obs[0, 0]
    assert cell_of(env, route, 0) == (12, 17)
    assert obs[:2].tolist() == [1.0, 1.0]
    seen = obs[2:].reshape(9, 147)
    # 4 lanes of 18 cells across: rows 4, 5, 12, 13; then 4 down: columns 4, 5, 12, 13, which number their cells in rows
    # of two. Beyond the rim and beside roads: class 144.
    none = 144
    assert seen[:, :146].argmax(axis=1).tolist() == [none, none, none, 52, 53, none, 70, 71, none]
    assert (seen[:, :146].sum(axis=1) == 1).all()
    assert seen[:, 146].tolist() == [0, 0, 0, 1, 2, 0, 0, 0, 0], "oneself counts"


def test_all_hear_all_or_those_within_range() -> None:
    env = junction()
    cars = [(DOWN, 2), (DOWN, 4), (UP, 0)]
    adjacency = shown(env, scene(env, cars)).adjacency[0]
    assert np.array_equal(adjacency[:3, :3], ~np.eye(3, dtype=bool))
    assert not adjacency[3:].any()
    assert not adjacency[:, 3:].any()
    for reach, expected in ((2.0, True), (1.9, False)):
        near = junction(comm_range=reach)
        adjacency = shown(near, scene(near, cars)).adjacency[0]
        assert adjacency.sum() == 2 * expected
        assert adjacency[0, 1] == adjacency[1, 0] == expected
    across = junction(comm_range=11.1)  # from (2, 6) to (13, 7): 11.05
    assert shown(across, scene(across, cars)).adjacency[0, 0, 2]


def test_the_state_of_a_critic() -> None:
    env = junction()
    k = len(env.network.row)
    state = scene(env, [(DOWN, 3), (DOWN, 3), (UP, 13)], step=9, age=7)
    found = shown(env, state).state[0]
    here, out = env.network.path[DOWN, 3], env.network.path[UP, 13]
    assert {int(c): v for c, v in enumerate(found[:k]) if v} == {here: 2, out: 1}
    ahead = found[k : 2 * k]
    assert {int(c): v for c, v in enumerate(ahead) if v} == {env.network.path[DOWN, 4]: 2}
    assert found[2 * k + here] == pytest.approx(2 * 8 / 40)
    assert found[3 * k :] == pytest.approx([10 / 40, 0.2, 3 / 10, 1.0])


@pytest.mark.parametrize("encoding", ["compact", "published"])
def test_spaces_bound_the_worst(encoding: str) -> None:
    env = junction(encoding=encoding)
    step = shown(env, scene(env, [(DOWN, 3)] * 10))
    assert env.observation_space.contains(step.obs[0, 9])
    assert env.state_space.contains(step.state[0])
    assert (step.obs[0, :10].max(axis=0) == env.observation_space.high).sum() >= 3, "the bounds are reached"
