"""The picture of one warehouse: a still floor, what happens on it, and counters above. Needs no display.

Everything on the floor is drawn at `SUPERSAMPLE` times the size and scaled down, which smooths all edges. What never
moves is drawn once per layout. Pixels of pictures count from the upper left corner, so y is turned over.

    disc             robot, its tip pointing ahead; a box on it is its load, an arc around it its battery
    red ring         contact in this control step
    grey and crossed dead: its battery is flat
    coloured line    its route, by way of its next waypoint to the ring on its goal
    thin grey line   two robots of which at least one hears the other
    diamond          a waiting order: full among the oldest that a dispatcher sees, red when late, else hollow
"""

from __future__ import annotations

import functools
import math
import os
from typing import NamedTuple

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import numpy as np
import pygame
from numpy.typing import NDArray

from .. import core
from . import layout as maps
from .env import Warehouse, metrics_of
from .layout import NODE_SPACING
from .physics import ANGLE, CHASSIS_RADIUS, CONTROL_STEP, RADIUS, X, Y
from .state import CONTACTS, DELIVERIES, MISSES, NOBODY, TO_STATION, WAITING, State

Colour = tuple[int, int, int]
Point = tuple[float, float]

SUPERSAMPLE = 2
_STILL = 2 * SUPERSAMPLE  # what is drawn only once can be finer still
_RIM = 0.35  # how much of the outer walls is shown [m]
_MIN_WIDTH, _MAX_WIDTH, _MAX_HEIGHT, _MAX_SCALE = 480, 840, 720, 76  # of the floor [pixels], and pixels per metre
_HEADER, _FOOTER = 58, 32  # [pixels]

_INK: Colour = (31, 39, 51)
_MUTED: Colour = (140, 152, 170)
_WHITE: Colour = (255, 255, 255)
_FLOOR: Colour = (244, 245, 247)
_GRID: Colour = (230, 233, 238)
_SHADE: Colour = (214, 218, 225)
_RACK: Colour = (92, 106, 128)
_SHELF: Colour = (203, 210, 220)
_GOODS: tuple[Colour, ...] = ((222, 205, 176), (206, 186, 154), (232, 220, 198), (184, 196, 212), _SHELF, _SHELF)
_BOX: Colour = (201, 158, 103)
_STATION: tuple[Colour, Colour] = ((223, 230, 243), (104, 124, 168))
_CHARGER: tuple[Colour, Colour] = ((250, 240, 208), (190, 147, 20))
_ALARM: Colour = (213, 40, 40)
_DEAD: Colour = (168, 174, 183)
_HEARS: Colour = (128, 141, 166)
_OKABE_ITO: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (0, 114, 178),
    (240, 228, 66),
    (213, 94, 0),
)
"""Colours that stay apart for colour-blind eyes (Okabe and Ito 2008)."""


class View(NamedTuple):
    """Where a layout lies in its picture."""

    scale: int  # pixels per metre, even
    width: int  # of the picture [pixels], even as video codecs want it
    height: int
    floor: tuple[int, int, int, int]  # left, top, width, height of the floor in the picture [pixels]
    rows: int  # height of the layout [m]

    def project(self, x: float, y: float) -> Point:
        """Pixel (right, down) of a point in the world [m]."""
        right, down = self.on_floor(x, y)
        return self.floor[0] + right, self.floor[1] + down

    def on_floor(self, x: float, y: float) -> Point:
        """The same, counted from the upper left corner of the floor."""
        rim = round(_RIM * self.scale)
        return (x - 1.0) * self.scale + rim, (self.rows - 1.0 - y) * self.scale + rim


