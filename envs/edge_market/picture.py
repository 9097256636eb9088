"""The picture of one edge market: nodes where they lie, their load, what flows between them, and prices.

Nothing here needs a display. The plane is drawn at `SUPERSAMPLE` times its size and scaled down, which smooths edges.

    disc                  node, as large as its processor is fast; grey and crossed: it is down
    arc around it         work it holds over what it does in a mean deadline, red from a full turn on; dark inside: of
                          others
    number in it          tasks it holds
    squares below         models in memory, each of its colour; hollow: being read
    number above          last price in its area [credits/Gcycle], where there are at most `FEW` nodes
    line                  link; dotted: cut
    arrow, amount         task that was sold in the last slot, towards the node that takes it; paid on delivery
    dot on a line         task on its way
    diamond, crown        a byzantine node; a member of the cartel
    outer ring, tick      with a consensus: the node's estimate of the mean load, on the scale of its load, and the true
                          mean over honest nodes that work; the ring is grey where the node lies or is down

Axes: N nodes, M models.
"""

from __future__ import annotations

import math

import numpy as np
import pygame
from numpy.typing import NDArray

from ..kit import paint
from ..kit.paint import Canvas, Colour, Point
from .config import Config
from .links import find_links
from .params import params_of
from .state import (
    BYZANTINE,
    CARTEL,
    EARNS,
    FINISHED,
    LEFT,
    LOAD,
    LOADED,
    MISSES,
    NOBODY,
    ORIGIN,
    PAYS,
    PRICE,
    READY,
    SPEED,
    WELFARE,
    State,
    X,
    Y,
)

SIDE, HEADER, FOOTER = 640, 58, 34
"""Side of the square plane, height of the counters above it and of the legend below [pixels]."""
SUPERSAMPLE = 2
FEW = 24
"""Largest number of nodes that each have a price above them."""
RIM = 0.14
"""Width of the rim around the plane, over the plane's side."""


@paint.one_at_a_time
def draw(config: Config, state: State, world: int) -> NDArray[np.uint8]:
    """Draws one world: (HEADER + SIDE + FOOTER, SIDE, 3) RGB."""
    surface = pygame.Surface((SIDE * SUPERSAMPLE, SIDE * SUPERSAMPLE), 0, 32)
    surface.fill(paint.FLOOR)
    side = params_of(config).side
    unit = SIDE * SUPERSAMPLE / (side * (1.0 + 2.0 * RIM))  # pixels of the large surface per kilometre
    canvas = Canvas(surface, unit, RIM * side * unit, surface.get_height() - RIM * side * unit, SUPERSAMPLE)
    node = state.node[world]  # (N, 8)
    size = _sizes(node, side)
    works = _working_links(side, state, world)
    labels = _draw_links(canvas, state, world, works, size)
    _draw_on_the_way(canvas, config, state, world)
    for i in range(len(node)):
        _draw_node(canvas, config, state, world, i, float(size[i]))

    picture = pygame.Surface((SIDE, HEADER + SIDE + FOOTER), 0, 32)
    picture.fill(paint.INK)
    pygame.transform.smoothscale(surface, (SIDE, SIDE), picture.subsurface((0, HEADER, SIDE, SIDE)))
    _write_names(picture, canvas, state, world, size, _outside(config), labels)
    _write_counters(picture, config, state, world)
    _write_legend(picture, node, agreed=config.consensus != "none")
    return paint.pixels_of(picture)


def _outside(config: Config) -> float:
    """Returns how far from a node's middle models and price are shown, over its radius."""
    return 1.95 if config.consensus == "none" else 2.15


