"""Colours, text, and a surface that is drawn on in metres. pygame's surfaces need no display.

Pictures are drawn one at a time: SDL keeps one set of fonts per process, and the parts of a picture that never move are
a surface that all pictures of a kind are copied from. Functions that draw must be called below one that is decorated
with `one_at_a_time`.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, ParamSpec, TypeVar

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import numpy as np
import pygame
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Point = tuple[float, float]
P = ParamSpec("P")
R = TypeVar("R")

INK: Colour = (31, 39, 51)
MUTED: Colour = (148, 160, 178)
WHITE: Colour = (255, 255, 255)
FLOOR: Colour = (245, 246, 248)
GRID: Colour = (232, 235, 240)
SHADE: Colour = (217, 221, 228)
RACK: Colour = (112, 125, 146)
GOODS: tuple[Colour, ...] = (
    (222, 200, 165),
    (209, 184, 146),
    (232, 216, 190),
    (177, 190, 208),
    (134, 147, 167),  # empty
    (134, 147, 167),  # empty
)
BOX: Colour = (214, 170, 112)
BOX_EDGE: Colour = (110, 78, 40)
STATION: tuple[Colour, Colour] = ((224, 231, 244), (98, 118, 163))
CHARGER: tuple[Colour, Colour] = ((251, 241, 209), (190, 147, 20))
ALARM: Colour = (213, 40, 40)
GOOD: Colour = (0, 158, 115)
DEAD: Colour = (176, 181, 190)
HEARS: Colour = (128, 141, 166)
OKABE_ITO: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (0, 114, 178),
    (240, 228, 66),
    (213, 94, 0),
)
"""Colours that stay apart for colour-blind eyes (Okabe and Ito 2008)."""


_drawing = threading.RLock()


def one_at_a_time(draw: Callable[P, R]) -> Callable[P, R]:
    """Lets one thread at a time into all functions that are decorated with this."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with _drawing:
            return draw(*args, **kwargs)

    return drawn