@functools.lru_cache(maxsize=32)
def view_of(layout: str) -> View:
    """Chooses the scale so that pictures of small and huge layouts are of like size."""
    rows, columns = maps.load(layout).blocked.shape
    fit = min(_MAX_WIDTH / (columns - 2 + 2 * _RIM), _MAX_HEIGHT / (rows - 2 + 2 * _RIM), _MAX_SCALE)
    scale = max(4, 2 * int(fit / 2))
    rim = round(_RIM * scale)
    floor_width, floor_height = (columns - 2) * scale + 2 * rim, (rows - 2) * scale + 2 * rim
    width = max(floor_width, _MIN_WIDTH)
    floor = ((width - floor_width) // 2, _HEADER, floor_width, floor_height)
    return View(scale, width, _HEADER + floor_height + _FOOTER, floor, rows)


def robot_colour(robot: int) -> Colour:
    """Robot i's own: the palette, then darker, then lighter, then from the start."""
    colour = _OKABE_ITO[robot % len(_OKABE_ITO)]
    shade = robot // len(_OKABE_ITO) % 3
    return colour if shade == 0 else _mix(colour, _INK if shade == 1 else _WHITE, 0.4)


def draw(env: Warehouse, state: State, world: int) -> NDArray[np.uint8]:
    """Draws one world.

    Args:
        env: The environment that made the state.
        state: Of any number of worlds.
        world: Which of them.

    Returns:
        (height, width, 3) RGB; both sides are even, and depend on the layout only.
    """
    state = core.take_worlds(state, np.array([world]))
    view = view_of(env.config.layout)
    canvas = _Canvas(view, _ground(env.config.layout, view.scale).copy())
    _draw_orders(canvas, env, state)
    _draw_links(canvas, env, state)
    _draw_routes(canvas, env, state)
    _draw_robots(canvas, env, state)
    picture = _frame(view).copy()
    floor = picture.subsurface(view.floor)
    pygame.transform.smoothscale(canvas.surface, floor.get_size(), floor)
    _draw_names(picture, view, state)
    _draw_counters(picture, view, env, state)
    pixels = np.frombuffer(pygame.image.tobytes(picture, "RGB"), dtype=np.uint8)
    return pixels.reshape(view.height, view.width, 3).copy()  # (height * width * 3,) -> (height, width, 3)


class _Canvas:
    """A surface that is drawn on in metres."""

    def __init__(self, view: View, surface: pygame.Surface) -> None:
        self.view = view
        self.surface = surface
        self.finer = surface.get_width() / view.floor[2]
        self.metre = view.scale * self.finer

    def at(self, x: float, y: float) -> Point:
        right, down = self.view.on_floor(x, y)
        return right * self.finer, down * self.finer

    def width(self, metres: float, least: float = 1.0) -> int:
        """A length in this surface's pixels, at least that many of the picture's."""
        return max(round(metres * self.metre), round(least * self.finer))

    def disc(self, colour: Colour, x: float, y: float, radius: float) -> None:
        pygame.draw.aacircle(self.surface, colour, self.at(x, y), radius * self.metre)

    def ring(self, colour: Colour, x: float, y: float, radius: float, thickness: float) -> None:
        pygame.draw.aacircle(self.surface, colour, self.at(x, y), radius * self.metre, self.width(thickness))

    def polygon(self, colour: Colour, points: list[Point]) -> None:
        pixels = [self.at(x, y) for x, y in points]
        pygame.draw.polygon(self.surface, colour, pixels)
        pygame.draw.aalines(self.surface, colour, True, pixels)

    def square(self, colour: Colour, x: float, y: float, side: float, round_by: float = 0.0, line: float = 0.0) -> None:
        """A square around (x, y), full unless a line width is given; all in metres."""
        left, top = self.at(x - 0.5 * side, y + 0.5 * side)
        right, bottom = self.at(x + 0.5 * side, y - 0.5 * side)
        rectangle = pygame.Rect(round(left), round(top), round(right) - round(left), round(bottom) - round(top))
        thickness = self.width(line) if line else 0
        pygame.draw.rect(self.surface, colour, rectangle, thickness, round(round_by * self.metre))


def _draw_orders(canvas: _Canvas, env: Warehouse, state: State) -> None:
    for rank, order in reversed(list(enumerate(_open_orders(state)))):
        x, y = env.layout.targets[state.order_face[0, order]].tolist()
        late = state.order_deadline[0, order] <= state.step[0]
        seen = rank < env.config.n_orders
        size = max(0.15, 3.5 / canvas.view.scale)
        canvas.polygon(_ALARM if late else _INK, _diamond(x, y, size))
        canvas.polygon(_WHITE if not seen else _ALARM if late else _INK, _diamond(x, y, 0.65 * size))


def _draw_links(canvas: _Canvas, env: Warehouse, state: State) -> None:
    hears = env.adjacency(state)[0]
    place = [canvas.at(x, y) for x, y in state.body[0, :, X : Y + 1].tolist()]
    # One pixel wide before scaling down, so half transparent after.
    for i, j in np.argwhere(np.triu(hears | hears.T)).tolist():
        pygame.draw.aaline(canvas.surface, _HEARS, place[i], place[j])


def _draw_routes(canvas: _Canvas, env: Warehouse, state: State) -> None:
    layout = env.layout
    columns = int(layout.width / NODE_SPACING) + 1
    way = env.waypoints(state)[0].tolist()
    for i, goal in enumerate(state.goal[0].tolist()):
        if goal == NOBODY or not state.alive[0, i]:
            continue
        x, y, _ = way[i]
        node = round(y / NODE_SPACING) * columns + round(x / NODE_SPACING)
        follows = layout.next_node[goal]
        aside = 0.05 * (i % 5 - 2)  # so that shared stretches of routes lie side by side [m]
        points = [state.body[0, i, X : Y + 1].tolist()]
        while True:
            points.append((node % columns * NODE_SPACING + aside, node // columns * NODE_SPACING + aside))
            if follows[node] == node:
                break
            node = follows[node]
        target = tuple(layout.targets[goal].tolist())
        points[-1] = target
        pixels = [canvas.at(x, y) for x, y in points]
        pygame.draw.lines(canvas.surface, robot_colour(i), False, pixels, canvas.width(0.03))
        canvas.ring(_WHITE, *target, max(0.25, 5.5 / canvas.view.scale), 0.11)
        canvas.ring(robot_colour(i), *target, max(0.23, 5 / canvas.view.scale), 0.07)


def _draw_robots(canvas: _Canvas, env: Warehouse, state: State) -> None:
    for i, (x, y, angle) in enumerate(state.body[0, :, : ANGLE + 1].tolist()):
        glow = _glow(round((0.75 if state.hit[0, i] else 0.42) * canvas.metre), _ALARM if state.hit[0, i] else _INK)
        right, down = canvas.at(x, y if state.hit[0, i] else y - 0.04)
        canvas.surface.blit(glow, (right - 0.5 * glow.get_width(), down - 0.5 * glow.get_height()))
    for i, (x, y, angle) in enumerate(state.body[0, :, : ANGLE + 1].tolist()):
        alive = bool(state.alive[0, i])
        if env.config.battery and alive:
            share = float(state.battery[0, i] / env.config.battery_capacity)
            canvas.polygon(_WHITE, _arc(x, y, 1.0))
            canvas.polygon(_OKABE_ITO[2] if share > 0.25 else _ALARM, _arc(x, y, share))
        bumper = _ALARM if state.hit[0, i] else _INK if alive else _mix(_DEAD, _INK, 0.4)
        canvas.polygon(bumper, [_from(x, y, angle, 0.43, 0.0), *(_from(x, y, angle, 0.2, s) for s in (-0.21, 0.21))])
        canvas.disc(bumper, x, y, RADIUS)
        canvas.disc(robot_colour(i) if alive else _DEAD, x, y, CHASSIS_RADIUS)
        if state.phase[0, i] == TO_STATION:
            for half, colour in ((0.2, _mix(_BOX, _INK, 0.65)), (0.165, _BOX)):
                corners = ((half, half), (half, -half), (-half, -half), (-half, half))
                canvas.polygon(colour, [_from(x, y, angle, *corner) for corner in corners])
        if not alive:
            for side in (1, -1):
                ends = [canvas.at(x + 0.24 * end, y + 0.24 * end * side) for end in (1, -1)]
                pygame.draw.line(canvas.surface, bumper, *ends, canvas.width(0.07))


def _draw_names(picture: pygame.Surface, view: View, state: State) -> None:
    """Numbers are written after scaling down, where they stay crisp."""
    size = max(10, round(0.29 * view.scale))
    for i, (x, y) in enumerate(state.body[0, :, X : Y + 1].tolist()):
        on = _BOX if state.phase[0, i] == TO_STATION else robot_colour(i)
        if state.alive[0, i]:
            _write(picture, str(i), size, _INK if _luminance(on) > 110 else _WHITE, *view.project(x, y))


def _draw_counters(picture: pygame.Surface, view: View, env: Warehouse, state: State) -> None:
    totals = state.totals[0]
    counters = (
        ("TIME", f"{state.step[0] * CONTROL_STEP:.1f} s", _WHITE),
        ("DELIVERED", f"{totals[DELIVERIES]:.0f}", _WHITE),
        ("ORDERS / H", f"{metrics_of(state)['orders_per_hour'][0]:.0f}", _WHITE),
        ("OPEN ORDERS", f"{len(_open_orders(state))}", _WHITE),
        ("CONTACTS", f"{totals[CONTACTS]:.0f}", (255, 120, 110) if state.hit.any() else _WHITE),
        ("MISSES", f"{totals[MISSES]:.0f}", _WHITE),
    )
    for column, (caption, value, colour) in enumerate(counters):
        x = view.width * (column + 0.5) / len(counters)
        _write(picture, value, 20, colour, x, 0.42 * _HEADER)
        _write(picture, caption, 10, _MUTED, x, 0.78 * _HEADER)


def _open_orders(state: State) -> list[int]:
    """Orders that have arrived and that nobody has taken, oldest first."""
    return np.nonzero((state.order_status[0] == WAITING) & (state.order_release[0] <= state.step[0]))[0].tolist()


@functools.lru_cache(maxsize=8)
def _ground(layout: str, scale: int) -> pygame.Surface:
    """Everything on the floor that never moves, `SUPERSAMPLE` times as large as in the picture."""
    view, plan = view_of(layout), maps.load(layout)
    width, height = view.floor[2:]
    canvas = _Canvas(view, pygame.Surface((width * _STILL, height * _STILL), 0, 32))
    canvas.surface.fill(_FLOOR)
    for x in range(1, plan.width):
        pygame.draw.line(canvas.surface, _GRID, canvas.at(x, 0), canvas.at(x, plan.height), canvas.width(0.0))
    for y in range(1, plan.height):
        pygame.draw.line(canvas.surface, _GRID, canvas.at(0, y), canvas.at(plan.width, y), canvas.width(0.0))
    for index, (x, y) in enumerate(plan.targets[plan.n_faces :].tolist()):
        fill, line = _STATION if index < plan.n_stations else _CHARGER
        canvas.square(fill, x, y, 0.86, 0.14)
        canvas.square(line, x, y, 0.86, 0.14, line=0.035)
        if index < plan.n_stations:
            _write(canvas.surface, f"S{index + 1}", round(0.34 * canvas.metre), line, *canvas.at(x, y))
        else:
            canvas.polygon(line, _bolt(x, y, 0.3))
    for y, x in np.argwhere(plan.blocked).tolist():
        canvas.square(_SHADE, x + 0.5, y + 0.46, 1.1, 0.08)
    for y, x in np.argwhere(plan.blocked).tolist():
        if not plan.racks[y, x]:
            canvas.square(_INK, x + 0.5, y + 0.5, 1.0)
            continue
        canvas.square(_RACK, x + 0.5, y + 0.5, 1.0)
        for bay in range(4):  # two bays by two, each holding goods or nothing
            goods = _GOODS[((x * 73 + y * 151 + bay * 37) ^ (x * y * 11 + bay)) % len(_GOODS)]
            canvas.square(_SHELF, x + 0.27 + 0.46 * (bay % 2), y + 0.27 + 0.46 * (bay // 2), 0.4, 0.03)
            canvas.square(goods, x + 0.27 + 0.46 * (bay % 2), y + 0.27 + 0.46 * (bay // 2), 0.31, 0.03)
    return pygame.transform.smoothscale(canvas.surface, (width * SUPERSAMPLE, height * SUPERSAMPLE))


@functools.lru_cache(maxsize=32)
def _frame(view: View) -> pygame.Surface:
    """What surrounds the floor: the empty header, and the footer with its legend."""
    surface = pygame.Surface((view.width, view.height), 0, 32)
    surface.fill(_INK)
    return surface


@functools.lru_cache(maxsize=64)
def _glow(radius: int, colour: Colour) -> pygame.Surface:
    """A disc that fades out."""
    surface = pygame.Surface((2 * radius + 1, 2 * radius + 1), pygame.SRCALPHA, 32)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    fading = np.clip(1.0 - np.hypot(x, y) / max(radius, 1), 0.0, 1.0)
    surface.fill((*colour, 0))
    alpha = pygame.surfarray.pixels_alpha(surface)
    alpha[:] = np.minimum(255.0, 330.0 * fading).astype(np.uint8)
    del alpha  # unlocks the surface
    return surface


@functools.lru_cache(maxsize=4096)
def _text(text: str, size: int, colour: Colour) -> pygame.Surface:
    # The font is not kept: it would be void once anybody calls pygame.quit, which the surface survives.
    pygame.font.init()
    return pygame.font.Font(None, round(1.35 * size)).render(text, True, colour)


def _write(surface: pygame.Surface, text: str, size: int, colour: Colour, x: float, y: float) -> None:
    """Centres text on a pixel."""
    image = _text(text, size, colour)
    surface.blit(image, (round(x - 0.5 * image.get_width()), round(y - 0.5 * image.get_height())))


def _from(x: float, y: float, angle: float, ahead: float, left: float) -> Point:
    """The point so far ahead and to the left of a pose [m]."""
    c, s = math.cos(angle), math.sin(angle)
    return x + c * ahead - s * left, y + s * ahead + c * left


def _arc(x: float, y: float, share: float) -> list[Point]:
    """Outline of a ring around a robot, from the top clockwise as far as the share of a full turn."""
    angles = [0.5 * math.pi - 2.0 * math.pi * share * k / 32 for k in range(33)]
    inner, outer = RADIUS + 0.02, RADIUS + 0.09
    return [(x + r * math.cos(a), y + r * math.sin(a)) for r, order in ((inner, 1), (outer, -1)) for a in angles[::order]]


def _diamond(x: float, y: float, size: float) -> list[Point]:
    return [(x + size, y), (x, y + size), (x - size, y), (x, y - size)]


def _bolt(x: float, y: float, size: float) -> list[Point]:
    shape = ((0.25, 1.0), (-0.6, -0.15), (-0.05, -0.15), (-0.25, -1.0), (0.6, 0.2), (0.05, 0.2))
    return [(x + size * dx, y + size * dy) for dx, dy in shape]


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round((1.0 - share) * a + share * b) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _luminance(colour: Colour) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
