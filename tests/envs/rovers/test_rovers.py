"""Motion, start, metrics, the policy to beat, options and pictures are as the manual says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rovers_scenes import field, play, scene

import envs
from envs.kit import paint
from envs.rovers.picture import HEADER, SIDE
from envs.rovers.state import State


def test_actions_move_a_rover_by_its_speed() -> None:
    env = field(n_rovers=5, n_pois=1, speed=0.75)
    start = scene(env, [[10.0, 10.0]] * 5, [[0, 0, 1]])
    after, _ = env.step(start, np.arange(5)[None])
    way = after.position[0] - 10.0
    np.testing.assert_allclose(way, 0.75 * np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]]))


def test_a_long_way_is_shortened_and_the_border_stops() -> None:
    env = field(n_rovers=3, n_pois=1, continuous=True)
    start = scene(env, [[10.0, 10.0], [10.0, 10.0], [29.5, 0.25]], [[0, 0, 1]])
    after, _ = env.step(start, np.array([[[1.0, 1.0], [0.3, -0.4], [1.0, -1.0]]], np.float32))
    np.testing.assert_allclose(after.position[0, 0], 10 + np.sqrt([0.5, 0.5]))
    np.testing.assert_allclose(after.position[0, 1], [10.3, 9.6], atol=1e-6)
    np.testing.assert_allclose(after.position[0, 2], [30.0, 0.0])


def test_rovers_start_in_the_middle_and_points_lie_in_the_whole_field() -> None:
    state: Any = field(least_value=0.25, start_size=3.0).reset(range(400))[0]
    assert state.position.min() >= 13.5
    assert state.position.max() <= 16.5
    assert np.ptp(state.position) > 2.98
    place, value = state.poi[:, :, :2], state.poi[:, :, 2]
    assert 0.0 <= place.min() < 0.1
    assert 29.9 < place.max() <= 30.0
    np.testing.assert_allclose(place.mean(axis=(0, 1)), 15.0, atol=0.5)
    assert 0.25 <= value.min() < 0.26
    assert 0.99 < value.max() <= 1.0
    together = state._replace(poi=state.poi[:1].repeat(400, axis=0))
    assert not np.array_equal(together.poi, state.poi), "worlds differ"


def test_metrics_are_shares_of_value_and_of_points() -> None:
    env = field(n_rovers=2, n_pois=3)
    state = scene(env, [[5.0, 5.0], [5.0, 7.0]], [[5.0, 5.0, 1.0], [5.0, 9.0, 0.5], [20.0, 20.0, 0.5]])
    _, step = env.step(state, np.zeros((1, 2), int))
    # The first point is found by rover 0 and seen from 2 m by rover 1, the second one only from 2 m.
    assert step.metrics["score"][0] == pytest.approx((1.0 + 0.25) / 2.0)
    assert step.metrics["observed_share"][0] == pytest.approx(2 / 3)
    assert step.metrics["found_share"][0] == pytest.approx(1 / 3)
    assert step.metrics["overlap"][0] == pytest.approx((1.0 + 0.5 + 0.25) / 1.25)


@pytest.mark.parametrize(
    "options",
    [
        {"task": "rovers-8"},
        {"task": "rovers-16"},
        {"task": "rovers-32"},
        {"task": "coupled-16"},
        {"task": "rovers-16", "continuous": True},
        {"task": "coupled-16", "continuous": True, "coupling": 3, "n_pois": 5},
    ],
    ids=str,
)
def test_the_assignment_finds_everything_and_random_rovers_do_not(options: dict[str, Any]) -> None:
    env = field(**options)
    planned = play(env, range(12), policy=envs.heuristic("rovers", **options))[2][-1].metrics
    random = play(env, range(12))[2][-1].metrics
    assert planned["score"].mean() > 0.99
    assert random["score"].mean() < 0.5
    assert np.nanmean(random["overlap"]) > planned["overlap"].mean()


@pytest.mark.parametrize("options", [{"n_rovers": 4}, {"n_rovers": 5, "coupling": 2}, {"n_rovers": 1, "n_pois": 3}])
def test_few_rovers_go_from_point_to_point(options: dict[str, Any]) -> None:
    env = field(**options)
    planned = play(env, range(8), policy=envs.heuristic("rovers", **options))[2][-1].metrics["found_share"].mean()
    at_once = env.config.n_rovers // env.config.coupling / env.config.n_pois
    assert planned > 1.5 * at_once, "more than one point each"


def test_a_state_is_a_value() -> None:
    env = field(counterfactual="absent")
    states, actions, steps = play(env, [1, 2])
    again, step = env.step(states[7], actions[7])
    for one, other in zip(again, states[8], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(step.counterfactual, steps[7].counterfactual)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coupling": 17}, "coupling=17 asks for more rovers at once than there are: give at most n_rovers=16"),
        ({"coupling": 0}, "coupling=0 is out of range: give a value from 1"),
        ({"radius": 0.5}, "radius=0.5 is below min_distance=1.0.* give a radius of at least 1.0"),
        ({"start_size": 31.0}, "start_size=31.0 does not fit into the field: give at most size=30.0"),
        ({"least_value": 0.0}, "least_value=0.0 is out of range"),
        ({"n_rovers": 2.5}, "n_rovers=2.5 is a float: give a value of type int"),
        ({"counterfactual": "stop"}, "counterfactual='stop' is not known: give one of none, absent"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        envs.make("rovers", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n", [1, 64])
def test_pictures_of_few_and_of_many(n: int) -> None:
    env = field(n_rovers=n, n_pois=n)
    state, _ = env.reset([0])
    first = env.render(state)
    assert first.shape == (HEADER + SIDE, SIDE, 3)
    after, _ = env.step(state, np.full((1, n), 2))
    assert (env.render(after) != first).any()
    assert (env.render(env.between(state, after, 0.5)) != first).any()


def shown(picture: Any, colour: paint.Colour) -> tuple[int, float, float]:
    """Number of pixels of about that colour, and their mean row and column."""
    rows, columns = np.nonzero(np.abs(picture[HEADER:].astype(int) - colour).sum(axis=2) < 12)
    return len(rows), float(rows.mean()) if len(rows) else -1.0, float(columns.mean()) if len(rows) else -1.0


def test_rovers_are_drawn_where_they_are_and_found_points_green() -> None:
    env = field(n_rovers=1, n_pois=1)
    state: State = scene(env, [[7.5, 22.5]], [[22.5, 7.5, 1.0]])
    picture = env.render(state)
    count, row, column = shown(picture, paint.agent_colour(0))
    assert count > 50
    assert (row, column) == (pytest.approx(SIDE * 0.26, abs=8), pytest.approx(SIDE * 0.26, abs=8))
    assert shown(picture, paint.GOOD)[0] == 0
    picture = env.render(state._replace(best=np.ones_like(state.best)))
    count, row, column = shown(picture, paint.GOOD)
    assert count > 50
    assert (row, column) == (pytest.approx(SIDE * 0.74, abs=5), pytest.approx(SIDE * 0.74, abs=5))