def _unlock() -> None:
    """Replaces the lock in a forked process, where the thread that held it no longer runs."""
    global _drawing
    _drawing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def agent_colour(agent: int) -> Colour:
    """Returns the colour of an agent: from the palette, then darker, then lighter, then from the start."""
    colour = OKABE_ITO[agent % len(OKABE_ITO)]
    shade = agent // len(OKABE_ITO) % 3
    return colour if shade == 0 else mix(colour, INK if shade == 1 else WHITE, 0.4)


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """Returns a mixture of two colours, with this share of the other one."""
    red, green, blue = (round((1.0 - share) * a + share * b) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def readable_on(colour: Colour) -> Colour:
    """Returns dark or white, whichever is easier to read on a colour (luma of ITU-R BT.601)."""
    return INK if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 110 else WHITE


class Canvas:
    """A surface that is drawn on in metres, with x to the right and y up."""

    def __init__(self, surface: pygame.Surface, metre: float, left: float, top: float, finer: int) -> None:
        """Wraps a surface.

        Args:
            surface: The surface to draw on.
            metre: Pixels per metre.
            left: Column of pixels where the world's origin lies.
            top: Row of pixels where the world's origin lies.
            finer: Factor by which the surface is larger than it will be shown.
        """
        self.surface = surface
        self.metre = metre
        self.left = left
        self.top = top
        self.finer = finer

    def at(self, x: float, y: float) -> Point:
        """Returns the pixel of a point."""
        return self.left + x * self.metre, self.top - y * self.metre

    def at_least(self, metres: float, pixels: float) -> float:
        """Returns a length [m] that is shown with at least that many pixels."""
        return max(metres, pixels * self.finer / self.metre)

    def disc(self, colour: Colour, x: float, y: float, radius: float) -> None:
        """Draws a filled circle."""
        pygame.draw.aacircle(self.surface, colour, self.at(x, y), radius * self.metre)

    def ring(self, colour: Colour, x: float, y: float, radius: float, width: float) -> None:
        """Draws a circle's outline, whose width is inwards from the radius."""
        pixels = max(1, round(width * self.metre))
        pygame.draw.aacircle(self.surface, colour, self.at(x, y), radius * self.metre, pixels)

    def polygon(self, colour: Colour, points: Sequence[Point]) -> None:
        """Draws a filled polygon."""
        pixels = [self.at(x, y) for x, y in points]
        pygame.draw.polygon(self.surface, colour, pixels)
        pygame.draw.aalines(self.surface, colour, True, pixels)

    def line(self, colour: Colour, points: Sequence[Point], width: float) -> None:
        """Draws an open line through the points."""
        pixels = [self.at(x, y) for x, y in points]
        pygame.draw.lines(self.surface, colour, False, pixels, max(1, round(width * self.metre)))

    def hairline(self, colour: Colour, start: Point, end: Point) -> None:
        """Draws a line of one pixel of this surface, which is half transparent when a finer surface is scaled down."""
        pygame.draw.aaline(self.surface, colour, self.at(*start), self.at(*end))

    def square(self, colour: Colour, x: float, y: float, side: float, corner: float = 0.0, line: float = 0.0) -> None:
        """Draws a square around (x, y), filled unless a line width is given, with corners rounded by that radius."""
        left, top = self.at(x - 0.5 * side, y + 0.5 * side)
        right, bottom = self.at(x + 0.5 * side, y - 0.5 * side)
        rectangle = pygame.Rect(round(left), round(top), round(right) - round(left), round(bottom) - round(top))
        width = max(1, round(line * self.metre)) if line else 0
        pygame.draw.rect(self.surface, colour, rectangle, width, round(corner * self.metre))

    def glow(self, colour: Colour, x: float, y: float, radius: float, strength: int) -> None:
        """Draws a disc that fades out; the strength is the opacity of its middle, up to 255."""
        image = _glow(colour, max(1, round(radius * self.metre)), strength)
        right, down = self.at(x, y)
        self.surface.blit(image, (round(right) - image.get_width() // 2, round(down) - image.get_height() // 2))


class View(NamedTuple):
    """The place of a world in its picture. It is drawn on a part of the picture, the ground.

    Pixels count from the upper left corner.
    """

    scale: float  # pixels per metre
    left: float  # column of pixels, on the ground, where the world's origin lies
    top: float  # its row
    ground: tuple[int, int, int, int]  # left, top, width and height of the ground in the picture [pixels]

    def canvas(self, surface: pygame.Surface, finer: int) -> Canvas:
        """Returns a canvas for the ground alone, on a surface that is `finer` times as large as the ground is shown."""
        return Canvas(surface, self.scale * finer, self.left * finer, self.top * finer, finer)

    def project(self, x: float, y: float) -> Point:
        """Returns the pixel (right, down) in the picture of a point in the world [m]."""
        return self.ground[0] + self.left + x * self.scale, self.ground[1] + self.top - y * self.scale


def pixels_of(picture: pygame.Surface) -> NDArray[np.uint8]:
    """Returns a picture as (height, width, 3) RGB."""
    width, height = picture.get_size()
    pixels = np.frombuffer(pygame.image.tobytes(picture, "RGB"), dtype=np.uint8)
    return pixels.reshape(height, width, 3).copy()  # (height * width * 3,) -> (height, width, 3)


@functools.lru_cache(maxsize=64)
def _glow(colour: Colour, radius: int, strength: int) -> pygame.Surface:
    image = pygame.Surface((2 * radius + 1, 2 * radius + 1), pygame.SRCALPHA, 32)
    image.fill((*colour, 0))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    fading = np.clip(1.5 * (1.0 - np.hypot(x, y) / radius), 0.0, 1.0)
    alpha = pygame.surfarray.pixels_alpha(image)
    alpha[:] = (strength * fading).astype(np.uint8)
    del alpha  # unlocks the surface
    return image


def write(
    surface: pygame.Surface, text: str, size: int, colour: Colour, x: float, y: float, align: float = 0.5
) -> None:
    """Writes at a pixel.

    Args:
        surface: The surface to write on.
        text: One line.
        size: Height of the line [pixels].
        colour: Colour of the letters.
        x: Column [pixels].
        y: Row of the line's middle [pixels].
        align: The text starts at x for 0, is centred there for 0.5, and ends there for 1.
    """
    image = _text(text, size, colour)
    surface.blit(image, (round(x - align * image.get_width()), round(y - 0.46 * image.get_height())))


def figure(value: float, digits: int = 0, unit: str = "") -> str:
    """Returns a number as text; "-" where it is undefined (NaN)."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}{unit}"


def text_width(text: str, size: int) -> int:
    """Returns the width of what `write` would write [pixels]."""
    return _text(text, size, WHITE).get_width()


@functools.lru_cache(maxsize=4096)
def _text(text: str, size: int, colour: Colour) -> pygame.Surface:
    # The font is not kept, because pygame.quit makes fonts invalid; rendered text survives it.
    pygame.font.init()
    # It is drawn large and scaled down, because hinting spaces small letters unevenly.
    image = pygame.font.Font(None, 4 * size).render(text, True, colour)
    return pygame.transform.smoothscale(image, (max(1, image.get_width() // 4), max(1, image.get_height() // 4)))


def ahead_of(x: float, y: float, angle: float, ahead: float, left: float) -> Point:
    """Returns the point that is so far ahead of a pose and to its left."""
    c, s = math.cos(angle), math.sin(angle)
    return x + c * ahead - s * left, y + s * ahead + c * left


def diamond(x: float, y: float, size: float) -> list[Point]:
    """Returns a square on its tip; the size is from its middle to its tips."""
    return [(x + size, y), (x, y + size), (x - size, y), (x, y - size)]


def bolt(x: float, y: float, size: float) -> list[Point]:
    """Returns a flash of lightning; the size is from its middle to its ends."""
    shape = ((0.25, 1.0), (-0.6, -0.15), (-0.05, -0.15), (-0.25, -1.0), (0.6, 0.2), (0.05, 0.2))
    return [(x + size * dx, y + size * dy) for dx, dy in shape]


def arc(x: float, y: float, inner: float, outer: float, share: float) -> list[Point]:
    """Returns the outline of a ring, from the top clockwise, as far as a share of a full turn."""
    angles = [0.5 * math.pi - 2.0 * math.pi * share * k / 32 for k in range(33)]
    sides = ((inner, angles), (outer, angles[::-1]))
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for radius, side in sides for a in side]
