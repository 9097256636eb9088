"""The team's reward of a step, had one car not been there: in closed form, for every agent.

Cars never react to each other within a step. Without a car, its own charge is missing, and so is the charge for sharing
a cell of the only car that is in the same one. Besides, there is room for one more car to enter, or the world is empty
and is given a car: which cars enter depends on how many are on the roads, so it is found for all of them and for one
fewer.

Charges are summed in the order of `traffic.judge`, so results equal those of whole steps to the bit.

Axes: B worlds, N agents, C cars that may be on the roads at once, K road cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import inlined, kernel
from .state import BORN, NAME, PLACE, ROUTE
from .traffic import admit_world, charge, drive_world


class Cars(NamedTuple):
    """The cars of one world at the end of a step, first those that have been on the roads before."""

    name: Array  # (2 C,) int16 index of the agent
    cell: Array  # (2 C,) int16 road cell
    age: Array  # (2 C,) int32 steps since it came
    in_cell: Array  # (K,) int16 cars in each road cell


@kernel
def team_reward_without_each(net, rules, draft, action, out):
    """Finds the team's reward without car i, for every i. For one that is not on the roads it is the team's reward.

    Args:
        net: The `Network`.
        rules: The `traffic.Rules`.
        draft: A copy of the `State` before the step to work in.
        action: (B, N) int8 of the agents.
        out: (B, N), written.
    """
    step, live, born, path, length = draft.step, draft.live, draft.born, net.path, net.length
    room, ended = 2 * draft.car.shape[1], np.zeros(action.shape, np.bool_)
    names, cells, ages = np.zeros(room, np.int16), np.zeros(room, np.int16), np.zeros(room, np.int32)
    cars = Cars(names, cells, ages, np.zeros(len(net.row), np.int16))
    for b in range(len(step)):
        drive_world(length, draft, action, ended, b)
        stay, born_before = live[b], born[b]
        _append(path, draft, cars, b, 0, 0)
        admit_world(rules, draft, b)
        n = _append(path, draft, cars, b, stay, stay)
        out[b, :] = _sum_charges(rules, cars, n, -1)
        if stay > 0:
            _drop(cars, stay, n)
            # One car fewer in the draft: the last one is in `cars` all the same. Rows of cars to come hold zeros.
            live[b], born[b], draft.car[b, stay - 1, PLACE] = stay - 1, born_before, 0
            admit_world(rules, draft, b)
            n = _append(path, draft, cars, b, stay - 1, stay)
            for i in range(stay):
                out[b, names[i]] = _sum_charges(rules, cars, n, i)
        _drop(cars, 0, n)


@inlined
def _append(path, draft, cars, b, begin, n):
    """Adds the cars of world b of the draft, from place `begin` on, to the n cars there are. Returns their number."""
    car = draft.car
    for i in range(begin, draft.live[b]):
        cell = path[car[b, i, ROUTE], car[b, i, PLACE]]
        cars.name[n], cars.cell[n], cars.age[n] = car[b, i, NAME], cell, draft.step[b] - car[b, i, BORN]
        cars.in_cell[cell] += 1
        n += 1
    return n


@inlined
def _drop(cars, begin, n):
    """Takes all of n cars from place `begin` on away."""
    for i in range(begin, n):
        cars.in_cell[cars.cell[i]] -= 1


@inlined
def _sum_charges(rules, cars, n, without):
    """Returns the charges of n cars, had one of them not been there; -1: all are there."""
    together = 0.0
    gone = cars.cell[without] if without >= 0 else -1
    for i in range(n):
        if i != without:
            cell = cars.cell[i]
            together += charge(rules, cars.age[i], cars.in_cell[cell] - (cell == gone) > 1)
    return together
