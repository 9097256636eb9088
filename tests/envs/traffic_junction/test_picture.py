"""Pictures show cars, where they go, and crashes."""

from __future__ import annotations

import numpy as np
from traffic_junction_scenes import act, junction, scene

from envs.kit import paint

DOWN = 0


def near(picture: np.ndarray, colour: paint.Colour) -> int:
    """Returns how many pixels are about that colour."""
    return int((np.abs(picture.astype(int) - colour).sum(axis=2) < 30).sum())


def test_a_shared_cell_is_red() -> None:
    env = junction()
    alone, together = (env.render(scene(env, [(DOWN, 3), (DOWN, place)]), 0) for place in (5, 3))
    red = paint.mix(paint.ALARM, (92, 99, 112), 0.25)
    assert near(alone, red) == 0
    assert near(together, red) > 200


def test_cars_are_where_their_cells_are_in_their_own_colours() -> None:
    env = junction()
    picture = env.render(scene(env, [(DOWN, 3), (DOWN, 9)]), 0)
    for car, row in ((0, 3), (1, 9)):
        rows, columns = np.nonzero(np.abs(picture.astype(int) - paint.agent_colour(car)).sum(axis=2) < 12)
        assert abs(rows.mean() - 58 - 45 * (row + 0.5)) < 6
        assert abs(columns.mean() - 45 * 6.5) < 6


def test_between_two_steps_only_cars_that_drive_are_on_their_way() -> None:
    env = junction()
    before = scene(env, [(DOWN, 3), (DOWN, 9), (DOWN, 13)])
    after, _ = env.step(before, act(env, 0, 1, 0))
    moment = env.between(before, after, 0.5)
    assert moment.car[0, :3, 2].tolist() == [3.5, 9.0, 13.5], "the last one leaves the map"
    assert before.car.dtype == np.int16
    assert not np.array_equal(env.render(moment, 0), env.render(before, 0))
