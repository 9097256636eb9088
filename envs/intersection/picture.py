"""The picture of one world: still roads, cars and their intents on them, counters above and a legend below.

Nothing here needs a display. Everything on the ground is drawn at `SUPERSAMPLE` times the size and scaled down, which
smooths all edges; what never moves is drawn once per network. Pixels count from the upper left corner, so y turns over.

    car              in its own colour, numbered; red rear lights while it brakes; emergency vehicles have a blue bar
    ribbon           the path it takes next, as far as it tells others: pale, and full where it will be within 3 s
    amber square     a conflict zone ahead of two cars that are both about to use it; red if within 1.5 s of each other
    thin grey line   two cars that hear each other and whose paths conflict
    white ring       announces to come late
    star             a crash in this control step
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
import pygame
from numpy.typing import NDArray

from .. import core
from ..kit import paint
from ..kit.paint import Canvas, Colour, Point, agent_colour
from . import senses as sensing
from .config import LENGTH, WIDTH, Config
from .env import Intersection
from .metrics import metrics_of
from .roads import END, ENTER, LANE, LEAVE, LINE, Roads, half_side, movements, roads_of
from .spots import N_SPOT, REST, WAY, locate, pose_at, reach_time, shares_zone
from .state import (
    ACCELERATED,
    ANNOUNCED,
    ARRIVED,
    CONTROL_STEP,
    CRASHED,
    DRIVING,
    FINISHED,
    OPENS,
    PENDING,
    POSITION,
    SPEED,
    State,
)

SUPERSAMPLE = 2
SHOWN = 32.0
"""How much of the roads around the outermost crossings' boxes is shown at most [m]."""
LOOK_AHEAD = 3.0
"""Of the full part of a ribbon [s]."""
TIGHT = 1.5
"""Arrivals nearer than this in time make a zone red [s]."""
ASPHALT: Colour = (92, 99, 112)
BOX: Colour = (104, 111, 124)
GRASS: Colour = (226, 234, 222)
AMBER: Colour = (255, 178, 44)
_WIDTH, _HEADER, _FOOTER, _CHIP = 720, 58, 38, 24  # [pixels]
_KERB = 0.6  # [m]


class View(NamedTuple):
    """Where a network lies in its picture."""

    scale: float  # pixels per metre
    west: float  # of what is shown [m]
    south: float
    ground: tuple[int, int]  # width and height of the ground [pixels], even as video codecs want it

    def canvas(self, surface: pygame.Surface, finer: int) -> Canvas:
        """A canvas for the ground alone, on a surface so many times larger than the ground is shown."""
        scale = self.scale * finer
        return Canvas(surface, scale, -self.west * scale, self.ground[1] * finer + self.south * scale, finer)

    def project(self, x: float, y: float) -> Point:
        """Pixel (right, down) in the picture of a point in the world [m]."""
        return (x - self.west) * self.scale, _HEADER + self.ground[1] - (y - self.south) * self.scale


@functools.lru_cache(maxsize=16)
def view_of(config: Config) -> View:
    """Chooses the scale so that all pictures are of like width."""
    centre = roads_of(config).centre
    rim = half_side(config.lanes) + min(SHOWN, config.approach)
    low, high = centre.min(axis=0) - rim, centre.max(axis=0) + rim
    scale = _WIDTH / (high[0] - low[0])
    height = 2 * round(0.5 * scale * (high[1] - low[1]))
    return View(float(scale), float(low[0]), float(low[1]), (_WIDTH, height))


@paint.one_at_a_time
def draw(env: Intersection, state: State, world: int) -> NDArray[np.uint8]:
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
    pose = np.zeros((env.n_cars, 4))
    driving = np.flatnonzero(state.status[0] == DRIVING).tolist()
    sensing.places(env.roads.segment, state.car, state.route, np.array(driving, dtype=np.int64), 0, pose)
    if env.config.intent != "none":
        for i in driving:
            _draw_ribbon(canvas, env, state, i)
    _draw_zones(canvas, env.roads, state, driving)
    _draw_links(canvas, env, state, pose)
    for i in driving:
        _draw_car(canvas, env, state, i, pose[i].tolist())
    _draw_crashes(canvas, env.roads, state)
    picture = _frame(env.config).copy()
    ground = picture.subsurface((0, _HEADER, *view.ground))
    pygame.transform.smoothscale(canvas.surface, ground.get_size(), ground)
    for i in driving:
        size = max(11, round(1.5 * view.scale))
        paint.write(picture, _name(env, i), size, _on(env, i), *view.project(pose[i, 0], pose[i, 1]))
    _write_counters(picture, env, state)
    pixels = np.frombuffer(pygame.image.tobytes(picture, "RGB"), dtype=np.uint8)
    width, height = picture.get_size()
    return pixels.reshape(height, width, 3).copy()  # (height * width * 3,) -> (height, width, 3)