def _sizes(node: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    """Returns radii of nodes [km], (N,), so that areas are in proportion to speed."""
    usual = 0.052 * side * min(1.0, 0.06 + 0.94 * math.sqrt(8.0 / len(node)))
    return usual * np.sqrt(node[:, SPEED] / node[:, SPEED].mean())


def _working_links(side: float, state: State, world: int) -> NDArray[np.bool_]:
    works = np.ones(state.neighbor.shape, np.bool_)
    find_links(state, side, 0, works)
    return works[world]


def _at(state: State, world: int, i: int) -> Point:
    return float(state.node[world, i, X]), float(state.node[world, i, Y])


def _draw_links(
    canvas: Canvas, state: State, world: int, works: NDArray[np.bool_], size: NDArray[np.float64]
) -> list[tuple[Point, str]]:
    """Draws links and the last slot's sales; returns where to write which amounts."""
    labels: list[tuple[Point, str]] = []
    width = canvas.at_least(0.0, 1.6)
    for i, row in enumerate(state.neighbor[world].tolist()):
        for d, j in enumerate(row):
            if j <= i:
                continue
            start, end = _at(state, world, i), _at(state, world, j)
            if works[i, d]:
                canvas.line(paint.HEARS, [start, end], width)
            else:
                for k in range(0, 12, 2):
                    canvas.line(paint.SHADE, [_between(start, end, k / 12), _between(start, end, (k + 1) / 12)], width)
    for i, j in enumerate(state.partner[world].tolist()):
        if j == NOBODY:
            continue
        start, end = _at(state, world, i), _at(state, world, j)
        far = math.dist(start, end)
        tip = _between(start, end, 1.0 - min(1.35 * float(size[j]) / far, 0.45))
        tail = _between(start, end, min(1.35 * float(size[i]) / far, 0.45))
        _draw_arrow(canvas, tail, tip, paint.OKABE_ITO[6])
        sold = _sold_by(state, world, i, j)
        if sold is not None:
            labels.append((_between(start, end, 0.5), f"{sold:.2f}"))
    return labels


def _sold_by(state: State, world: int, i: int, j: int) -> float | None:
    """Returns what node i pays for the task that node j took last [credits]; None if j does not hold it any more."""
    tasks = state.held[world, j, : state.n_held[world, j]]
    latest = [q for q, k in enumerate(tasks) if state.task_int[world, k, ORIGIN] == i]
    if not latest:
        return None
    q = max(latest, key=lambda q: state.queue[world, j, q, READY])
    return float(state.queue[world, j, q, PAYS : EARNS + 1].mean())


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _draw_arrow(canvas: Canvas, tail: Point, tip: Point, colour: Colour) -> None:
    far = math.dist(tail, tip)
    head = min(canvas.at_least(0.0, 13.0), 0.6 * far)
    neck = _between(tail, tip, 1.0 - head / far)
    dx, dy = (tip[0] - tail[0]) / far, (tip[1] - tail[1]) / far
    canvas.line(colour, [tail, neck], canvas.at_least(0.0, 3.2))
    left, right = ((neck[0] - s * dy, neck[1] + s * dx) for s in (0.42 * head, -0.42 * head))
    canvas.polygon(colour, [tip, left, right])


def _draw_on_the_way(canvas: Canvas, config: Config, state: State, world: int) -> None:
    now = float(state.step[world]) * config.slot_seconds
    for j in range(config.n_nodes):
        for q in range(int(state.n_held[world, j])):
            ready = float(state.queue[world, j, q, READY])
            if ready <= now:
                continue
            i = int(state.task_int[world, state.held[world, j, q], ORIGIN])
            share = 1.0 - min((ready - now) / (4.0 * config.slot_seconds), 0.8)
            x, y = _between(_at(state, world, i), _at(state, world, j), share)
            canvas.disc(paint.WHITE, x, y, canvas.at_least(0.0, 6.0))
            canvas.disc(paint.OKABE_ITO[6], x, y, canvas.at_least(0.0, 4.5))


def _draw_node(canvas: Canvas, config: Config, state: State, world: int, i: int, size: float) -> None:
    x, y = _at(state, world, i)
    up = bool(state.up[world, min(int(state.step[world]), state.up.shape[1] - 1), i])
    left = state.queue[world, i, :, LEFT]
    taken = state.task_int[world, state.held[world, i], ORIGIN] != i
    if config.consensus != "none":
        _draw_estimate(canvas, config, state, world, i, size)
    full = float(state.node[world, i, SPEED]) * config.deadline
    load, sold = float(left.sum()) / full, float(left[taken].sum()) / full
    canvas.disc(paint.WHITE, x, y, 1.62 * size)
    canvas.ring(paint.SHADE, x, y, 1.5 * size, 0.36 * size)
    if load > 0.005:
        colour = paint.ALARM if load > 1.0 else paint.STATION[1]
        canvas.polygon(colour, paint.arc(x, y, 1.14 * size, 1.5 * size, min(load, 1.0)))
    if sold > 0.005:
        canvas.polygon(paint.INK, paint.arc(x, y, 1.02 * size, 1.2 * size, min(sold, 1.0)))
    canvas.disc(paint.agent_colour(i) if up else paint.DEAD, x, y, 0.98 * size)
    if not up:
        for sign in (-1.0, 1.0):
            ends = [(x - 0.7 * size, y - sign * 0.7 * size), (x + 0.7 * size, y + sign * 0.7 * size)]
            canvas.line(paint.INK, ends, 0.16 * size)
    n_models, below = config.n_models, y - _outside(config) * size
    step = min(0.62 * size, 3.2 * size / n_models)
    for m in range(n_models):
        at = x + (m - 0.5 * (n_models - 1)) * step
        colour = paint.agent_colour(m)
        if state.model[world, i, m, LOADED]:
            canvas.square(colour, at, below, 0.8 * step)
        elif state.loading[world, i, 0] == m:
            canvas.square(colour, at, below, 0.8 * step, line=canvas.at_least(0.0, 1.5))
        else:
            canvas.square(paint.SHADE, at, below, 0.3 * step)
    if state.node[world, i, BYZANTINE]:
        canvas.polygon(paint.ALARM, paint.diamond(x + 1.25 * size, y + 1.25 * size, 0.42 * size))
    if state.node[world, i, CARTEL]:
        peaks = ((-0.5, -0.35), (-0.6, 0.35), (-0.25, 0.0), (0.0, 0.5), (0.25, 0.0), (0.6, 0.35), (0.5, -0.35))
        corners = [(x - 1.3 * size + 0.8 * dx * size, y + 1.3 * size + 0.8 * dy * size) for dx, dy in peaks]
        canvas.polygon(paint.CHARGER[1], corners)


def _draw_estimate(canvas: Canvas, config: Config, state: State, world: int, i: int, size: float) -> None:
    """Draws the estimate of the mean load as a ring around a node, and the truth as a tick on it."""
    x, y = _at(state, world, i)
    counts = state.up[world, min(int(state.step[world]), state.up.shape[1] - 1)] & (
        state.node[world, :, BYZANTINE] == 0.0
    )
    canvas.disc(paint.WHITE, x, y, 1.82 * size)
    estimate = min(max(float(state.agreed[world, i, LOAD]) / config.deadline, 0.0), 1.0)
    if estimate > 0.005:
        colour = paint.OKABE_ITO[3] if counts[i] else paint.DEAD
        canvas.polygon(colour, paint.arc(x, y, 1.58 * size, 1.76 * size, estimate))
    if counts.any():
        truth = min(float(state.measured[world, counts, LOAD].mean()) / config.deadline, 1.0)
        inner, outer = paint.arc(x, y, 1.5 * size, 1.86 * size, truth)[32:34]  # where its sides meet in the end
        canvas.line(paint.INK, [inner, outer], canvas.at_least(0.0, 2.4))


def _write_names(
    picture: pygame.Surface,
    canvas: Canvas,
    state: State,
    world: int,
    size: NDArray[np.float64],
    outside: float,
    labels: list[tuple[Point, str]],
) -> None:
    def pixel(x: float, y: float) -> Point:
        right, down = canvas.at(x, y)
        return right / SUPERSAMPLE, HEADER + down / SUPERSAMPLE

    small = max(11, round(0.42 * float(size.min()) * canvas.metre))
    for i, radius in enumerate(size.tolist()):
        x, y = _at(state, world, i)
        ink = paint.readable_on(paint.agent_colour(i))
        paint.write(picture, str(int(state.n_held[world, i])), max(11, round(1.1 * small)), ink, *pixel(x, y))
        if len(size) <= FEW:
            price = f"{state.tally[world, i, PRICE]:.2f}"
            paint.write(picture, price, min(small, 17), paint.INK, *pixel(x, y + outside * radius))
    for (x, y), text in labels:
        right, down = pixel(x, y)
        height = 14 if len(size) <= FEW else 11
        width = paint.text_width(text, height)
        frame = (round(right - width / 2) - 3, round(down) - height // 2 - 1, width + 6, height + 2)
        pygame.draw.rect(picture, paint.WHITE, frame, 0, 4)
        paint.write(picture, text, height, paint.OKABE_ITO[6], right, down)


def _write_counters(picture: pygame.Surface, config: Config, state: State, world: int) -> None:
    totals = state.totals[world]
    counters = (
        ("TIME", f"{state.step[world] * config.slot_seconds:.1f} s"),
        ("WELFARE", f"{totals[WELFARE]:.1f}"),
        ("DONE", f"{totals[FINISHED]:.0f}"),
        ("MISSED", f"{totals[MISSES]:.0f}"),
        ("MEAN PRICE", f"{state.tally[world, :, PRICE].mean():.2f}"),
    )
    for column, (caption, value) in enumerate(counters):
        x = SIDE * (column + 0.5) / len(counters)
        paint.write(picture, value, 27, paint.WHITE, x, 0.42 * HEADER)
        paint.write(picture, caption, 13, paint.MUTED, x, 0.8 * HEADER)


def _write_legend(picture: pygame.Surface, node: NDArray[np.float64], *, agreed: bool) -> None:
    parts = ["ring: load, inner: of others", "squares: models", "arrow: sold, and its price"]
    if len(node) <= FEW:
        parts.append("above: price")
    if agreed:
        parts.append("outer ring: estimate, tick: truth")
    if node[:, BYZANTINE].any():
        parts.append("diamond: lies")
    if node[:, CARTEL].any():
        parts.append("crown: cartel")
    text, height = "    ".join(parts), 14
    while paint.text_width(text, height) > SIDE - 8:
        height -= 1
    paint.write(picture, text, height, paint.MUTED, SIDE / 2, HEADER + SIDE + FOOTER / 2)
