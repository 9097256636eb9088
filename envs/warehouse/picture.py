"""The picture of one warehouse: floor, racks and robots, with counters above and a legend below.

Nothing here needs a display. Everything on the floor is drawn at `SUPERSAMPLE` times the size and scaled down, which
smooths all edges; what never moves is drawn once per layout. Pixel rows count downwards, so y is flipped.

    disc             robot, its tip pointing ahead; a box on it is its load, an arc around it its battery
    red              contact in this control step
    grey, crossed    dead: its battery is flat
    coloured line    route of that robot, by way of its next waypoint to the ring on its goal
    thin grey line   two robots of which at least one hears the other
    diamond          a waiting order: full among the oldest, which a dispatcher chooses from, else hollow; red when late
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pygame
from numpy.typing import NDArray

from .. import core
from ..kit import paint
from ..kit.paint import Canvas, Colour, Point, View, agent_colour
from . import layout as maps
from .config import Config
from .layout import NODE_SPACING, Layout
from .metrics import metrics_of
from .observe import hear, waypoints
from .params import params_of
from .physics import ANGLE, CHASSIS_RADIUS, CONTROL_STEP, RADIUS, X, Y
from .state import CONTACTS, DELIVERIES, MISSES, NOBODY, TO_STATION, WAITING, State
from .work import LOW_BATTERY

SUPERSAMPLE = 2
RIM = 0.35
"""Width of the outer walls that is shown [m]."""
_STILL = 2 * SUPERSAMPLE  # what is drawn only once can be finer still
_MIN_WIDTH, _MAX_WIDTH, _MAX_HEIGHT, _MAX_SCALE = 480, 860, 720, 76  # of the floor [pixels]; pixels per metre
_HEADER, _FOOTER, _CHIP = 58, 38, 24  # [pixels]


def view_of(layout: str) -> View:
    """Returns the view of a map, at a scale at which pictures of small and huge maps are of similar size."""
    rows, columns = maps.load(layout).blocked.shape
    fit = min(_MAX_WIDTH / (columns - 2 + 2 * RIM), _MAX_HEIGHT / (rows - 2 + 2 * RIM), _MAX_SCALE)
    scale = max(4, 2 * int(fit / 2))
    rim = round(RIM * scale)
    floor_width, floor_height = (columns - 2) * scale + 2 * rim, (rows - 2) * scale + 2 * rim
    width = max(floor_width, _MIN_WIDTH)
    ground = ((width - floor_width) // 2, _HEADER, floor_width, floor_height)
    return View(scale, rim - scale, floor_height - rim + scale, ground)


def size_of(view: View) -> tuple[int, int]:
    """Returns width and height of the picture [pixels], both even, as video codecs want it."""
    left, _, width, height = view.ground
    return 2 * left + width, _HEADER + height + _FOOTER


@paint.one_at_a_time
def draw(config: Config, state: State, world: int) -> NDArray[np.uint8]:
    """Draws one world.

    Args:
        config: The configuration of the environment that made the state.
        state: State of any number of worlds.
        world: Index of the world to draw.

    Returns:
        (height, width, 3) RGB. Both sides are even and depend on the layout only.
    """
    state = core.take_worlds(state, np.array([world]))
    text = maps.read(config.layout)
    layout, view = maps.load(text), view_of(text)
    canvas = view.canvas(_ground(text).copy(), SUPERSAMPLE)
    waiting = (state.order_status[0] == WAITING) & (state.order_release[0] <= state.step[0])
    orders = np.nonzero(waiting)[0]  # oldest first
    _draw_orders(canvas, config, layout, state, orders)
    _draw_links(canvas, config, layout, state)
    _draw_routes(canvas, layout, state)
    _draw_robots(canvas, config, state)
    picture = _frame(view).copy()
    floor = picture.subsurface(view.ground)
    pygame.transform.smoothscale(canvas.surface, floor.get_size(), floor)
    _write_names(picture, view, state)
    _write_counters(picture, view, state, len(orders))
    return paint.pixels_of(picture)


def _draw_orders(canvas: Canvas, config: Config, layout: Layout, state: State, orders: NDArray[np.int64]) -> None:
    for rank, order in reversed(list(enumerate(orders.tolist()))):
        x, y = layout.targets[state.order_face[0, order]].tolist()
        late = bool(state.order_deadline[0, order] <= state.step[0])
        _draw_order(canvas, x, y, late, rank < config.n_orders)


def _draw_order(canvas: Canvas, x: float, y: float, late: bool, seen: bool) -> None:
    size, colour = canvas.at_least(0.13, 3.5), paint.ALARM if late else paint.INK
    canvas.polygon(paint.WHITE, paint.diamond(x, y, 1.35 * size))
    canvas.polygon(colour, paint.diamond(x, y, size))
    if not seen:
        canvas.polygon(paint.WHITE, paint.diamond(x, y, 0.6 * size))


def _draw_links(canvas: Canvas, config: Config, layout: Layout, state: State) -> None:
    n_robots = state.alive.shape[1]
    adjacency = np.zeros((1, n_robots, n_robots), dtype=bool)
    hear(params_of(config, layout), layout, state, adjacency)
    hears = adjacency[0]
    links = np.argwhere(np.triu(hears | hears.T)).tolist()
    place = state.body[0, :, X : Y + 1].tolist()
    # The more there are, the paler: a crowd must not hide the floor.
    colour = paint.mix(paint.HEARS, paint.FLOOR, min(len(links) / 300.0, 0.55))
    for i, j in links:
        canvas.hairline(colour, place[i], place[j])


def _draw_routes(canvas: Canvas, layout: Layout, state: State) -> None:
    ahead = np.empty((*state.alive.shape, 3))
    waypoints(layout, state, ahead)
    way = ahead[0].tolist()
    for i, goal in enumerate(state.goal[0].tolist()):
        if goal != NOBODY and state.alive[0, i]:
            # Shared stretches of routes lie side by side.
            route = _route(layout, way[i][0], way[i][1], goal, aside=0.05 * (i % 5 - 2))
            _draw_route(canvas, agent_colour(i), [tuple(state.body[0, i, X : Y + 1].tolist()), *route])


def _draw_route(canvas: Canvas, colour: Colour, points: list[Point]) -> None:
    colour = paint.mix(colour, paint.INK, 0.1)  # thin lines look paler than discs
    canvas.line(colour, points, canvas.at_least(0.03, 1.0))
    radius = canvas.at_least(0.23, 5.0)
    canvas.disc(paint.WHITE, *points[-1], 1.12 * radius)
    canvas.ring(colour, *points[-1], radius, 0.3 * radius)
    canvas.disc(colour, *points[-1], 0.3 * radius)


def _route(layout: Layout, x: float, y: float, goal: int, aside: float) -> list[Point]:
    """Returns the shortest route from a waypoint to the goal, shifted by `aside` [m]."""
    columns = int(layout.width / NODE_SPACING) + 1
    node = round(y / NODE_SPACING) * columns + round(x / NODE_SPACING)
    follows = layout.next_node[goal].item
    points = []
    while follows(node) != node:
        points.append((node % columns * NODE_SPACING + aside, node // columns * NODE_SPACING + aside))
        node = follows(node)
    x, y = layout.targets[goal].tolist()
    return [*points, (x, y)]


def _draw_robots(canvas: Canvas, config: Config, state: State) -> None:
    robots = list(enumerate(state.body[0, :, : ANGLE + 1].tolist()))
    for i, (x, y, _) in robots:
        if state.hit[0, i]:
            canvas.glow(paint.ALARM, x, y, 0.7, 190)
        else:
            canvas.glow(paint.INK, x, y - 0.05, 0.43, 120)
    for i, (x, y, angle) in robots:
        alive = bool(state.alive[0, i])
        if config.battery and alive:
            share = float(state.battery[0, i] / config.battery_capacity)
            canvas.disc(paint.WHITE, x, y, RADIUS + 0.1)
            colour = paint.GOOD if share > LOW_BATTERY else paint.ALARM
            canvas.polygon(colour, paint.arc(x, y, RADIUS, RADIUS + 0.08, share))
        loaded, hit = bool(state.phase[0, i] == TO_STATION), bool(state.hit[0, i])
        _draw_robot(canvas, x, y, angle, agent_colour(i), alive, loaded, hit)


def _draw_robot(
    canvas: Canvas, x: float, y: float, angle: float, colour: Colour, alive: bool, loaded: bool, hit: bool
) -> None:
    rim = paint.ALARM if hit else paint.INK if alive else paint.mix(paint.DEAD, paint.INK, 0.5)
    colour = colour if alive else paint.DEAD
    for shade, radius, tip in ((rim, RADIUS, 0.45), (colour, CHASSIS_RADIUS, 0.375)):
        # The tip's sides touch the circle.
        touch = math.acos(radius / tip)
        sides = [(radius * math.cos(touch), s * radius * math.sin(touch)) for s in (-1.0, 1.0)]
        canvas.polygon(shade, [paint.ahead_of(x, y, angle, *point) for point in ((tip, 0.0), *sides)])
        canvas.disc(shade, x, y, radius)
    if loaded:
        for half, shade in ((0.18, paint.BOX_EDGE), (0.15, paint.BOX)):
            corners = ((half, half), (half, -half), (-half, -half), (-half, half))
            canvas.polygon(shade, [paint.ahead_of(x, y, angle, *corner) for corner in corners])
    if not alive:
        for s in (-1.0, 1.0):
            canvas.line(rim, [(x - 0.16, y - 0.16 * s), (x + 0.16, y + 0.16 * s)], 0.06)


def _write_names(picture: pygame.Surface, view: View, state: State) -> None:
    """Writes the robots' indices, after scaling down, so that they stay crisp."""
    size = max(11, round(0.33 * view.scale))
    for i, (x, y) in enumerate(state.body[0, :, X : Y + 1].tolist()):
        if state.alive[0, i]:
            ground = paint.BOX if state.phase[0, i] == TO_STATION else agent_colour(i)
            paint.write(picture, str(i), size, paint.readable_on(ground), *view.project(x, y))


