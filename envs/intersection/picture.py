"""The picture of one world: roads, cars and their intents, counters above and a legend below.

Nothing here needs a display. Everything on the ground is drawn at `SUPERSAMPLE` times the size and scaled down, which
smooths all edges; what never moves is drawn once per network. Pixel rows count downwards, so y is flipped.

    car              in its own colour, numbered; red rear lights while it brakes; emergency vehicles have a blue bar
    ribbon           the path that a car takes next, where others may know it; full where it will be within 3 s
    amber square     a conflict zone ahead of two cars that are both about to use it; red if within 1.5 s of each other
    thin grey line   two cars that hear each other and whose paths conflict
    white ring       a car that announces that it comes late
    star             a crash in this control step
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pygame
from numpy.typing import NDArray

from ..kit import paint
from ..kit.paint import Canvas, Colour, Point, View, agent_colour
from ..roads.cars import CAR_LENGTH, CAR_WIDTH
from ..roads.crossing import LANE, half_side, movements
from ..roads.picture import (
    AMBER,
    ASPHALT,
    BOX,
    CHIP,
    FOOTER,
    GRASS,
    HEADER,
    KERB,
    draw_roads,
    view_of,
    write_counters,
)
from .config import Config
from .metrics import metrics_of
from .network import END, ENTER, LEAVE, LINE, Network, network_of
from .observe import poses_of
from .spots import N_SPOT, ON_MOVEMENT, PAST_LINE, locate, pose_at, reach_time, shares_zone
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
"""Longest part of the roads around the outermost crossings' boxes that is shown [m]."""
LOOK_AHEAD = 3.0
"""Time that a car takes for the full part of its ribbon [s]."""
TIGHT = 1.5
"""A zone is red if two arrivals are nearer in time than this [s]."""
WIDTH = 720
"""Width of a picture [pixels]."""


@functools.lru_cache(maxsize=16)
def _view(config: Config) -> View:
    rim = half_side(config.lanes) + min(SHOWN, config.approach)
    return view_of(network_of(config).centre, rim, WIDTH)


