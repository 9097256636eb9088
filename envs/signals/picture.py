"""The picture of one world: the town from above, its vehicles and lights, counters above and a legend below.

Nothing here needs a display. Roads and boxes are drawn as the intersection draws its own. A vehicle that has just left
a box moves over to the lane it needs within `BLEND` metres.

    vehicle     yellow where it is fast, purple where it stands; red rear lights at a standstill
    bar         a movement's light at its stop line: green, amber, red; grey at a dark signal
    arrow       the way a green movement takes through the box
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import pygame
from numpy.typing import NDArray

from .. import core
from ..intersection.arcs import Segment
from ..intersection.config import LENGTH as CAR_LENGTH
from ..intersection.config import WIDTH
from ..intersection.roads import LANE, Movement, half_side, movements
from ..kit import paint
from ..kit.paint import Canvas, Colour, Point
from .config import CONTROL_STEP, Config
from .env import Signals
from .lights import is_dark
from .network import LENGTH, N_MOVEMENTS, SOURCE, network_of, used
from .state import COME, ENTERED, GONE, LAST_TURN, PHASE, PREVIOUS, SINCE, TURNS, State
from .state import LANE as LANE_OF

SUPERSAMPLE = 2
BLEND = 25.0
"""Within these metres after a box a vehicle moves over to its lane [m]."""
ASPHALT: Colour = (92, 99, 112)
BOX: Colour = (104, 111, 124)
GRASS: Colour = (226, 234, 222)
GREEN: Colour = (60, 200, 110)
AMBER: Colour = (255, 178, 44)
FAST: Colour = (253, 231, 76)
SLOW: Colour = (142, 68, 173)
_WIDTH, _HEADER, _FOOTER, _CHIP = 760, 58, 38, 24  # [pixels]
_KERB = 0.6  # [m]


class View(NamedTuple):
    """Where a network lies in its picture."""

    scale: float  # pixels per metre
    west: float  # of what is shown [m]
    south: float
    ground: tuple[int, int]  # width and height [pixels], even as video codecs want it

    def canvas(self, surface: pygame.Surface, finer: int) -> Canvas:
        """A canvas for the ground alone, on a surface so many times larger than the ground is shown."""
        scale = self.scale * finer
        return Canvas(surface, scale, -self.west * scale, self.ground[1] * finer + self.south * scale, finer)


@functools.lru_cache(maxsize=16)
def view_of(config: Config) -> View:
    """Chooses the scale so that all pictures are of like width."""
    centre, rim = network_of(config).centre, half_side(config.lanes) + min(config.approach, 60.0)
    low, high = centre.min(axis=0) - rim, centre.max(axis=0) + rim
    scale = _WIDTH / (high[0] - low[0])
    return View(float(scale), float(low[0]), float(low[1]), (_WIDTH, 2 * round(0.5 * scale * (high[1] - low[1]))))


@paint.one_at_a_time
def draw(env: Signals, state: State, world: int) -> NDArray[np.uint8]:
    """Draws one world.

    Args:
        env: The environment that made the state.
        state: Of any number of worlds.
        world: Which of them.

    Returns:
        (height, width, 3) RGB. Both sides are even and depend on the network only.
    """
    state = core.take_worlds(state, np.array([world]))
    view = view_of(env.config)
    canvas = view.canvas(_ground(env.config).copy(), SUPERSAMPLE)
    _draw_lights(canvas, env, state)
    _draw_vehicles(canvas, env, state)
    picture = _frame(env.config).copy()
    ground = picture.subsurface((0, _HEADER, *view.ground))
    pygame.transform.smoothscale(canvas.surface, ground.get_size(), ground)
    _write_counters(picture, env, state)
    pixels = np.frombuffer(pygame.image.tobytes(picture, "RGB"), dtype=np.uint8)
    width, height = picture.get_size()
    return pixels.reshape(height, width, 3).copy()  # (height * width * 3,) -> (height, width, 3)


def pose(env: Signals, lane: int, position: float, came: int) -> tuple[float, float, float]:
    """Where a front bumper is: x, y [m] and heading [rad].

    Args:
        env: Whose network.
        lane: Which lane it is in, or goes to.
        position: In that lane [m].
        came: The movement it came by, -1 if it came from an entry.
    """
    link, inner = divmod(lane, env.config.lanes)
    source, length = int(env.network.link[link, SOURCE]), env.network.link[link, LENGTH]
    h = half_side(env.config.lanes)
    if came < 0:
        cx, cy = env.network.centre[link // 4].tolist()
        x, y = paint.ahead_of(cx, cy, _angle(link), -h - length + position, -(inner + 0.5) * LANE)
        return x, y, _angle(link)
    way = _way(env.config, came)
    x, y = env.network.centre[source]
    if position < 0.0:
        bx, by, angle = way.path.at(way.path.length + position)
        return float(bx) + x, float(by) + y, float(angle)
    over = min(position / BLEND, 1.0)
    aside = way.exit_lane + (inner - way.exit_lane) * over * over * (3.0 - 2.0 * over)
    angle = 0.5 * math.pi * way.exit_heading
    x, y = paint.ahead_of(x, y, angle, h + position, -(aside + 0.5) * LANE)
    return x, y, angle


def _angle(link: int) -> float:
    return 0.5 * math.pi * (link % 4)


@functools.lru_cache(maxsize=256)
def _way(config: Config, movement: int) -> Movement:
    """The path of a movement, the outermost where there are several."""
    heading, turn = divmod(movement, 3)
    return [
        way
        for way in movements(config.lanes)
        if (way.heading, way.turn) == (heading, turn) and used(way.lane, way.turn, config.lanes)
    ][-1]


def length_of_way(env: Signals, movement: int) -> float:
    """How long a movement's path through the box is [m]; 0 for none (-1)."""
    return float(_way(env.config, movement).path.length) if movement >= 0 else 0.0


