"""The picture of one world: the town from above, its vehicles and lights, counters above and a legend below.

Nothing here needs a display. A vehicle that has just left a box moves over to its lane within `BLEND` metres.

    vehicle     yellow where it is fast, purple where it stands; red rear lights at a standstill
    bar         a movement's light at its stop line: green, amber, red; grey at a dark signal
    arrow       the path of a green movement through the box
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pygame
from numpy.typing import NDArray

from ..kit import paint
from ..kit.paint import Canvas, Colour, Point, View
from ..roads.arcs import Segment
from ..roads.cars import CAR_LENGTH, CAR_WIDTH
from ..roads.crossing import LANE as LANE_WIDTH
from ..roads.crossing import Movement, half_side, movements
from ..roads.picture import AMBER, ASPHALT, BOX, CHIP, FOOTER, GRASS, HEADER, KERB, draw_roads, view_of, write_counters
from .config import CONTROL_STEP, Config
from .lights import is_dark
from .metrics import metrics_of
from .network import LENGTH, N_MOVEMENTS, SOURCE, Network, may_turn, network_of
from .state import COME, ENTERED, GONE, LANE, LAST_TURN, PHASE, PREVIOUS, SINCE, TURNS, State

SUPERSAMPLE = 2
BLEND = 25.0
"""Distance after a box within which a vehicle moves over to its lane [m]."""
SHOWN = 60.0
"""Longest part of the roads around the outermost crossings' boxes that is shown [m]."""
GREEN: Colour = (60, 200, 110)
FAST_COLOUR: Colour = (253, 231, 76)
SLOW_COLOUR: Colour = (142, 68, 173)
WIDTH = 760
"""Width of a picture [pixels]."""


@functools.lru_cache(maxsize=16)
def _view(config: Config) -> View:
    rim = half_side(config.lanes) + min(config.approach, SHOWN)
    return view_of(network_of(config).centre, rim, WIDTH)


@paint.one_at_a_time
def draw(config: Config, state: State) -> NDArray[np.uint8]:
    """Draws one world.

    Args:
        config: The configuration of the environment that made the state.
        state: State of this world alone.

    Returns:
        (height, width, 3) RGB. Both sides are even and depend on the network only.
    """
    view = _view(config)
    canvas = view.canvas(_ground(config).copy(), SUPERSAMPLE)
    _draw_lights(canvas, config, state)
    _draw_vehicles(canvas, config, state)
    picture = _frame(config).copy()
    ground = picture.subsurface(view.ground)
    pygame.transform.smoothscale(canvas.surface, ground.get_size(), ground)
    write_counters(picture, _counters(state))
    return paint.pixels_of(picture)


