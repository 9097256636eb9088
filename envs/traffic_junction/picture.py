"""The picture of one traffic junction: roads and cars, with counters above them.

Nothing here needs a display. Everything on the ground is drawn at `SUPERSAMPLE` times the size and scaled down, which
smooths all edges. Lengths are in cells, and y counts upwards from the lowest row.

    car          in its own colour, numbered, pointing where it drives next; red rear lights after it has braked
    red cell     two cars or more are in it
    arrow        on the road where cars enter

Axes: C cars that may be on the roads at once.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pygame
from numpy.typing import NDArray

from ..kit import paint
from ..kit.paint import Canvas, Point, agent_colour
from ..roads.picture import ASPHALT, BOX, GRASS, HEADER, write_counters
from .config import Config
from .metrics import metrics_of
from .routes import PLANS, Network, network_of
from .state import BRAKED, NAME, PLACE, ROUTE, State

SUPERSAMPLE = 2
WIDTH = 630
"""Width of a picture, and height without the counters [pixels]."""
LENGTH, BREADTH = 0.7, 0.5
"""Size of a car [cells]."""


@paint.one_at_a_time
def draw(config: Config, state: State) -> NDArray[np.uint8]:
    """Draws one world.

    Args:
        config: The configuration of the environment that made the state.
        state: State of this world alone. The places of cars may be fractions, on the way from a cell to the next.

    Returns:
        (HEADER + WIDTH, WIDTH, 3) RGB.
    """
    network, size = network_of(config.difficulty, 0), PLANS[config.difficulty].size
    surface = _ground(config.difficulty).copy()
    canvas = _canvas(surface, size)
    cars = state.car[0, : state.live[0]]
    cells = network.path[cars[:, ROUTE].astype(int), cars[:, PLACE].astype(int)]  # (C,)
    spots = []
    for i, cell in enumerate(cells.tolist()):
        rank, shared = int((cells[:i] == cell).sum()), int((cells == cell).sum())
        aside = 0.16 * (rank - 0.5 * (shared - 1))
        x, y, angle = _pose(network, size, int(cars[i, ROUTE]), float(cars[i, PLACE]))
        spots.append((x + aside, y + aside, angle))
        if shared > 1 and rank == 0:
            cx, cy = _middle(network, size, cell)
            canvas.square(paint.mix(paint.ALARM, ASPHALT, 0.25), cx, cy, 0.96, 0.12)
    for car, spot in zip(cars, spots, strict=True):
        _draw_car(canvas, int(car[NAME]), bool(car[BRAKED]), *spot)

    picture = pygame.Surface((WIDTH, HEADER + WIDTH), 0, 32)
    picture.fill(paint.INK)
    pygame.transform.smoothscale(surface, (WIDTH, WIDTH), picture.subsurface((0, HEADER, WIDTH, WIDTH)))
    cell_side = WIDTH / size
    for car, (x, y, _) in zip(cars, spots, strict=True):
        shade = paint.readable_on(agent_colour(int(car[NAME])))
        where = (x * cell_side, HEADER + WIDTH - y * cell_side)
        paint.write(picture, str(int(car[NAME])), max(15, round(0.32 * cell_side)), shade, *where)
    write_counters(picture, _counters(config, state))
    return paint.pixels_of(picture)


def _counters(config: Config, state: State) -> tuple[tuple[str, str], ...]:
    found = {name: float(value[0]) for name, value in metrics_of(state._replace(car=np.zeros((1, 0, 0)))).items()}
    return (
        ("STEP", f"{state.step[0]} of {config.max_steps}"),
        ("CARS", f"{state.live[0]} of {config.n_cars}"),
        ("THROUGH", paint.figure(found["throughput"])),
        ("DELAY", paint.figure(found["delay"], 1)),
        ("CRASHES", paint.figure(found["crashes"])),
    )


def _canvas(surface: pygame.Surface, size: int) -> Canvas:
    return Canvas(surface, surface.get_width() / size, 0.0, surface.get_height(), SUPERSAMPLE)


def _middle(network: Network, size: int, cell: int) -> Point:
    return network.column[cell] + 0.5, size - network.row[cell] - 0.5


def _pose(network: Network, size: int, route: int, place: float) -> tuple[float, float, float]:
    """Returns x, y and heading [rad] of a car that has left so many cells of its route behind."""
    path = network.path[route, : network.length[route]].tolist()
    at = int(place)
    x, y = _middle(network, size, path[at])
    before, after = (at, at + 1) if at + 1 < len(path) else (at - 1, at)  # on the last cell it goes straight on
    (ax, ay), (bx, by) = _middle(network, size, path[before]), _middle(network, size, path[after])
    return x + (place - at) * (bx - ax), y + (place - at) * (by - ay), math.atan2(by - ay, bx - ax)


def _draw_car(canvas: Canvas, name: int, braked: bool, x: float, y: float, angle: float) -> None:
    at = functools.partial(paint.ahead_of, x, y, angle)
    colour = agent_colour(name)

    def block(shade: paint.Colour, back: float, front: float, half: float) -> None:
        canvas.polygon(shade, [at(back, -half), at(front, -half), at(front, half), at(back, half)])

    front, half = 0.5 * LENGTH, 0.5 * BREADTH
    canvas.polygon(
        paint.INK, [at(-front, -half), at(front, -half), at(front + 0.12, 0.0), at(front, half), at(-front, half)]
    )
    block(colour, -front + 0.04, front - 0.02, half - 0.04)
    if braked:
        for side in (-1.0, 1.0):
            low, high = sorted((side * half, side * 0.4 * half))
            canvas.polygon(
                paint.ALARM, [at(-front, low), at(-front, high), at(-front + 0.1, high), at(-front + 0.1, low)]
            )


@functools.lru_cache(maxsize=4)
def _ground(difficulty: str) -> pygame.Surface:
    """Returns grass, roads, lines between cells, and arrows where cars enter, `SUPERSAMPLE` times as large."""
    network, plan = network_of(difficulty, 0), PLANS[difficulty]
    surface = pygame.Surface((WIDTH * SUPERSAMPLE, WIDTH * SUPERSAMPLE), 0, 32)
    surface.fill(GRASS)
    canvas = _canvas(surface, plan.size)
    for cell, crossing in enumerate(network.crossing.tolist()):
        x, y = _middle(network, plan.size, cell)
        canvas.square(ASPHALT, x, y, 1.04)
        canvas.square(paint.mix(BOX, paint.WHITE, 0.1) if crossing else BOX, x, y, 0.94, 0.08)
    for (row, column), (down, right) in plan.entries:
        at = functools.partial(paint.ahead_of, column + 0.5, plan.size - row - 0.5, math.atan2(-down, right))
        canvas.polygon(paint.mix(paint.WHITE, BOX, 0.45), [at(0.4, 0.0), at(-0.2, 0.3), at(-0.2, -0.3)])
    return surface
