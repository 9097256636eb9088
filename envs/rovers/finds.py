"""Credits the rovers' new places: to the team's objective, to it without each rover, and to each rover's own finds.

Axes: B worlds, N rovers, P points of interest, k rovers that must observe at once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.kernels import inlined, kernel
from .config import Config
from .state import OWN, TEAM, VALUE, X, Y


class Rules(NamedTuple):
    """The numbers of motion and of observing."""

    size: float  # side of the field [m]
    speed: float  # [m] a step
    radius: float  # [m]
    min_distance: float  # [m]
    coupling: int


class Outcome(NamedTuple):
    """The rewards of a step, written by kernels into zeros."""

    reward: Array  # (B, N) float64, of a rover's own finds
    team_reward: Array  # (B,) float64
    absent: Array  # (B, N) float64, the team's reward had the rover never been there


class Near(NamedTuple):
    """The rovers that observe one point of interest, nearest first. Scratch of a step."""

    distance: Array  # (N,) float64 [m], at least `min_distance`
    rover: Array  # (N,) int64 indices
    rank: Array  # (N,) int64 place of every rover in the order; N for those that do not observe


def rules_of(config: Config) -> Rules:
    """Returns the numbers of a configuration."""
    return Rules(
        float(config.size), float(config.speed), float(config.radius), float(config.min_distance), int(config.coupling)
    )


def scratch(n_rovers: int) -> Near:
    """Returns room for one point of interest at a time."""
    return Near(np.empty(n_rovers), np.empty(n_rovers, np.int64), np.empty(n_rovers, np.int64))


@kernel
def find(rules, near, state, outcome):
    """Credits this moment: greatest closenesses so far, and what their rises are worth.

    Rovers do not push each other, so without rover i all others would be where they are. What the objective would be
    without it is therefore kept as the objective itself is: for each point of interest the greatest closeness so far
    that the others would have reached. Only the k nearest rovers leave a gap, which the next nearest fills.

    Args:
        rules: `Rules`.
        near: `Near`, written.
        state: `State` of B worlds with new positions; the closenesses and totals are written.
        outcome: `Outcome` of zeros, written.
    """
    position, poi, best, absent, own = state.position, state.poi, state.best, state.absent, state.own
    totals, reward, without = state.totals, outcome.reward, outcome.absent
    k = rules.coupling
    for b in range(len(poi)):
        for j in range(poi.shape[1]):
            n_near = _sort(rules, near, position, poi, b, j)
            if n_near < k:
                continue
            whole, value = _closeness(rules, _sum(near, k, -1)), poi[b, j, VALUE]
            if whole > best[b, j]:
                outcome.team_reward[b] += value * (whole - best[b, j])
                best[b, j] = whole
            _credit_absence(rules, near, n_near, whole, value, absent[b, j], without[b])
            _credit_own(rules, near, n_near, whole, value, own[b, j], reward[b])
        totals[b, TEAM] += outcome.team_reward[b]
        for i in range(position.shape[1]):
            totals[b, OWN] += reward[b, i]


@inlined
def _credit_absence(rules, near, n_near, whole, value, absent, without):
    """Raises what the closeness would be without each rover, absent (N,), and pays the rises into without (N,)."""
    k = rules.coupling
    for i in range(len(absent)):
        closeness = whole
        if near.rank[i] < k:
            closeness = _closeness(rules, _sum(near, k, near.rank[i])) if n_near > k else 0.0
        if closeness > absent[i]:
            without[i] += value * (closeness - absent[i])
            absent[i] = closeness


@inlined
def _credit_own(rules, near, n_near, whole, value, own, reward):
    """Raises the closeness in which each rover took part, own (N,), and pays the rises into reward (N,).

    A rover beyond the k nearest takes part with the k - 1 nearest ones.
    """
    k = rules.coupling
    others = _sum(near, k - 1, -1)
    for rank in range(n_near):
        i = near.rover[rank]
        closeness = whole if rank < k else _closeness(rules, others + near.distance[rank])
        if closeness > own[i]:
            reward[i] += value * (closeness - own[i])
            own[i] = closeness


@inlined
def _closeness(rules, total):
    """Returns the closeness of k rovers whose distances have this sum [m], in (0, 1].

    It is rounded to float32, as which it is kept: so the rises that are paid add up to what they led to.
    """
    return np.float64(np.float32(rules.min_distance * rules.coupling / total))


@inlined
def _sum(near, k, skip):
    """Returns the sum of the k least distances [m], that of rank `skip` left out.

    It is summed in the order of the ranks and never as a difference: so what it is without a rover does not depend on
    that rover, to the last bit.
    """
    total, taken, rank = 0.0, 0, 0
    while taken < k:
        if rank != skip:
            total += near.distance[rank]
            taken += 1
        rank += 1
    return total


@inlined
def _sort(rules, near, position, poi, b, j):
    """Sorts the rovers that observe a point of interest by their distance, and returns their number."""
    distance, rover, rank = near.distance, near.rover, near.rank
    n_near, far = 0, rules.radius * rules.radius
    for i in range(position.shape[1]):
        rank[i] = len(rank)
        dx, dy = position[b, i, 0] - poi[b, j, X], position[b, i, 1] - poi[b, j, Y]
        square = dx * dx + dy * dy
        if square <= far:
            length, at = max(math.sqrt(square), rules.min_distance), n_near
            while at > 0 and distance[at - 1] > length:
                distance[at], rover[at] = distance[at - 1], rover[at - 1]
                at -= 1
            distance[at], rover[at] = length, i
            n_near += 1
    for place in range(n_near):
        rank[rover[place]] = place
    return n_near