def came_by(env: Signals, lane: int, turns: int) -> int:
    """The movement by which a vehicle with such turns came to a lane, -1 to one of an entry."""
    if env.network.source[lane] == len(env.network.target):
        return -1
    turn = turns >> LAST_TURN & 3
    return 3 * ((int(env.network.heading[lane]) + turn - 1) % 4) + turn


def _draw_vehicles(canvas: Canvas, env: Signals, state: State) -> None:
    first = len(env.network.line)
    for i in range(first, first + int(state.n_vehicles[0])):
        lane, speed = int(state.chain[0, i, LANE_OF]), float(state.speed[0, i])
        came = came_by(env, lane, int(state.chain[0, i, TURNS]))
        x, y, angle = pose(env, lane, float(state.position[0, i]), came)
        at = functools.partial(paint.ahead_of, x, y, angle)
        half = canvas.at_least(0.5 * WIDTH, 1.0)
        colour = paint.mix(SLOW, FAST, min(speed / env.config.speed_limit, 1.0))
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


def _draw_lights(canvas: Canvas, env: Signals, state: State) -> None:
    """Bars at the stop lines, and the paths of green movements."""
    config, net, now = env.config, env.network, float(state.step[0] * CONTROL_STEP)
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
                if (way.heading, way.turn) != divmod(movement, 3) or not used(way.lane, way.turn, config.lanes):
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
                left, right = way.lane * LANE + 0.25, (way.lane + 1) * LANE - 0.25
                if way.lane == config.lanes - 1:
                    left, right = (left, left + 1.5) if way.turn == 1 else (left + 1.5, right)
                at = functools.partial(paint.ahead_of, cx, cy, 0.5 * math.pi * way.heading)
                canvas.line(colour, [at(-h, -left), at(-h, -right)], canvas.at_least(1.4, 2.5))


def _write_counters(picture: pygame.Surface, env: Signals, state: State) -> None:
    metrics = env.metrics(state)
    come, entered = (int(state.entered[0, :, k].sum()) for k in (COME, ENTERED))
    counters = (
        ("TIME", f"{state.step[0] * CONTROL_STEP / 60.0:.1f} min"),
        ("ON THE ROADS", f"{entered - int(state.totals[0, GONE])}"),
        ("WAITING OUTSIDE", f"{come - entered}"),
        ("DELAY", paint.figure(metrics["delay"][0], 0, " s")),
        ("STANDING", paint.figure(metrics["queue"][0], 1)),
        ("LEFT", paint.figure(metrics["throughput"][0], 0, "/h")),
    )
    for column, (caption, value) in enumerate(counters):
        x = _WIDTH * (column + 0.5) / len(counters)
        paint.write(picture, value, 27, paint.WHITE, x, 0.42 * _HEADER)
        paint.write(picture, caption, 13, paint.MUTED, x, 0.8 * _HEADER)


