"""Kernels of a step: cars drive, new ones enter, and all are charged.

Axes: B worlds, N agents, K road cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import inlined, kernel
from .config import Config
from .routes import entries_of
from .state import (
    BORN,
    BRAKED,
    BRAKES,
    CAR_STEPS,
    CRASHES,
    FINISHED,
    LATE,
    N_CAR,
    NAME,
    PLACE,
    ROUTE,
)

GAS, BRAKE = range(2)
"""The actions."""


class Rules(NamedTuple):
    """The numbers of the game."""

    n_agents: int
    choices: int  # routes from each entry
    time_charge: float
    crash_charge: float


class Outcome(NamedTuple):
    """The outcome of a step, written by kernels into zeros."""

    reward: Array  # (B, N) float32
    team_reward: Array  # (B,) float64
    cost: Array  # (B, N) float32
    terminated: Array  # (B, N) bool


def rules_of(config: Config, n_agents: int) -> Rules:
    """Returns the numbers of a configuration."""
    _, choices = entries_of(config.difficulty)
    return Rules(n_agents, choices, float(config.time_charge), float(config.crash_charge))


@kernel
def advance(net, rules, state, action, outcome):
    """Makes a step of every world.

    Args:
        net: The `Network`.
        rules: The `Rules`.
        state: The `State`, written.
        action: (B, N) int8 of the agents.
        outcome: The `Outcome`, written.
    """
    drive(net, state, action, outcome.terminated)
    admit(rules, state)
    judge(net, rules, state, outcome)


@kernel
def drive(net, state, action, terminated):
    """Moves all cars that give gas by a cell; a car that does so on the last cell of its route leaves."""
    for b in range(len(state.step)):
        drive_world(net.length, state, action, terminated, b)


@inlined
def drive_world(length, state, action, terminated, b):
    """Moves the cars of world b, see `drive`."""
    step, car, live, totals = state.step, state.car, state.live, state.totals
    step[b] += 1
    totals[b, CAR_STEPS] += live[b]
    stay = 0
    for i in range(live[b]):
        name, route = car[b, i, NAME], car[b, i, ROUTE]
        brake = action[b, name] == BRAKE
        totals[b, BRAKES] += brake
        place = car[b, i, PLACE] + (not brake)
        if place == length[route]:
            terminated[b, name] = True
            totals[b, FINISHED] += 1
            totals[b, LATE] += step[b] - car[b, i, BORN] - length[route]
            continue
        born = car[b, i, BORN]
        car[b, stay, NAME], car[b, stay, ROUTE], car[b, stay, PLACE] = name, route, place
        car[b, stay, BORN], car[b, stay, BRAKED] = born, brake
        stay += 1
    for i in range(stay, live[b]):
        for k in range(N_CAR):
            car[b, i, k] = 0
    live[b] = stay


@kernel
def admit(rules, state):
    """Lets the cars enter that arrive in this step, entry by entry, whoever stands there; none where no more may.

    A world that would be empty is given a car. Nobody arrives before the first step.
    """
    for b in range(len(state.step)):
        admit_world(rules, state, b)


@inlined
def admit_world(rules, state, b):
    """Lets the cars enter that arrive in world b, see `admit`. They come last in `State.car`."""
    step, live, arriving, car, born = state.step, state.live, state.arriving, state.car, state.born
    now = min(step[b], arriving.shape[1])  # nobody should step on from the end, but one may
    if now > 0:
        for e in range(arriving.shape[2]):
            if arriving[b, now - 1, e] >= 0:
                _enter(rules, car, live, born, b, rules.choices * e + arriving[b, now - 1, e], step[b])
    if live[b] == 0:
        _enter(rules, car, live, born, b, state.spare[b, now], step[b])


@inlined
def _enter(rules, car, live, born, b, route, now):
    i = live[b]
    if i < car.shape[1] and born[b] < rules.n_agents:
        car[b, i, NAME], car[b, i, ROUTE], car[b, i, BORN] = born[b], route, now
        live[b] += 1
        born[b] += 1


@kernel
def judge(net, rules, state, outcome):
    """Charges all cars on the roads for their time, and those that share a cell for that.

    A car that has just entered is not charged itself, but the team is charged for it.
    """
    path, step, car, live, totals = net.path, state.step, state.car, state.live, state.totals
    reward, team_reward, cost = outcome.reward, outcome.team_reward, outcome.cost
    count = np.zeros(len(net.row), np.int16)
    for b in range(len(step)):
        for i in range(live[b]):
            count[path[car[b, i, ROUTE], car[b, i, PLACE]]] += 1
        together = 0.0
        for i in range(live[b]):
            name = car[b, i, NAME]
            shared = count[path[car[b, i, ROUTE], car[b, i, PLACE]]] > 1
            age = step[b] - car[b, i, BORN]
            own = charge(rules, age, shared)
            together += own
            if age > 0:
                reward[b, name] = own
            cost[b, name] = shared
            totals[b, CRASHES] += shared
        team_reward[b] = together
        for i in range(live[b]):
            count[path[car[b, i, ROUTE], car[b, i, PLACE]]] = 0


@inlined
def charge(rules, age, shared):
    """Returns the charge, not above 0, of a car that came so many steps ago, and shares its cell or not."""
    return -rules.time_charge * age - rules.crash_charge * shared
