"""The picture of one spread: the plane, and counters above it.

Nothing here needs a display. Everything in the plane is drawn at `SUPERSAMPLE` times the size and scaled down, which
smooths all edges.

    disc             agent, with its index; red around it: it overlaps another
    arrow            where it would come to rest without thrust
    diamond          landmark; green: covered
    line             from a landmark to its nearest agent: all agents are charged the sum of these lengths
    outlined square  where everything starts; the view widens when an agent goes far

Axes: N agents, L landmarks.
"""

from __future__ import annotations

import math

import numpy as np
import pygame
from numpy.typing import NDArray

from ..kit import paint
from ..kit.paint import Canvas, Point
from .motion import DAMPING, RADIUS, TIME_STEP
from .reward import CAPTURE
from .state import State

SIDE, HEADER = 600, 58
"""Side of the square plane, and height of the counters above it [pixels]."""
SUPERSAMPLE = 2
COASTING = TIME_STEP / DAMPING
"""Way until an agent without thrust rests, over its velocity [s]: 0.1 s (1 + 3/4 + 9/16 + ...)."""


@paint.one_at_a_time
def draw(state: State, world: int) -> NDArray[np.uint8]:
    """Draws one world: (HEADER + SIDE, SIDE, 3) RGB."""
    position, landmark = state.position[world], state.landmark[world]
    farthest = max(np.abs(position).max(), np.abs(landmark).max())
    scale = SIDE / 2 / max(1.3, 1.1 * float(farthest) + RADIUS)  # pixels per unit of length
    plane = pygame.Surface((SIDE * SUPERSAMPLE, SIDE * SUPERSAMPLE), 0, 32)
    canvas = Canvas(plane, scale * SUPERSAMPLE, plane.get_width() / 2, plane.get_height() / 2, SUPERSAMPLE)
    apart = np.linalg.norm(landmark[:, None] - position, axis=2)  # (L, N)
    between = np.linalg.norm(position[:, None] - position, axis=2)  # (N, N)
    overlaps = (between < 2 * RADIUS).sum(axis=1) > 1  # (N,), more than oneself
    covered = apart.min(axis=1) < CAPTURE  # (L,)

    _draw_ground(canvas, SIDE / 2 / scale)
    for k, i in enumerate(apart.argmin(axis=1).tolist()):
        canvas.line(paint.HEARS, [tuple(landmark[k].tolist()), tuple(position[i].tolist())], 0.01)
    for (x, y), overlap in zip(position.tolist(), overlaps.tolist(), strict=True):
        if overlap:
            canvas.glow(paint.ALARM, x, y, 2.0 * RADIUS, 255)
    for i, (x, y) in enumerate(position.tolist()):
        canvas.disc(paint.WHITE, x, y, 1.07 * RADIUS)
        canvas.disc(paint.agent_colour(i), x, y, RADIUS)
    for (x, y), (dx, dy) in zip(position.tolist(), (COASTING * state.velocity[world]).tolist(), strict=True):
        _draw_arrow(canvas, x, y, dx, dy)
    for (x, y), there in zip(landmark.tolist(), covered.tolist(), strict=True):
        canvas.polygon(paint.WHITE, paint.diamond(x, y, 0.075))
        canvas.polygon(paint.GOOD if there else paint.INK, paint.diamond(x, y, 0.055))

    picture = pygame.Surface((SIDE, HEADER + SIDE), 0, 32)
    picture.fill(paint.INK)
    pygame.transform.smoothscale(plane, (SIDE, SIDE), picture.subsurface((0, HEADER, SIDE, SIDE)))
    for i, (x, y) in enumerate(position.tolist()):
        ink = paint.readable_on(paint.agent_colour(i))
        paint.write(picture, str(i), max(10, round(0.1 * scale)), ink, *_pixel(x, y + 0.6 * RADIUS, scale))
    counters = (
        ("TIME", f"{state.step[world] * TIME_STEP:.1f} s"),
        ("COVERED", f"{covered.sum()} of {len(covered)}"),
        ("MEAN DISTANCE", f"{apart.min(axis=1).mean():.2f}"),
        ("COLLISIONS", f"{state.totals[world, 0]:.0f}"),
    )
    for column, (caption, value) in enumerate(counters):
        x = SIDE * (column + 0.5) / len(counters)
        paint.write(picture, value, 27, paint.WHITE, x, 0.42 * HEADER)
        paint.write(picture, caption, 13, paint.MUTED, x, 0.8 * HEADER)
    return paint.pixels_of(picture)


def _draw_ground(canvas: Canvas, half: float) -> None:
    """Draws the plane out to `half` in every direction, lines every half unit, and the square in which worlds start."""
    canvas.surface.fill(paint.FLOOR)
    for line in np.arange(-math.floor(2 * half), math.floor(2 * half) + 1) / 2:
        canvas.line(paint.GRID, [(line, -half), (line, half)], canvas.at_least(0.0, 1.0))
        canvas.line(paint.GRID, [(-half, line), (half, line)], canvas.at_least(0.0, 1.0))
    canvas.square(paint.SHADE, 0.0, 0.0, 2.0, line=0.012)


def _draw_arrow(canvas: Canvas, x: float, y: float, dx: float, dy: float) -> None:
    length = math.hypot(dx, dy)
    if length < 0.03:
        return
    ux, uy, head = dx / length, dy / length, min(0.06, length)
    tip, neck = (x + dx, y + dy), (x + dx - head * ux, y + dy - head * uy)
    canvas.line(paint.INK, [(x, y), neck], 0.015)
    left, right = ((neck[0] - side * uy, neck[1] + side * ux) for side in (0.5 * head, -0.5 * head))
    canvas.polygon(paint.INK, [tip, left, right])


def _pixel(x: float, y: float, scale: float) -> Point:
    """Returns the pixel (right, down) in the picture of a point of the plane."""
    return SIDE / 2 + scale * x, HEADER + SIDE / 2 - scale * y
