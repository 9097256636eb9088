"""What rovers and critics see, by an independent computation in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rovers_scenes import field, play, scene


def densities(config: Any, place: Any, others: Any, worth: Any) -> Any:
    """(4,) sum of worth * d^2 / max(distance, d)^2 over others, by quadrant, squashed."""
    found = np.zeros(4)
    for (x, y), value in zip(others, worth, strict=True):
        dx, dy = x - place[0], y - place[1]
        quadrant = (1 if dx < 0 else 0) + (2 if dy < 0 else 0)
        found[quadrant] += value * (config.min_distance / max(np.hypot(dx, dy), config.min_distance)) ** 2
    return found / (1.0 + found)


@pytest.mark.parametrize("options", [{}, {"task": "coupled-16"}, {"n_rovers": 3, "n_pois": 9, "min_distance": 2.0}])
def test_sensors_are_densities_by_quadrant(options: dict[str, Any]) -> None:
    env = field(**options)
    config = env.config
    states, _, steps = play(env, [3, 4], seed=1)
    for state, step in zip(states[1::9], steps[::9], strict=False):
        for world in range(2):
            place, poi = state.position[world], state.poi[world]
            for i in range(config.n_rovers):
                others = np.delete(place, i, axis=0)
                seen = step.obs[world, i]
                np.testing.assert_allclose(seen[:4], densities(config, place[i], poi[:, :2], poi[:, 2]), rtol=1e-5)
                np.testing.assert_allclose(
                    seen[4:8], densities(config, place[i], others, np.ones(len(others))), rtol=1e-5
                )
                np.testing.assert_allclose(seen[8:10], 2 * place[i] / config.size - 1, atol=1e-6)
                assert seen[10] == pytest.approx(1 - state.step[world] / config.max_steps)


def test_quadrants_are_those_of_the_field() -> None:
    env = field(n_rovers=2, n_pois=1)
    for (dx, dy), quadrant in (((3, 4), 0), ((-3, 4), 1), ((3, -4), 2), ((-3, -4), 3), ((5, 0), 0), ((0, -5), 2)):
        start = scene(env, [[15, 15], [15 + dx, 15 + dy]], [[15 + dx, 15 + dy, 0.5]])
        seen = env.step(start, np.zeros((1, 2), int))[1].obs[0, 0]
        expected = np.zeros(8)
        expected[quadrant], expected[4 + quadrant] = 0.5 / 25 / (1 + 0.5 / 25), 1 / 26
        np.testing.assert_allclose(seen[:8], expected, rtol=1e-6)


def test_found_points_are_still_sensed() -> None:
    env = field(n_rovers=1, n_pois=1)
    state = scene(env, [[10.0, 10.0]], [[10.0, 10.0, 0.8]])
    for _ in range(3):
        state, step = env.step(state, np.zeros((1, 1), int))
        assert step.obs[0, 0, 0] == pytest.approx(0.8 / 1.8)
    assert state.best[0, 0] == 1.0


def test_the_global_state_holds_all_there_is() -> None:
    env = field(n_rovers=3, n_pois=5, size=12.0, start_size=12.0)
    states, _, steps = play(env, [0, 1])
    for state, step in zip(states[1:], steps, strict=True):
        for world in range(2):
            seen = step.state[world]
            np.testing.assert_allclose(seen[:6].reshape(3, 2), 2 * state.position[world] / 12 - 1, atol=1e-6)
            points = seen[6:26].reshape(5, 4)
            np.testing.assert_allclose(points[:, :2], 2 * state.poi[world, :, :2] / 12 - 1, atol=1e-6)
            np.testing.assert_allclose(points[:, 2], state.poi[world, :, 2], atol=1e-6)
            np.testing.assert_array_equal(points[:, 3], state.best[world])
            assert seen[26] == pytest.approx(1 - state.step[world] / 40)
    assert steps[-1].state[:, 9:26:4].max() > 0


def test_rovers_hear_each_other_within_range() -> None:
    env = field(n_rovers=3, n_pois=1, comm_range=4.0)
    start = scene(env, [[10, 10], [14, 10], [14.1, 10]], [[0, 0, 1]])
    hears = env.step(start, np.zeros((1, 3), int))[1].adjacency[0]
    assert hears.tolist() == [[False, True, False], [True, False, True], [False, True, False]]


def test_the_pose_is_the_position() -> None:
    env = field(size=20.0)
    states, _, steps = play(env, [7])
    shown = steps[-1].obs[:, :, list(env.pose)] * env.pose_scale
    np.testing.assert_allclose(shown, states[-1].position - 10.0, atol=1e-5)