@functools.lru_cache(maxsize=8)
def _ground(config: Config) -> pygame.Surface:
    """Grass, roads, markings and boxes, `SUPERSAMPLE` times as large as in the picture."""
    view, centre = view_of(config), network_of(config).centre.tolist()
    width, height = view.ground
    surface = pygame.Surface((width * SUPERSAMPLE, height * SUPERSAMPLE), 0, 32)
    surface.fill(GRASS)
    canvas = view.canvas(surface, SUPERSAMPLE)
    half, h = config.lanes * LANE, half_side(config.lanes)
    west, south = view.west - 1.0, view.south - 1.0
    east, north = west + width / view.scale + 2.0, south + height / view.scale + 2.0
    for extra, colour in ((_KERB, paint.SHADE), (0.0, ASPHALT)):
        for cx, cy in centre:
            _rectangle(canvas, colour, west, cy - half - extra, east, cy + half + extra)
            _rectangle(canvas, colour, cx - half - extra, south, cx + half + extra, north)
    for cx, cy in centre:
        canvas.polygon(BOX, _box(cx, cy, h, half))
        for heading in range(4):
            at = functools.partial(paint.ahead_of, cx, cy, 0.5 * math.pi * heading)
            white, block = paint.mix(paint.WHITE, ASPHALT, 0.25), 0.5 * config.block
            canvas.line(white, [at(-h, 0.0), at(-h - block, 0.0)], canvas.at_least(0.25, 1.0))
            for lane in range(1, config.lanes):
                for k in range(int(block / 6.0)):
                    start = -h - 6.0 * k
                    line = [at(start, -lane * LANE), at(start - 3.0, -lane * LANE)]
                    canvas.line(paint.mix(white, ASPHALT, 0.4), line, canvas.at_least(0.15, 1.0))
    return surface


def _box(cx: float, cy: float, h: float, half: float) -> list[Point]:
    """The outline of a crossing's box, between the kerbs' quarter circles."""
    outline: list[Point] = []
    for k in range(4):
        corner = Segment(-h, -half, 0.0, -1.0 / (h - half), 0.5 * math.pi * (h - half))
        for s in np.linspace(0.0, corner.length, 9):
            x, y, _ = corner.at(s)
            outline.append(paint.ahead_of(cx, cy, 0.5 * math.pi * k, float(x), float(y)))
    return outline


def _rectangle(canvas: Canvas, colour: Colour, west: float, south: float, east: float, north: float) -> None:
    canvas.polygon(colour, [(west, south), (east, south), (east, north), (west, north)])


@functools.lru_cache(maxsize=16)
def _frame(config: Config) -> pygame.Surface:
    """What surrounds the ground: the header, still empty, and the footer with its legend."""
    width, height = view_of(config).ground
    picture = pygame.Surface((width, _HEADER + height + _FOOTER), 0, 32)
    picture.fill(paint.INK)
    legend = [("fast", FAST), ("standing", SLOW), ("green", GREEN), ("yellow", AMBER), ("red", paint.ALARM)]
    if config.n_blackouts:
        legend.append(("dark", paint.DEAD))
    widths = [_CHIP + 6 + paint.text_width(caption, 16) for caption, _ in legend]
    gap = (width - sum(widths)) / len(legend)
    left, y = 0.5 * gap, _HEADER + height + 0.5 * _FOOTER - 1
    for (caption, colour), wide in zip(legend, widths, strict=True):
        box = pygame.Rect(round(left), round(y - 0.5 * _CHIP), _CHIP, _CHIP)
        pygame.draw.rect(picture, ASPHALT, box, border_radius=4)
        pygame.draw.rect(picture, colour, box.inflate(-6, -14), border_radius=3)
        paint.write(picture, caption, 16, paint.MUTED, left + _CHIP + 6, y, align=0.0)
        left += wide + gap
    return picture