def _name(env: Intersection, i: int) -> str:
    return str(i) if i < env.n_agents else "?"


def _colour(env: Intersection, i: int) -> Colour:
    return agent_colour(i) if i < env.n_agents else paint.DEAD


def _on(env: Intersection, i: int) -> Colour:
    return paint.readable_on(_colour(env, i))


def _path(roads: Roads, p: int, begin: float, end: float) -> list[Point]:
    """Points of a route, every half metre."""
    marks = [*np.arange(begin, end, 0.5).tolist(), end]
    return [pose_at(roads.segment, p, s)[:2] for s in marks]


def _draw_ribbon(canvas: Canvas, env: Intersection, state: State, i: int) -> None:
    """The path to the end of the box ahead, and how much of it will be driven soon."""
    roads, colour = env.roads, _colour(env, i)
    p, q = int(state.route[0, i]), int(state.leg[0, i])
    s, v = state.car[0, i, POSITION], state.car[0, i, SPEED]
    end = min(roads.leg[p, q, END] + 4.0, roads.length[p])
    if end <= s + 0.5:
        return
    canvas.line(paint.mix(colour, BOX, 0.62), _path(roads, p, s, end), 0.9)
    soon = min(s + max(v, 0.2) * LOOK_AHEAD, end)
    if soon > s + 0.5:
        canvas.line(paint.mix(colour, BOX, 0.15), _path(roads, p, s, soon), 0.9)


def _draw_zones(canvas: Canvas, roads: Roads, state: State, driving: list[int]) -> None:
    """Conflict zones that two cars are both about to use, where the first one's path runs through them."""
    spot = np.zeros((state.status.shape[1], N_SPOT))
    there = np.zeros(len(spot), dtype=np.int64)
    locate(roads.leg, roads.stretch, state.car, state.status, state.leg, state.route, 0, spot, there)
    for i, j in itertools.combinations(driving, 2):
        if not shares_zone(roads.zone, spot, i, j):
            continue
        mine, its = int(spot[i, WAY]), int(spot[j, WAY])
        times = [
            reach_time(
                roads.zone[a, b, ENTER] - spot[k, REST], state.car[0, k, SPEED], state.car[0, k, ACCELERATED], 40.0
            )
            for k, a, b in ((i, mine, its), (j, its, mine))
        ]
        if max(times) > 2 * LOOK_AHEAD:
            continue
        p, q = int(state.route[0, i]), int(state.leg[0, i])
        middle = 0.5 * (roads.zone[mine, its, ENTER] + roads.zone[mine, its, LEAVE])
        x, y = pose_at(roads.segment, p, roads.leg[p, q, LINE] + middle)[:2]
        colour = paint.ALARM if abs(times[0] - times[1]) < TIGHT else AMBER
        canvas.glow(colour, x, y, 4.2, 150)
        canvas.square(paint.mix(colour, BOX, 0.35), x, y, 3.2, 0.5, line=0.35)


def _draw_links(canvas: Canvas, env: Intersection, state: State, pose: NDArray[np.float64]) -> None:
    for i, j in np.argwhere(np.triu(env.adjacency(state)[0])).tolist():
        canvas.hairline(paint.mix(paint.WHITE, BOX, 0.35), tuple(pose[i, :2]), tuple(pose[j, :2]))