def _write_counters(picture: pygame.Surface, view: View, state: State, n_open: int) -> None:
    totals, (width, _) = state.totals[0], size_of(view)
    counters = (
        ("TIME", f"{state.step[0] * CONTROL_STEP:.1f} s"),
        ("DELIVERED", f"{totals[DELIVERIES]:.0f}"),
        ("ORDERS / H", paint.figure(metrics_of(state)["orders_per_hour"][0])),
        ("OPEN ORDERS", f"{n_open}"),
        ("CONTACTS", f"{totals[CONTACTS]:.0f}"),
        ("MISSES", f"{totals[MISSES]:.0f}"),
    )
    for column, (caption, value) in enumerate(counters):
        x = width * (column + 0.5) / len(counters)
        paint.write(picture, value, 27, paint.WHITE, x, 0.42 * _HEADER)
        paint.write(picture, caption, 13, paint.MUTED, x, 0.8 * _HEADER)


@functools.lru_cache(maxsize=8)
def _ground(text: str) -> pygame.Surface:
    """Draws all of a map that never moves, `SUPERSAMPLE` times as large as in the picture."""
    view, plan = view_of(text), maps.load(text)
    width, height = view.ground[2:]
    surface = pygame.Surface((width * _STILL, height * _STILL), 0, 32)
    surface.fill(paint.FLOOR)
    canvas = view.canvas(surface, _STILL)
    thin = canvas.at_least(0.0, 1.0)
    for x in range(1, plan.width):
        canvas.line(paint.GRID, [(x, 0), (x, plan.height)], thin)
    for y in range(1, plan.height):
        canvas.line(paint.GRID, [(0, y), (plan.width, y)], thin)
    for index, (x, y) in enumerate(plan.targets[plan.n_faces :].tolist()):
        fill, edge = paint.STATION if index < plan.n_stations else paint.CHARGER
        canvas.square(fill, x, y, 0.9, 0.14)
        canvas.square(edge, x, y, 0.9, 0.14, line=0.035)
        if index < plan.n_stations:
            size = round(0.27 * canvas.metre)
            paint.write(surface, f"S{index + 1}", size, edge, *canvas.at(x - 0.35, y + 0.29), align=0.0)
        else:
            canvas.polygon(edge, paint.bolt(x, y, 0.3))
    blocked = [(x + 0.5, y + 0.5) for y, x in np.argwhere(plan.blocked).tolist()]
    for x, y in blocked:
        canvas.square(paint.SHADE, x, y - 0.05, 1.08, 0.06)
    for x, y in blocked:
        if plan.racks[int(y), int(x)]:
            _draw_rack(canvas, int(x), int(y))
        else:
            canvas.square(paint.INK, x, y, 1.0)
    return pygame.transform.smoothscale(surface, (width * SUPERSAMPLE, height * SUPERSAMPLE))


