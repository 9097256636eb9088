"""Kernels that read a layout's route fields at any point: the way to a target, and the next waypoint on it."""

from __future__ import annotations

import math

from ..kit.kernels import kernel
from .layout import NODE_SPACING

LOOKAHEAD = 0.6
"""A waypoint lies at least this far ahead on the route, unless the target is nearer [m]."""


@kernel
def nearest_node(layout, x, y, target):
    """Returns the surrounding node by which the way to the target is shortest, and the length of that way [m]."""
    columns = int(layout.blocked.shape[1] / NODE_SPACING) + 1
    rows = int(layout.blocked.shape[0] / NODE_SPACING) + 1
    column = min(max(int(x / NODE_SPACING), 0), columns - 2)
    row = min(max(int(y / NODE_SPACING), 0), rows - 2)
    best, best_node = math.inf, -1
    for dy in range(2):
        for dx in range(2):
            node = (row + dy) * columns + column + dx
            ax = x - (column + dx) * NODE_SPACING
            ay = y - (row + dy) * NODE_SPACING
            length = layout.distance[target, node] + math.sqrt(ax * ax + ay * ay)
            if length < best:
                best, best_node = length, node
    return best_node, best


@kernel
def route_length(layout, x, y, target):
    """Returns the length of the shortest route from (x, y) to a target [m]."""
    return nearest_node(layout, x, y, target)[1]


@kernel
def waypoint(layout, x, y, target):
    """Returns the next waypoint (x, y) on the shortest route to a target, and the route's length, all in metres."""
    columns = int(layout.blocked.shape[1] / NODE_SPACING) + 1
    node, length = nearest_node(layout, x, y, target)
    if node < 0:
        return layout.targets[target, 0], layout.targets[target, 1], 0.0
    for _ in range(3):
        wx = (node % columns) * NODE_SPACING
        wy = (node // columns) * NODE_SPACING
        if (wx - x) ** 2 + (wy - y) ** 2 >= LOOKAHEAD**2:
            break
        node = layout.next_node[target, node]
    return (node % columns) * NODE_SPACING, (node // columns) * NODE_SPACING, length