def _draw_car(canvas: Canvas, env: Intersection, state: State, i: int, pose: list[float]) -> None:
    x, y, c, s = pose
    angle = math.atan2(s, c)
    at = functools.partial(paint.ahead_of, x, y, angle)

    def block(colour: Colour, back: float, front: float, half: float) -> None:
        canvas.polygon(colour, [at(back, -half), at(front, -half), at(front, half), at(back, half)])

    canvas.glow(paint.INK, x, y, 0.62 * LENGTH, 110)
    front, half = 0.5 * LENGTH, 0.5 * WIDTH
    block(paint.INK, -front, front, half)
    block(_colour(env, i), -front + 0.18, front - 0.18, half - 0.18)
    block(paint.mix(_colour(env, i), paint.INK, 0.55), 0.85, 1.55, half - 0.3)  # windscreen
    if state.car[0, i, ACCELERATED] < -0.5:
        for side in (-1.0, 1.0):
            lamp = [
                at(-front, side * half),
                at(-front, side * 0.35),
                at(-front + 0.5, side * 0.35),
                at(-front + 0.5, side * half),
            ]
            canvas.polygon(paint.ALARM, lamp)
    if state.emergency[0, i]:
        block(paint.WHITE, -0.95, -0.25, half - 0.1)
        block((0, 90, 220), -0.85, -0.35, half - 0.1)
    now = state.step[0] * CONTROL_STEP
    if env.declared and state.car[0, i, ANNOUNCED] >= 0.0 and state.car[0, i, OPENS] - now > 2 * LOOK_AHEAD:
        canvas.ring(paint.WHITE, x, y, 1.25, 0.2)


def _draw_crashes(canvas: Canvas, roads: Roads, state: State) -> None:
    now = state.step[0] * CONTROL_STEP
    for i in np.flatnonzero(state.status[0] == CRASHED).tolist():
        if state.car[0, i, FINISHED] <= now - CONTROL_STEP:
            continue
        x, y = pose_at(roads.segment, int(state.route[0, i]), state.car[0, i, POSITION])[:2]
        canvas.glow(paint.ALARM, x, y, 5.0, 220)
        for colour, size in ((paint.ALARM, 2.6), (paint.WHITE, 1.5)):
            tips = [(size if k % 2 else 0.5 * size, math.pi * k / 8) for k in range(16)]
            star = [(x + r * math.cos(turn), y + r * math.sin(turn)) for r, turn in tips]
            canvas.polygon(colour, star)


def _write_counters(picture: pygame.Surface, env: Intersection, state: State) -> None:
    metrics = metrics_of(env.roads, env.n_agents, state)
    status = state.status[0, : env.n_agents]
    counters = (
        ("TIME", f"{state.step[0] * CONTROL_STEP:.1f} s"),
        ("TO COME", f"{(status == PENDING).sum()}"),
        ("ARRIVED", f"{(status == ARRIVED).sum()} of {env.n_agents}"),
        ("CRASHED", f"{(status == CRASHED).sum()}"),
        ("DELAY", paint.figure(metrics["delay"][0], 1, " s")),
        ("LEAST TTC", f"{metrics['min_ttc'][0]:.1f} s"),
    )
    for column, (caption, value) in enumerate(counters):
        x = _WIDTH * (column + 0.5) / len(counters)
        paint.write(picture, value, 27, paint.WHITE, x, 0.42 * _HEADER)
        paint.write(picture, caption, 13, paint.MUTED, x, 0.8 * _HEADER)


@functools.lru_cache(maxsize=8)
def _ground(config: Config) -> pygame.Surface:
    """Grass, roads, markings and boxes, `SUPERSAMPLE` times as large as in the picture."""
    view, roads = view_of(config), roads_of(config)
    finer = 2 * SUPERSAMPLE
    width, height = view.ground
    surface = pygame.Surface((width * finer, height * finer), 0, 32)
    surface.fill(GRASS)
    canvas = view.canvas(surface, finer)
    half, h = config.lanes * LANE, half_side(config.lanes)
    west, south = view.west - 1.0, view.south - 1.0
    east, north = west + width / view.scale + 2.0, south + height / view.scale + 2.0
    centre = roads.centre.tolist()
    for extra, colour in ((_KERB, paint.SHADE), (0.0, ASPHALT)):
        for cx, cy in centre:
            _rectangle(canvas, colour, west, cy - half - extra, east, cy + half + extra)
            _rectangle(canvas, colour, cx - half - extra, south, cx + half + extra, north)
        for cx, cy in centre:
            _draw_box(canvas, colour, cx, cy, h, half + extra)
    for cx, cy in centre:
        for k in range(4):
            _mark_approach(canvas, config, cx, cy, 0.5 * math.pi * k)
    for cx, cy in centre:
        for way in movements(config.lanes):
            points = [way.path.at(s)[:2] for s in np.arange(0.0, way.path.length + 0.5, 0.5)]
            canvas.line(paint.mix(BOX, paint.WHITE, 0.12), [(float(x) + cx, float(y) + cy) for x, y in points], 0.12)
    return pygame.transform.smoothscale(surface, (width * SUPERSAMPLE, height * SUPERSAMPLE))


