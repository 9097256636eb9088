"""Frames between two control steps, for films: five seconds are far too long for one frame.

A vehicle is recognised in both states by when it came to its entry, which two vehicles share only by a rare chance. It
is drawn on its way from one state to the next at a steady speed, around corners too. Vehicles that enter in between
drive in, and vehicles that leave drive on.
"""

from __future__ import annotations

import numpy as np

from ..core import Array
from .config import CONTROL_STEP, Config
from .network import network_of
from .picture import came_by, length_of_way
from .state import DUE, LANE, PHASE, PREVIOUS, SINCE, TURNS, State


def between(config: Config, before: State, after: State, share: float) -> State:
    """Returns a state to draw between two successive states.

    Args:
        config: The configuration of the environment that made the states.
        before: State of one world.
        after: State of this world one control step later.
        share: Share of the step that has passed, from 0 to 1.
    """
    network = network_of(config)
    lanes = len(network.line)
    old, new = (_vehicles(state, lanes) for state in (before, after))
    seconds = (1.0 - share) * CONTROL_STEP  # still to go
    rows: list[tuple[float, float, Array, Array]] = []  # position, speed, trip, chain
    for due, i in new.items():
        trip, chain, q, speed = after.trip[0, i], after.chain[0, i], float(after.position[0, i]), _speed(after, i)
        j = old.pop(due, None)
        if j is None:  # it entered in between
            place = q - seconds * speed
            if place >= 0.0 or came_by(network, int(chain[LANE]), int(chain[TURNS])) >= 0:
                rows.append((max(place, 0.0), speed, trip, chain))
            continue
        p, was = float(before.position[0, j]), before.chain[0, j]
        pace = (1.0 - share) * _speed(before, j) + share * speed
        if was[LANE] == chain[LANE]:
            rows.append((p + share * (q - p), pace, trip, chain))
            continue
        box = length_of_way(config, came_by(network, int(chain[LANE]), int(chain[TURNS])))
        to_line = float(network.line[int(was[LANE])]) - p
        way = max(to_line, 0.0) + box + q  # q is negative in the box
        if (
            way > 4.0 * CONTROL_STEP * config.speed_limit
        ):  # it passed another crossing in between, so its way is not known
            rows.append((p, pace, trip, was) if share < 0.5 else (q, pace, trip, chain))
        elif share * way < to_line:
            rows.append((p + share * way, pace, trip, was))
        else:
            rows.append((q - (1.0 - share) * way, pace, trip, chain))
    for j in old.values():  # those that left
        speed = _speed(before, j)
        place = float(before.position[0, j]) + share * CONTROL_STEP * speed
        rows.append((place, speed, before.trip[0, j], before.chain[0, j]))
    return _with_vehicles(before, after, rows, lanes, seconds)


def _vehicles(state: State, lanes: int) -> dict[float, int]:
    """Returns the places of vehicles by when they came to their entry."""
    due = state.trip[0, lanes : lanes + int(state.n_vehicles[0]), DUE].tolist()
    return dict(zip(due, range(lanes, lanes + len(due)), strict=True))


def _speed(state: State, place: int) -> float:
    return float(state.speed[0, place])


def _with_vehicles(
    before: State, after: State, rows: list[tuple[float, float, Array, Array]], lanes: int, seconds: float
) -> State:
    """Returns the state before with other vehicles, and with signals as they are `seconds` before the state after."""
    places = lanes + len(rows)
    position, speed = np.zeros((1, places), np.float32), np.zeros((1, places), np.float32)
    trip, chain = np.zeros((1, places, 2), np.float32), np.zeros((1, places, 4), np.uint32)
    for into, known in ((position, before.position), (speed, before.speed), (trip, before.trip), (chain, before.chain)):
        into[:, :lanes] = known[:, :lanes]
    for place, (where, fast, of_trip, of_chain) in enumerate(rows, start=lanes):
        position[0, place], speed[0, place], trip[0, place], chain[0, place] = where, fast, of_trip, of_chain
    signal = before.signal.copy()
    signal[:, :, [PHASE, PREVIOUS]] = after.signal[:, :, [PHASE, PREVIOUS]]  # phases change as a step begins
    signal[:, :, SINCE] = np.maximum(after.signal[:, :, SINCE] - seconds, 0.0)
    return before._replace(
        n_vehicles=np.array([len(rows)], np.int32), position=position, speed=speed, trip=trip, chain=chain,
        signal=signal,
    )  # fmt: skip
