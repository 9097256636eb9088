"""Colours, text and a surface that is drawn on in metres. Headless: pygame's surfaces need no display.

Pictures are drawn one at a time: fonts are SDL's own, one set a process, and what never moves is a surface that all
pictures of a kind are copied from. `one_at_a_time` sees to that; whatever draws stands below such a function.
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
    (134, 147, 167),  # empty, as is the next
    (134, 147, 167),
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
    """Makes threads wait for each other where they draw."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with _drawing:
            return draw(*args, **kwargs)

    return drawn


def _unlock() -> None:
    """In a forked process the thread that was drawing is gone, and would never let go."""
    global _drawing
    _drawing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def agent_colour(agent: int) -> Colour:
    """Agent i's own: the palette, then darker, then lighter, then from the start."""
    colour = OKABE_ITO[agent % len(OKABE_ITO)]
    shade = agent // len(OKABE_ITO) % 3
    return colour if shade == 0 else mix(colour, INK if shade == 1 else WHITE, 0.4)


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """That share of the other colour in the first."""
    red, green, blue = (round((1.0 - share) * a + share * b) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def readable_on(colour: Colour) -> Colour:
    """Dark or white, whichever is easier to read there (luma of ITU-R BT.601)."""
    return INK if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 110 else WHITE


class Canvas:
    """A surface that is drawn on in metres, x to the right and y up."""

    def __init__(self, surface: pygame.Surface, metre: float, left: float, top: float, finer: int) -> None:
        """Wraps a surface.

        Args:
            surface: What is drawn on.
            metre: Its pixels per metre.
            left: Its column of pixels where the world's origin lies.
            top: And its row.
            finer: How many times larger it is than it will be shown.
        """
        self.surface = surface
        self.metre = metre
        self.left = left
        self.top = top
        self.finer = finer

    def at(self, x: float, y: float) -> Point:
        """The pixel of a point."""
        return self.left + x * self.metre, self.top - y * self.metre

    def at_least(self, metres: float, pixels: float) -> float:
        """A length [m] that is shown with no less than that many pixels."""
        return max(metres, pixels * self.finer / self.metre)

    def disc(self, colour: Colour, x: float, y: float, radius: float) -> None:
        """A full circle."""
        pygame.draw.aacircle(self.surface, colour, self.at(x, y), radius * self.metre)

    def ring(self, colour: Colour, x: float, y: float, radius: float, width: float) -> None:
        """A circle's line, of the given width inwards from the radius."""
        pixels = max(1, round(width * self.metre))
        pygame.draw.aacircle(self.surface, colour, self.at(x, y), radius * self.metre, pixels)

    def polygon(self, colour: Colour, points: Sequence[Point]) -> None:
        """A full polygon."""
        pixels = [self.at(x, y) for x, y in points]
        pygame.draw.polygon(self.surface, colour, pixels)
        pygame.draw.aalines(self.surface, colour, True, pixels)

    def line(self, colour: Colour, points: Sequence[Point], width: float) -> None:
        """An open line through the points."""
        pixels = [self.at(x, y) for x, y in points]
        pygame.draw.lines(self.surface, colour, False, pixels, max(1, round(width * self.metre)))

    def hairline(self, colour: Colour, start: Point, end: Point) -> None:
        """One pixel of this surface wide, so on a finer one it is half transparent once shown."""
        pygame.draw.aaline(self.surface, colour, self.at(*start), self.at(*end))

    def square(self, colour: Colour, x: float, y: float, side: float, corner: float = 0.0, line: float = 0.0) -> None:
        """A square around (x, y), full unless a line width is given, with corners rounded by that radius."""
        left, top = self.at(x - 0.5 * side, y + 0.5 * side)
        right, bottom = self.at(x + 0.5 * side, y - 0.5 * side)
        rectangle = pygame.Rect(round(left), round(top), round(right) - round(left), round(bottom) - round(top))
        width = max(1, round(line * self.metre)) if line else 0
        pygame.draw.rect(self.surface, colour, rectangle, width, round(corner * self.metre))

    def glow(self, colour: Colour, x: float, y: float, radius: float, strength: int) -> None:
        """A disc that fades out; the strength is its opacity in the middle, up to 255."""
        image = _glow(colour, max(1, round(radius * self.metre)), strength)
        right, down = self.at(x, y)
        self.surface.blit(image, (round(right) - image.get_width() // 2, round(down) - image.get_height() // 2))


class View(NamedTuple):
    """Where a world lies in its picture: on a part of it, the ground. Pixels count from the upper left corner."""

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
        surface: Where.
        text: What.
        size: Height of a line [pixels].
        colour: Of the letters; the ground stays as it is.
        x: Where it stands across [pixels].
        y: Where its middle is down [pixels].
        align: 0 starts at x, 0.5 is centred there, 1 ends there.
    """
    image = _text(text, size, colour)
    surface.blit(image, (round(x - align * image.get_width()), round(y - 0.46 * image.get_height())))


def figure(value: float, digits: int = 0, unit: str = "") -> str:
    """A number for a counter; "-" where it is undefined (NaN)."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}{unit}"


def text_width(text: str, size: int) -> int:
    """Width of what `write` would write [pixels]."""
    return _text(text, size, WHITE).get_width()


@functools.lru_cache(maxsize=4096)
def _text(text: str, size: int, colour: Colour) -> pygame.Surface:
    # The font is not kept: it would be void once anybody calls pygame.quit, which rendered text survives.
    pygame.font.init()
    # Drawn large and scaled down, because hinting spaces small letters unevenly.
    image = pygame.font.Font(None, 4 * size).render(text, True, colour)
    return pygame.transform.smoothscale(image, (max(1, image.get_width() // 4), max(1, image.get_height() // 4)))


def ahead_of(x: float, y: float, angle: float, ahead: float, left: float) -> Point:
    """The point so far ahead of a pose and to its left."""
    c, s = math.cos(angle), math.sin(angle)
    return x + c * ahead - s * left, y + s * ahead + c * left


def diamond(x: float, y: float, size: float) -> list[Point]:
    """A square on its tip, the given size from its middle to its tips."""
    return [(x + size, y), (x, y + size), (x - size, y), (x, y - size)]


def bolt(x: float, y: float, size: float) -> list[Point]:
    """A flash of lightning, the given size from its middle to its ends."""
    shape = ((0.25, 1.0), (-0.6, -0.15), (-0.05, -0.15), (-0.25, -1.0), (0.6, 0.2), (0.05, 0.2))
    return [(x + size * dx, y + size * dy) for dx, dy in shape]


def arc(x: float, y: float, inner: float, outer: float, share: float) -> list[Point]:
    """Outline of a ring, from the top clockwise as far as the share of a full turn."""
    angles = [0.5 * math.pi - 2.0 * math.pi * share * k / 32 for k in range(33)]
    sides = ((inner, angles), (outer, angles[::-1]))
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for radius, side in sides for a in side]