@paint.one_at_a_time
def draw(config: Config, state: State, adjacency: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draws one world.

    Args:
        config: The configuration of the environment that made the state.
        state: State of this world alone.
        adjacency: (N, N) which agents hear each other.

    Returns:
        (height, width, 3) RGB. Both sides are even and depend on the network only.
    """
    view, network = _view(config), network_of(config)
    canvas = view.canvas(_ground(config).copy(), SUPERSAMPLE)
    pose = np.zeros((state.status.shape[1], 4))
    driving = np.flatnonzero(state.status[0] == DRIVING).tolist()
    poses_of(network.segment, state.car, state.route, np.array(driving, dtype=np.int64), 0, pose)
    if config.intent != "none":
        for i in driving:
            _draw_ribbon(canvas, config, state, i)
    _draw_zones(canvas, network, state, driving)
    _draw_links(canvas, adjacency, pose)
    for i in driving:
        _draw_car(canvas, config, state, i, pose[i].tolist())
    _draw_crashes(canvas, network, state)
    picture = _frame(config).copy()
    ground = picture.subsurface(view.ground)
    pygame.transform.smoothscale(canvas.surface, ground.get_size(), ground)
    for i in driving:
        size = max(11, round(1.5 * view.scale))
        shade = paint.readable_on(_colour(config, i))
        paint.write(picture, _name(config, i), size, shade, *view.project(pose[i, 0], pose[i, 1]))
    write_counters(picture, _counters(config, state))
    return paint.pixels_of(picture)


def _name(config: Config, i: int) -> str:
    return str(i) if i < config.n_vehicles else "?"


def _colour(config: Config, i: int) -> Colour:
    return agent_colour(i) if i < config.n_vehicles else paint.DEAD


def _path(network: Network, p: int, begin: float, end: float) -> list[Point]:
    """Returns points of a route, every half metre."""
    marks = [*np.arange(begin, end, 0.5).tolist(), end]
    return [pose_at(network.segment, p, s)[:2] for s in marks]


def _draw_ribbon(canvas: Canvas, config: Config, state: State, i: int) -> None:
    """Draws the path to the end of the box ahead, and the part of it that will be driven soon."""
    network, colour = network_of(config), _colour(config, i)
    p, q = int(state.route[0, i]), int(state.leg[0, i])
    s, v = state.car[0, i, POSITION], state.car[0, i, SPEED]
    end = min(network.leg[p, q, END] + 4.0, network.length[p])
    if end <= s + 0.5:
        return
    canvas.line(paint.mix(colour, BOX, 0.62), _path(network, p, s, end), 0.9)
    soon = min(s + max(v, 0.2) * LOOK_AHEAD, end)
    if soon > s + 0.5:
        canvas.line(paint.mix(colour, BOX, 0.15), _path(network, p, s, soon), 0.9)


def _draw_zones(canvas: Canvas, network: Network, state: State, driving: list[int]) -> None:
    """Draws conflict zones that two cars are both about to use, on the path of the first one."""
    spot = np.zeros((state.status.shape[1], N_SPOT))
    there = np.zeros(len(spot), dtype=np.int64)
    locate(network.leg, network.stretch, state.car, state.status, state.leg, state.route, 0, spot, there)
    for i, j in itertools.combinations(driving, 2):
        if not shares_zone(network.zone, spot, i, j):
            continue
        own, other = int(spot[i, ON_MOVEMENT]), int(spot[j, ON_MOVEMENT])
        times = [
            reach_time(
                network.zone[a, b, ENTER] - spot[k, PAST_LINE],
                state.car[0, k, SPEED],
                state.car[0, k, ACCELERATED],
                40.0,
            )
            for k, a, b in ((i, own, other), (j, other, own))
        ]
        if max(times) > 2 * LOOK_AHEAD:
            continue
        p, q = int(state.route[0, i]), int(state.leg[0, i])
        middle = 0.5 * (network.zone[own, other, ENTER] + network.zone[own, other, LEAVE])
        x, y = pose_at(network.segment, p, network.leg[p, q, LINE] + middle)[:2]
        colour = paint.ALARM if abs(times[0] - times[1]) < TIGHT else AMBER
        canvas.glow(colour, x, y, 4.2, 150)
        canvas.square(paint.mix(colour, BOX, 0.35), x, y, 3.2, 0.5, line=0.35)


def _draw_links(canvas: Canvas, adjacency: NDArray[np.bool_], pose: NDArray[np.float64]) -> None:
    for i, j in np.argwhere(np.triu(adjacency)).tolist():
        canvas.hairline(paint.mix(paint.WHITE, BOX, 0.35), tuple(pose[i, :2]), tuple(pose[j, :2]))


def _draw_car(canvas: Canvas, config: Config, state: State, i: int, pose: list[float]) -> None:
    x, y, c, s = pose
    angle = math.atan2(s, c)
    at = functools.partial(paint.ahead_of, x, y, angle)

    def block(colour: Colour, back: float, front: float, half: float) -> None:
        canvas.polygon(colour, [at(back, -half), at(front, -half), at(front, half), at(back, half)])

    canvas.glow(paint.INK, x, y, 0.62 * CAR_LENGTH, 110)
    front, half = 0.5 * CAR_LENGTH, 0.5 * CAR_WIDTH
    block(paint.INK, -front, front, half)
    block(_colour(config, i), -front + 0.18, front - 0.18, half - 0.18)
    block(paint.mix(_colour(config, i), paint.INK, 0.55), 0.85, 1.55, half - 0.3)  # windscreen
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
    if (
        config.intent == "declared"
        and state.car[0, i, ANNOUNCED] >= 0.0
        and state.car[0, i, OPENS] - now > 2 * LOOK_AHEAD
    ):
        canvas.ring(paint.WHITE, x, y, 1.25, 0.2)


def _draw_crashes(canvas: Canvas, network: Network, state: State) -> None:
    now = state.step[0] * CONTROL_STEP
    for i in np.flatnonzero(state.status[0] == CRASHED).tolist():
        if state.car[0, i, FINISHED] <= now - CONTROL_STEP:
            continue
        x, y = pose_at(network.segment, int(state.route[0, i]), state.car[0, i, POSITION])[:2]
        canvas.glow(paint.ALARM, x, y, 5.0, 220)
        for colour, size in ((paint.ALARM, 2.6), (paint.WHITE, 1.5)):
            tips = [(size if k % 2 else 0.5 * size, math.pi * k / 8) for k in range(16)]
            star = [(x + r * math.cos(turn), y + r * math.sin(turn)) for r, turn in tips]
            canvas.polygon(colour, star)


def _counters(config: Config, state: State) -> tuple[tuple[str, str], ...]:
    metrics = metrics_of(network_of(config), config.n_vehicles, state)
    status = state.status[0, : config.n_vehicles]
    return (
        ("TIME", f"{state.step[0] * CONTROL_STEP:.1f} s"),
        ("TO COME", f"{(status == PENDING).sum()}"),
        ("ARRIVED", f"{(status == ARRIVED).sum()} of {config.n_vehicles}"),
        ("CRASHED", f"{(status == CRASHED).sum()}"),
        ("DELAY", paint.figure(metrics["delay"][0], 1, " s")),
        ("LEAST TTC", f"{metrics['min_ttc'][0]:.1f} s"),
    )


@functools.lru_cache(maxsize=8)
def _ground(config: Config) -> pygame.Surface:
    """Returns grass, roads, markings and boxes, `SUPERSAMPLE` times as large as in the picture."""
    view, centre = _view(config), network_of(config).centre.tolist()
    finer = 2 * SUPERSAMPLE
    *_, width, height = view.ground
    surface = pygame.Surface((width * finer, height * finer), 0, 32)
    surface.fill(GRASS)
    canvas = view.canvas(surface, finer)
    half, h = config.lanes * LANE, half_side(config.lanes)
    for extra, colour in ((KERB, paint.SHADE), (0.0, ASPHALT)):
        draw_roads(canvas, centre, half, extra, colour, view)
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


def _draw_box(canvas: Canvas, colour: Colour, cx: float, cy: float, h: float, half: float) -> None:
    """Draws a crossing's box with its rounded corners."""
    radius = h - half
    outline: list[Point] = []
    for k in range(4):
        turn = 0.5 * math.pi * k
        for step in range(9):
            a = math.pi + 0.5 * math.pi * step / 8  # the kerb is a quarter circle around the corner of the square
            x, y = h + radius * math.cos(a), h + radius * math.sin(a)
            c, s = math.cos(turn - 0.5 * math.pi), math.sin(turn - 0.5 * math.pi)
            outline.append((cx + c * x - s * y, cy + s * x + c * y))
    canvas.polygon(colour, outline)


def _mark_approach(canvas: Canvas, config: Config, cx: float, cy: float, angle: float) -> None:
    """Draws stop line and lane markings of the approach with this heading."""
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
    """Returns what surrounds the ground: the header, still empty, and the footer with its legend."""
    *_, width, height = _view(config).ground
    picture = pygame.Surface((width, HEADER + height + FOOTER), 0, 32)
    picture.fill(paint.INK)
    legend = [("intent", agent_colour(1)), ("conflict", AMBER), ("tight", paint.ALARM), ("hears", paint.WHITE)]
    if config.n_emergency:
        legend.append(("emergency", (0, 90, 220)))
    if config.n_liars:
        legend.append(("scripted", paint.DEAD))
    widths = [CHIP + 6 + paint.text_width(caption, 16) for caption, _ in legend]
    gap = (width - sum(widths)) / len(legend)
    left, y = 0.5 * gap, HEADER + height + 0.5 * FOOTER - 1
    for (caption, colour), wide in zip(legend, widths, strict=True):
        box = pygame.Rect(round(left), round(y - 0.5 * CHIP), CHIP, CHIP)
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
        paint.write(picture, caption, 16, paint.MUTED, left + CHIP + 6, y, align=0.0)
        left += wide + gap
    return picture
