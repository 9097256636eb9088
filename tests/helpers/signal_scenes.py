"""Scenes for tests of the signals: vehicles are put where they need to be by writing into the state, a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import envs
from envs.core import Array, Step
from envs.signals import Signals
from envs.signals.lanes import join
from envs.signals.picture import came_by
from envs.signals.state import COUNT, DUE, FOLLOWER, LANE, LEADER, TURNS, State

EAST, NORTH, WEST, SOUTH = range(4)
"""Headings."""
LEFT, STRAIGHT, RIGHT = range(3)
"""Turns."""


def town(**kwargs: Any) -> Signals:
    """Returns an environment of signals, with one crossing unless the task has more."""
    env = envs.make("signals", kwargs.pop("task", "single"), **kwargs)
    assert isinstance(env, Signals)
    return env


GONE = 12
"""Stands for a movement where the vehicle has left."""


def scene(env: Signals, *cars: tuple[int, int, float, float], link: int | None = None) -> State:
    """Returns a world with these vehicles: (heading, turn, metres from front to stop line, speed) each; no others come.

    Vehicles of one lane are given from its front. All are at crossing 0, or on `link`, whatever their heading is then.
    """
    state = env.reset([0])[0]
    state = State(*(part.copy() for part in state))
    state.due[:], state.entered[:] = np.inf, 0
    found = []
    for i, (heading, turn, to_line, speed) in enumerate(cars):
        k = heading if link is None else link
        z = k * env.config.lanes + (0 if turn == LEFT else env.config.lanes - 1)
        found.append((z, i, env.network.link[k, 0] - to_line, speed))
    arrange(env, state, found, [turn for _, turn, *_ in cars])
    state.entered[0, 0] = len(cars)
    return state


def arrange(env: Signals, state: State, cars: Sequence[tuple[int, int, float, float]], turns: Sequence[int]) -> None:
    """Replaces all vehicles by these, given from the front of each lane: (lane, vehicle, position, speed).

    Vehicle i is recognised by its time of arrival, i tenths of a millisecond after the start. After the turn given it
    goes straight on.
    """
    begin = len(env.network.line)
    for part in (state.position, state.speed, state.trip, state.chain):
        part[0, begin:] = 0
    for column in (LEADER, FOLLOWER):
        state.chain[0, :begin, column] = np.arange(begin)
    state.chain[0, :begin, COUNT] = 0
    state.n_vehicles[0] = len(cars)
    for place, ((z, i, position, speed), turn) in enumerate(zip(cars, turns, strict=True), begin):
        state.position[0, place], state.speed[0, place] = position, speed
        state.trip[0, place, DUE], state.chain[0, place, TURNS] = 1e-4 * i, turn | 0b0101010101 << 2
        join(state.chain[0], place, z)


def vehicles(env: Signals, state: State, b: int = 0) -> list[tuple[int, int, float, float]]:
    """Returns (vehicle, lane, position, speed) of all vehicles, lane by lane, from the front; see `arrange`."""
    begin, chain, found = len(env.network.line), state.chain[b].astype(int), []
    for z in range(begin):
        ahead, i = z, chain[z, FOLLOWER]
        while i != z:
            assert chain[i, LEADER] == ahead, "a vehicle follows another one than the one ahead"
            assert chain[i, LANE] == z, "a vehicle is in another lane than it says"
            assert begin <= i < begin + state.n_vehicles[b], "a vehicle is where none should be"
            found.append(i)
            ahead, i = i, chain[i, FOLLOWER]
        assert chain[z, LEADER] == ahead, "another vehicle is at a lane's end"
    assert chain[:begin, COUNT].sum() == len(found) == len(set(found)) == state.n_vehicles[b], "vehicles are lost"
    for part in (state.position, state.speed, state.trip, state.chain):
        assert not part[b, begin + len(found) :].any(), "what is gone has left a trace"
    return [
        (
            round(1e4 * float(state.trip[b, i, DUE])),
            int(chain[i, LANE]),
            float(state.position[b, i]),
            float(state.speed[b, i]),
        )
        for i in found
    ]


def seen(env: Signals, state: State, i: int) -> tuple[float, float]:
    """Returns position and speed of a vehicle of a scene."""
    return next((s, v) for who, _, s, v in vehicles(env, state) if who == i)


def came(env: Signals, state: State, i: int) -> int:
    """Returns the movement by which a vehicle came to its lane, -1 if it has passed no line yet, or `GONE`."""
    begin = len(env.network.line)
    for place in range(begin, begin + int(state.n_vehicles[0])):
        if round(1e4 * float(state.trip[0, place, DUE])) == i:
            return came_by(env.network, int(state.chain[0, place, LANE]), int(state.chain[0, place, TURNS]))
    return GONE


def go(env: Signals, state: State, phase: int, steps: int) -> tuple[State, Step]:
    """Returns state and step after one phase everywhere for so many steps."""
    action = np.full((1, len(env.agents)), phase)
    state, step = env.step(state, action)
    for _ in range(steps - 1):
        state, step = env.step(state, action)
    return state, step


def allowed(step: Step) -> Array:
    """Returns the action mask, which is always there."""
    assert step.action_mask is not None
    return step.action_mask


def drawn(step: Step, rng: np.random.Generator) -> Array:
    """Returns random actions among those allowed."""
    return np.where(allowed(step), rng.random(allowed(step).shape), -1.0).argmax(axis=2)