def _rectangle(canvas: Canvas, colour: Colour, west: float, south: float, east: float, north: float) -> None:
    canvas.polygon(colour, [(west, south), (east, south), (east, north), (west, north)])


def _draw_box(canvas: Canvas, colour: Colour, cx: float, cy: float, h: float, half: float) -> None:
    """A crossing's box with its rounded corners."""
    radius = h - half
    outline: list[Point] = []
    for k in range(4):
        turn = 0.5 * math.pi * k
        for step in range(9):
            a = math.pi + 0.5 * math.pi * step / 8  # the kerb bends around the corner's own middle
            x, y = h + radius * math.cos(a), h + radius * math.sin(a)
            c, s = math.cos(turn - 0.5 * math.pi), math.sin(turn - 0.5 * math.pi)
            outline.append((cx + c * x - s * y, cy + s * x + c * y))
    canvas.polygon(colour, outline)


def _mark_approach(canvas: Canvas, config: Config, cx: float, cy: float, angle: float) -> None:
    """Stop line and lane markings of the approach with this heading."""
    h = half_side(config.lanes)
    at = functools.partial(paint.ahead_of, cx, cy, angle)
    long = max(config.approach, config.block, config.exit_length) + 5.0
    white = paint.mix(paint.WHITE, ASPHALT, 0.12)
    canvas.line(white, [at(-h, -0.2), at(-h, -config.lanes * LANE)], 0.45)
    canvas.line(white, [at(-h, 0.0), at(-h - min(long, 0.5 * config.block), 0.0)], 0.18)
    for lane in range(1, config.lanes):
        for k in range(int(0.5 * long / 4.0)):
            start = -h - 4.0 * k
            canvas.line(white, [at(start, -lane * LANE), at(start - 2.0, -lane * LANE)], 0.14)


@functools.lru_cache(maxsize=16)
def _frame(config: Config) -> pygame.Surface:
    """What surrounds the ground: the header, still empty, and the footer with its legend."""
    width, height = view_of(config).ground
    picture = pygame.Surface((width, _HEADER + height + _FOOTER), 0, 32)
    picture.fill(paint.INK)
    legend = [("intent", agent_colour(1)), ("conflict", AMBER), ("tight", paint.ALARM), ("hears", paint.WHITE)]
    if config.n_emergency:
        legend.append(("emergency", (0, 90, 220)))
    if config.n_liars:
        legend.append(("scripted", paint.DEAD))
    widths = [_CHIP + 6 + paint.text_width(caption, 16) for caption, _ in legend]
    gap = (width - sum(widths)) / len(legend)
    left, y = 0.5 * gap, _HEADER + height + 0.5 * _FOOTER - 1
    for (caption, colour), wide in zip(legend, widths, strict=True):
        box = pygame.Rect(round(left), round(y - 0.5 * _CHIP), _CHIP, _CHIP)
        pygame.draw.rect(picture, BOX, box, border_radius=4)
        middle = box.center
        if caption == "hears":
            pygame.draw.aaline(
                picture, paint.mix(colour, BOX, 0.35), (box.left + 3, box.bottom - 5), (box.right - 3, box.top + 5)
            )
        elif caption == "intent":
            pygame.draw.line(picture, paint.mix(colour, BOX, 0.15), (box.left, middle[1]), (box.right, middle[1]), 6)
        elif caption in ("conflict", "tight"):
            pygame.draw.rect(picture, colour, box.inflate(-10, -10), 2, border_radius=2)
        else:
            pygame.draw.rect(picture, colour, box.inflate(-6, -14), border_radius=3)
        paint.write(picture, caption, 16, paint.MUTED, left + _CHIP + 6, y, align=0.0)
        left += wide + gap
    return picture
