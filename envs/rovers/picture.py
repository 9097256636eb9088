"""The picture of one field of rovers, with counters above it.

Nothing here needs a display. Everything in the field is drawn at `SUPERSAMPLE` times the size and scaled down, which
smooths all edges.

    disc             rover, with its index; as wide as `min_distance` is far, but seen at any scale
    diamond          point of interest, larger the more it is worth; green: found, paler green: observed from farther
    ring             distance at which rovers observe it; green: enough of them do at this moment
    line             from a point of interest to the rovers that observe it at this moment
    outlined square  where rovers start

Axes: N rovers, P points of interest.
"""

from __future__ import annotations

import math

import numpy as np
import pygame
from numpy.typing import NDArray

from ..kit import paint
from ..kit.paint import Canvas
from .config import Config
from .metrics import metrics_of
from .state import State, Y

SIDE, HEADER = 600, 58
"""Side of the square field, and height of the counters above it [pixels]."""
SUPERSAMPLE = 2
MARGIN = 0.03
"""Width of the ground around the field over the field's side."""
LINES = 6
"""Number of parts between the lines on the ground."""


@paint.one_at_a_time
def draw(config: Config, state: State) -> NDArray[np.uint8]:
    """Draws one world.

    Args:
        config: The configuration of the environment that made the state.
        state: State of this world alone.

    Returns:
        (HEADER + SIDE, SIDE, 3) RGB.
    """
    position, poi, best = state.position[0], state.poi[0], state.best[0]
    scale = SIDE / (config.size * (1.0 + 2.0 * MARGIN))  # pixels per metre
    rim = MARGIN * config.size
    plane = pygame.Surface((SIDE * SUPERSAMPLE, SIDE * SUPERSAMPLE), 0, 32)
    metre = scale * SUPERSAMPLE
    canvas = Canvas(plane, metre, rim * metre, plane.get_height() - rim * metre, SUPERSAMPLE)
    away = np.linalg.norm(poi[:, None, : Y + 1] - position, axis=2)  # (P, N)
    observes = (away <= config.radius) & (state.step[0] > 0)

    _draw_ground(canvas, config)
    for (x, y, _), there in zip(poi.tolist(), observes, strict=True):
        colour = paint.GOOD if there.sum() >= config.coupling else paint.SHADE
        canvas.ring(colour, x, y, config.radius, canvas.at_least(0.0, 1.0))
        for i in np.flatnonzero(there):
            canvas.line(paint.HEARS, [(x, y), tuple(position[i].tolist())], canvas.at_least(0.0, 1.0))
    radius = canvas.at_least(0.5 * config.min_distance, 8.0)
    for i, (x, y) in enumerate(position.tolist()):
        canvas.disc(paint.WHITE, x, y, 1.15 * radius)
        canvas.disc(paint.agent_colour(i), x, y, radius)
    for (x, y, value), share in zip(poi.tolist(), best.tolist(), strict=True):
        half = canvas.at_least(0.012 * config.size, 5.0) * math.sqrt(value)
        colour = paint.GOOD if share >= 1.0 else paint.mix(paint.INK, paint.GOOD, 0.6 * share)
        canvas.polygon(paint.WHITE, paint.diamond(x, y, 1.3 * half))
        canvas.polygon(colour, paint.diamond(x, y, half))

    picture = pygame.Surface((SIDE, HEADER + SIDE), 0, 32)
    picture.fill(paint.INK)
    pygame.transform.smoothscale(plane, (SIDE, SIDE), picture.subsurface((0, HEADER, SIDE, SIDE)))
    size = max(10, round(1.2 * radius * scale))
    for i, (x, y) in enumerate(position.tolist()):
        ink = paint.readable_on(paint.agent_colour(i))
        paint.write(picture, str(i), size, ink, (rim + x) * scale, HEADER + SIDE - (rim + y) * scale)
    for column, (caption, value) in enumerate(counters := _counters(config, state)):
        x = SIDE * (column + 0.5) / len(counters)
        paint.write(picture, value, 27, paint.WHITE, x, 0.42 * HEADER)
        paint.write(picture, caption, 13, paint.MUTED, x, 0.8 * HEADER)
    return paint.pixels_of(picture)


def _counters(config: Config, state: State) -> tuple[tuple[str, str], ...]:
    found = {name: float(value[0]) for name, value in metrics_of(state).items()}
    return (
        ("STEP", f"{state.step[0]} of {config.max_steps}"),
        ("OF ALL VALUE", f"{100.0 * found['score']:.0f} %"),
        ("FOUND", f"{round(found['found_share'] * config.n_pois)} of {config.n_pois}"),
        ("OVERLAP", paint.figure(found["overlap"], 2)),
    )


def _draw_ground(canvas: Canvas, config: Config) -> None:
    """Draws the field, lines on it, and the square in which rovers start."""
    canvas.surface.fill(paint.SHADE)
    middle, size = 0.5 * config.size, config.size
    canvas.square(paint.FLOOR, middle, middle, size)
    for part in range(1, LINES):
        line = part * size / LINES
        canvas.line(paint.GRID, [(line, 0.0), (line, size)], canvas.at_least(0.0, 1.0))
        canvas.line(paint.GRID, [(0.0, line), (size, line)], canvas.at_least(0.0, 1.0))
    canvas.square(paint.SHADE, middle, middle, config.start_size, line=canvas.at_least(0.0, 2.0))
