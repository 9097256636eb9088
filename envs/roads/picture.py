"""The common parts of pictures of roads: colours, the view of a grid of crossings, and counters above it."""

from __future__ import annotations

from collections.abc import Sequence

import pygame

from ..core import Array
from ..kit import paint
from ..kit.paint import Canvas, Colour, View

ASPHALT: Colour = (92, 99, 112)
BOX: Colour = (104, 111, 124)
GRASS: Colour = (226, 234, 222)
AMBER: Colour = (255, 178, 44)
KERB = 0.6
"""Width of the kerb [m]."""
HEADER, FOOTER, CHIP = 58, 38, 24
"""Heights of the counters above the ground and of the legend below it; size of the legend's samples [pixels]."""


def view_of(centre: Array, rim: float, width: int) -> View:
    """Returns the view in which a grid of crossings fills a picture of the given width [pixels].

    Args:
        centre: (N, 2) centres of the crossings [m].
        rim: Width of the ground that is shown around the outermost centres [m].
        width: Width of the picture [pixels]; even, as video codecs want it. The height is made even, too.
    """
    low, high = centre.min(axis=0) - rim, centre.max(axis=0) + rim
    scale = float(width / (high[0] - low[0]))
    height = 2 * round(0.5 * scale * (high[1] - low[1]))
    west, south = float(low[0]), float(low[1])
    return View(scale, -west * scale, height + south * scale, (0, HEADER, width, height))


def extent_of(view: View) -> tuple[float, float, float, float]:
    """Returns west, south, east and north of the ground that is shown, a metre wider on each side [m]."""
    *_, width, height = view.ground
    west, south = -view.left / view.scale - 1.0, (view.top - height) / view.scale - 1.0
    return west, south, west + width / view.scale + 2.0, south + height / view.scale + 2.0


def draw_roads(
    canvas: Canvas, centre: list[list[float]], half: float, extra: float, colour: Colour, view: View
) -> None:
    """Draws the roads through all crossings, from rim to rim.

    Args:
        canvas: The canvas to draw on.
        centre: Centres of the crossings [m].
        half: Half the width of a road [m].
        extra: Width added on both sides, for kerbs [m].
        colour: Colour of the roads.
        view: Where the network lies in the picture.
    """
    west, south, east, north = extent_of(view)
    for cx, cy in centre:
        _rectangle(canvas, colour, west, cy - half - extra, east, cy + half + extra)
        _rectangle(canvas, colour, cx - half - extra, south, cx + half + extra, north)


def _rectangle(canvas: Canvas, colour: Colour, west: float, south: float, east: float, north: float) -> None:
    canvas.polygon(colour, [(west, south), (east, south), (east, north), (west, north)])


def write_counters(picture: pygame.Surface, counters: Sequence[tuple[str, str]]) -> None:
    """Writes captions and values side by side into the header of a picture."""
    for column, (caption, value) in enumerate(counters):
        x = picture.get_width() * (column + 0.5) / len(counters)
        paint.write(picture, value, 27, paint.WHITE, x, 0.42 * HEADER)
        paint.write(picture, caption, 13, paint.MUTED, x, 0.8 * HEADER)
