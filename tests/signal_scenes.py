"""Scenes for tests of the signals: vehicles are put where they need to be by writing into the state, a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import envs
from envs.core import Array, Step
from envs.signals import Signals
from envs.signals.state import DUE, State

EAST, NORTH, WEST, SOUTH = range(4)
"""Headings."""
LEFT, STRAIGHT, RIGHT = range(3)
"""Turns."""


def town(**kwargs: Any) -> Signals:
    """Signals, one crossing unless more are asked for."""
    env = envs.make("signals", kwargs.pop("task", "single"), **kwargs)
    assert isinstance(env, Signals)
    return env


def scene(env: Signals, *cars: tuple[int, int, float, float], link: int | None = None) -> State:
    """World of empty entries with these vehicles: (heading, turn, metres from front to stop line, speed) each.

    Those of one lane are given from its front. All are at crossing 0, or on `link`, whatever their heading then.
    """
    state = env.reset([0])[0]
    state = State(*(part.copy() for part in state))
    state.due[:], state.entered[:] = np.inf, 0
    found = []
    for i, (heading, turn, to_line, speed) in enumerate(cars):
        k = heading if link is None else link
        z = k * env.config.lanes + (0 if turn == LEFT else env.config.lanes - 1)
        found.append((z, i, env.network.link[k, 0] - to_line, speed))
        state.turns[0, i] = turn | 0b0101010101 << 2  # straight on ever after
        state.trip[0, i, DUE] = 0.0
    arrange(state, found)
    state.entered[0, 0] = len(cars)
    return state


def arrange(state: State, cars: Sequence[tuple[int, int, float, float]]) -> None:
    """Puts vehicles where they are to be, from the front of a lane: (lane, vehicle, position, speed). No others are."""
    cars = sorted(cars, key=lambda car: car[0])
    lanes, vehicles = [z for z, *_ in cars], [i for _, i, *_ in cars]
    n, others = len(cars), np.setdiff1d(np.arange(state.who.shape[1]), vehicles)
    state.who[0] = np.concatenate([np.array(vehicles, int), others])
    state.used[0] = state.who.shape[1]
    state.lane[0] = np.searchsorted(lanes, np.arange(state.lane.shape[1]))
    state.position[0, :n], state.speed[0, :n] = [s for *_, s, _ in cars], [v for *_, v in cars]
    state.position[0, n:], state.speed[0, n:] = 0.0, 0.0
    state.came[0] = -1


def at(state: State, i: int) -> int:
    """The place of a vehicle."""
    return int(np.flatnonzero(state.who[0] == i)[0])


def vehicles(env: Signals, state: State, b: int = 0) -> list[tuple[int, int, float, float]]:
    """(vehicle, lane, position, speed) of all on the roads, lane by lane, from the front."""
    lane = state.lane[b].astype(int)
    assert lane[0] == 0, "the lanes do not begin with the first place"
    assert (np.diff(lane) >= 0).all(), "lanes overlap"
    assert lane[-1] <= state.used[b]
    who = state.who[b, : state.used[b]]
    assert sorted(who.tolist()) == list(range(len(who))), "vehicles are lost or doubled"
    return [
        (int(state.who[b, p]), z, float(state.position[b, p]), float(state.speed[b, p]))
        for z in range(len(lane) - 1)
        for p in range(lane[z], lane[z + 1])
    ]


def go(env: Signals, state: State, phase: int, steps: int) -> tuple[State, Step]:
    """What comes of one phase everywhere, for so many steps."""
    action = np.full((1, len(env.agents)), phase)
    state, step = env.step(state, action)
    for _ in range(steps - 1):
        state, step = env.step(state, action)
    return state, step


def allowed(step: Step) -> Array:
    """The action mask, which is always there."""
    assert step.action_mask is not None
    return step.action_mask


def drawn(step: Step, rng: np.random.Generator) -> Array:
    """Random actions among what is allowed."""
    return np.where(allowed(step), rng.random(allowed(step).shape), -1.0).argmax(axis=2)
