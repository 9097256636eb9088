"""Scenes for tests of the signals: vehicles are put where they need to be by writing into the state, a value."""

from __future__ import annotations

from typing import Any

import numpy as np

import envs
from envs.core import Array, Step
from envs.signals import Signals
from envs.signals.state import AHEAD, BEHIND, CAME, DUE, FIRST, LAST, POSITION, SPEED, State

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
    state.due[:], state.lane[:], state.entered[:] = np.inf, -1, 0
    state.order[:], state.order[0, :-1, BEHIND] = -1, np.arange(1, state.order.shape[1])
    for i, (heading, turn, to_line, speed) in enumerate(cars):
        k = heading if link is None else link
        z = k * env.config.lanes + (0 if turn == LEFT else env.config.lanes - 1)
        state.car[0, i] = env.network.link[k, 0] - to_line, speed
        state.turns[0, i] = turn | 0b0101010101 << 2  # straight on ever after
        state.trip[0, i, DUE] = 0.0
        last = state.lane[0, z, LAST]
        state.order[0, i, AHEAD], state.order[0, i, BEHIND], state.order[0, i, CAME] = last, -1, -1
        if last >= 0:
            state.order[0, last, BEHIND] = i
        else:
            state.lane[0, z, FIRST] = i
        state.lane[0, z, LAST] = i
    state.spare[0] = len(cars)
    state.entered[0, 0] = len(cars)
    return state


def vehicles(env: Signals, state: State, b: int = 0) -> list[tuple[int, int, float, float]]:
    """(slot, lane, position, speed) of all on the roads, lane by lane, from the front."""
    found = []
    for z in range(state.lane.shape[1]):
        i, before = int(state.lane[b, z, FIRST]), -1
        while i >= 0:
            assert state.order[b, i, AHEAD] == before, "the lists of a lane do not fit"
            found.append((i, z, float(state.car[b, i, POSITION]), float(state.car[b, i, SPEED])))
            before, i = i, int(state.order[b, i, BEHIND])
        assert state.lane[b, z, LAST] == before, "the lists of a lane do not fit"
    return found


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
