"""Rules of the road, written by hand, that decide which cars give gas and which brake.

Axes: B worlds, C cars that may be on the roads at once, K road cells.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import inlined, kernel
from .state import NAME, PLACE, ROUTE
from .traffic import BRAKE, GAS

RULES = {"priority": 0, "vision": 1, "gas": 2}
"""Numbers of the rules by their names in `Config.rule`."""
PRIORITY, VISION, ALWAYS_GAS = range(3)
CELL, NEXT, QUEUE, GOES = range(4)
"""What a rule knows of a car: its cell, the cell after it or -1 at the end of the route, how many cars wait up to and
with it (`PRIORITY` only), and whether it may go."""


@kernel
def plan(rule, net, state, action):
    """Fills action (B, N) with the choices of a rule; those of cars that are not on the roads stay what they are.

    `PRIORITY` knows all cars and their routes. Of the cars that want the same cell one gets it: one that is in the
    crossing already, else that with the longest queue behind it, else the one that entered first. A car whose next cell
    does not become free stays.

    `VISION` knows no more than a car with a vision of 1 observes. It brakes in front of a crossing if a car is in the
    cell that has the right of way into its next one. Behind a car that drives towards a crossing, and may have to brake
    there, it brakes if the cell behind itself is empty and not outside the map, where a car may enter at any time.
    """
    path, length, car, live = net.path, net.length, state.car, state.live
    known = np.zeros((car.shape[1], 4), np.int64)
    count = np.zeros(len(net.row), np.int64)
    for b in range(len(live)):
        n = live[b]
        for i in range(n):
            route, place = car[b, i, ROUTE], car[b, i, PLACE]
            known[i, CELL], known[i, NEXT], known[i, QUEUE], known[i, GOES] = path[route, place], -1, 1, 1
            if place + 1 < length[route]:
                known[i, NEXT] = path[route, place + 1]
            count[known[i, CELL]] += 1
        if rule == PRIORITY:
            _count_queues(known, n)
            _give_way(net, known, n)
            _hold_back(known, n)
        elif rule == VISION:
            _look_out(net, known, n, count)
        for i in range(n):
            action[b, car[b, i, NAME]] = GAS if known[i, GOES] else BRAKE
            count[known[i, CELL]] = 0


@inlined
def _count_queues(known, n):
    """Counts the cars behind each car whose next cells lead to it one after the other."""
    for _ in range(n):
        for i in range(n):
            for j in range(n):
                if known[j, NEXT] == known[i, CELL] and known[j, QUEUE] >= known[i, QUEUE] and known[i, QUEUE] < n:
                    known[i, QUEUE] = known[j, QUEUE] + 1


@inlined
def _give_way(net, known, n):
    """Lets one of the cars go that want the same cell."""
    for i in range(n):
        for j in range(n):
            if i == j or known[i, NEXT] < 0 or known[i, NEXT] != known[j, NEXT]:
                continue
            mine, other = net.crossing[known[i, CELL]], net.crossing[known[j, CELL]]
            if mine != other:
                first = other
            elif known[i, QUEUE] != known[j, QUEUE]:
                first = known[j, QUEUE] > known[i, QUEUE]
            else:
                first = j < i
            if first:
                known[i, GOES] = 0


@inlined
def _hold_back(known, n):
    """Stops cars whose next cell stays occupied, and then those behind them."""
    changed = True
    while changed:
        changed = False
        for i in range(n):
            for j in range(n):
                if known[i, GOES] and not known[j, GOES] and known[i, NEXT] == known[j, CELL]:
                    known[i, GOES] = 0
                    changed = True


@inlined
def _look_out(net, known, n, count):
    """Stops cars that do not see that the way is free, unless they would be in the way of the next one themselves."""
    for i in range(n):
        cell, following = known[i, CELL], known[i, NEXT]
        if following < 0 or net.crossing[cell]:
            continue
        rival = net.rival[following]  # -1 on lanes
        contested = rival >= 0 and rival != cell and count[rival] > 0
        ahead = count[following] > 0 and net.approach[following]
        clear = net.behind[cell] >= 0 and count[net.behind[cell]] == 0
        if contested or (ahead and clear):
            known[i, GOES] = 0
