"""The picture of one game: the agents on a circle, and counters above it.

It shows the moment that was last judged: the symbols that agents held then, and what they named. Before the first step
it shows the first symbols, and no names.

    disc                  agent, with its index
    square outside it     its symbol, a number; grey: it does not see it (a pure listener)
    arrow                 from a source to the agent that has to name its symbol
    small disc inside     what the agent named; green: right, red: wrong

Axes: N agents, T time limit.
"""

from __future__ import annotations

import math

import numpy as np
import pygame
from numpy.typing import NDArray

from ..core import Array
from ..kit import paint
from ..kit.paint import Canvas, Point
from .state import NOBODY, State

SIDE, HEADER = 600, 58
"""Side of the square ground, and height of the counters above it [pixels]."""
SUPERSAMPLE = 2
HALF = 1.3
"""Half the side of the ground, where agents stand on a circle of radius 1 around its middle."""


@paint.one_at_a_time
def draw(state: State, world: int) -> NDArray[np.uint8]:
    """Draws one world: (HEADER + SIDE, SIDE, 3) RGB."""
    step = int(state.step[world])
    judged = min(max(step - 1, 0), state.symbol.shape[1] - 1)
    symbol, source, named = state.symbol[world, judged], state.source[world, judged], state.named[world]
    n = len(named)
    scale = SIDE / 2 / HALF  # pixels per unit of length
    size = min(0.15, 2.0 / n)  # radius of an agent
    deaf = (source == NOBODY).any() & (source != NOBODY)  # (N,) pure listeners
    judged_any = step > 0
    ground = pygame.Surface((SIDE * SUPERSAMPLE, SIDE * SUPERSAMPLE), 0, 32)
    ground.fill(paint.FLOOR)
    canvas = Canvas(ground, scale * SUPERSAMPLE, ground.get_width() / 2, ground.get_height() / 2, SUPERSAMPLE)
    for i in range(n):
        if source[i] != NOBODY:
            _draw_arrow(canvas, _place(int(source[i]), n), _place(i, n), size, paint.agent_colour(int(source[i])))
    for i in range(n):
        x, y = _place(i, n)
        canvas.disc(paint.WHITE, x, y, 1.07 * size)
        canvas.disc(paint.agent_colour(i), x, y, size)
        ox, oy = _place(i, n, 1.0 + 1.3 * size)
        canvas.square(paint.SHADE if deaf[i] else paint.INK, ox, oy, 1.1 * size, 0.15 * size)
        if judged_any and source[i] != NOBODY:
            ix, iy = _place(i, n, 1.0 - 1.2 * size)
            good = named[i] == symbol[source[i]]
            canvas.disc(paint.WHITE, ix, iy, 0.62 * size)
            canvas.disc(paint.GOOD if good else paint.ALARM, ix, iy, 0.55 * size)

    picture = pygame.Surface((SIDE, HEADER + SIDE), 0, 32)
    picture.fill(paint.INK)
    pygame.transform.smoothscale(ground, (SIDE, SIDE), picture.subsurface((0, HEADER, SIDE, SIDE)))
    letters = max(9, round(0.9 * size * scale))
    for i in range(n):
        colour = paint.agent_colour(i)
        paint.write(picture, str(i), letters, paint.readable_on(colour), *_pixel(_place(i, n), scale))
        outside = _pixel(_place(i, n, 1.0 + 1.3 * size), scale)
        paint.write(picture, str(symbol[i]), letters, paint.MUTED if deaf[i] else paint.WHITE, *outside)
        if judged_any and source[i] != NOBODY:
            inside = _pixel(_place(i, n, 1.0 - 1.2 * size), scale)
            paint.write(picture, str(named[i]), letters, paint.WHITE, *inside)
    _write_counters(picture, state, world, _share(symbol, source, named))
    return paint.pixels_of(picture)


def _share(symbol: Array, source: Array, named: Array) -> float:
    """Returns the share of right names of one moment; arrays are (N,)."""
    listens = source != NOBODY
    return float((named[listens] == symbol[source[listens]]).mean())


def _write_counters(picture: pygame.Surface, state: State, world: int, now: float) -> None:
    step = int(state.step[world])
    counters = (
        ("STEP", f"{step}"),
        ("RIGHT NOW", paint.figure(now if step else math.nan, 2)),
        ("RIGHT SO FAR", paint.figure(state.right[world] / step if step else math.nan, 2)),
    )
    for column, (caption, value) in enumerate(counters):
        x = SIDE * (column + 0.5) / len(counters)
        paint.write(picture, value, 27, paint.WHITE, x, 0.42 * HEADER)
        paint.write(picture, caption, 13, paint.MUTED, x, 0.8 * HEADER)


def _place(agent: int, n: int, radius: float = 1.0) -> Point:
    """Returns the place of an agent on the circle, the first at the top, then clockwise."""
    angle = 0.5 * math.pi - 2.0 * math.pi * agent / n
    return radius * math.cos(angle), radius * math.sin(angle)


def _draw_arrow(canvas: Canvas, start: Point, end: Point, size: float, colour: paint.Colour) -> None:
    """Draws an arrow between two agents, to the right of the line between them so that two arrows stay apart."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    ux, uy, aside, head = dx / length, dy / length, 0.25 * size, 0.35 * size
    x, y = start[0] + aside * uy, start[1] - aside * ux
    tip = (x + (length - 2.0 * size) * ux, y + (length - 2.0 * size) * uy)
    neck = (tip[0] - 1.6 * head * ux, tip[1] - 1.6 * head * uy)
    canvas.line(colour, [(x, y), neck], 0.1 * size)
    left, right = ((neck[0] - side * uy, neck[1] + side * ux) for side in (head, -head))
    canvas.polygon(colour, [tip, left, right])


def _pixel(point: Point, scale: float) -> Point:
    """Returns the pixel (right, down) in the picture of a point of the ground."""
    return SIDE / 2 + scale * point[0], HEADER + SIDE / 2 - scale * point[1]