def _draw_rack(canvas: Canvas, x: int, y: int) -> None:
    """Draws two by two bays, each with goods or empty."""
    canvas.square(paint.RACK, x + 0.5, y + 0.5, 1.0)
    for bay in range(4):
        mixed = (x * 7919 + y * 104729 + bay * 15485863) * 2654435761 % 2**32 >> 16  # as good as random
        goods = paint.GOODS[mixed % len(paint.GOODS)]
        canvas.square(goods, x + 0.25 + 0.5 * (bay % 2), y + 0.25 + 0.5 * (bay // 2), 0.41, 0.04)


@functools.lru_cache(maxsize=32)
def _frame(view: View) -> pygame.Surface:
    """Draws what surrounds the floor: the header, still empty, and the footer with its legend."""
    width, height = size_of(view)
    picture = pygame.Surface((width, height), 0, 32)
    picture.fill(paint.INK)
    legend = ("open order", "late", "goal", "loaded", "contact", "hears")
    widths = [_CHIP + 6 + paint.text_width(caption, 16) for caption in legend]
    gap = (width - sum(widths)) / len(legend)
    left, y = 0.5 * gap, height - 0.5 * _FOOTER - 1
    for caption, wide in zip(legend, widths, strict=True):
        picture.blit(_chip(caption), (round(left), round(y - 0.5 * _CHIP)))
        paint.write(picture, caption, 16, paint.MUTED, left + _CHIP + 6, y, align=0.0)
        left += wide + gap
    return picture


def _chip(caption: str) -> pygame.Surface:
    """Draws one square metre of floor with what the caption names."""
    side = _CHIP * _STILL
    surface = pygame.Surface((side, side), 0, 32)
    surface.fill(paint.INK)
    canvas = Canvas(surface, side, 0.0, side, _STILL)
    canvas.square(paint.FLOOR, 0.5, 0.5, 1.0, 0.2)
    if caption in ("open order", "late"):
        _draw_order(canvas, 0.5, 0.5, caption == "late", True)
    elif caption == "goal":
        _draw_route(canvas, agent_colour(4), [(0.0, 0.5), (0.6, 0.5)])
    elif caption == "hears":
        canvas.line(paint.HEARS, [(0.1, 0.2), (0.9, 0.8)], 0.04)
    else:
        if caption == "contact":
            canvas.glow(paint.ALARM, 0.45, 0.5, 0.55, 190)
        _draw_robot(canvas, 0.45, 0.5, 0.0, agent_colour(1), True, caption == "loaded", caption == "contact")
    return pygame.transform.smoothscale(surface, (_CHIP, _CHIP))
