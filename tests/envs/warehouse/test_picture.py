"""The warehouse's picture: shows what is in the state, the same bytes every time, and needs no display."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pygame
import pytest
from numpy.typing import NDArray

from envs.core import take_worlds
from envs.kit import paint
from envs.warehouse import TASKS, Config, Warehouse
from envs.warehouse.layout import builtin
from envs.warehouse.physics import ANGLE, X, Y
from envs.warehouse.picture import draw, view_of
from envs.warehouse.state import IDLE, NOBODY, TO_STATION, State

Picture = NDArray[np.uint8]


def world(n_worlds: int = 1, **changes: object) -> tuple[Warehouse, State]:
    env = Warehouse(replace(TASKS["small-4"], **changes))
    state, _ = env.reset(range(n_worlds))
    return env, state


def at_rest(env: Warehouse, state: State) -> State:
    """Robots in a row in the top aisle, looking right, with nothing to do."""
    body = np.zeros_like(state.body)
    body[..., X] = 1.5 + 2.0 * np.arange(body.shape[1])
    body[..., Y] = env.layout.height - 1.5
    return state._replace(body=body, phase=np.full_like(state.phase, IDLE), goal=np.full_like(state.goal, NOBODY))


def around(env: Warehouse, picture: Picture, x: float, y: float, reach: float = 0.3) -> Picture:
    """The pixels around a point of the world."""
    view = view_of(env.config.layout)
    right, down = view.project(x, y)
    r = reach * view.scale
    return picture[max(0, int(down - r)) : int(down + r) + 1, max(0, int(right - r)) : int(right + r) + 1]


def count(pixels: Picture, colour: paint.Colour) -> int:
    return int((np.abs(pixels.astype(int) - colour).max(axis=2) <= 3).sum())


@pytest.mark.parametrize("layout", [*builtin(), "procedural:30x9:4", "procedural:9x40:1"])
def test_is_a_video_frame_for_every_layout(layout: str) -> None:
    env = Warehouse(Config(layout=layout, n_robots=2))
    state, _ = env.reset([1])
    picture = draw(env.config, state, 0)
    height, width, channels = picture.shape
    assert picture.dtype == np.uint8
    assert channels == 3
    assert height % 2 == 0
    assert width % 2 == 0
    assert 480 <= width <= 900
    assert 300 <= height <= 900
    assert picture.mean() > 60
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50  # (height, width, 3) -> (height * width, 3)


def test_robots_are_where_they_should_be_in_their_colours() -> None:
    env, state = world(n_robots=4)
    state = at_rest(env, state)
    picture = draw(env.config, state, 0)
    disc = np.pi * (0.25 * view_of("small").scale) ** 2
    for i, (x, y) in enumerate(state.body[0, :, X : Y + 1].tolist()):
        for other in range(4):
            seen = count(around(env, picture, x, y), paint.agent_colour(other))
            assert seen > 0.6 * disc if other == i else seen < 0.01 * disc


def test_y_points_up() -> None:
    env, state = world(n_robots=1)
    state = at_rest(env, state)
    body = state.body.copy()
    body[0, 0, Y] = 2.5
    low, high = (draw(env.config, s, 0) for s in (state._replace(body=body), state))
    rows = [np.abs(p.astype(int) - paint.agent_colour(0)).max(axis=2).min(axis=1)[60:-40] for p in (low, high)]
    assert rows[0].argmin() > rows[1].argmin() + 200


def test_moves_and_turns_with_the_robot() -> None:
    env, state = world(n_robots=1, comm_range=0)
    state = at_rest(env, state)
    still = draw(env.config, state, 0)
    for column, change in ((X, 3.0), (ANGLE, 1.0)):
        body = state.body.copy()
        body[0, 0, column] += change
        moved = draw(env.config, state._replace(body=body), 0)
        assert count(around(env, moved, *body[0, 0, :2]), paint.agent_colour(0)) > 100
        rows, columns = np.nonzero((moved != still).any(axis=2))
        assert len(rows)
        x, y = view_of("small").project(*state.body[0, 0, :2])
        assert np.abs(rows - y).max() < 60
        assert columns.max() - x > 200 if column == X else np.abs(columns - x).max() < 60


def test_shows_load_contact_death_and_battery() -> None:
    env, state = world(battery=True)
    state = at_rest(env, state)._replace(battery=np.ones_like(state.battery))
    first = np.arange(4) == 0
    plain = draw(env.config, state, 0)
    colour = paint.agent_colour(0)
    x, y = state.body[0, 0, :2]

    loaded = draw(env.config, state._replace(phase=np.where(first, TO_STATION, state.phase).astype(np.int8)), 0)
    assert count(around(env, loaded, x, y), paint.BOX) > 100 > count(around(env, plain, x, y), paint.BOX)
    hit = draw(env.config, state._replace(hit=state.hit | first), 0)
    assert count(around(env, hit, x, y), paint.ALARM) > 50 > count(around(env, plain, x, y), paint.ALARM)
    dead = draw(env.config, state._replace(alive=state.alive & ~first), 0)
    assert count(around(env, dead, x, y), paint.DEAD) > 100
    assert count(around(env, dead, x, y), colour) == 0
    low = draw(env.config, state._replace(battery=np.where(first, 0.2, state.battery)), 0)
    good = [count(around(env, picture, x, y, 0.45), paint.GOOD) for picture in (plain, low)]
    assert good[0] > 50 > good[1]
    assert count(around(env, low, x, y, 0.45), paint.ALARM) > 20
    for picture in (loaded, hit, dead, low):  # no other robot looks any different
        before, after = (around(env, p, *state.body[0, 2, :2]) for p in (plain, picture))
        np.testing.assert_array_equal(before, after)


def test_marks_open_orders_and_late_ones() -> None:
    env, state = world(dispatch="claim", backlog=1, n_robots=1, orders_per_hour=1)
    state = at_rest(env, state)
    x, y = env.layout.targets[state.order_face[0, 0]]
    picture = draw(env.config, state, 0)
    assert count(around(env, picture, x, y, 0.1), paint.INK) > 50
    late = draw(env.config, state._replace(order_deadline=np.zeros_like(state.order_deadline)), 0)
    assert count(around(env, late, x, y, 0.1), paint.ALARM) > 50
    taken = draw(env.config, state._replace(order_status=np.ones_like(state.order_status)), 0)
    assert count(around(env, taken, x, y, 0.1), paint.INK) == 0


def test_shows_goals_links_and_counters() -> None:
    env, state = world()
    state = at_rest(env, state)
    plain = draw(env.config, state, 0)
    goal = draw(env.config, state._replace(goal=np.full_like(state.goal, env.layout.n_faces)), 0)
    x, y = env.layout.targets[env.layout.n_faces]
    assert (around(env, goal, x, y) != around(env, plain, x, y)).mean() > 0.2
    deaf = draw(replace(env.config, comm_range=0), state, 0)
    x, y = state.body[0, :2, :2].mean(axis=0)
    assert (around(env, deaf, x, y) != around(env, plain, x, y)).any()
    counted = draw(env.config, state._replace(totals=state.totals + 7), 0)
    top = view_of("small").ground[1]
    assert (counted[:top] != plain[:top]).any()
    np.testing.assert_array_equal(counted[top:], plain[top:])


def test_same_state_same_bytes_in_any_batch_and_nothing_is_changed() -> None:
    env, state = world(n_worlds=3)
    before = [value.tobytes() for value in state]
    pictures = [env.render(state, world) for world in range(3)]
    assert [value.tobytes() for value in state] == before
    for b in range(3):
        alone = take_worlds(state, slice(b, b + 1))
        np.testing.assert_array_equal(env.render(alone), pictures[b])
    assert (pictures[0] != pictures[1]).any()
    pictures[0][:] = 0  # the caller's own
    pygame.quit()  # as somebody's window may on closing
    np.testing.assert_array_equal(env.render(state), env.render(take_worlds(state, np.array([0, 0])), 1))
    assert env.render(state).any()


def test_needs_no_display() -> None:
    code = (
        "import pygame; from envs.warehouse import TASKS, Warehouse\n"
        "env = Warehouse(TASKS['tiny-2']); state, _ = env.reset([0])\n"
        "assert env.render(state).any() and not pygame.display.get_init()\n"
    )
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    environment = {name: value for name, value in os.environ.items() if name not in screens}
    root = Path(__file__).parents[3]
    run = subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