def pose(config: Config, lane: int, position: float, came: int) -> tuple[float, float, float]:
    """Returns where a vehicle's front bumper is: x, y [m] and heading [rad].

    Args:
        config: The configuration of the network.
        lane: The lane that the vehicle is in, or goes to.
        position: Position in that lane [m].
        came: The movement by which it came, -1 if it came from an entry.
    """
    network = network_of(config)
    link, inner = divmod(lane, config.lanes)
    source, length = int(network.link[link, SOURCE]), network.link[link, LENGTH]
    h = half_side(config.lanes)
    if came < 0:
        cx, cy = network.centre[link // 4].tolist()
        x, y = paint.ahead_of(cx, cy, _angle(link), -h - length + position, -(inner + 0.5) * LANE_WIDTH)
        return x, y, _angle(link)
    way = _way(config, came)
    x, y = network.centre[source]
    if position < 0.0:
        bx, by, angle = way.path.at(way.path.length + position)
        return float(bx) + x, float(by) + y, float(angle)
    over = min(position / BLEND, 1.0)
    aside = way.exit_lane + (inner - way.exit_lane) * over * over * (3.0 - 2.0 * over)
    angle = 0.5 * math.pi * way.exit_heading
    x, y = paint.ahead_of(x, y, angle, h + position, -(aside + 0.5) * LANE_WIDTH)
    return x, y, angle


def _angle(link: int) -> float:
    return 0.5 * math.pi * (link % 4)


@functools.lru_cache(maxsize=256)
def _way(config: Config, movement: int) -> Movement:
    """Returns the path of a movement, the outermost where there are several."""
    heading, turn = divmod(movement, 3)
    return [
        way
        for way in movements(config.lanes)
        if (way.heading, way.turn) == (heading, turn) and may_turn(way.lane, way.turn, config.lanes)
    ][-1]


def length_of_way(config: Config, movement: int) -> float:
    """Returns the length of a movement's path through the box [m]; 0 for none (-1)."""
    return float(_way(config, movement).path.length) if movement >= 0 else 0.0


def came_by(network: Network, lane: int, turns: int) -> int:
    """Returns the movement by which a vehicle with these turns came to a lane, -1 if it came from an entry."""
    if network.source[lane] == len(network.target):
        return -1
    turn = turns >> LAST_TURN & 3
    return 3 * ((int(network.heading[lane]) + turn - 1) % 4) + turn


def _draw_vehicles(canvas: Canvas, config: Config, state: State) -> None:
    network = network_of(config)
    first = len(network.line)
    for i in range(first, first + int(state.n_vehicles[0])):
        lane, speed = int(state.chain[0, i, LANE]), float(state.speed[0, i])
        came = came_by(network, lane, int(state.chain[0, i, TURNS]))
        x, y, angle = pose(config, lane, float(state.position[0, i]), came)
        at = functools.partial(paint.ahead_of, x, y, angle)
        half = canvas.at_least(0.5 * CAR_WIDTH, 1.0)
        colour = paint.mix(SLOW_COLOUR, FAST_COLOUR, min(speed / config.speed_limit, 1.0))
        for shade, back, front, side in (
            (paint.INK, -CAR_LENGTH, 0.0, half),
            (colour, 0.25 - CAR_LENGTH, -0.25, half - 0.25),
        ):
            canvas.polygon(shade, [at(back, -side), at(front, -side), at(front, side), at(back, side)])
        if speed < 0.5:
            canvas.polygon(
                paint.ALARM,
                [at(-CAR_LENGTH, -half), at(0.7 - CAR_LENGTH, -half), at(0.7 - CAR_LENGTH, half),
                 at(-CAR_LENGTH, half)],
            )  # fmt: skip


def _draw_lights(canvas: Canvas, config: Config, state: State) -> None:
    """Draws bars at the stop lines, and the paths of green movements."""
    net, now = network_of(config), float(state.step[0] * CONTROL_STEP)
    change = config.yellow + config.all_red
    h = half_side(config.lanes)
    for c, (cx, cy) in enumerate(net.centre.tolist()):
        phase, previous, since = (state.signal[0, c, k] for k in (PHASE, PREVIOUS, SINCE))
        dark = is_dark(state.dark, 0, c, now)
        for movement in range(N_MOVEMENTS):
            colour = paint.ALARM
            if dark:
                colour = paint.DEAD
            elif since >= change and net.green[int(phase)] >> movement & 1:
                colour = GREEN
            elif since < config.yellow and net.green[int(previous)] >> movement & 1:
                colour = AMBER
            for way in movements(config.lanes):
                if (way.heading, way.turn) != divmod(movement, 3) or not may_turn(way.lane, way.turn, config.lanes):
                    continue
                if colour == GREEN:
                    marks = np.linspace(0.0, way.path.length, 12)
                    points = [(float(x) + cx, float(y) + cy) for x, y, _ in map(way.path.at, marks)]
                    shade = paint.mix(GREEN, BOX, 0.25)
                    canvas.line(shade, points[:-1], canvas.at_least(0.7, 1.5))
                    x, y, angle = way.path.at(way.path.length)
                    tip = functools.partial(paint.ahead_of, float(x) + cx, float(y) + cy, float(angle))
                    canvas.polygon(shade, [tip(0.5, 0.0), tip(-2.5, 1.3), tip(-2.5, -1.3)])
                # Right turns share their lane's bar with straight on: it takes the outer half.
                left, right = way.lane * LANE_WIDTH + 0.25, (way.lane + 1) * LANE_WIDTH - 0.25
                if way.lane == config.lanes - 1:
                    left, right = (left, left + 1.5) if way.turn == 1 else (left + 1.5, right)
                at = functools.partial(paint.ahead_of, cx, cy, 0.5 * math.pi * way.heading)
                canvas.line(colour, [at(-h, -left), at(-h, -right)], canvas.at_least(1.4, 2.5))


def _counters(state: State) -> tuple[tuple[str, str], ...]:
    metrics = metrics_of(state)
    come, entered = (int(state.entered[0, :, k].sum()) for k in (COME, ENTERED))
    return (
        ("TIME", f"{state.step[0] * CONTROL_STEP / 60.0:.1f} min"),
        ("ON THE ROADS", f"{entered - int(state.totals[0, GONE])}"),
        ("WAITING OUTSIDE", f"{come - entered}"),
        ("DELAY", paint.figure(metrics["delay"][0], 0, " s")),
        ("STANDING", paint.figure(metrics["queue"][0], 1)),
        ("LEFT", paint.figure(metrics["throughput"][0], 0, "/h")),
    )


@functools.lru_cache(maxsize=8)
def _ground(config: Config) -> pygame.Surface:
    """Returns grass, roads, markings and boxes, `SUPERSAMPLE` times as large as in the picture."""
    view, centre = _view(config), network_of(config).centre.tolist()
    *_, width, height = view.ground
    surface = pygame.Surface((width * SUPERSAMPLE, height * SUPERSAMPLE), 0, 32)
    surface.fill(GRASS)
    canvas = view.canvas(surface, SUPERSAMPLE)
    half, h = config.lanes * LANE_WIDTH, half_side(config.lanes)
    for extra, colour in ((KERB, paint.SHADE), (0.0, ASPHALT)):
        draw_roads(canvas, centre, half, extra, colour, view)
    for cx, cy in centre:
        canvas.polygon(BOX, _box(cx, cy, h, half))
        for heading in range(4):
            at = functools.partial(paint.ahead_of, cx, cy, 0.5 * math.pi * heading)
            white, block = paint.mix(paint.WHITE, ASPHALT, 0.25), 0.5 * config.block
            canvas.line(white, [at(-h, 0.0), at(-h - block, 0.0)], canvas.at_least(0.25, 1.0))
            for lane in range(1, config.lanes):
                for k in range(int(block / 6.0)):
                    start = -h - 6.0 * k
                    line = [at(start, -lane * LANE_WIDTH), at(start - 3.0, -lane * LANE_WIDTH)]
                    canvas.line(paint.mix(white, ASPHALT, 0.4), line, canvas.at_least(0.15, 1.0))
    return surface


def _box(cx: float, cy: float, h: float, half: float) -> list[Point]:
    """Returns the outline of a crossing's box, between the quarter circles of the kerbs."""
    outline: list[Point] = []
    for k in range(4):
        corner = Segment(-h, -half, 0.0, -1.0 / (h - half), 0.5 * math.pi * (h - half))
        for s in np.linspace(0.0, corner.length, 9):
            x, y, _ = corner.at(s)
            outline.append(paint.ahead_of(cx, cy, 0.5 * math.pi * k, float(x), float(y)))
    return outline


@functools.lru_cache(maxsize=16)
def _frame(config: Config) -> pygame.Surface:
    """Returns what surrounds the ground: the header, still empty, and the footer with its legend."""
    *_, width, height = _view(config).ground
    picture = pygame.Surface((width, HEADER + height + FOOTER), 0, 32)
    picture.fill(paint.INK)
    legend = [
        ("fast", FAST_COLOUR),
        ("standing", SLOW_COLOUR),
        ("green", GREEN),
        ("yellow", AMBER),
        ("red", paint.ALARM),
    ]
    if config.n_blackouts:
        legend.append(("dark", paint.DEAD))
    widths = [CHIP + 6 + paint.text_width(caption, 16) for caption, _ in legend]
    gap = (width - sum(widths)) / len(legend)
    left, y = 0.5 * gap, HEADER + height + 0.5 * FOOTER - 1
    for (caption, colour), wide in zip(legend, widths, strict=True):
        box = pygame.Rect(round(left), round(y - 0.5 * CHIP), CHIP, CHIP)
        pygame.draw.rect(picture, ASPHALT, box, border_radius=4)
        pygame.draw.rect(picture, colour, box.inflate(-6, -14), border_radius=3)
        paint.write(picture, caption, 16, paint.MUTED, left + CHIP + 6, y, align=0.0)
        left += wide + gap
    return picture
