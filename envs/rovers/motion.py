"""The motion of rovers: points that go where they are told to, up to a top speed, and stop at the field's border.

Axes: B worlds, N rovers.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel

MOVES = np.array([[0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
"""(5, 2) way along x and y of each discrete action, over the top speed."""


@kernel
def move(rules, position, drive):
    """Moves all rovers by one step.

    Args:
        rules: `finds.Rules`.
        position: (B, N, 2) [m], written.
        drive: (B, N, 2) way along x and y over the top speed; where it is longer than 1 it is shortened to that.
    """
    for b in range(len(position)):
        for i in range(position.shape[1]):
            dx, dy = drive[b, i, 0], drive[b, i, 1]
            way = rules.speed / max(1.0, math.sqrt(dx * dx + dy * dy))
            position[b, i, 0] = min(max(position[b, i, 0] + way * dx, 0.0), rules.size)
            position[b, i, 1] = min(max(position[b, i, 1] + way * dy, 0.0), rules.size)
