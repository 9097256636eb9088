"""Links between nodes: which of them work, where a neighbour stands in a row, and which nodes hang together.

Axes: B worlds, N nodes, D link slots.
"""

from __future__ import annotations

from ..kit.kernels import inlined, kernel
from .state import NOBODY, X


@kernel
def find_links(state, side, after, works):
    """Finds out which links work, `after` slots after `State.step`; past the schedule its last slot holds.

    Args:
        state: The `State`.
        side: Side of the plane [km].
        after: Number of slots after `State.step`.
        works: (B, N, D) bool, written.
    """
    step, node, neighbor, up, cut = state.step, state.node, state.neighbor, state.up, state.cut
    for b in range(len(step)):
        t = min(step[b] + after, cut.shape[1] - 1)
        for i in range(neighbor.shape[1]):
            for d in range(neighbor.shape[2]):
                j = neighbor[b, i, d]
                if j == NOBODY:
                    works[b, i, d] = False
                    continue
                across = (node[b, i, X] < 0.5 * side) != (node[b, j, X] < 0.5 * side)
                works[b, i, d] = up[b, t, i] and up[b, t, j] and not (cut[b, t] and across)


@inlined
def link_to(neighbor, b, i, j):
    """Returns d such that the d-th link of node i leads to node j, which must be its neighbour."""
    d = 0
    while neighbor[b, i, d] != j:
        d += 1
    return d


@kernel
def find_areas(neighbor, works, area, n_areas, stack):
    """Numbers the market areas: nodes that working links join, directly or through others, trade at one price.

    Args:
        neighbor: (B, N, D), see `State`.
        works: (B, N, D) which links work.
        area: (B, N), written: the area of each node.
        n_areas: (B,), written: the number of areas.
        stack: (N,) int32 to work in.
    """
    for b in range(len(area)):
        area[b] = NOBODY
        found = 0
        for first in range(area.shape[1]):
            if area[b, first] == NOBODY:
                _fill_area(neighbor, works, area, stack, b, first, found)
                found += 1
        n_areas[b] = found


@inlined
def _fill_area(neighbor, works, area, stack, b, first, number):
    """Gives a number to node `first` of world b and to all nodes that hang together with it."""
    area[b, first] = number
    stack[0], height = first, 1
    while height > 0:
        height -= 1
        i = stack[height]
        for d in range(neighbor.shape[2]):
            j = neighbor[b, i, d]
            if j != NOBODY and works[b, i, d] and area[b, j] == NOBODY:
                area[b, j] = number
                stack[height] = j
                height += 1
